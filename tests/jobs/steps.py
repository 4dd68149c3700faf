"""What a worker does, step by step, at a time of the test's choosing."""

from datetime import UTC, datetime, timedelta

from django.utils import timezone

from jobs.drivers.base import Claim, get_driver
from jobs.worker.runner import Outcome, attempt, settle
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
    outcome = attempt(claim)
    settle(claim, outcome, now=now)
    return outcome


def worker_environment() -> dict[str, str]:
    """Return the environment of a worker process that knows the sample jobs."""
    return child_environment(DJANGO_SETTINGS_MODULE="tests.jobs.worker_settings")
