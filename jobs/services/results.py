"""Results of tasks: written when they are enqueued, start and end; deleted after a while."""

import json
import traceback
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final, Literal
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from jobs.models import JobResult
from jobs.services.settlement import MAX_TRACEBACK_LENGTH

type ResultStatus = Literal["READY", "RUNNING", "FAILED", "SUCCESSFUL"]

UNFINISHED: Final = ("READY", "RUNNING")
_MAX_ERRORS: Final = 20
#: Each so-many-th result that is written takes along those that are over.
_PRUNE_EVERY: Final = 100
_PRUNED_AT_ONCE: Final = 1_000


def create_result(
    *,
    job_id: UUID,
    task: str,
    backend: str,
    queue: str,
    priority: int,
    run_after: datetime | None,
    args: Sequence[object],
    kwargs: Mapping[str, object],
    now: datetime,
    kept: timedelta,
) -> JobResult:
    """Write down that a task was enqueued.

    Raises:
        ValueError: An argument is no JSON value.
    """
    row = JobResult(
        job_id=job_id,
        task=task,
        backend=backend,
        queue=queue,
        priority=priority,
        run_after=run_after,
        status="READY",
        arguments=dump({"args": args, "kwargs": kwargs}),
        enqueued_at=now,
        expires_at=_add(max(run_after or now, now), kept),
    )
    row.save(force_insert=True)
    if row.pk % _PRUNE_EVERY == 0:
        prune_results(now=now)
    return row


def start_result(*, row: JobResult, worker: str, attempts: int, now: datetime, kept: timedelta) -> JobResult:
    """Write down that a worker runs a task, and return its row; the given one is stored where there is none (any more).

    Args:
        row: What is known of the task.
        worker: Name of the worker.
        attempts: Number of the try.
        now: The present.
        kept: How long a result is kept.
    """
    with transaction.atomic():
        stored = JobResult.objects.select_for_update().filter(job_id=row.job_id).first() or row
        stored.status = "RUNNING"
        stored.worker_ids = dump([*json.loads(stored.worker_ids), worker])
        stored.attempts = attempts
        stored.started_at = stored.started_at or now
        stored.last_attempted_at = now
        stored.finished_at = None
        stored.expires_at = _add(now, kept)
        stored.save()
    return stored


def end_result(
    *,
    job_id: UUID,
    attempts: int,
    status: ResultStatus,
    value: str = "null",
    error: BaseException | None = None,
    now: datetime,
    kept: timedelta,
) -> JobResult | None:
    """Write down how a try of a task ended; return its row, or None where nothing was to be written.

    A try that lost its lease to a later one writes nothing, nor does one that says the same a second time.

    Args:
        job_id: The task's job.
        attempts: Number of the try.
        status: What the task is now.
        value: What it returned, JSON.
        error: What it raised.
        now: The present.
        kept: How long a result is kept.
    """
    with transaction.atomic():
        rows = JobResult.objects.select_for_update()
        row = rows.filter(job_id=job_id, attempts__lte=attempts, status__in=UNFINISHED).first()
        if row is None:
            return None
        row.status = status
        row.return_value = value
        if error is not None:
            row.errors = dump([*json.loads(row.errors), _describe(error)][-_MAX_ERRORS:])
        row.finished_at = None if status in UNFINISHED else now
        row.expires_at = _add(now, kept)
        row.save(update_fields=["status", "return_value", "errors", "finished_at", "expires_at"])
    return row


def fail_results(*, job_ids: Iterable[UUID], now: datetime) -> None:
    """Write down that tasks which waited will never run: they failed, without an exception."""
    rows = JobResult.objects.filter(job_id__in=list(job_ids), status__in=UNFINISHED)
    rows.update(status="FAILED", finished_at=now)


def reopen_result(*, job_id: UUID) -> None:
    """Write down that a task that failed is to be tried again."""
    JobResult.objects.filter(job_id=job_id, status="FAILED").update(status="READY", finished_at=None, attempts=0)


def forget_result(*, job_id: UUID) -> None:
    """Delete the result of a task that wasn't sent after all."""
    JobResult.objects.filter(job_id=job_id).delete()


def prune_results(*, now: datetime | None = None) -> int:
    """Delete results that have been kept long enough, at most 1,000; return how many."""
    over = JobResult.objects.filter(expires_at__lte=now or timezone.now()).order_by("expires_at")
    ids = list(over.values_list("pk", flat=True)[:_PRUNED_AT_ONCE])
    return JobResult.objects.filter(pk__in=ids).delete()[0]


def dump(value: object) -> str:
    """Return JSON in ASCII.

    Raises:
        ValueError: JSON has no such number.
    """
    return json.dumps(value, separators=(",", ":"), allow_nan=False)


def _describe(error: BaseException) -> list[str]:
    """Return the path of the class, and the end of the traceback, which says most."""
    path = f"{type(error).__module__}.{type(error).__qualname__}"
    return [path, "".join(traceback.format_exception(error))[-MAX_TRACEBACK_LENGTH:]]


def _add(moment: datetime, duration: timedelta) -> datetime:
    """Return the sum, or the end of time where it lies beyond."""
    end = datetime.max.replace(tzinfo=moment.tzinfo) - timedelta(days=1)
    return end if moment > end - duration else moment + duration
