"""What is read of jobs over HTTP, and how much that asks."""

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pytest_django import Settings
from rest_framework.test import APIClient

from jobs.batch import batch
from jobs.cron import Timing
from jobs.models import Batch, FailedJob, Schedule
from jobs.queues import pause_queue
from jobs.scheduler import save_entry
from jobs.schedules import Entry
from jobs.services import MetricKey, TryFigures, WorkerReport, add_metrics, add_tries, record_heartbeat
from permissions import audit
from tests.jobs.api_calls import NOBODY, READING, ROOT, SEE, let
from tests.jobs.api_calls import reader_fixture as _reader  # noqa: F401 - a fixture
from tests.jobs.api_calls import root_fixture as _root  # noqa: F401 - a fixture
from tests.jobs.batch_jobs import StepJob
from tests.jobs.batch_jobs import notes as _notes  # noqa: F401 - a fixture
from tests.jobs.sample_jobs import HopelessJob, NoteJob
from tests.jobs.steps import drain, make_try, push_record, soon

# --- What is read


def fill(count: int, *, first: int = 0) -> tuple[UUID, UUID]:
    """Fill each list with so many rows; return a failed job and a batch."""
    now = timezone.now()
    for number in range(first, first + count):
        push_record(queue=f"q{number}", tags=("green",))
        HopelessJob.dispatch()
        push_record(queue=f"late{number}", delay_until=soon(1))
        add_tries([make_try(tags=["green"], ended_at=now)])
        record_heartbeat(
            name=f"w{number}", queues=["default"], started_at=now, now=now, alive_until=now + timedelta(minutes=1),
            current_job_id=None,
        )  # fmt: skip
        save_entry(entry=Entry(name=f"n{number}", job_class="tests.NoteJob", timing=Timing(cron="0 3 * * *")))
    minute = now.replace(second=0, microsecond=0)
    key = MetricKey(minute=minute, connection="database", queue="q0", job_class="tests.NoteJob")
    add_metrics(gathered={key: TryFigures(processed=count)})
    found = batch([StepJob(f"broken{number}") for number in range(count)]).allow_failures().dispatch()
    drain("default")
    return FailedJob.objects.order_by("-pk")[:1].get().job_id, found.id


def paths(job_id: UUID, batch_id: UUID) -> Iterator[str]:
    for one in READING:
        kind = batch_id if one.path.startswith("batches") else job_id
        yield f"{ROOT}{one.path}".replace(str(NOBODY), str(kind))


def count_queries(ask: Callable[[], Any]) -> list[str]:  # Any: an answer
    with CaptureQueriesContext(connection) as captured:
        response = ask()
    assert response.status_code == 200, response.content[:500]
    return [query["sql"] for query in captured.captured_queries]


def test_reading_changes_nothing_and_asks_as_much_of_many_rows_as_of_few(
    reader: APIClient, tmp_path: Path, job_connection: str
) -> None:
    few, many = fill(2), fill(12, first=2)
    for path, other in zip(paths(*few), paths(*many), strict=True):
        reader.get(path)  # rights are remembered
        asked = count_queries(lambda path=path: reader.get(path))  # type: ignore[misc]  # of a default
        assert len(asked) < 15, path
        assert all(sql.startswith("SELECT") or "FROM (VALUES" in sql for sql in asked), (path, asked)
        assert len(count_queries(lambda other=other: reader.get(other))) == len(asked), path  # type: ignore[misc]


def test_all_at_a_glance(reader: APIClient, tmp_path: Path, job_connection: str) -> None:
    fill(3)
    pause_queue("q1")
    shown = reader.get(f"{ROOT}stats").json()
    assert (shown["waiting_count"], shown["delayed_count"], shown["open_failed_count"]) == (3, 3, 6)
    assert (shown["status"], shown["away"], len(shown["workers"])) == ("running", [], 3)
    queues = reader.get(f"{ROOT}queues").json()
    assert [one["queue"] for one in queues["results"]] == [one["queue"] for one in shown["queues"]]
    assert {one["queue"] for one in queues["results"] if one["is_paused"]} == {"q1"}
    assert {one["connection"] for one in queues["results"]} == {job_connection, "database"}
    (worker,) = (one for one in reader.get(f"{ROOT}workers").json()["results"] if one["name"] == "w1")
    assert (worker["state"], worker["queues"]) == ("idle", ["default"])


def collect(client: APIClient, **words: str) -> list[UUID]:
    """Return all jobs that a search finds, page by page."""
    address: str | None = ROOT
    found: list[UUID] = []
    data: dict[str, str] = {**words, "limit": "2"}
    while address is not None:
        page = client.get(address, data).json()
        assert len(page["results"]) <= 2
        found += [UUID(one["job_id"]) for one in page["results"]]
        address, data = page["next"], {}
    return found


