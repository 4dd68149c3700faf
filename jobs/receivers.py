"""What follows from facts about jobs: entries of the audit log."""

from uuid import UUID

from django.contrib.auth import get_user_model
from django.dispatch import receiver

from jobs.job import get_job_class
from jobs.security import SecureJob
from jobs.signals import job_quarantined, job_queueing
from permissions import audit


@receiver(job_queueing)
def record_dispatch(*, job_id: UUID, job_class: str, queue: str, actor_id: str, **_others: object) -> None:
    """Note, in the transaction of the dispatch, that a secure job was sent."""
    found = get_job_class(job_class)
    if found is None or not issubclass(found, SecureJob):
        return
    actor = audit.Reference.to(get_user_model(), actor_id) if actor_id else None
    audit.record("job.dispatched", actor=actor, subject=audit.Reference("jobs.job", job_id, job_class), queue=queue)


@receiver(job_quarantined)
def record_quarantine(*, job_id: UUID, job_class: str, queue: str, error: Exception, **_others: object) -> None:
    """Note that a record was refused which somebody may have changed."""
    subject = audit.Reference("jobs.job", job_id, job_class)
    audit.record("job.quarantined", subject=subject, queue=queue, reason=str(error))
