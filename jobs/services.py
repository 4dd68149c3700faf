"""Everything that changes jobs, failed jobs and the workers' heartbeats."""

import traceback
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from uuid import UUID, uuid4

import structlog
from django.db import transaction
from django.utils import timezone

from jobs.drivers.base import Claim, Message, get_driver
from jobs.exceptions import FailedJobNotFoundError
from jobs.models import FailedJob, WorkerHeartbeat
from jobs.payload import encode_payload
from jobs.signals import job_failed, job_processed, job_queued, job_released

#: Longest text of an exception, and longest traceback, that a failed job keeps, in characters.
MAX_EXCEPTION_LENGTH = 10_000
MAX_TRACEBACK_LENGTH = 50_000
_DEAD_WORKER_KEPT = timedelta(hours=1)
_log = structlog.get_logger("gatehouse.jobs")


def queue_job(
    *,
    job_class: str,
    queue: str,
    arguments: Mapping[str, object],
    priority: int = 0,
    available_at: datetime | None = None,
    now: datetime | None = None,
) -> UUID:
    """Sign and store a job in the caller's transaction; rolled back, it was never there. ``Job.dispatch`` calls this.

    Args:
        job_class: Registered name of the class.
        queue: Queue that it goes to.
        arguments: Constructor arguments as ``jobs.arguments.encode_arguments`` returns them.
        priority: 0 to 255; higher runs first.
        available_at: Not run before this instant; at once by default.
        now: The present.

    Returns:
        The id of the job.

    Raises:
        JobArgumentError: The record would be too long.
    """
    job_id = uuid4()
    now = now or timezone.now()
    payload = encode_payload(job_id=job_id, queue=queue, job_class=job_class, arguments=arguments)
    message = Message(
        job_id=job_id,
        queue=queue,
        job_class=job_class,
        payload=payload,
        priority=priority,
        available_at=available_at or now,
        created_at=now,
    )
    _push(message)
    return job_id


def finish_job(*, claim: Claim, duration: timedelta) -> bool:
    """Remove a job that ran to its end; False if the lease was lost, and nothing changed."""
    if not get_driver().finish(claim):
        return _note_lost_lease(claim)
    _log.info("job_processed", duration_ms=_to_milliseconds(duration))
    job_processed.send_robust(None, **_facts(claim), attempt=claim.attempts, duration=duration)
    return True


def release_job(*, claim: Claim, available_at: datetime, error: Exception, duration: timedelta) -> bool:
    """Put a job back for another try; False if the lease was lost, and nothing changed."""
    if not get_driver().release(claim, available_at=available_at):
        return _note_lost_lease(claim)
    _log.warning(
        "job_released",
        duration_ms=_to_milliseconds(duration),
        available_at=available_at.isoformat(),
        **_describe_for_log(error),
    )
    job_released.send_robust(None, **_facts(claim), attempt=claim.attempts, available_at=available_at, error=error)
    return True


def fail_job(*, claim: Claim, attempts: int, error: Exception, duration: timedelta, now: datetime) -> bool:
    """Move a job to the failed jobs; False if the lease was lost, and nothing changed."""
    buried = get_driver().bury(
        claim,
        attempts=attempts,
        exception=_to_storable("".join(traceback.format_exception_only(error)).strip())[:MAX_EXCEPTION_LENGTH],
        # The end of a traceback says most.
        traceback=_to_storable("".join(traceback.format_exception(error)))[-MAX_TRACEBACK_LENGTH:],
        now=now,
    )
    if not buried:
        return _note_lost_lease(claim)
    _log.error("job_failed", duration_ms=_to_milliseconds(duration), **_describe_for_log(error))
    job_failed.send_robust(None, **_facts(claim), attempts=attempts, error=error)
    return True


def retry_failed_job(*, job_id: UUID, now: datetime | None = None) -> None:
    """Put a failed job back into its queue under its own id, with no try used. Of two callers at once one succeeds.

    Raises:
        FailedJobNotFoundError: There is no such failed job (any more).
    """
    now = now or timezone.now()
    with transaction.atomic():
        failed = FailedJob.objects.select_for_update().filter(job_id=job_id).first()
        if failed is None:
            raise FailedJobNotFoundError
        failed.delete()
        message = Message(
            job_id=failed.job_id,
            queue=failed.queue,
            job_class=failed.job_class,
            payload=failed.payload,
            priority=failed.priority,
            available_at=now,
            created_at=now,
        )
        _push(message)


