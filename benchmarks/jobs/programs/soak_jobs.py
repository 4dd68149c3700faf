"""The jobs of the soak: each notes its number when it has ended."""

import asyncio
from typing import override

from benchmarks.jobs import work
from jobs.batch import Batch, BatchableJob


class _NumberedJob(BatchableJob, is_base=True):
    def __init__(self, number: int) -> None:
        self.number = number


class SoakNoopJob(_NumberedJob):
    """Does nothing."""

    @override
    def handle(self) -> None:
        work.note_number(self.number)


class SoakIncrJob(_NumberedJob):
    """Writes to Redis."""

    @override
    def handle(self) -> None:
        work.write()
        work.note_number(self.number)


class SoakCoroutineJob(_NumberedJob):
    """Waits for a millisecond, and lets others run meanwhile."""

    @override
    async def handle(self) -> None:
        await asyncio.sleep(work.NAP)
        work.note_number(self.number)


class SoakFlakyJob(_NumberedJob):
    """Raises once."""

    tries = 3
    backoff = 1

    @override
    def handle(self) -> None:
        if self.attempts == 1:
            message = f"Job {self.number} is retried."
            raise RuntimeError(message)
        work.note_number(self.number)


class SoakDoomedJob(_NumberedJob):
    """Fails for good."""

    tries = 1

    @override
    def handle(self) -> None:
        message = f"Job {self.number} fails."
        raise RuntimeError(message)

    @override
    def failed(self, error: Exception) -> None:
        work.note_number(self.number)


def note_batch(done: Batch) -> None:
    """Note the number that a batch has as its name."""
    work.note_number(int(done.name))
