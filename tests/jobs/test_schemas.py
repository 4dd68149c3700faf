"""What commands print with ``--json`` is what the schemas in docs/schemas say, and nothing else."""

import io
import json
import signal
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.core.management import CommandError, call_command, load_command_class
from django.utils import timezone
from jsonschema import Draft202012Validator, ValidationError
from referencing import Registry, Resource

from jobs.models import FailedJob, OutboxJob, Schedule
from jobs.queues import pause_queue
from jobs.services import MetricKey, TryFigures, WorkerReport, add_metrics, record_heartbeat
from tests.jobs.messages import push
from tests.jobs.sample_jobs import DeadlyJob, FailingJob, HopelessJob, NoteJob
from tests.jobs.steps import drain
from tests.processes import ROOT, child_environment, manage

FOLDER = ROOT / "docs" / "schemas"
SCHEMAS: dict[str, Any] = {path.stem: json.loads(path.read_text()) for path in FOLDER.iterdir()}  # Any: JSON
REGISTRY: Registry[Any] = Registry().with_resources(  # Any: as above
    (f"{name}.json", Resource.from_contents(schema)) for name, schema in SCHEMAS.items()
)
#: Prints a script, and no facts.
_SCRIPT = "queue_completion"
COMMANDS = sorted({path.stem for path in (ROOT / "jobs" / "management" / "commands").glob("queue_*.py")} - {_SCRIPT})
MINUTE = timedelta(minutes=1)


def validate(name: str, printed: Any) -> None:  # Any: JSON
    schema, checker = SCHEMAS[name], Draft202012Validator.FORMAT_CHECKER
    Draft202012Validator(schema, registry=REGISTRY, format_checker=checker).validate(printed)


def call(*words: str) -> str:
    out = io.StringIO()
    with suppress(SystemExit, CommandError):  # what it printed before is what counts
        call_command(*words, "--json", stdout=out, skip_checks=True)
    return out.getvalue()


@pytest.fixture
def house(job_connection: str) -> None:
    """A house in which there is something of everything."""
    now = timezone.now()
    push(queue="emails", at=now - 5 * MINUTE)
    push(queue="emails", at=now + 5 * MINUTE)
    HopelessJob.dispatch()
    FailingJob.dispatch()
    drain("default")
    pause_queue("low")
    pause_queue("high", until=MINUTE)
    record_heartbeat(
        name="w", queues=["high", "low"], started_at=now, now=now, alive_until=now + MINUTE, current_job_id=uuid4(),
        report=WorkerReport(connection=job_connection),
    )  # fmt: skip
    figures = TryFigures(processed=3, failed=1, released=1, timed_out=1)
    for run in (0.1, 2.0, 3.0, 4.0, 5.0):
        figures.note_times(run=run, wait=run)
    add_metrics(gathered={MetricKey(now - MINUTE, "database", "emails", "app.Mail"): figures})
    OutboxJob.objects.create(
        connection="elsewhere", job_id=uuid4(), queue="q", job_class="c", payload="{}", available_at=now,
        created_at=now - 5 * MINUTE, timeout_seconds=1,
    )  # fmt: skip
    Schedule.objects.create(
        name="entry", job_class="tests.HopelessJob", interval_seconds=60, next_run_at=now - MINUTE, problem="none yet"
    )


def get_failed_id() -> str:
    return str(FailedJob.objects.get().job_id)


CALLS: list[tuple[str, Callable[[], list[str]]]] = [
    ("queue_stats", list),
    ("queue_failed", list),
    ("queue_failed", lambda: ["--set-apart"]),
    ("queue_monitor", lambda: ["--max", "1", "emails", "default"]),
    ("queue_health", list),
    ("queue_dashboard", list),
    ("queue_top", list),
    ("queue_metrics", list),
    ("queue_metrics", lambda: ["--by", "class", "--since", "24h"]),
    ("queue_metrics", lambda: ["--by", "time", "--since", "7d"]),
    ("queue_pause", lambda: ["--all"]),
    ("queue_resume", lambda: ["--all"]),
    ("queue_clear", lambda: ["--no-input"]),
    ("queue_flush", lambda: ["--no-input"]),
    ("queue_forget", lambda: [get_failed_id(), str(uuid4())]),
    ("queue_retry_failed", lambda: [get_failed_id()]),
    ("queue_prune", list),
    ("queue_relay", lambda: ["--once"]),
    ("queue_restart", list),
    ("queue_example", list),
    ("queue_advanced_example", list),
    ("queue_schedule", lambda: ["--list"]),
    ("queue_schedule", lambda: ["--once"]),
]
#: Those that print a line for each event, until they are told to end.
STREAMS = {"queue_work", "queue_work_emails", "queue_work_notifications", "queue_supervise"}