def test_jobs_are_listed_page_by_page_and_by_what_is_said_of_them(
    reader: APIClient, tmp_path: Path, job_connection: str
) -> None:
    fill(5)
    assert len(set(collect(reader))) == 5
    assert len(set(collect(reader, status="delayed"))) == 5
    assert len(set(collect(reader, status="done"))) == 5
    assert len(set(collect(reader, status="failed"))) == 10
    assert len(collect(reader, queue="q1")) == 1
    assert len(collect(reader, tag="green")) == 5
    assert len(collect(reader, status="failed", **{"class": "tests.StepJob"})) == 5
    assert len(collect(reader, status="failed", exception="BROKEN3")) == 1
    assert collect(reader, status="failed", since=soon().isoformat()) == []
    assert collect(reader, status="failed", connection="elsewhere") == []
    assert collect(reader, status="failed", outcome="recovered") == []


def test_failed_jobs_are_listed_with_what_became_of_them(reader: APIClient, tmp_path: Path) -> None:
    failed, batch_id = fill(2)
    FailedJob.objects.filter(job_id=failed).update(retried_at=timezone.now())
    states = {one["state"] for one in reader.get(f"{ROOT}failed", {"outcome": "all"}).json()["results"]}
    assert states == {"failed", "retrying"}
    (row,) = reader.get(f"{ROOT}failed", {"batch": str(batch_id)}).json()["results"]
    assert (row["job_class"], row["error"]) == ("tests.StepJob", "ValueError: broken0")


def test_metrics_are_told_step_by_step_with_percentiles(reader: APIClient, tmp_path: Path) -> None:
    fill(2)
    shown = reader.get(f"{ROOT}metrics", {"queue": "q0", "class": "tests.NoteJob", "step": "60"}).json()
    assert len(shown["points"]) in {60, 61, 62}
    (point,) = (one for one in shown["points"] if one["tries"]["processed_count"])
    assert point["tries"]["processed_count"] == 2
    assert set(point["tries"]["run_seconds"]) == {"average", "p50", "p95", "p99", "longest"}
    other = reader.get(f"{ROOT}metrics", {"queue": "other", "step": "3600"}).json()
    assert {one["tries"]["processed_count"] for one in other["points"]} == {0}


def test_a_worker_is_told_with_the_job_in_hand_and_since_when(reader: APIClient) -> None:
    now, job_id = timezone.now(), uuid4()
    record_heartbeat(
        name="w", queues=[], started_at=now, now=now, alive_until=now + timedelta(minutes=1), current_job_id=job_id,
        report=WorkerReport(current_job_class="tests.NoteJob", current_job_since=now - timedelta(minutes=3)),
    )  # fmt: skip
    (shown,) = reader.get(f"{ROOT}workers").json()["results"]
    assert (shown["state"], shown["current_job_id"]) == ("busy", str(job_id))
    assert datetime.fromisoformat(shown["current_job_since"]) == now - timedelta(minutes=3)


def test_the_schedule_is_told_in_words(reader: APIClient, tmp_path: Path) -> None:
    fill(1)
    (shown,) = reader.get(f"{ROOT}schedules").json()["results"]
    assert (shown["name"], shown["when"], shown["last_run_at"]) == ("n0", "every day at 03:00, UTC", None)
    assert shown["next_run_at"] is not None


# --- Page by page


def make_entry(name: str) -> None:
    save_entry(entry=Entry(name=name, job_class="tests.NoteJob", timing=Timing(cron="0 3 * * *")))


def make_batch(name: str) -> None:
    batch([StepJob(name)]).name(name).dispatch()


def turn_pages(reader: APIClient, path: str, between: Callable[[], None]) -> list[str]:
    """Return the names on all pages of two; something happens after each."""
    address, names = f"{ROOT}{path}?limit=2", []
    while address:
        response = reader.get(address)
        assert response.status_code == 200
        names += [row["name"] for row in response.json()["results"]]
        address = response.json()["next"]
        between()
    return names


def test_batches_are_turned_over_once_each_while_others_come_and_go(reader: APIClient) -> None:
    for number in range(5):
        make_batch(f"b{number}")

    def change() -> None:
        make_batch("new")
        Batch.objects.filter(name="b3").delete()  # the last one of the first page

    assert turn_pages(reader, "batches", change) == ["b4", "b3", "b2", "b1", "b0"]


