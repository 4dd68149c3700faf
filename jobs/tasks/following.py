"""What happens to the jobs of tasks elsewhere, written into their results."""

from functools import partial
from uuid import UUID

from django.db import transaction
from django.dispatch import receiver
from django.tasks.signals import task_finished
from django.utils import timezone

from jobs.job import get_job_name
from jobs.selectors import find_result
from jobs.services import end_result, reopen_result
from jobs.signals import job_failed, job_retry_requested
from jobs.tasks.job import TaskJob
from jobs.tasks.results import announce, get_kept


@receiver(job_failed)
def _note_unrun(*, job_id: UUID, job_class: str, error: Exception, **_facts: object) -> None:
    """Write down that a task failed whose job couldn't even be built."""
    if job_class != get_job_name(TaskJob) or (row := find_result(job_id)) is None:
        return
    ended = end_result(
        job_id=job_id,
        attempts=row.attempts,
        status="FAILED",
        error=error,
        now=timezone.now(),
        kept=get_kept(row.backend),
    )
    if ended is not None:
        transaction.on_commit(partial(announce, task_finished, ended))


@receiver(job_retry_requested)
def _note_retry(*, job_id: UUID, job_class: str, **_facts: object) -> None:
    """Write down that a task is to be tried again."""
    if job_class == get_job_name(TaskJob):
        reopen_result(job_id=job_id)
