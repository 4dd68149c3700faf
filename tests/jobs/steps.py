"""What a worker does, step by step, at a time of the test's choosing."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

from django.utils import timezone

from jobs.drivers.base import Claim, get_driver
from jobs.drivers.inventory import StoredJob
from jobs.payload import Record
from jobs.services import EndedTry, make_messages
from jobs.worker.runner import Outcome, attempt, settle
from project.signals import FactSignal
from tests.processes import child_environment

LATER = timedelta(hours=2)
NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)


def claim_next(*queues: str, now: datetime | None = None) -> Claim | None:
    """Claim as a worker does."""
    return next(iter(get_driver().claim(queues=queues, worker="test", now=now or timezone.now())), None)


def claim_one(*queues: str, now: datetime | None = None) -> Claim:
    """Claim a job that must be there."""
    claim = claim_next(*queues, now=now)
    assert claim is not None
    return claim


def run_next(*, now: datetime | None = None) -> Outcome:
    """Claim a job that must be there, run it, and write down how it ended."""
    now = now or timezone.now()
    claim = claim_one(now=now)
    outcome = attempt(claim, now=now)
    settle(claim, outcome, now=now)
    return outcome


def drain(*queues: str, now: datetime | None = None) -> int:
    """Run everything that is due, also what comes up meanwhile; return how many tries that were."""
    tries = 0
    while (claim := claim_next(*queues, now=now)) is not None:
        settle(claim, attempt(claim, now=now), now=now or timezone.now())
        tries += 1
    return tries


def soon(hours: float = 2) -> datetime:
    """Return a moment at which what waits now is due."""
    return timezone.now() + timedelta(hours=hours)


def stored() -> list[StoredJob]:
    """Return all jobs that the connection holds."""
    return list(get_driver().list_jobs(now=timezone.now()))


def stored_one() -> StoredJob:
    """Return the one job that the connection holds."""
    (job,) = stored()
    return job


def push_record(**values: Any) -> Record:  # Any: fields of the record
    """Store a record that no class has made."""
    fields = {"queue": "default", "job_class": "tests.NoteJob", "arguments": {}, **values}
    record = Record(job_id=uuid4(), connection=get_driver().name, **fields)
    get_driver().push(make_messages([record], now=values.get("created_at") or timezone.now()))
    return record


def make_try(**values: Any) -> EndedTry:  # Any: fields of the try
    """Return a try that went well, at noon, but for what is said."""
    fields: dict[str, Any] = {  # Any: as above
        "job_id": uuid4(), "connection": "database", "queue": "default", "job_class": "tests.NoteJob",
        "state": "done", "attempt": 1, "worker": "w", "started_at": NOON, "wait": timedelta(0),
        "run": timedelta(seconds=1), "ended_at": NOON,
    }  # fmt: skip
    return EndedTry(**{**fields, **values})


@contextmanager
def heard(*signals: FactSignal[Any]) -> Iterator[list[tuple[FactSignal[Any], Any]]]:  # Any: each carries its own
    """Yield a list to which each of the signals is added as it is sent, with its fact."""
    seen: list[tuple[FactSignal[Any], Any]] = []  # Any: as above

    def note(*, signal: FactSignal[Any], fact: object, **_others: object) -> None:  # Any: as above
        seen.append((signal, fact))

    for signal in signals:
        signal.connect(note)
    try:
        yield seen
    finally:
        for signal in signals:
            signal.disconnect(note)


def worker_environment() -> dict[str, str]:
    """Return the environment of a worker process that knows the sample jobs."""
    return child_environment(DJANGO_SETTINGS_MODULE="tests.jobs.worker_settings")
