"""``queue_health``, ``queue_metrics``, and what all commands do with names of strangers."""

import io
import json
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.core.management import CommandError, call_command
from django.db import OperationalError, connection
from django.utils import timezone
from pytest_django import Settings

from jobs.drivers.base import get_driver
from jobs.models import FailedJob, OutboxJob, Schedule
from jobs.models.queued import EVERY_QUEUE
from jobs.queues import pause_queue
from jobs.services import MetricKey, TryFigures, WorkerReport, add_metrics, record_heartbeat
from tests.jobs.messages import push
from tests.jobs.outbox_store import Server
from tests.jobs.outbox_store import server_fixture as _server  # noqa: F401 - a fixture
from tests.jobs.sample_jobs import NoteJob
from tests.waiting import wait_until

SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
HOSTILE = "\x1b[2Jred\nforged\u202e"


def call(*words: str) -> tuple[str, int]:
    """Return what a command prints, and its exit code."""
    out = io.StringIO()
    try:
        call_command(*words, stdout=out, skip_checks=True)
    except SystemExit as end:
        return out.getvalue(), int(str(end.code))
    return out.getvalue(), 0


def check(*words: str) -> tuple[str, int, set[str]]:
    """Return the status, the exit code, and the codes of what is wrong."""
    printed, code = call("queue_health", "--json", *words)
    body = json.loads(printed)
    return body["status"], code, {problem["code"] for problem in body["problems"]}


def start_worker(*queues: str, connection: str = "", name: str = "w") -> None:
    now = timezone.now()
    record_heartbeat(
        name=name, queues=queues, started_at=now, now=now, alive_until=now + MINUTE, current_job_id=None,
        report=WorkerReport(connection=connection),
    )  # fmt: skip


def fail(*, queue: str = "default", at: datetime | None = None, **values: Any) -> None:  # Any: columns
    fields = {"job_class": "app.Job", "connection": "database", "exception": "ValueError: no", **values}
    FailedJob.objects.create(
        job_id=uuid4(), queue=queue, payload="{}", attempts=1, traceback="", failed_at=at or timezone.now(), **fields
    )


# --- queue_health


def test_where_jobs_get_done_all_is_well(job_connection: str) -> None:
    start_worker()
    push(at=timezone.now() - SECOND)
    assert call("queue_health") == ("All is well.\n", 0)
    assert check() == ("ok", 0, set())


def test_an_idle_house_without_workers_is_well(job_connection: str) -> None:
    assert check() == ("ok", 0, set())


def test_jobs_that_wait_while_no_worker_lives_are_down(job_connection: str) -> None:
    push(at=timezone.now() - SECOND)
    assert check() == ("down", 2, {"no_worker"})
    text, code = call("queue_health")
    assert code == 2
    assert "No worker is alive, and 1 job waits." in text
    assert "queue_supervise" in text


def test_a_queue_that_no_living_worker_serves_is_degraded(job_connection: str) -> None:
    start_worker("high,low", connection=job_connection, name="elsewhere")
    push(queue="emails", at=timezone.now() - SECOND)
    assert check() == ("degraded", 1, {"queue_unserved"})
    assert f"queue_work --queue emails --connection {job_connection}" in call("queue_health")[0]
    start_worker("emails", connection=job_connection)
    assert check() == ("ok", 0, set())


def test_a_worker_of_a_connection_that_fails_over_serves_those_behind_it(
    job_connection: str, settings: Settings
) -> None:
    inner = {"DRIVER": "jobs.drivers.failover.FailoverDriver", "CONNECTIONS": [job_connection]}
    outer = {"DRIVER": "jobs.drivers.failover.FailoverDriver", "CONNECTIONS": ["sync", "inner"]}
    connections = {**settings.JOBS["CONNECTIONS"], "inner": inner, "outer": outer}
    settings.JOBS = {**settings.JOBS, "CONNECTIONS": connections}
    push(at=timezone.now() - SECOND)
    for name in ("gone", "sync"):
        start_worker(connection=name)
        assert check() == ("degraded", 1, {"queue_unserved"})
    start_worker(connection="outer")
    assert check() == ("ok", 0, set())


