"""What people and programs do with batches: send, add, cancel, delete, prune."""

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from django.db import transaction
from django.db.models import Exists, F, OuterRef, Q, QuerySet
from django.utils import timezone

from jobs.exceptions import BatchNotFoundError
from jobs.models import Batch, BatchMember, FailedJob
from jobs.payload import Record
from jobs.services.batches.counting import abandon, leave_batch, mark_as_cancelled, skip_members
from jobs.services.batches.following import conclude_if_empty
from jobs.services.batches.plans import BatchPlan, list_ids, read_options
from jobs.services.batches.storing import create_batch, join_batch
from jobs.services.dispatching import send

#: How many batches are deleted at a time.
_STEP: Final = 500


def send_batch(
    *, plan: BatchPlan, batch_id: UUID, chain: Mapping[str, Any] | None = None, now: datetime | None = None
) -> Batch:  # Any: JSON
    """Store a batch and its jobs, all or none; its jobs are sent with the commit, never before their batch is there.

    Args:
        plan: What it is.
        batch_id: Its id.
        chain: What follows when it has ended.
        now: The present.

    Raises:
        JobArgumentError: A record would be too long.
        QueueFull: A queue has no room for them.
    """
    now = now or timezone.now()
    with transaction.atomic():
        batch, records = create_batch(plan, chain=chain, batch_id=batch_id, now=now)
        _send_members(records, on_failure=lambda _lost: delete_batch(batch_id=batch_id), now=now)
        send(conclude_if_empty(plan, batch.id, now=now))
        batch.refresh_from_db()
    return batch


def add_jobs(*, batch_id: UUID, records: Sequence[Record], now: datetime | None = None) -> Batch:
    """Add jobs to a batch, all or none; return it as it stands then.

    Raises:
        BatchNotFoundError: There is no such batch (any more).
        PayloadError: Its row was changed behind our back.
        QueueFull: A queue has no room for them.
    """
    now = now or timezone.now()
    with transaction.atomic():
        batch = Batch.objects.select_for_update().filter(pk=batch_id).first()
        if batch is None:
            raise BatchNotFoundError
        finished_at, past = batch.finished_at, read_options(batch).past
        joined = join_batch(batch, records)
        ids = [one for record in joined for one in list_ids(record)]
        _send_members(joined, on_failure=lambda _lost: _take_out(batch_id, ids, finished_at, past), now=now)
        batch.refresh_from_db()
    return batch


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
        mark_as_cancelled(batch, now)
        batch.save(update_fields=["cancelled_at", "finished_at"])
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
    deleted = [
        Batch.objects.filter(finished_at__lt=now - older_than, cancelled_at=None),
        _find_ended_with_failures(now - older_than),
    ]
    if unfinished_older_than is not None:
        deleted.append(Batch.objects.filter(finished_at=None, created_at__lt=now - unfinished_older_than))
    if cancelled_older_than is not None:
        deleted.append(Batch.objects.filter(cancelled_at__lt=now - cancelled_older_than))
    count = 0
    for batches in deleted:
        while ids := list(batches.values_list("pk", flat=True)[:_STEP]):
            count += len(ids)
            Batch.objects.filter(pk__in=ids).delete()
    return count


def _find_ended_with_failures(before: datetime) -> QuerySet[Batch]:
    """Return batches in which all that is left has failed, and had by then; when the rest had ended isn't kept."""
    recent = FailedJob.objects.filter(failed_at__gte=before).values("job_id")
    members = BatchMember.objects.filter(batch=OuterRef("pk"))
    is_at_work = Exists(members.filter(Q(state="retrying") | Q(state="failed", job_id__in=recent)))
    ended = Batch.objects.filter(finished_at=None, failed_jobs__gt=0, pending_jobs=F("failed_jobs"))
    return ended.filter(~is_at_work, created_at__lt=before)


def _send_members(
    records: Sequence[Record], *, on_failure: Callable[[Collection[UUID]], object], now: datetime
) -> None:
    """Send jobs of a batch; those that are not, because another of their key waits or runs, leave it."""
    sent = {record.job_id for record in send(records, on_failure=on_failure)}
    refused = [record for record in records if record.job_id not in sent and record.batch_id]
    send([follower for record in refused for follower in abandon(record, now=now)])


def _take_out(batch_id: UUID, job_ids: Sequence[UUID], finished_at: datetime | None, past: Sequence[str]) -> None:
    """Undo that jobs were added, for they couldn't be sent; a batch that had ended has ended again, untold."""
    with transaction.atomic():
        if "finally" not in past:
            send(leave_batch(batch_id, job_ids, now=timezone.now()))
            return
        batch = Batch.objects.select_for_update().get(pk=batch_id)
        skip_members(batch, job_ids)
        options = read_options(batch)
        options.is_first("finally")
        options.save(batch)
        batch.finished_at = finished_at
        batch.save(update_fields=["total_jobs", "pending_jobs", "options", "finished_at"])
