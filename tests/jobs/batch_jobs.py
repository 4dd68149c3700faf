"""Jobs and callbacks of the tests of batches and chains. What they do is seen in ``NOTES``."""

from collections.abc import Sequence
from typing import Literal, override
from uuid import UUID

import pytest

from jobs.batch import Batch, BatchableJob, Failure, batch, find_batch
from jobs.chain import ChainableJob
from jobs.middleware import Middleware, SkipIfBatchCancelled

type Change = Literal["append", "prepend", "append batch", "prepend batch", "prepend broken"]
type Decision = Literal["release", "delete", "delete and raise", "fail"]

NOTES: list[str] = []
#: Steps that go wrong for now.
BROKEN: set[str] = set()


@pytest.fixture(autouse=True)
def notes() -> list[str]:
    """The notes, empty; test modules import this."""
    NOTES.clear()
    BROKEN.clear()
    return NOTES


class StepJob(BatchableJob):
    """Note its name; go wrong where that is wanted."""

    tries = 1

    def __init__(self, name: str, extra: str = "") -> None:
        self.name = name
        self.extra = extra

    @override
    def handle(self) -> None:
        if self.name in BROKEN or self.name.startswith("broken"):
            raise ValueError(self.name)
        NOTES.append(self.name)


class SkippingJob(StepJob):
    """Skip itself where its batch was cancelled."""

    @override
    def middleware(self) -> Sequence[Middleware]:
        return [SkipIfBatchCancelled()]


class UniqueStepJob(StepJob):
    """Only one of a name waits or runs."""

    unique_for = 60

    @override
    def unique_key(self) -> str:
        return self.name


class LastStepJob(StepJob):
    """Only the last one of a name runs."""

    debounce_for = 60

    @override
    def debounce_key(self) -> str:
        return self.name


class AddingJob(BatchableJob):
    """Add jobs to its batch, each by itself."""

    def __init__(self, name: str, times: int) -> None:
        self.name = name
        self.times = times

    def _handle(self) -> None:
        assert self.batch is not None
        for number in range(self.times):
            self.batch.add(StepJob(f"{self.name}-{number}"))
        NOTES.append(self.name)


class CancellingJob(BatchableJob):
    """Cancel its batch, and note what it thinks of it before and after."""

    def _handle(self) -> None:
        before = self.is_batching
        assert self.batch is not None
        self.batch.cancel()
        NOTES.append(f"{before} {self.is_batching} {self.is_batch_cancelled}")


class AsyncAddingJob(BatchableJob):
    """Do the same in a coroutine."""

    async def _handle(self) -> None:
        found = await self.aget_batch()
        assert found is not None
        await found.aadd(StepJob("added"))
        fresh = await found.afresh()
        assert fresh is not None
        NOTES.append(f"async {fresh.total_jobs}")


class ChangingJob(ChainableJob, BatchableJob):
    """Change its chain."""

    def __init__(self, what: Change) -> None:
        self.what = what

    def _handle(self) -> None:
        NOTES.append("changing")
        match self.what:
            case "append":
                self.append_to_chain(StepJob("added"))
            case "prepend":
                self.prepend_to_chain(StepJob("added"), StepJob("added too"))
            case "append batch":
                self.append_to_chain(batch([StepJob("b1"), StepJob("b2")]))
            case "prepend batch":
                self.prepend_to_chain(batch([StepJob("b1"), StepJob("b2")]))
            case "prepend broken":
                self.prepend_to_chain(StepJob("broken"))


class DecidingJob(ChainableJob):
    """End in another way than by returning."""

    def __init__(self, how: Decision) -> None:
        self.how = how

    def _handle(self) -> None:
        NOTES.append(self.how)
        match self.how:
            case "release":
                self.release(30)
            case "delete":
                self.delete()
            case "delete and raise":
                self.delete()
                raise ValueError(self.how)
            case "fail":
                self.fail("it won't do")


class NoBatchJob(ChainableJob):
    """Can't be in a batch."""

    def _handle(self) -> None:
        NOTES.append("alone")


def on_before(found: Batch) -> None:
    """Note that the batch begins."""
    NOTES.append(f"before {found.processed_jobs}/{found.total_jobs}")


def on_progress(found: Batch) -> None:
    """Note how far the batch is."""
    NOTES.append(f"progress {found.processed_jobs}/{found.total_jobs}")


def on_then(found: Batch) -> None:
    """Note that all went well."""
    NOTES.append(f"then {found.processed_jobs}/{found.total_jobs}")


def on_catch(found: Batch, failure: Failure) -> None:
    """Note the first failure."""
    NOTES.append(f"catch {failure.message} {found.failed_jobs}")


def on_failure(found: Batch, failure: Failure) -> None:
    """Note a failure."""
    NOTES.append(f"failure {failure.exception} {failure.message} {found.failed_jobs}")


def on_finally(found: Batch) -> None:
    """Note the end."""
    NOTES.append(f"finally {found.pending_jobs}/{found.failed_jobs}")


def on_broken_chain(failure: Failure) -> None:
    """Note that a chain broke."""
    NOTES.append(f"chain {failure.job_class} {failure.message}")


def raise_here(found: Batch) -> None:
    """Go wrong in a callback."""
    raise LookupError(found.name)


def add_more(found: Batch) -> None:
    """Add a job to a batch that has ended, once."""
    NOTES.append("then")
    if found.total_jobs == 1:
        found.add([StepJob("more")])


def read_batch(batch_id: UUID) -> Batch:
    """Return a batch that must be there, as it stands."""
    found = find_batch(batch_id)
    assert found is not None
    return found


def read_counts(batch_id: UUID) -> tuple[int, int, int]:
    """Return total, pending and failed."""
    found = read_batch(batch_id)
    return found.total_jobs, found.pending_jobs, found.failed_jobs