def test_a_job_that_waits_too_long_is_degraded(job_connection: str, settings: Settings) -> None:
    start_worker()
    push(queue="emails", at=timezone.now() - 5 * MINUTE)
    assert check() == ("degraded", 1, {"long_wait"})
    settings.JOBS = {**settings.JOBS, "LONG_WAITS": {"emails": 600}}
    assert check() == ("ok", 0, set())


def test_a_queue_that_rests_is_degraded_and_the_way_out_is_told(job_connection: str) -> None:
    pause_queue("emails")
    assert check() == ("degraded", 1, {"paused"})
    assert f"queue_resume emails --connection {job_connection}" in call("queue_health")[0]
    pause_queue(EVERY_QUEUE)
    text, _ = call("queue_health")
    assert text.count(" rest") == 1
    assert "queue_resume --all" in text


def test_failures_of_the_last_hour_are_degraded_above_a_limit(job_connection: str) -> None:
    fail(at=timezone.now() - 61 * MINUTE)
    for _ in range(3):
        fail()
    assert check("--max-failed", "3") == ("ok", 0, set())
    assert check("--max-failed", "2") == ("degraded", 1, {"failures"})
    assert "3 jobs failed in the last hour, more than 2." in call("queue_health", "--max-failed", "2")[0]
    FailedJob.objects.update(retried_at=timezone.now())
    assert check("--max-failed", "0") == ("ok", 0, set())


def test_a_store_that_is_away_is_down_and_what_waits_for_it_is_told(server: Server, settings: Settings) -> None:
    server.kill()
    settings.JOBS = {**settings.JOBS, "LONG_WAIT_SECONDS": 0.001}
    NoteJob.dispatch("path", "text")
    assert wait_until(lambda: check()[2] == {"connection_away", "outbox_wait"})
    assert check()[:2] == ("down", 2)
    text, _ = call("queue_health")
    assert text.index("does not answer") < text.index("in the outbox")


@pytest.mark.django_db
def test_a_database_that_is_away_is_down() -> None:
    def refuse(_execute: Callable[..., object], *_arguments: object) -> object:
        message = "the server closed the connection"
        raise OperationalError(message)

    with connection.execute_wrapper(refuse):
        status, code, problems = check()
    assert (status, code) == ("down", 2)
    assert "database_away" in problems


@pytest.mark.django_db
@pytest.mark.parametrize("words", [["--max-failed", "-1"], ["--max-failed", "many"], ["more"]])
def test_queue_health_refuses_what_makes_no_sense(words: list[str]) -> None:
    with pytest.raises(CommandError):
        call("queue_health", *words)


# --- queue_metrics


def fill() -> None:
    now = timezone.now()
    for ago, queue, job_class, run in (
        (2 * MINUTE, "emails", "app.Mail", 0.02),
        (3 * MINUTE, "emails", "app.Other", 2.0),
        (10 * MINUTE, "default", "app.Other", 90.0),
        (timedelta(hours=5), "default", "app.Old", 0.2),
        (timedelta(days=3), "default", "app.Oldest", 0.2),
    ):
        figures = TryFigures(processed=3, failed=1, released=2)
        for _ in range(6):
            figures.note_times(run=run, wait=run * 2)
        add_metrics(gathered={MetricKey(now - ago, "database", queue, job_class): figures})


def rows(*words: str) -> list[dict[str, Any]]:  # Any: JSON
    found: list[dict[str, Any]] = json.loads(call("queue_metrics", "--json", *words)[0])["rows"]  # Any: as above
    return found


