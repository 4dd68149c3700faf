"""Failed jobs: tried again, forgotten."""

from collections import defaultdict
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from itertools import batched
from typing import Final
from uuid import UUID

from django.db import transaction
from django.db.models import F, Q, QuerySet
from django.utils import timezone

from jobs.drivers.base import Message, get_driver
from jobs.exceptions import (
    BatchNotFoundError,
    ConnectionGoneError,
    FailedJobNotFoundError,
    PayloadError,
    UniqueJobError,
    UnknownConnectionError,
)
from jobs.models import Batch, BatchMember, FailedJob
from jobs.payload import Record, decode_payload, encode_payload
from jobs.selectors import IS_OPEN, list_failed_jobs
from jobs.services.announcing import announce_queued
from jobs.services.batches import close_member, reopen_member
from jobs.services.dispatching import push_late
from jobs.services.locking import release_unique, take_locks
from jobs.signals import JobRetryRequested, identify, job_retry_requested

_CHUNK: Final = 1_000
#: Why a failed job isn't put back: it is none any more, another one of its key waits, or its connection is gone.
RETRY_REFUSALS: Final = (FailedJobNotFoundError, UniqueJobError, ConnectionGoneError)
#: A retry of which nothing was heard for so long may be lost, and be asked for again.
_LOST_AFTER: Final = timedelta(hours=1)


def retry_failed_job(*, job_id: UUID, now: datetime | None = None) -> None:
    """Put a failed job back into its queue under its own id, with no try used. Of two callers at once one succeeds.

    What became of it stays to be seen: see ``FailedJob.state``. A unique job takes its lock again.

    Raises:
        FailedJobNotFoundError: There is no such failed job, or it was retried already and not long ago. (A retry that
            was lost on its way is put back again; one that waits or runs is left as it is.) Or its worker is just
            about to end it, or has died of that.
        UniqueJobError: Another job of its key waits or runs.
        ConnectionGoneError: The settings don't have its connection any more.
    """
    now = now or timezone.now()
    with transaction.atomic():
        is_stale = Q(recovered_at=None, retried_at__lt=now - _LOST_AFTER)
        failed = FailedJob.objects.select_for_update().filter(IS_OPEN | is_stale, job_id=job_id).first()
        if failed is None:
            raise FailedJobNotFoundError
        FailedJob.objects.filter(pk=failed.pk).update(retried_at=now, retry_count=F("retry_count") + 1)
        try:
            driver = get_driver(failed.connection)
        except UnknownConnectionError as error:
            raise ConnectionGoneError from error
        if failed.retried_at is None and driver.is_held(job_id):
            raise FailedJobNotFoundError  # its worker has written this, and not let go of it yet
        record = _read_record(failed, now)
        if record is not None and not take_locks(record):
            raise UniqueJobError
        reopen_member(job_id, record=record)
        message = _make_message(failed, record, now)
        if driver.is_transactional:
            driver.push([message])
            announce_queued([message], connection=driver.name)
        else:
            push_late(driver, [message], undo=partial(_undo_retry, failed, record))
    job_retry_requested.announce(JobRetryRequested(**identify(failed)))


def _undo_retry(failed: FailedJob, record: Record | None) -> None:
    """Leave a failed job as it was, which its store didn't take back."""
    with transaction.atomic():
        FailedJob.objects.filter(pk=failed.pk).update(
            retried_at=failed.retried_at, retry_count=F("retry_count") - 1, recovered_at=failed.recovered_at
        )
        close_member(failed.job_id, record=record)
        if record is not None:
            release_unique(record)


def cancel_retry(record: Record) -> None:
    """Leave a job that was put back among the failed ones, in the transaction that deletes it; it can be retried."""
    FailedJob.objects.filter(job_id=record.job_id).update(retried_at=None)
    close_member(record.job_id, record=record)


def retry_failed_jobs(
    *, job_ids: Iterable[UUID] | None = None, queue: str | None = None, now: datetime | None = None
) -> list[UUID]:
    """Retry several failed jobs, or without ``job_ids`` all of a queue or of every queue, each in its own transaction.

    Returns:
        The ids that were put back; one that can't be, see ``RETRY_REFUSALS``, is left out.
    """
    retried = []
    for job_id in _list_open_ids(queue) if job_ids is None else list(job_ids):
        try:
            retry_failed_job(job_id=job_id, now=now)
        except RETRY_REFUSALS:
            continue
        retried.append(job_id)
    return retried


def retry_batch(*, batch_id: UUID, now: datetime | None = None) -> list[UUID]:
    """Retry the failed jobs of a batch; return their ids.

    Raises:
        BatchNotFoundError: There is no such batch (any more).
    """
    if not Batch.objects.filter(pk=batch_id).exists():
        raise BatchNotFoundError
    failed = BatchMember.objects.filter(batch=batch_id, state="failed").values_list("job_id", flat=True)
    return retry_failed_jobs(job_ids=list(failed), now=now)


def forget_failed_jobs(*, job_ids: Iterable[UUID]) -> int:
    """Delete several failed jobs for good; return how many there were."""
    return delete_failed_jobs(FailedJob.objects.filter(job_id__in=list(job_ids)))


def delete_failed_jobs(failed: QuerySet[FailedJob]) -> int:
    """Delete failed jobs for good, and what the stores that they came from show of them to tools of their own.

    Returns:
        How many there were.
    """
    ids: defaultdict[str, list[UUID]] = defaultdict(list)
    with transaction.atomic():
        for connection, job_id in failed.values_list("connection", "job_id"):
            ids[connection].append(job_id)
        count = failed.delete()[0]
    for connection, gone in ids.items():
        transaction.on_commit(partial(_forget_in_store, connection, gone))
    return count


def _forget_in_store(connection: str, job_ids: list[UUID]) -> None:
    """Forget failed jobs where a store keeps them; one that is away, or gone, does that by itself after a while."""
    try:
        driver = get_driver(connection)
    except UnknownConnectionError:
        return
    with suppress(*driver.outage_errors):
        for chunk in batched(job_ids, _CHUNK, strict=False):
            driver.forget_failed(chunk)


def _read_record(failed: FailedJob, now: datetime) -> Record | None:
    """Return the record as it goes back; None where it can't be trusted."""
    try:
        record = decode_payload(failed.payload, job_id=failed.job_id, queue=failed.queue, job_class=failed.job_class)
    except PayloadError:
        return None
    return replace(record, is_retry=True, created_at=now, attempts=None if record.attempts is None else 0)


def _make_message(failed: FailedJob, record: Record | None, now: datetime) -> Message:
    """Return the job as it was. A record that can't be trusted goes as it is, unsigned by us, to be refused again."""
    return Message(
        job_id=failed.job_id,
        queue=failed.queue,
        job_class=failed.job_class,
        payload=failed.payload if record is None else encode_payload(record),
        priority=failed.priority,
        available_at=now,
        created_at=now,
        timeout_seconds=60.0 if record is None else record.timeout_seconds,
    )


def _list_open_ids(queue: str | None) -> list[UUID]:
    """Return the ids of the failed jobs of a queue, or of all, those first that failed first."""
    return list(list_failed_jobs(queue=queue).order_by("id").values_list("job_id", flat=True))