def retry_failed_jobs(*, job_ids: Iterable[UUID] | None = None, now: datetime | None = None) -> list[UUID]:
    """Retry several failed jobs, or all, each in a transaction of its own.

    Returns:
        The ids that were put back; one that isn't a failed job any more is left out.
    """
    retried = []
    for job_id in _all_failed_ids() if job_ids is None else list(job_ids):
        try:
            retry_failed_job(job_id=job_id, now=now)
        except FailedJobNotFoundError:
            continue
        retried.append(job_id)
    return retried


def forget_failed_job(*, job_id: UUID) -> None:
    """Delete a failed job for good.

    Raises:
        FailedJobNotFoundError: There is no such failed job (any more).
    """
    if not forget_failed_jobs(job_ids=[job_id]):
        raise FailedJobNotFoundError


def forget_failed_jobs(*, job_ids: Iterable[UUID] | None = None) -> int:
    """Delete several failed jobs, or all, for good; return how many there were."""
    failed = FailedJob.objects.all() if job_ids is None else FailedJob.objects.filter(job_id__in=list(job_ids))
    deleted, _ = failed.delete()
    return deleted


def clear_queue(*, queue: str | None = None, now: datetime | None = None) -> int:
    """Delete the jobs of one queue, or of all, that wait or are delayed; return how many. Running ones are left."""
    return get_driver().clear(queue=queue, now=now or timezone.now())


def record_heartbeat(
    *,
    name: str,
    queues: Iterable[str],
    started_at: datetime,
    now: datetime,
    alive_until: datetime,
    current_job_id: UUID | None,
) -> None:
    """Write that a worker is alive, in one statement."""
    beat = WorkerHeartbeat(
        name=name,
        queues=",".join(queues),
        started_at=started_at,
        beat_at=now,
        alive_until=alive_until,
        current_job_id=current_job_id,
    )
    WorkerHeartbeat.objects.bulk_create(
        [beat],
        update_conflicts=True,
        unique_fields=["name"],
        update_fields=["beat_at", "alive_until", "current_job_id"],
    )


def remove_heartbeat(*, name: str) -> None:
    """Take a worker that ends from the list."""
    WorkerHeartbeat.objects.filter(name=name).delete()


def remove_dead_heartbeats(*, now: datetime) -> int:
    """Delete workers that died more than an hour ago; return how many."""
    deleted, _ = WorkerHeartbeat.objects.filter(alive_until__lt=now - _DEAD_WORKER_KEPT).delete()
    return deleted


def _push(message: Message) -> None:
    get_driver().push(message)

    def announce() -> None:
        job_queued.send_robust(
            None,
            job_id=message.job_id,
            job_class=message.job_class,
            queue=message.queue,
            available_at=message.available_at,
        )

    transaction.on_commit(announce)


def _all_failed_ids() -> list[UUID]:
    return list(FailedJob.objects.order_by("id").values_list("job_id", flat=True))


def _note_lost_lease(claim: Claim) -> bool:
    _log.warning("job_lease_lost", lease_expired_at=claim.lease_expires_at.isoformat())
    return False


def _facts(claim: Claim) -> dict[str, object]:
    return {"job_id": claim.job_id, "job_class": claim.job_class, "queue": claim.queue}


def _describe_for_log(error: Exception) -> dict[str, str]:
    """Return type and place of an error; its text may hold an argument and stays in the failed job."""
    frames = traceback.extract_tb(error.__traceback__)
    place = f"{frames[-1].filename}:{frames[-1].lineno}" if frames else ""
    return {"error": type(error).__qualname__, "place": place}


def _to_storable(text: str) -> str:
    """Escape what PostgreSQL or UTF-8 can't hold: NUL and lone surrogates."""
    return text.replace("\x00", "\\x00").encode("utf-8", "backslashreplace").decode()


def _to_milliseconds(duration: timedelta) -> float:
    return round(duration.total_seconds() * 1000, 1)
