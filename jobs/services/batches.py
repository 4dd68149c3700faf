"""Batches: what they hold, how their jobs are counted, and what follows."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Final
from uuid import UUID, uuid4, uuid5

from django.db import transaction
from django.db.models import F
from django.utils import timezone

from jobs.conf import get_job_settings
from jobs.exceptions import BatchNotFoundError
from jobs.models import Batch, BatchMember
from jobs.payload import Record, read_document, sign_document
from jobs.signals import batch_cancelled, batch_dispatched, batch_finished, batch_started

#: Registered name of the job that calls callbacks.
CALLBACK_JOB: Final = "jobs.CallbackJob"
#: Callbacks go before the jobs of their queue.
_CALLBACK_PRIORITY: Final = 255
_CHUNK: Final = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchPlan:
    """A batch before it is stored, as JSON values and records; it can travel in a chain."""

    name: str
    #: How many jobs may fail before the rest is cancelled; None: any number.
    allowed_failures: int | None
    #: Event to callbacks, each ``{"function": …}`` or ``{"job": …}``.
    callbacks: Mapping[str, Sequence[Mapping[str, Any]]]  # Any: JSON
    #: Records; the links of a chain within the batch come in the record before them.
    records: Sequence[Record]
    queue: str
    connection: str

    def as_json(self) -> dict[str, Any]:  # Any: JSON
        """Return it as a link of a chain."""
        return {
            "name": self.name,
            "allowed_failures": self.allowed_failures,
            "callbacks": {event: list(calls) for event, calls in self.callbacks.items()},
            "records": [record.as_json() for record in self.records],
            "queue": self.queue,
            "connection": self.connection,
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "BatchPlan":  # Any: JSON
        """Return what ``as_json`` was called on."""
        return cls(**{**values, "records": [Record.from_json(one) for one in values["records"]]})


def create_batch(
    plan: BatchPlan, *, chain: Mapping[str, Any] | None = None, batch_id: UUID | None = None, now: datetime
) -> tuple[Batch, list[Record]]:
    """Store a batch in the caller's transaction; return it, and the jobs to send.

    Args:
        plan: What it is.
        chain: What follows when it has ended.
        batch_id: Its id, where one was chosen before.
        now: The present.
    """
    batch = Batch(id=batch_id or uuid4(), name=plan.name, allowed_failures=plan.allowed_failures, created_at=now)
    body = {"callbacks": plan.callbacks, "chain": chain, "queue": plan.queue, "connection": plan.connection}
    batch.options = sign_document(body, about=f"batch:{batch.id}")
    batch.save(force_insert=True)
    records = join_batch(batch, plan.records)
    facts = {"batch_id": batch.id, "name": batch.name}
    transaction.on_commit(partial(batch_dispatched.send_robust, None, **facts))
    if not records:  # nothing will ever end
        return batch, _conclude_empty(batch, now)
    calls = get_callbacks(batch).get("before", [])
    return batch, ([_call(batch, ["before"], batch.id)] if calls else []) + records


def join_batch(batch: Batch, records: Iterable[Record]) -> list[Record]:
    """Make jobs, with the links of their chains, members of a batch; return them to be sent."""
    joined = [_join(record, batch.id) for record in records]
    ids = [one for record in joined for one in list_ids(record)]
    BatchMember.objects.bulk_create([BatchMember(batch=batch, job_id=one) for one in ids], batch_size=_CHUNK)
    Batch.objects.filter(pk=batch.pk).update(
        total_jobs=F("total_jobs") + len(ids), pending_jobs=F("pending_jobs") + len(ids), finished_at=None
    )
    batch.refresh_from_db()
    return joined


def list_ids(record: Record) -> list[UUID]:
    """Return the ids of a job and of the links that follow it in its batch."""
    links = (record.chain or {}).get("links", [])
    return [record.job_id, *(UUID(link["record"]["job_id"]) for link in links if "record" in link)]


def record_success(record: Record, *, now: datetime) -> list[Record]:
    """Count that a job of a batch ran to its end, in the caller's transaction; return what follows."""
    batch, member = _lock(record)
    if batch is None or member is None:
        return []
    if member.state == "processed":  # an earlier worker came no further than this
        return _follow(batch, member)
    was_failed = member.state == "failed"
    is_first = batch.pending_jobs == batch.total_jobs and not was_failed
    batch.pending_jobs -= 1
    batch.failed_jobs -= was_failed
    events = ["progress"]
    if batch.pending_jobs == 0:
        batch.finished_at = batch.finished_at or now
        events.append("then")
    if batch.pending_jobs == batch.failed_jobs:
        events.append("finally")
    batch.save(update_fields=["pending_jobs", "failed_jobs", "finished_at"])
    _note(member, "processed", events)
    _announce_progress(batch, is_first=is_first, has_ended="finally" in events)
    return _follow(batch, member)


