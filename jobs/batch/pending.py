"""A batch of which more can be said before it is sent."""

import json
from collections.abc import Iterable
from typing import Any, Self, override
from uuid import uuid4

from jobs.batch.members import (
    Callback,
    Member,
    Members,
    check_members,
    encode_callback,
    list_jobs,
    make_records,
)
from jobs.batch.stored import Batch, note_members_sent, to_batch
from jobs.exceptions import JobArgumentError, JobOptionError
from jobs.job import Job, PendingDispatch
from jobs.job.fluent import PendingGroup
from jobs.job.records import PlannedBatch, renew_ids
from jobs.outlet import Current
from jobs.services import BatchPlan, send_batch


class PendingBatch(PendingGroup[Batch]):
    """A batch of which more can be said before it is sent."""

    kind = "batch"

    def __init__(self, jobs: Members) -> None:
        """Take the jobs.

        Raises:
            NotBatchableError: One isn't a ``BatchableJob``.
        """
        super().__init__()
        self._jobs: list[Member] = list(check_members(jobs))
        self._allowed: int | None = 0
        self._callbacks: dict[str, list[Callback]] = {}
        self._extra: dict[str, Any] = {}  # Any: JSON

    @property
    def jobs(self) -> list[object]:
        """The jobs, chains and batches that it holds so far."""
        return list(self._jobs)

    def list_jobs(self) -> list[Job]:
        """Return all jobs that it holds, those of its chains and batches too."""
        return list_jobs(self._jobs)

    def get_callbacks(self, event: str) -> list[Callback]:
        """Return what is called at an event such as ``then``."""
        return list(self._callbacks.get(event, ()))

    def add(self, jobs: "Members | Job | PendingDispatch | PlannedBatch") -> Self:
        """Add jobs. Raises as the constructor does."""
        self._jobs += check_members([jobs] if isinstance(jobs, Job | PendingDispatch | PlannedBatch) else jobs)
        return self

    def with_option(self, name: str, value: Any) -> Self:  # Any: JSON
        """Keep something with it, of JSON types, which ``Batch.get_option`` returns.

        Raises:
            JobArgumentError: It is of no JSON type.
        """
        try:
            json.dumps({name: value}, allow_nan=False)
        except (TypeError, ValueError, RecursionError) as error:
            message = f"batch: the option {name!r} can't be stored ({type(error).__name__})."
            raise JobArgumentError(message) from None
        self._extra[name] = value
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
        """Call when the batch is stored, before its jobs are sent: ``function(batch)``.

        In the place where it is sent, or by the worker that comes to it in a chain, and before the commit; what a
        function raises is logged, and stops nothing.
        """
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

    @override
    def dispatch(self) -> Batch:
        """Store the batch and its jobs, all or none, and return it; within a transaction it is sent with the commit.

        Each dispatch makes another batch, of other jobs.

        Raises:
            JobArgumentError: An argument of a job can't be stored.
            JobOptionError: An option is out of range, or a job is in it twice.
            JobRefusedError: The acting user lacks a permission that a job requires.
            QueueFull: A queue has no room for them.
        """
        jobs = renew_ids([self])
        sent = to_batch(send_batch(plan=self.make_plan(), batch_id=uuid4()))
        note_members_sent(jobs, sent.id)
        if Current.outlet is not None:
            Current.outlet.note_batch(self)
        return sent

    def make_plan(self, *, queue: str = "", connection: str = "") -> BatchPlan:
        """Return it as it is stored; queue and connection hold where nothing else is said.

        Raises:
            JobOptionError: A job is in it twice.
        """
        jobs = self.list_jobs()
        if len({job.job_id for job in jobs}) < len(jobs):
            message = "A batch holds each job once; make another one of the same class for each run."
            raise JobOptionError(message)
        own_queue = self._queue or queue
        own_connection = self._connection or connection
        return BatchPlan(
            name=self._name,
            allowed_failures=self._allowed,
            callbacks={
                event: [encode_callback(one) for one in callbacks] for event, callbacks in self._callbacks.items()
            },
            records=list(make_records(self._jobs, queue=own_queue, connection=own_connection)),
            queue=own_queue or "default",
            connection=own_connection,
            extra=self._extra,
        )

    def make_link(self, *, queue: str, connection: str) -> dict[str, Any]:  # Any: JSON
        """Return it as a link of a chain."""
        return self.make_plan(queue=queue, connection=connection).as_json()

    def _on(self, event: str, callbacks: Iterable[Callback]) -> Self:
        for callback in callbacks:
            encode_callback(callback)  # what can't travel is heard here
            self._callbacks.setdefault(event, []).append(callback)
        return self


def batch(jobs: Members = ()) -> PendingBatch:
    """Return a batch in the making. Raises as ``PendingBatch`` does."""
    return PendingBatch(jobs)
