"""A batch that was sent, and the jobs that know theirs."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from asgiref.sync import sync_to_async
from django.db import connections

from jobs.batch.members import Members, check_members, flatten, make_records
from jobs.exceptions import BatchNotFoundError
from jobs.job import InnerHandle, Job, PendingDispatch
from jobs.job.records import PlannedBatch, note_sent, renew_ids
from jobs.models import Batch as BatchRow
from jobs.models import BatchMember
from jobs.services import add_jobs, allows, cancel_batch, delete_batch, read_options, retry_batch


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """What callbacks are told about a job that failed."""

    job_id: UUID
    job_class: str
    #: Name of the exception's class.
    exception: str
    message: str

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "Failure":  # Any: JSON
        """Return it from what a record carries."""
        return cls(**{**values, "job_id": UUID(values["job_id"])})


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """A batch as it stood when it was read; ``fresh`` reads it again.

    Jobs that somebody deletes by hand (``queue_clear``) stay among the pending ones, so their batch never ends; cancel
    or delete it with them. Links of a chain that broke before them, and unique jobs of which another one waited, leave
    the batch: they are not among its jobs any more.
    """

    id: UUID
    name: str
    #: All that were added, without those that have left.
    total_jobs: int
    #: Those that have not succeeded yet; those that failed are among them.
    pending_jobs: int
    #: Those that failed, and were not retried with success.
    failed_jobs: int
    #: Whether it goes on after the failures that it has.
    allows_failures: bool
    created_at: datetime
    cancelled_at: datetime | None
    #: When all of its jobs had succeeded, or it was cancelled.
    finished_at: datetime | None

    @property
    def processed_jobs(self) -> int:
        """How many jobs have succeeded."""
        return self.total_jobs - self.pending_jobs

    @property
    def progress(self) -> int:
        """How much of it has succeeded, in percent."""
        return round(self.processed_jobs / self.total_jobs * 100) if self.total_jobs else 0

    @property
    def is_finished(self) -> bool:
        """Whether all of its jobs have succeeded, or it was cancelled."""
        return self.finished_at is not None

    @property
    def is_cancelled(self) -> bool:
        """Whether it was cancelled, by somebody or by a failure."""
        return self.cancelled_at is not None

    @property
    def has_failures(self) -> bool:
        """Whether a job has failed."""
        return self.failed_jobs > 0

    @property
    def has_ended(self) -> bool:
        """Whether each of its jobs has ended, well or not."""
        return self.pending_jobs == self.failed_jobs

    @property
    def state(self) -> Literal["open", "finished", "cancelled", "ended_with_failures"]:
        """How it stands, in a word."""
        if self.is_cancelled:
            return "cancelled"
        if self.is_finished:
            return "finished"
        return "ended_with_failures" if self.has_ended and self.has_failures else "open"

    def fresh(self) -> "Batch | None":
        """Return the batch as it stands now; None where it is gone."""
        return find_batch(self.id)

    def get_option(self, name: str, default: object = None) -> object:
        """Return what was kept with it (``PendingBatch.with_option``).

        Raises:
            BatchNotFoundError: The batch is gone.
            PayloadError: Its row was changed behind our back.
        """
        return read_options(_get_row(self.id)).extra.get(name, default)

    def has_callbacks(self, event: str) -> bool:
        """Say whether something is called at an event: ``then``, ``catch``, … Raises as ``get_option`` does."""
        return bool(read_options(_get_row(self.id)).callbacks.get(event))

    def list_failed_ids(self) -> list[UUID]:
        """Return the ids of the jobs that have failed."""
        rows = BatchMember.objects.filter(batch=self.id, state="failed").order_by("id")
        return list(rows.values_list("job_id", flat=True))

    def add(self, jobs: "Members | Job | PendingDispatch | PlannedBatch") -> "Batch":
        """Add jobs, most often from one of its jobs; return the batch as it stands then.

        A batch that had ended is open again, and its end, when it comes, is told once more. A job that runs again,
        because its worker died, adds again.

        Raises:
            NotBatchableError: One can't be in a batch.
            BatchNotFoundError: The batch is gone.
            QueueFull: A queue has no room for them.
        """
        members = list(check_members([jobs] if isinstance(jobs, Job | PendingDispatch | PlannedBatch) else jobs))
        options = read_options(_get_row(self.id))
        added = renew_ids(flatten(members))
        records = list(make_records(members, queue=options.queue, connection=options.connection))
        batch = to_batch(add_jobs(batch_id=self.id, records=records))
        note_members_sent(added, self.id)
        return batch

    def cancel(self) -> None:
        """Mark it as cancelled: its jobs are still taken, and those with ``SkipIfBatchCancelled`` skip themselves."""
        cancel_batch(batch_id=self.id)

    def retry_failed(self) -> list[UUID]:
        """Put its failed jobs back into their queues; return their ids."""
        return retry_batch(batch_id=self.id)

    def delete(self) -> None:
        """Forget it; jobs of it that still wait run as any other."""
        delete_batch(batch_id=self.id)

    async def afresh(self) -> "Batch | None":
        """Do what ``fresh`` does, from an asynchronous job."""
        return await _in_thread(self.fresh)

    async def aadd(self, jobs: "Members | Job | PendingDispatch | PlannedBatch") -> "Batch":
        """Do what ``add`` does, from an asynchronous job."""
        return await _in_thread(lambda: self.add(jobs))

    async def acancel(self) -> None:
        """Do what ``cancel`` does, from an asynchronous job."""
        await _in_thread(self.cancel)


class BatchableJob(InnerHandle):
    """A job that can be in a batch; ``self.batch`` is the batch as it stands."""

    @property
    def is_batching(self) -> bool:
        """Whether the job is in a batch that has work left and was not cancelled."""
        found = self.batch
        return found is not None and not found.is_finished and not found.is_cancelled

    @property
    def is_batch_cancelled(self) -> bool:
        """Whether the job is in a batch that was cancelled."""
        found = self.batch
        return found is not None and found.is_cancelled

    async def aget_batch(self) -> Batch | None:
        """Return ``self.batch``, in an asynchronous job."""
        return await _in_thread(lambda: self.batch)


class OpenBatchJob(BatchableJob):
    """Stand for a batch within a batch: done as soon as that was sent, which follows this job as a link does."""

    is_internal = True

    def _handle(self) -> None:
        """Do nothing."""


def note_members_sent(jobs: Sequence[Job], batch_id: UUID) -> None:
    """Take note that jobs of a batch were sent, but for those that left it because another one of their key waits."""
    note_sent(jobs)
    if all(job.unique_for is None for job in jobs):
        return
    left = set(BatchMember.objects.filter(batch=batch_id, state="skipped").values_list("job_id", flat=True))
    refused = [job for job in jobs if job.job_id in left]
    note_sent(refused, is_sent=False)
    for job in refused:
        del job.__dict__["_job_id"]  # it stays with the member that left


def find_batch(batch_id: UUID) -> Batch | None:
    """Return a batch as it stands now; None where there is none (any more)."""
    row = BatchRow.objects.filter(pk=batch_id).first()
    return None if row is None else to_batch(row)


def to_batch(row: BatchRow) -> Batch:
    """Return the batch of a row."""
    return Batch(
        id=row.id,
        name=row.name,
        total_jobs=row.total_jobs,
        pending_jobs=row.pending_jobs,
        failed_jobs=row.failed_jobs,
        allows_failures=row.allowed_failures is None or (row.allowed_failures > 0 and allows(row)),
        created_at=row.created_at,
        cancelled_at=row.cancelled_at,
        finished_at=row.finished_at,
    )


def _get_row(batch_id: UUID) -> BatchRow:
    row = BatchRow.objects.filter(pk=batch_id).first()
    if row is None:
        raise BatchNotFoundError
    return row


async def _in_thread[T](call: Callable[[], T]) -> T:
    """Call what asks the database, which must not be asked in a loop of events."""

    def call_and_close() -> T:
        try:
            return call()
        finally:
            connections.close_all()  # nobody else looks after those of this thread

    return await sync_to_async(call_and_close)()