def record_failure(record: Record, *, failure: Mapping[str, Any], now: datetime) -> list[Record]:
    """Count that a job of a batch failed, in the caller's transaction; return what follows.

    Links of its chain will never run: they leave the batch, so that it can end.
    """
    batch, member = _lock(record)
    if batch is None or member is None:
        return []
    if member.state == "failed":
        return _follow(batch, member, failure)
    is_first = batch.pending_jobs == batch.total_jobs
    skipped = BatchMember.objects.filter(batch=batch, job_id__in=list_ids(record)[1:], state="pending")
    batch.pending_jobs -= skipped.update(state="skipped")
    batch.failed_jobs += 1
    events = ["catch"] if batch.failed_jobs == 1 else []
    if allows(batch):
        events += ["progress", "failure"]
    elif batch.cancelled_at is None:
        events.append("cancel")
        batch.cancelled_at = now
        batch.finished_at = batch.finished_at or now
        transaction.on_commit(partial(batch_cancelled.send_robust, None, batch_id=batch.id, name=batch.name))
    if batch.pending_jobs == batch.failed_jobs:
        events.append("finally")
    batch.save(update_fields=["pending_jobs", "failed_jobs", "cancelled_at", "finished_at"])
    _note(member, "failed", events)
    _announce_progress(batch, is_first=is_first, has_ended="finally" in events)
    return _follow(batch, member, failure)


def allows(batch: Batch) -> bool:
    """Say whether a batch goes on after the failures that it has."""
    return batch.allowed_failures is None or batch.failed_jobs <= batch.allowed_failures


def get_callbacks(batch: Batch) -> dict[str, list[dict[str, Any]]]:  # Any: JSON
    """Return the callbacks of a batch by event.

    Raises:
        PayloadError: The row was changed behind our back.
    """
    callbacks: dict[str, list[dict[str, Any]]] = read_options(batch)["callbacks"]
    return callbacks


def read_options(batch: Batch) -> dict[str, Any]:  # Any: JSON
    """Return what was stored with a batch. Raises as ``get_callbacks`` does."""
    return read_document(batch.options, about=f"batch:{batch.id}")


def cancel_batch(*, batch_id: UUID, now: datetime | None = None) -> bool:
    """Mark a batch as cancelled: its jobs are still taken, and skip themselves where they ask. False: it was already.

    Raises:
        BatchNotFoundError: There is no such batch.
    """
    now = now or timezone.now()
    with transaction.atomic():
        batch = Batch.objects.select_for_update().filter(pk=batch_id).first()
        if batch is None:
            raise BatchNotFoundError
        if batch.cancelled_at is not None:
            return False
        batch.cancelled_at = now
        batch.finished_at = batch.finished_at or now
        batch.save(update_fields=["cancelled_at", "finished_at"])
        transaction.on_commit(partial(batch_cancelled.send_robust, None, batch_id=batch.id, name=batch.name))
    return True


def delete_batch(*, batch_id: UUID) -> None:
    """Forget a batch; jobs of it that still wait run as any other, and count for nothing."""
    Batch.objects.filter(pk=batch_id).delete()


def prune_batches(
    *,
    older_than: timedelta = timedelta(days=1),
    unfinished_older_than: timedelta | None = None,
    cancelled_older_than: timedelta | None = None,
    now: datetime | None = None,
) -> int:
    """Delete batches that ended long ago, and others where an age is given for them; return how many."""
    now = now or timezone.now()
    ended = Batch.objects.filter(finished_at__lt=now - older_than, cancelled_at=None)
    deleted = [ended]
    if unfinished_older_than is not None:
        deleted.append(Batch.objects.filter(finished_at=None, created_at__lt=now - unfinished_older_than))
    if cancelled_older_than is not None:
        deleted.append(Batch.objects.filter(cancelled_at__lt=now - cancelled_older_than))
    count = 0
    for batches in deleted:
        ids = list(batches.values_list("pk", flat=True))
        count += len(ids)
        Batch.objects.filter(pk__in=ids).delete()
    return count


