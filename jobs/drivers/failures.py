"""Failed jobs, which every driver writes to the same table."""

from datetime import datetime

from jobs.drivers.base import Burial, Claim
from jobs.models import FailedJob

_REPLACED = [
    "connection", "queue", "job_class", "payload", "priority", "attempts", "exception", "traceback", "context",
    "is_quarantined", "failed_at", "retried_at", "recovered_at",
]  # fmt: skip


def store_failure(claim: Claim, burial: Burial) -> None:
    """Write down that a job failed; if it had failed before and was retried, in the place of that failure.

    How often it was retried stays.
    """
    failed = FailedJob(
        job_id=claim.job_id,
        connection=claim.connection,
        queue=claim.queue,
        job_class=claim.job_class,
        payload=claim.payload,
        priority=claim.priority,
        attempts=burial.attempts,
        exception=burial.exception,
        traceback=burial.traceback,
        context=dict(burial.context),
        is_quarantined=burial.is_quarantined,
        failed_at=burial.failed_at,
    )
    FailedJob.objects.bulk_create([failed], update_conflicts=True, unique_fields=["job_id"], update_fields=_REPLACED)


def has_stored(claim: Claim, burial: Burial) -> bool:
    """Say whether the failure of this very claim was written down before; whoever asks didn't hear of the commit."""
    written = FailedJob.objects.filter(job_id=claim.job_id, attempts=burial.attempts, failed_at__gte=claim.claimed_at)
    return written.filter(context__worker=claim.worker).exists()


def note_recovery(claim: Claim, *, now: datetime) -> None:
    """Write down that a job which had failed ran to its end after all.

    That is a retry; or the worker that was about to bury the job died when it had written the row, and no more.
    """
    FailedJob.objects.filter(job_id=claim.job_id).update(recovered_at=now)


def remove_failure(claim: Claim, burial: Burial) -> None:
    """Take back what ``store_failure`` wrote, where it turns out that somebody else holds the job."""
    FailedJob.objects.filter(job_id=claim.job_id, failed_at=burial.failed_at).delete()
