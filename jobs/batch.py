"""Batches: jobs that are counted together, with callbacks when they get on, fail and end.

::

    batch([ImportJob(1), ImportJob(2), [ResizeJob(3), PublishJob(3)]]).name("Import").then(report).dispatch()

A list within the list is a chain. Callbacks are functions on the top level of a module, because they travel by name,
or jobs; each is called once, by a job of its own.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from jobs.callables import name_callable
from jobs.conf import get_job_settings
from jobs.exceptions import BatchNotFoundError, JobOptionError, NotBatchableError
from jobs.job import InnerHandle, Job, PendingDispatch, make_record
from jobs.job.records import encode_links, wrap_chain
from jobs.models import Batch as BatchRow
from jobs.models import BatchMember
from jobs.outlet import Current
from jobs.payload import Record
from jobs.services import (
    BatchPlan,
    allows,
    cancel_batch,
    create_batch,
    delete_batch,
    join_batch,
    read_options,
    retry_batch,
    send,
)

#: What can be in a batch: jobs, and lists of jobs that are chains.
type Members = Iterable["Job | PendingDispatch | Members"]
#: What can be called: a function of the batch, or a job to be sent.
type Callback = Callable[..., object] | Job | PendingDispatch


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
    """A batch as it stood when it was read; ``fresh`` reads it again."""

    id: UUID
    name: str
    total_jobs: int
    #: Those that have not succeeded yet; those that failed are among them.
    pending_jobs: int
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

    def fresh(self) -> "Batch | None":
        """Return the batch as it stands now; None where it is gone."""
        return find_batch(self.id)

    def list_failed_ids(self) -> list[UUID]:
        """Return the ids of the jobs that have failed."""
        rows = BatchMember.objects.filter(batch=self.id, state="failed").order_by("id")
        return list(rows.values_list("job_id", flat=True))

    def add(self, jobs: "Members | Job | PendingDispatch") -> "Batch":
        """Add jobs, most often from one of its jobs; return the batch as it stands then.

        Raises:
            NotBatchableError: One can't be in a batch.
            BatchNotFoundError: The batch is gone.
        """
        members: Members = [jobs] if isinstance(jobs, Job | PendingDispatch) else jobs
        with transaction.atomic():
            row = BatchRow.objects.select_for_update().filter(pk=self.id).first()
            if row is None:
                raise BatchNotFoundError
            options = read_options(row)
            plans = list(make_records(members, queue="", connection=options["connection"]))
            send(join_batch(row, plans))
        return _to_batch(row)

    def cancel(self) -> None:
        """Mark it as cancelled: its jobs are still taken, and those with ``SkipIfBatchCancelled`` skip themselves."""
        cancel_batch(batch_id=self.id)

    def retry_failed(self) -> list[UUID]:
        """Put its failed jobs back into their queues; return their ids."""
        return retry_batch(batch_id=self.id)

    def delete(self) -> None:
        """Forget it; jobs of it that still wait run as any other."""
        delete_batch(batch_id=self.id)


class BatchableJob(InnerHandle):
    """A job that can be in a batch; ``self.batch`` is the batch as it stands."""

    @property
    def is_batch_cancelled(self) -> bool:
        """Whether the job is in a batch that was cancelled."""
        found = self.batch
        return found is not None and found.is_cancelled


class PendingBatch:
    """A batch of which more can be said before it is sent."""

    def __init__(self, jobs: Members) -> None:
        """Take the jobs.

        Raises:
            NotBatchableError: One isn't a ``BatchableJob``.
        """
        self._jobs = list(_check_members(jobs))
        self._name = ""
        self._allowed: int | None = 0
        self._callbacks: dict[str, list[Callback]] = {}
        self._queue = ""
        self._connection = ""
        self._is_after_commit = True

    @property
    def jobs(self) -> list[object]:
        """The jobs and chains that it holds so far."""
        return list(self._jobs)

    def get_name(self) -> str:
        """Return its name, empty where it has none."""
        return self._name

    def add(self, jobs: Members) -> Self:
        """Add jobs."""
        self._jobs += _check_members(jobs)
        return self

    def name(self, name: str) -> Self:
        """Say what people call it, in at most 200 characters."""
        if len(name) > 200:
            message = "The name of a batch must be at most 200 characters."
            raise JobOptionError(message)
        self._name = name
        return self

    def allow_failures(self, count: int | bool | Callback = True, /, *callbacks: Callback) -> Self:  # noqa: FBT001, FBT002 - Laravel's word
        """Let it go on when jobs fail: so many of them, or any number (True); then call for each failure."""
        if isinstance(count, bool):
            self._allowed = None if count else 0
        elif isinstance(count, int):
            if count < 0:
                message = f"allow_failures needs a number from 0, not {count}."
                raise JobOptionError(message)
            self._allowed = count
        else:
            self._allowed, callbacks = None, (count, *callbacks)
        return self._on("failure", callbacks)

    def before(self, *callbacks: Callback) -> Self:
        """Call when the batch is stored, before its jobs run: ``function(batch)``."""
        return self._on("before", callbacks)

    def progress(self, *callbacks: Callback) -> Self:
        """Call whenever a job has ended well, and where failures are allowed, ended at all: ``function(batch)``."""
        return self._on("progress", callbacks)

    def then(self, *callbacks: Callback) -> Self:
        """Call when all jobs have ended well: ``function(batch)``."""
        return self._on("then", callbacks)

    def catch(self, *callbacks: Callback) -> Self:
        """Call at the first failure: ``function(batch, failure)``."""
        return self._on("catch", callbacks)

    def finally_(self, *callbacks: Callback) -> Self:
        """Call when each job has ended, well or not: ``function(batch)``."""
        return self._on("finally", callbacks)

    def on_queue(self, queue: str) -> Self:
        """Let jobs that say nothing themselves, and the callbacks, wait in this queue."""
        self._queue = queue
        return self

    def on_connection(self, connection: str) -> Self:
        """Send jobs that say nothing themselves, and the callbacks, to this connection."""
        self._connection = connection
        return self

    def after_commit(self) -> Self:
        """Send it when the transaction commits."""
        self._is_after_commit = True
        return self

    def before_commit(self) -> Self:
        """Send it at once, as far as the connection can."""
        self._is_after_commit = False
        return self

    def dispatch(self) -> Batch:
        """Store the batch and its jobs, all or none, and return it.

        Raises:
            JobArgumentError: An argument of a job can't be stored.
            JobOptionError: An option is out of range.
            QueueFullError: A queue has no room for them.
        """
        if Current.outlet is not None and (taken := Current.outlet.take_batch(self)) is not None:
            assert isinstance(taken, Batch)  # noqa: S101 - what outlets return
            return taken
        plan = self.make_plan()
        for job in _flatten(self._jobs):
            job.authorize_dispatch()
        with transaction.atomic():
            row, records = create_batch(plan, now=timezone.now())
            send(records, is_after_commit=self._is_after_commit)
            row.refresh_from_db()
        return _to_batch(row)

    def dispatch_if(self, condition: object) -> Batch | None:
        """Send it where the condition (or what it returns, if it can be called) is true."""
        return self.dispatch() if (condition() if callable(condition) else condition) else None

    def dispatch_unless(self, condition: object) -> Batch | None:
        """Send it where the condition is false."""
        return None if (condition() if callable(condition) else condition) else self.dispatch()

    def make_plan(self, *, queue: str = "", connection: str = "") -> BatchPlan:
        """Return it as it is stored."""
        own_queue = self._queue or queue
        own_connection = self._connection or connection or get_job_settings().connection
        return BatchPlan(
            name=self._name,
            allowed_failures=self._allowed,
            callbacks={
                event: [encode_callback(one) for one in callbacks] for event, callbacks in self._callbacks.items()
            },
            records=list(make_records(self._jobs, queue=own_queue, connection=own_connection)),
            queue=own_queue or "default",
            connection=own_connection,
        )

    def make_link(self, *, queue: str, connection: str) -> dict[str, Any]:  # Any: JSON
        """Return it as a link of a chain."""
        return self.make_plan(queue=queue, connection=connection).as_json()

    def _on(self, event: str, callbacks: Iterable[Callback]) -> Self:
        for callback in callbacks:
            encode_callback(callback)  # what can't travel is heard here
            self._callbacks.setdefault(event, []).append(callback)
        return self


def batch(jobs: Members) -> PendingBatch:
    """Return a batch in the making. Raises as ``PendingBatch`` does."""
    return PendingBatch(jobs)


def find_batch(batch_id: UUID) -> Batch | None:
    """Return a batch as it stands now; None where there is none (any more)."""
    row = BatchRow.objects.filter(pk=batch_id).first()
    return None if row is None else _to_batch(row)


def encode_callback(callback: Callback) -> dict[str, Any]:  # Any: JSON
    """Return a callback as it travels.

    Raises:
        JobDefinitionError: It is a lambda, a closure or a method.
    """
    if isinstance(callback, Job | PendingDispatch):
        return {"job": callback.get_job().make_record().as_json()}
    return {"function": name_callable(callback)}


def make_records(jobs: Members, *, queue: str, connection: str) -> Iterator[Record]:
    """Return the jobs of a batch as they travel; a list among them becomes a job that carries its chain."""
    for member in jobs:
        job, *rest = _flatten([member])
        record = make_record(job, queue=queue, connection=connection)
        links = encode_links([*job.get_links(), *rest], queue=record.queue, connection=record.connection)
        yield wrap_chain(record, links)


def _check_members(jobs: Members) -> Iterator["Job | PendingDispatch | Members"]:
    for member in jobs:
        if not isinstance(member, Job | PendingDispatch):
            members = list(_check_members(member))
            if members:
                yield members
            continue
        job = member.get_job()
        if not isinstance(job, BatchableJob):
            message = f"{type(job).__name__} can't be in a batch: it isn't a BatchableJob."
            raise NotBatchableError(message)
        yield member


def _flatten(jobs: Members) -> Iterator[Job]:
    for member in jobs:
        if isinstance(member, Job | PendingDispatch):
            yield member.get_job()
        else:
            yield from _flatten(member)


def _to_batch(row: BatchRow) -> Batch:
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