def test_every_command_has_a_schema_and_is_held_to_it() -> None:
    assert sorted(SCHEMAS) == COMMANDS
    assert {name for name, _ in CALLS} | STREAMS == set(COMMANDS)
    for name in COMMANDS:
        parser = load_command_class("jobs", name).create_parser("manage.py", name)
        assert "--json" in parser.format_help()


def _list_objects(schema: object) -> Iterator[dict[str, object]]:
    if isinstance(schema, dict):
        if schema.get("type") == "object":
            yield schema
        for part in schema.values():
            yield from _list_objects(part)
    elif isinstance(schema, list):
        for part in schema:
            yield from _list_objects(part)


@pytest.mark.parametrize("name", sorted(SCHEMAS))
def test_a_schema_is_sound_and_allows_nothing_that_it_does_not_name(name: str) -> None:
    Draft202012Validator.check_schema(SCHEMAS[name])
    assert SCHEMAS[name]["$id"] == f"{name}.json"
    for one in _list_objects(SCHEMAS[name]):
        assert "additionalProperties" in one
        assert one["additionalProperties"] is False or "properties" not in one


@pytest.mark.parametrize(("name", "words"), CALLS, ids=[f"{name}-{number}" for number, (name, _) in enumerate(CALLS)])
def test_a_command_prints_what_its_schema_says(name: str, words: Callable[[], list[str]], house: None) -> None:
    printed = json.loads(call(name, *words()))
    validate(name, printed)
    for wrong in (None, {"more": 1}, [{"more": 1}]):
        with pytest.raises(ValidationError):
            validate(name, {**printed, **wrong} if isinstance(printed, dict) and wrong == {"more": 1} else wrong)


@pytest.mark.parametrize("name", ["queue_stats", "queue_metrics", "queue_health", "queue_dashboard"])
def test_also_of_an_empty_house(name: str, job_connection: str) -> None:
    validate(name, json.loads(call(name)))


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("name", ["queue_work_emails", "queue_work_notifications"])
def test_a_worker_of_one_queue_prints_what_queue_work_does(name: str) -> None:
    lines = _read(call(name, "--once"))
    assert [line["event"] for line in lines] == ["started", "stopped"]
    for line in lines:
        validate(name, line)
        with pytest.raises(ValidationError):
            validate(name, {**line, "more": 1})


def _read(text: str) -> list[dict[str, Any]]:  # Any: JSON
    """Return the events; what is logged comes the same way here."""
    return [json.loads(line) for line in text.splitlines() if line.startswith("{")]


@pytest.mark.process
@pytest.mark.timeout(120)
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("words", [["queue_work", "--processes", "1"], ["queue_supervise", "plain"]], ids=" ".join)
def test_each_line_of_a_worker_is_what_the_schema_says(words: list[str], job_connection: str, tmp_path: Path) -> None:
    NoteJob.dispatch(str(tmp_path / "notes"), "x")
    HopelessJob.dispatch()
    FailingJob.dispatch()
    DeadlyJob.dispatch(str(tmp_path))
    push("made.up")
    wanted = {"started", "done", "released", "failed", "quarantined", "died"}
    environment = child_environment(
        DJANGO_SETTINGS_MODULE="tests.jobs.supervisor_settings", JOB_CONNECTION=job_connection, LOG_LEVEL="ERROR"
    )
    with manage(*words, "--json", environment=environment) as process:
        assert process.stdout is not None
        lines: list[dict[str, Any]] = []  # Any: JSON
        # The process that replaces the one that died is to be told to stop.
        while not wanted <= set(events := [line["event"] for line in lines]) or events.count("started") < 2:
            lines += _read(process.stdout.readline())
        process.send_signal(signal.SIGTERM)
        lines += _read(process.stdout.read())
    for line in lines:
        validate(words[0], line)
        with pytest.raises(ValidationError):
            validate(words[0], {**line, "more": 1})
    assert {*wanted, "stopped"} == {line["event"] for line in lines}