def test_the_schedule_is_turned_over_once_each_while_others_come_and_go(reader: APIClient) -> None:
    for number in range(5):
        make_entry(f"n{number}")

    def change() -> None:
        make_entry(f"a{uuid4()}")
        Schedule.objects.filter(name="n1").delete()

    assert turn_pages(reader, "schedules", change) == ["n0", "n1", "n2", "n3", "n4"]


def test_a_cursor_says_nothing_in_another_list(reader: APIClient) -> None:
    for number in range(2):
        make_batch(f"b{number}")
    following = reader.get(f"{ROOT}batches?limit=1").json()["next"].replace("/batches", "/schedules")
    response = reader.get(following)
    assert (response.status_code, response.json()["code"]) == (400, "invalid_cursor")


# --- One job


def test_a_job_is_told_without_what_takes_more_rights(
    api_client: APIClient, tmp_path: Path, job_connection: str
) -> None:
    job_id = NoteJob(str(tmp_path), "green").with_tags("t").dispatch()
    reader = let(api_client, SEE)
    shown = reader.get(f"{ROOT}{job_id}").json()
    assert (shown["state"], shown["connection"], shown["tags"]) == ("waiting", job_connection, ["t"])
    assert (shown["arguments"], shown["argument_names"]) == (None, ["path", "text"])
    assert datetime.fromisoformat(shown["dispatched_at"]) <= datetime.fromisoformat(shown["available_at"])
    assert not audit.list_events(event="job.payload_viewed").exists()
    shown = let(api_client, SEE, "jobs.view_payload").get(f"{ROOT}{job_id}").json()
    assert shown["arguments"]["text"] == '"green"'
    event = audit.list_events(event="job.payload_viewed").get()
    assert (event.subject_id, event.actor_id != "") == (str(job_id), True)


@pytest.mark.django_db
@pytest.mark.parametrize("right", ["jobs.view_failedjob", "jobs.change_failedjob", None])
def test_tracebacks_are_for_who_may_see_failed_jobs(right: str | None, api_client: APIClient) -> None:
    job_id = StepJob("broken").dispatch()
    drain()
    failure = let(api_client, SEE, *[right] if right else []).get(f"{ROOT}{job_id}").json()["failure"]
    assert failure["exception"] == "ValueError: broken"
    assert (failure["traceback"] is not None) is (right is not None)


@pytest.mark.django_db
def test_secrets_among_the_arguments_are_never_told(root: APIClient) -> None:
    record = push_record(arguments={"path": "x", "password": "hunter2"})
    response = root.get(f"{ROOT}{record.job_id}")
    assert "hunter2" not in response.content.decode()
    assert response.json()["arguments"]["path"] == '"x"'


# --- A store that is away


@pytest.fixture
def away(settings: Settings, db: None) -> str:
    """Name of a connection to a Redis that nobody serves."""
    settings.RQ_QUEUES = {**settings.RQ_QUEUES, "nobody": {"URL": "redis://127.0.0.1:1/0"}}
    nobody = {"DRIVER": "jobs.drivers.redis.RedisDriver", "RQ_QUEUE": "nobody"}
    either = {"DRIVER": "jobs.drivers.failover.FailoverDriver", "CONNECTIONS": ["nobody", "database"]}
    connections = {"database": settings.JOBS["CONNECTIONS"]["database"], "nobody": nobody, "either": either}
    settings.JOBS = {**settings.JOBS, "CONNECTIONS": connections}
    return "nobody"


def test_while_a_store_is_away_the_rest_is_told_and_that_it_is(away: str, root: APIClient) -> None:
    waiting = push_record().job_id
    for path in ("", "stats", "queues", f"{waiting}?"):
        response = root.get(f"{ROOT}{path}")
        assert (response.status_code, response.json()["away"]) == (200, [] if path.endswith("?") else [away]), path
    assert [one["job_id"] for one in root.get(ROOT).json()["results"]] == [str(waiting)]
    response = root.get(f"{ROOT}{uuid4()}")
    assert (response.status_code, response.json()["code"]) == (503, "job_out_of_reach")


@pytest.mark.parametrize("connection_name", ["nobody", "either"])
def test_a_change_in_a_store_that_is_away_is_503(away: str, connection_name: str, root: APIClient) -> None:
    response = root.post(f"{ROOT}queues/pause", {"queue": "a", "connection": connection_name})
    assert (response.status_code, response.json()["code"]) == (503, "connection_away")
    assert response["Content-Type"] == "application/problem+json"
    paused = {one["queue"] for one in root.get(f"{ROOT}queues").json()["results"]}
    assert paused == ({"a"} if connection_name == "either" else set())
    assert audit.list_events(event="queue.paused").count() == len(paused)
