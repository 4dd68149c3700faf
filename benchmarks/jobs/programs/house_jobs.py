"""Our jobs."""

import asyncio
import os
from typing import override

from benchmarks.jobs import work
from jobs.job import Job


class NoopJob(Job):
    """Does nothing."""

    @override
    def handle(self) -> None:
        work.noop()


class IncrJob(Job):
    """Counts in Redis."""

    @override
    def handle(self) -> None:
        work.incr()


class NapJob(Job):
    """Waits for a millisecond."""

    @override
    def handle(self) -> None:
        work.nap()


class AwaitingNapJob(Job):
    """The same as a coroutine."""

    @override
    async def handle(self) -> None:
        await asyncio.sleep(work.NAP)
        work.note()


class StampJob(Job):
    """Notes how long ago it was sent."""

    def __init__(self, sent_at: float) -> None:
        """Take the moment at which it is sent."""
        self.sent_at = sent_at

    @override
    def handle(self) -> None:
        work.stamp(self.sent_at)


#: ``BENCH_HANDLE`` says of which form those are that wait.
KINDS: dict[str, type[Job]] = {
    "noop": NoopJob,
    "incr": IncrJob,
    "nap": AwaitingNapJob if os.environ.get("BENCH_HANDLE") == "async" else NapJob,
}
