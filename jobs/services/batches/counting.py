"""Counting how the jobs of batches end: each once, however often a worker says so.

The first word about a run holds. A worker that counted and died before the job was gone left its member counted; the
next one finds that, counts nothing, and gets the same followers with the same ids. (Were they stored, the job would be
gone: both is one step.)
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, Final
from uuid import UUID

import structlog
from django.db import transaction
from django.db.models import Count

from jobs.exceptions import PayloadError
from jobs.models import Batch, BatchMember
from jobs.payload import Record
from jobs.services.batches.following import call, call_catch, start_link
from jobs.services.batches.plans import BatchOptions, allows, list_ids, list_link_ids, read_options
from jobs.services.batches.storing import reopen_batch
from jobs.signals import BatchCancelled, BatchFinished, BatchStarted, batch_cancelled, batch_finished, batch_started

_PENDING: Final = "pending"
_PROCESSED: Final = "processed"
_FAILED: Final = "failed"
#: Failed, and put back to be tried again; still among the failed ones.
_RETRYING: Final = "retrying"
#: Will never run: a link of a chain that broke, or a unique job of which another one waits. Left the batch.
_SKIPPED: Final = "skipped"
#: Stands at a link that came back with the job before it, in place of what its end meant, until it has one.
_BACK: Final = "back"
_UNKNOWN: Final = {"exception": "", "message": "The worker died before it could tell."}
_log = structlog.get_logger("gatehouse.jobs")


@dataclass(slots=True, kw_only=True)
class _Held:
    """A batch that nobody else can count in until the end of the transaction."""

    batch: Batch
    options: BatchOptions
    member: BatchMember

    def note(self, state: str, events: Sequence[str]) -> None:
        """Store the counts, and what the member's end meant."""
        self.options.save(self.batch)
        self.batch.save(
            update_fields=["total_jobs", "pending_jobs", "failed_jobs", "cancelled_at", "finished_at", "options"]
        )
        self.member.state, self.member.events = state, ",".join(events)
        self.member.save(update_fields=["state", "events"])


def record_success(record: Record, *, now: datetime) -> list[Record]:
    """Count that a job of a batch ran to its end, in the caller's transaction; return what follows."""
    held = _hold(record.job_id, record.batch_id)
    if held is None or held.member.state == _SKIPPED:
        return []
    batch, state = held.batch, held.member.state
    if state == _PROCESSED:
        return _follow(held, about=_name_run(record), now=now)
    # A failure whose burial never came about: what follows it is due all the same, for the batch was told.
    owed = _follow(held, about=_name_run(record), now=now) if state == _FAILED else []
    is_first = _is_untouched(batch)
    batch.pending_jobs = max(batch.pending_jobs - 1, 0)
    batch.failed_jobs -= state in {_FAILED, _RETRYING} and batch.failed_jobs > 0
    held.note(_PROCESSED, ["progress", *_conclude(held, _PROCESSED, now)])
    _announce_start(batch, is_first=is_first)
    return owed + _follow(held, about=_name_run(record), now=now)


def record_failure(
    job_id: UUID, *, record: Record | None, failure: Mapping[str, Any], now: datetime
) -> list[Record]:  # Any: JSON
    """Count that a job of a batch failed, in the caller's transaction; return what follows.

    Links of its chain will never run: they leave the batch, so that it can end. ``record`` is None where it can't be
    trusted; then they stay.
    """
    held = _hold(job_id, record.batch_id if record else None)
    if held is None or held.member.state == _SKIPPED:
        return []
    batch, options, state = held.batch, held.options, held.member.state
    about = _name_run(record)
    if state in {_PROCESSED, _FAILED}:
        return _follow(held, about=about, failure=failure, now=now)
    is_first = _is_untouched(batch)
    skip_members(batch, list_ids(record)[1:] if record else [])
    batch.failed_jobs += state != _RETRYING
    events = ["progress", "failure"] if allows(batch) else []
    if options.is_first("catch"):
        events.append("catch")
    if not allows(batch) and options.is_first("break"):
        events.append("break")
        mark_as_cancelled(batch, now)
    held.note(_FAILED, [*events, *_conclude(held, _FAILED, now)])
    _announce_start(batch, is_first=is_first)
    return _follow(held, about=about, failure=failure, now=now)