def _lock(record: Record) -> tuple[Batch | None, BatchMember | None]:
    if record.batch_id is None:
        return None, None
    batch = Batch.objects.select_for_update().filter(pk=record.batch_id).first()
    member = BatchMember.objects.filter(batch=batch, job_id=record.job_id).first() if batch else None
    return batch, member


def _note(member: BatchMember, state: str, events: Sequence[str]) -> None:
    member.state = state
    member.events = ",".join(events)
    member.save(update_fields=["state", "events"])


def _join(record: Record, batch_id: UUID) -> Record:
    chain = record.chain
    if chain:
        links = [
            {"record": {**link["record"], "batch_id": str(batch_id)}} if "record" in link else link
            for link in chain["links"]
        ]
        chain = {**chain, "links": links}
    return replace(record, batch_id=batch_id, chain=chain)


def _follow(batch: Batch, member: BatchMember, failure: Mapping[str, Any] | None = None) -> list[Record]:
    """Return what follows the end of one job; the same, with the same ids, whenever asked."""
    options = read_options(batch)
    events = member.events.split(",")
    called = [event for event in events if options["callbacks"].get(event)]
    records = [_call(batch, called, member.job_id, failure)] if called else []
    chain = options.get("chain")
    if not chain:
        return records
    if "finally" in events and batch.cancelled_at is None:
        records += start_link(chain, seed=batch.id)
    if "cancel" in events and chain.get("catch"):
        records.append(call_catch(chain, failure or {}, seed=batch.id, connection=options["connection"]))
    return records


def start_link(chain: Mapping[str, Any], *, seed: UUID) -> list[Record]:  # Any: JSON
    """Return the jobs of the next link of a chain, which carry the rest of it; a batch is stored with them."""
    links = chain.get("links") or []
    if not links:
        return []
    rest = {**chain, "links": links[1:]}
    if "record" in links[0]:
        return [replace(Record.from_json(links[0]["record"]), chain=rest)]
    plan = BatchPlan.from_json(links[0]["batch"])
    batch_id = uuid5(seed, f"link:{len(links)}")
    if Batch.objects.filter(pk=batch_id).exists():  # an earlier worker came no further than this
        return [_join(record, batch_id) for record in plan.records]
    _, records = create_batch(plan, chain=rest, batch_id=batch_id, now=timezone.now())
    return records


def call_catch(
    chain: Mapping[str, Any], failure: Mapping[str, Any], *, seed: UUID, connection: str
) -> Record:  # Any: JSON
    """Return the job that calls what a chain has for failures."""
    return Record(
        job_id=uuid5(seed, "chain:catch"),
        job_class=CALLBACK_JOB,
        queue=chain.get("queue") or "default",
        connection=connection,
        arguments={"calls": list(chain["catch"]), "batch_id": None, "events": [], "failure": dict(failure)},
        priority=_CALLBACK_PRIORITY,
        lease_seconds=_get_callback_lease(),
    )


def _call(
    batch: Batch, events: Sequence[str], seed: UUID, failure: Mapping[str, Any] | None = None
) -> Record:  # Any: JSON
    options = read_options(batch)
    return Record(
        job_id=uuid5(seed, f"batch:{','.join(events)}"),
        job_class=CALLBACK_JOB,
        queue=options["queue"],
        connection=options["connection"],
        arguments={
            "calls": [],
            "batch_id": {"$uuid": str(batch.id)},
            "events": list(events),
            "failure": dict(failure) if failure else None,
        },
        priority=_CALLBACK_PRIORITY,
        lease_seconds=_get_callback_lease(),
    )


def _get_callback_lease() -> float:
    settings = get_job_settings()
    return settings.timeout + settings.lease_margin.total_seconds()


def _conclude_empty(batch: Batch, now: datetime) -> list[Record]:
    Batch.objects.filter(pk=batch.pk).update(finished_at=now)
    options = read_options(batch)
    events = [event for event in ("before", "then", "finally") if options["callbacks"].get(event)]
    records = [_call(batch, events, batch.id)] if events else []
    return records + (start_link(options["chain"], seed=batch.id) if options.get("chain") else [])


def _announce_progress(batch: Batch, *, is_first: bool, has_ended: bool) -> None:
    facts = {"batch_id": batch.id, "name": batch.name}
    if is_first:
        transaction.on_commit(partial(batch_started.send_robust, None, **facts))
    if has_ended:
        transaction.on_commit(partial(batch_finished.send_robust, None, **facts))
