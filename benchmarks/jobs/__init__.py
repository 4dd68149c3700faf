"""Jobs on the database driver: how many are dispatched, and how many are claimed, run and finished."""

from typing import override

from django.utils import timezone

from benchmarks.harness import Figure, rate
from jobs.drivers.base import get_driver
from jobs.job import Job
from jobs.worker.runner import attempt, settle


class NoOperationJob(Job):
    """Does nothing."""

    @override
    def handle(self) -> None:
        """Do nothing."""


def measure() -> list[Figure]:
    """Dispatch one by one, then drain the queue, in one process and without other load."""
    dispatched = rate(NoOperationJob.dispatch)
    return [
        Figure(name="dispatch a job", value=dispatched, unit="1/s"),
        Figure(name="claim, run and finish a job", value=rate(_work_off_one), unit="1/s"),
    ]


def _work_off_one() -> None:
    now = timezone.now()
    claims = get_driver().claim(queues=[], worker="benchmark", now=now)
    if not claims:
        message = "The queue ran dry before the measurement ended."
        raise RuntimeError(message)
    settle(claims[0], attempt(claims[0]), now=now)