def leave_batch(batch_id: UUID | None, job_ids: Iterable[UUID], *, now: datetime) -> list[Record]:
    """Let jobs that will never run leave their batch, in the caller's transaction; return what follows."""
    ids = list(job_ids)
    if batch_id is None or not ids:
        return []
    # The last one says for all what that meant for the batch.
    held = _hold(ids[-1], batch_id)
    if held is None:
        return []
    if skip_members(held.batch, ids):
        held.note(_SKIPPED, _conclude(held, _SKIPPED, now))
    return _follow(held, about=_SKIPPED, now=now) if held.member.state == _SKIPPED else []


def abandon(record: Record, *, now: datetime) -> list[Record]:
    """Let a job that will never run, and the links behind it, leave their batches; return what follows."""
    return leave_batch(record.batch_id, list_ids(record), now=now) + break_chain(record, now=now)


def abandon_links(record: Record, *, now: datetime) -> list[Record]:
    """Let the links behind a job, which won't be followed by them, leave their batches; return what follows."""
    return leave_batch(record.batch_id, list_ids(record)[1:], now=now) + break_chain(record, now=now)


def break_chain(record: Record, *, now: datetime) -> list[Record]:
    """Let the links behind a job leave batches other than its own; return what follows."""
    return _break(record.chain or {}, now, but=record.batch_id)


def reopen_member(job_id: UUID, *, record: Record | None) -> None:
    """Take note, in the caller's transaction, that a failed job is tried again: links that left come back."""
    held = _hold(job_id)
    if held is None:
        return
    skipped = BatchMember.objects.filter(
        batch=held.batch, job_id__in=list_ids(record)[1:] if record else [], state=_SKIPPED
    )
    count = skipped.update(state=_PENDING, events=_BACK)
    held.batch.total_jobs += count
    held.batch.pending_jobs += count
    # What its first end meant was told with it.
    held.note(_RETRYING if held.member.state == _FAILED else held.member.state, [])


def close_member(job_id: UUID, *, record: Record | None) -> None:
    """Undo ``reopen_member``, in the caller's transaction: the job is failed as before."""
    held = _hold(job_id)
    if held is None or held.member.state != _RETRYING:
        return
    skip_members(held.batch, list_ids(record)[1:] if record else [])
    held.note(_FAILED, [])


def skip_cancelled(job_id: UUID, *, batch_id: UUID) -> bool:
    """Say whether a job of a cancelled batch is not to do its work; then the batch takes note that it can't end well.

    Who put a job back wants it done, and so it is with the links that came back with it.
    """
    with transaction.atomic():
        held = _hold(job_id, batch_id)
        if held is None:
            return True
        if held.member.state == _RETRYING or held.member.events == _BACK:
            return False
        if held.options.is_first("skip"):
            held.options.save(held.batch)
            held.batch.save(update_fields=["options"])
    return True


def _hold(job_id: UUID, batch_id: UUID | None = None) -> _Held | None:
    """Lock the batch of a job; None where there is none (any more), or what is stored can't be trusted."""
    if batch_id is None:
        batch_id = BatchMember.objects.filter(job_id=job_id).values_list("batch", flat=True).first()
    batch = Batch.objects.select_for_update().filter(pk=batch_id).first() if batch_id else None
    member = BatchMember.objects.filter(batch=batch, job_id=job_id).first() if batch else None
    if batch is None or member is None:
        return None
    try:
        options = read_options(batch)
    except PayloadError as error:
        _log.error("batch_distrusted", batch_id=str(batch.id), job_id=str(job_id), reason=str(error))
        return None
    return _Held(batch=batch, options=options, member=member)


def _conclude(held: _Held, state: str, now: datetime) -> list[str]:
    """Return the events that the counts bring about, now that a member is in that state."""
    batch, options, events = held.batch, held.options, list[str]()
    if batch.pending_jobs in {0, batch.failed_jobs}:
        _mend_counts(held, state)
    if batch.pending_jobs == 0:
        batch.finished_at = batch.finished_at or now
        if "skip" not in options.past:
            events.append("then")
            transaction.on_commit(partial(batch_finished.announce, BatchFinished(batch_id=batch.id, name=batch.name)))
    if batch.pending_jobs == batch.failed_jobs:
        events += ["finally"] if options.is_first("finally") else []
        events += _conclude_chain(batch, options) if options.chain and "next" not in options.past else []
    return events


def _conclude_chain(batch: Batch, options: BatchOptions) -> list[str]:
    """Return whether the chain of a batch that has ended goes on, or its links leave the batches that they are in.

    It goes on, too, when all that failed and so cancelled the batch was retried with success; the links come back then.
    """
    is_mended = batch.pending_jobs == 0 and "break" in options.past and "skip" not in options.past
    if batch.cancelled_at is None or is_mended:
        if "leave" in options.past:
            _rejoin(options.chain or {})
        options.past.append("next")
        return ["next"]
    return ["leave"] if options.is_first("leave") else []


