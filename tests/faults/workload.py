"""The jobs of the test. Each notes in the ledger that it began and how it ended."""

import os
import signal
import time
from collections.abc import Sequence
from datetime import timedelta
from typing import override

from jobs.batch import Batch, BatchableJob
from jobs.limits import ConcurrencyLimit
from jobs.middleware import LimitConcurrency, Middleware, ThrottleMiddleware, WithoutOverlapping
from jobs.schedules import schedule
from jobs.worker.current import list_running_jobs
from tests.faults.ledger import Entry, get_ledger
from tests.faults.plan import BACKOFF, PLACES, RATE, TICK_SECONDS, TRIES, WINDOW


class TimedJob(BatchableJob):
    """Take so long."""

    queue = "work"
    tries = TRIES
    backoff = BACKOFF

    def __init__(self, key: str, group: str, seconds: float) -> None:
        self.key = key
        self.group = group
        self.seconds = seconds

    @override
    def handle(self) -> None:
        self._note("start")
        try:
            self.work()
        except Exception:
            self._note("raise")
            raise
        self._note("end")

    def work(self) -> None:
        """Do it."""
        time.sleep(self.seconds)

    def _note(self, phase: str) -> None:
        job_id, detail = str(self.job_id), {"kind": type(self).__name__, "seconds": self.seconds}
        get_ledger().note(
            Entry(phase=phase, job=job_id, attempt=self.attempts, key=self.key, group=self.group, detail=detail)
        )


class FlakyJob(TimedJob):
    """Go wrong the first time."""

    @override
    def work(self) -> None:
        if self.attempts == 1:
            raise ValueError(self.key)


class HopelessJob(TimedJob):
    """Always go wrong."""

    @override
    def work(self) -> None:
        raise ValueError(self.key)


class DeadlyJob(TimedJob):
    """Take the process along, the first time."""

    @override
    def work(self) -> None:
        if self.attempts == 1:
            os.kill(os.getpid(), signal.SIGKILL)


class UniqueJob(TimedJob):
    """Of its group one waits or runs at a time."""

    unique_for = 3600

    @override
    def unique_key(self) -> str:
        return self.group


class AloneJob(TimedJob):
    """Of its group one runs at a time."""

    queue = "limited"
    tries = 0

    @override
    def middleware(self) -> Sequence[Middleware]:
        return [WithoutOverlapping(self.group, release_after=0.3)]


class LimitedJob(TimedJob):
    """Of its group so many run at a time, and so many start within a while."""

    queue = "limited"
    tries = 0

    @override
    def middleware(self) -> Sequence[Middleware]:
        places = LimitConcurrency(ConcurrencyLimit(PLACES, key=self.group), release_after=0.3)
        return [places, ThrottleMiddleware(RATE, WINDOW, key=self.group)]


class TickJob(TimedJob):
    """Be dispatched by the clock."""

    priority = 9


def on_then(found: Batch) -> None:
    """Note that all of a batch went well."""
    _note_callback("then", found)


def on_finally(found: Batch) -> None:
    """Note that a batch has ended."""
    _note_callback("finally", found)


def _note_callback(name: str, found: Batch) -> None:
    job = next(iter(list_running_jobs()), None)
    get_ledger().note(Entry(phase="callback", job=str(job.job_id) if job else "", group=found.name, key=name))


schedule(TickJob, "tick", "tick", 0.0).every(timedelta(seconds=TICK_SECONDS)).when_missed("skip").named("tick")
