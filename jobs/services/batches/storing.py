"""Storing batches and their members, with a few statements whatever the number of jobs."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial
from importlib import import_module
from typing import Any, Final
from uuid import UUID, uuid5

from django.db import transaction

from jobs.exceptions import JobOptionError
from jobs.models import Batch, BatchMember
from jobs.payload import Record
from jobs.services.batches.plans import BatchOptions, BatchPlan, list_ids, read_options
from jobs.signals import BatchDispatched, batch_dispatched

_CHUNK: Final = 1_000


def create_batch(
    plan: BatchPlan, *, chain: Mapping[str, Any] | None, batch_id: UUID, now: datetime
) -> tuple[Batch, list[Record]]:
    """Store a batch in the caller's transaction; return it, and the jobs to send.

    What is to be called before its jobs is called here, in the place where the batch is made: no worker can be sooner.

    Args:
        plan: What it is.
        chain: What follows when it has ended.
        batch_id: Its id.
        now: The present.

    Raises:
        JobOptionError: A job is in it twice.
    """
    batch = Batch(id=batch_id, name=plan.name, allowed_failures=plan.allowed_failures, created_at=now)
    options = BatchOptions(
        callbacks=plan.callbacks, chain=chain, queue=plan.queue, connection=plan.connection, extra=plan.extra
    )
    options.save(batch)
    batch.save(force_insert=True)
    records = join_batch(batch, plan.records)
    transaction.on_commit(partial(batch_dispatched.announce, BatchDispatched(batch_id=batch.id, name=batch.name)))
    call_before(batch_id, plan.callbacks.get("before", ()))
    batch.refresh_from_db()
    return batch, list_jobs_before(plan, batch_id) + records


def list_jobs_before(plan: BatchPlan, batch_id: UUID) -> list[Record]:
    """Return the jobs that are sent ahead of those of the batch; the same, whenever asked."""
    calls = [call["job"] for call in plan.callbacks.get("before", ()) if "job" in call]
    module = import_module("jobs.callbacks")  # it stands above this module
    return [module.renew(Record.from_json(one), uuid5(batch_id, f"before:{n}")) for n, one in enumerate(calls)]


def call_before(batch_id: UUID, calls: Sequence[Mapping[str, Any]]) -> None:
    """Call functions; what they raise is logged, and stops nothing."""
    functions = [call["function"] for call in calls if "function" in call]
    if functions:
        import_module("jobs.callbacks").call_functions(functions, batch_id=batch_id)


def join_batch(batch: Batch, records: Iterable[Record]) -> list[Record]:
    """Make jobs, with the links of their chains, members of a batch; return them to be sent.

    A batch that had ended is open again: its end, when it comes, is told once more. What follows it in a chain went on
    already.

    Raises:
        JobOptionError: A job is among them twice.
    """
    joined = [join(record, batch.id) for record in records]
    ids = [one for record in joined for one in list_ids(record)]
    if not ids:
        return []
    if len(set(ids)) < len(ids):
        message = "A batch holds each job once; make another one of the same class for each run."
        raise JobOptionError(message)
    BatchMember.objects.bulk_create([BatchMember(batch=batch, job_id=one) for one in ids], batch_size=_CHUNK)
    reopen_batch(batch, len(ids))
    return joined


def reopen_batch(batch: Batch, count: int) -> None:
    """Count so many members more in a locked batch; if it had ended, its end is told once more."""
    batch.total_jobs += count
    batch.pending_jobs += count
    batch.finished_at = None
    options = read_options(batch)
    if "finally" in options.past:
        options.past.remove("finally")
        options.save(batch)
    batch.save(update_fields=["total_jobs", "pending_jobs", "finished_at", "options"])


def join(record: Record, batch_id: UUID) -> Record:
    """Return a job, with the links that follow it, as one of a batch."""
    chain = record.chain
    if chain:
        links = [
            {"record": {**link["record"], "batch_id": str(batch_id)}} if "record" in link else link
            for link in chain["links"]
        ]
        chain = {**chain, "links": links}
    return replace(record, batch_id=batch_id, chain=chain)