def _rejoin(chain: Mapping[str, Any]) -> None:  # Any: JSON
    """Let the links of a chain that goes on after all come back into the batches that they left."""
    for batch_id in _list_batch_ids(chain):
        ids = list_link_ids(chain, batch_id=batch_id)
        held = _hold(ids[-1], batch_id)
        left = BatchMember.objects.filter(batch=batch_id, job_id__in=ids, state=_SKIPPED)
        if held is not None and (count := left.update(state=_PENDING, events=_BACK)):
            reopen_batch(held.batch, count)


def _mend_counts(held: _Held, state: str) -> None:
    """Count the members anew before a batch ends: its counts aren't signed, so anybody may have written them."""
    batch = held.batch
    others = BatchMember.objects.filter(batch=batch).exclude(pk=held.member.pk)
    states = Counter(dict(others.order_by().values_list("state").annotate(Count("id"))))
    states[state] += 1
    failed = states[_FAILED] + states[_RETRYING]
    pending = failed + states[_PENDING]
    if (pending, failed) != (batch.pending_jobs, batch.failed_jobs):
        _log.error("batch_counts_mended", batch_id=str(batch.id), pending_jobs=pending, failed_jobs=failed)
        batch.pending_jobs, batch.failed_jobs = pending, failed
        batch.total_jobs = pending + states[_PROCESSED]


def _follow(
    held: _Held, *, about: str, now: datetime, failure: Mapping[str, Any] | None = None
) -> list[Record]:  # Any: JSON
    """Return what follows the end of one job; the same, with the same ids, whenever asked."""
    batch, options, member = held.batch, held.options, held.member
    events = member.events.split(",")
    if failure is None and ("catch" in events or "failure" in events):
        failure = {"job_id": str(member.job_id), "job_class": "", **_UNKNOWN}
    records = call(batch, options, events, seed=member.job_id, about=f"{member.state}:{about}", failure=failure)
    chain = options.chain
    if not chain:
        return records
    if "break" in events and chain.get("catch"):
        records.append(call_catch(chain, failure or {}, seed=batch.id))
    if "next" in events:
        records += start_link(chain, seed=batch.id, now=now)
    if "leave" in events:
        records += _break(chain, now)
    return records


def _break(chain: Mapping[str, Any], now: datetime, *, but: UUID | None = None) -> list[Record]:  # Any: JSON
    """Let the links of a chain that won't go on leave the batch that they are in; return what follows."""
    return [
        follower
        for batch_id in _list_batch_ids(chain)
        if batch_id != but
        for follower in leave_batch(batch_id, list_link_ids(chain, batch_id=batch_id), now=now)
    ]


def _list_batch_ids(chain: Mapping[str, Any]) -> list[UUID]:  # Any: JSON
    records = [link["record"] for link in chain.get("links", []) if "record" in link]
    return list(dict.fromkeys(UUID(one["batch_id"]) for one in records if one.get("batch_id")))


def skip_members(batch: Batch, job_ids: Sequence[UUID]) -> int:
    """Let those members leave a locked batch that didn't begin, in its fields; return how many did."""
    if not job_ids:
        return 0
    waiting = BatchMember.objects.filter(batch=batch, job_id__in=job_ids, state=_PENDING)
    count = waiting.update(state=_SKIPPED, events="")
    batch.total_jobs -= count
    batch.pending_jobs -= count
    return count


def mark_as_cancelled(batch: Batch, now: datetime) -> None:
    """Cancel a locked batch, which the caller saves; nothing where it is cancelled already."""
    if batch.cancelled_at is not None:
        return
    batch.cancelled_at = now
    batch.finished_at = batch.finished_at or now
    transaction.on_commit(partial(batch_cancelled.announce, BatchCancelled(batch_id=batch.id, name=batch.name)))


def _is_untouched(batch: Batch) -> bool:
    return batch.pending_jobs == batch.total_jobs and batch.failed_jobs == 0


def _announce_start(batch: Batch, *, is_first: bool) -> None:
    if is_first:
        transaction.on_commit(partial(batch_started.announce, BatchStarted(batch_id=batch.id, name=batch.name)))


def _name_run(record: Record | None) -> str:
    """Return what tells one run from another: a job that is put back from the failed jobs was dispatched anew."""
    return "" if record is None or record.created_at is None else record.created_at.isoformat()
