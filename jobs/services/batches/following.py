"""What follows a job: callbacks of its batch and its chain, and the next link. Each has the same id whenever asked."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Final
from uuid import UUID, uuid5

from jobs.conf import get_job_settings
from jobs.models import Batch, BatchMember
from jobs.payload import Record
from jobs.queues import get_queue
from jobs.services.batches.plans import BatchOptions, BatchPlan, read_options
from jobs.services.batches.storing import create_batch, join, list_jobs_before

#: Registered name of the job that calls callbacks.
CALLBACK_JOB: Final = "jobs.CallbackJob"
#: Callbacks go before the jobs of their queue.
_CALLBACK_PRIORITY: Final = 255
#: How many of the links that are done a chain remembers, for people.
_SHOWN_PASSED: Final = 20


def start_link(chain: Mapping[str, Any], *, seed: UUID, now: datetime) -> list[Record]:  # Any: JSON
    """Return the jobs of the next link of a chain, which carry the rest of it; a batch is stored with them."""
    links = chain.get("links") or []
    if not links:
        return []
    passed = [*chain.get("passed", []), str(seed)][-_SHOWN_PASSED:]
    rest = {**chain, "links": links[1:], "passed": passed}
    if "record" in links[0]:
        return [replace(Record.from_json(links[0]["record"]), chain=rest)]
    plan = BatchPlan.from_json(links[0]["batch"])
    batch_id = uuid5(seed, f"link:{len(links)}")
    if Batch.objects.filter(pk=batch_id).exists():  # an earlier worker came no further than this
        records = list_jobs_before(plan, batch_id) + [join(record, batch_id) for record in plan.records]
    else:
        _, records = create_batch(plan, chain=rest, batch_id=batch_id, now=now)
    return records + conclude_if_empty(plan, batch_id, now=now)


def conclude_if_empty(plan: BatchPlan, batch_id: UUID, *, now: datetime) -> list[Record]:
    """End a batch in which there is nothing to do, and was nothing put before it began; return what follows."""
    if plan.records or BatchMember.objects.filter(batch=batch_id).exists():
        return []
    batch = Batch.objects.get(pk=batch_id)
    options = read_options(batch)
    batch.finished_at = batch.finished_at or now
    for event in ("finally", "next"):
        options.is_first(event)
    options.save(batch)
    batch.save(update_fields=["finished_at", "options"])
    records = call(batch, options, ["then", "finally"], seed=batch.id, about="empty")
    return records + (start_link(options.chain, seed=batch.id, now=now) if options.chain else [])


def call_catch(chain: Mapping[str, Any], failure: Mapping[str, Any], *, seed: UUID) -> Record:  # Any: JSON
    """Return the job that calls what a chain has for failures."""
    return _make_callback(
        uuid5(seed, "chain:catch"),
        queue=chain.get("queue") or "default",
        connection=chain.get("connection") or "",
        arguments={"calls": list(chain["catch"]), "batch_id": None, "events": [], "failure": dict(failure)},
    )


def call(
    batch: Batch,
    options: BatchOptions,
    events: Sequence[str],
    *,
    seed: UUID,
    about: str,
    failure: Mapping[str, Any] | None = None,  # Any: JSON
) -> list[Record]:
    """Return the job that calls what a batch has for some events; none where it has nothing.

    ``seed`` and ``about`` name what happened; of them the id is made.
    """
    called = [event for event in events if options.callbacks.get(event)]
    if not called:
        return []
    arguments = {"calls": [], "batch_id": {"$uuid": str(batch.id)}, "events": called, "failure": failure}
    job_id = uuid5(seed, f"batch:{about}:{','.join(called)}")
    return [_make_callback(job_id, queue=options.queue, connection=options.connection, arguments=arguments)]


def _make_callback(job_id: UUID, *, queue: str, connection: str, arguments: Mapping[str, object]) -> Record:
    """Return the job; it takes the connection of its queue, as any other does, where none was said."""
    settings = get_job_settings()
    return Record(
        job_id=job_id,
        job_class=CALLBACK_JOB,
        queue=queue,
        connection=connection or get_queue(queue).connection or settings.connection,
        arguments=arguments,
        priority=_CALLBACK_PRIORITY,
        timeout_seconds=settings.timeout,
    )