@pytest.mark.django_db
def test_figures_are_told_by_queue_and_by_class_of_the_while_that_is_asked_for() -> None:
    fill()
    assert {row["queue"]: row["processed_count"] for row in rows()} == {"default": 3, "emails": 6}
    assert {row["class"] for row in rows("--by", "class")} == {"app.Mail", "app.Other"}
    assert {row["class"] for row in rows("--by", "class", "--since", "24h")} == {"app.Mail", "app.Other", "app.Old"}
    assert len(rows("--by", "class", "--since", "7d")) == 4


@pytest.mark.django_db
def test_figures_of_one_queue_and_of_one_class() -> None:
    fill()
    assert [row["class"] for row in rows("--by", "class", "--queue", "default")] == ["app.Other"]
    assert [row["queue"] for row in rows("--class", "app.Mail")] == ["emails"]
    assert sum(row["processed_count"] for row in rows("--by", "time", "--queue", "emails")) == 6


@pytest.mark.django_db
@pytest.mark.parametrize(("since", "steps"), [("1h", 12), ("24h", 24), ("7d", 7)])
def test_figures_by_time_cover_the_while_in_steps(since: str, steps: int) -> None:
    fill()
    told = rows("--by", "time", "--since", since)
    assert steps <= len(told) <= steps + 1
    assert sum(row["failed_count"] for row in told) == {"1h": 3, "24h": 4, "7d": 5}[since]


@pytest.mark.django_db
def test_a_table_tells_throughput_failures_and_percentiles() -> None:
    fill()
    head, default, emails = call("queue_metrics")[0].splitlines()
    assert head.split()[:5] == ["queue", "done", "done/min", "released", "failed"]
    assert "run p95" in head
    assert "wait longest" in head
    assert default.split()[:6] == ["default", "3", "0.0", "2", "1", "25.0"]
    assert "0:01:30" in default
    assert " ms" in emails
    assert len({len(line) for line in (head, default, emails)}) == 1
    assert call("queue_metrics", "--queue", "low")[0] == "No try has ended in that while.\n"


@pytest.mark.django_db
@pytest.mark.parametrize("words", [["--since", "2h"], ["--by", "moon"], ["--queue", "a b"]])
def test_queue_metrics_refuses_what_makes_no_sense(words: list[str]) -> None:
    with pytest.raises(CommandError):
        call("queue_metrics", *words)


# --- All commands


@pytest.mark.parametrize("command", ["queue_health", "queue_metrics"])
def test_they_explain_themselves_and_their_exit_codes(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        call_command(command, "--help")
    assert "Exit code: 0" in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize(
    "words",
    [
        ["queue_stats"], ["queue_failed"], ["queue_health"], ["queue_metrics"], ["queue_metrics", "--by", "class"],
        ["queue_monitor", "--max", "1", "default"], ["queue_relay", "--once"], ["queue_schedule", "--list"],
        ["queue_resume", "--all"],
    ],
    ids=" ".join,
)  # fmt: skip
def test_no_name_of_a_stranger_commands_a_terminal_or_ends_its_line(words: list[str], job_connection: str) -> None:
    now = timezone.now()
    get_driver().pause(HOSTILE)
    push(HOSTILE, queue=HOSTILE, at=now - 5 * MINUTE)
    start_worker(HOSTILE, name=HOSTILE)
    fail(queue=HOSTILE, job_class=HOSTILE, exception=f"{HOSTILE[:9]}\x07")
    add_metrics(gathered={MetricKey(now, "database", HOSTILE, HOSTILE): TryFigures(processed=1, run_seconds=1)})
    OutboxJob.objects.create(
        connection=HOSTILE, job_id=uuid4(), queue="q", job_class="c", payload="{}", available_at=now,
        created_at=now - 5 * MINUTE, timeout_seconds=1,
    )  # fmt: skip
    Schedule.objects.create(name="entry", job_class=HOSTILE, problem=HOSTILE, interval_seconds=60)
    text, _ = call(*words)
    assert r"\x1b[2Jred" in text
    assert all(line.isprintable() for line in text.splitlines())
    assert "forged" not in {line.strip()[:6] for line in text.splitlines()}
