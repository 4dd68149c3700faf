"""What follows from facts about jobs: entries of the audit log, and what is written into the results of tasks."""

from functools import partial

from django.contrib.auth import get_user_model
from django.db import transaction
from django.tasks.signals import task_finished
from django.utils import timezone

from jobs.job import get_job_class, get_job_name
from jobs.security import SecureJob
from jobs.selectors import find_result
from jobs.services import end_result, reopen_result
from jobs.signals import (
    JobFailed,
    JobQuarantined,
    JobQueueing,
    JobRetryRequested,
    JobsSteered,
    QueuePaused,
    QueueResumed,
    ScheduleChanged,
    WorkerTold,
    job_failed,
    job_quarantined,
    job_queueing,
    job_retry_requested,
    jobs_steered,
    queue_paused,
    queue_resumed,
    schedule_changed,
    worker_told,
)
from jobs.tasks.job import TaskJob
from jobs.tasks.results import announce, get_kept
from permissions import audit


@job_queueing.listen
def record_dispatch(fact: JobQueueing) -> None:
    """Note, in the transaction of the dispatch, that a secure job was sent."""
    found = get_job_class(fact.job_class)
    if found is None or not issubclass(found, SecureJob):
        return
    actor = audit.Reference.to(get_user_model(), fact.actor_id) if fact.actor_id else None
    subject = audit.Reference("jobs.job", fact.job_id, fact.job_class)
    audit.record("job.dispatched", actor=actor, subject=subject, queue=fact.queue)


@job_quarantined.listen
def record_quarantine(fact: JobQuarantined) -> None:
    """Note that a record was refused which somebody may have changed."""
    subject = audit.Reference("jobs.job", fact.job_id, fact.job_class)
    audit.record("job.quarantined", subject=subject, queue=fact.queue, reason=str(fact.error))


@queue_paused.listen
def record_pause(fact: QueuePaused) -> None:
    """Note that a queue, or each (``*``), was told to rest, by whom, and until when."""
    subject = audit.Reference("jobs.queue", fact.queue, fact.queue)
    audit.record("queue.paused", subject=subject, connection=fact.connection, until=fact.until)


@queue_resumed.listen
def record_resumption(fact: QueueResumed) -> None:
    """Note that a queue, or each, was told to go on, and by whom."""
    subject = audit.Reference("jobs.queue", fact.queue, fact.queue)
    audit.record("queue.resumed", subject=subject, connection=fact.connection)


@jobs_steered.listen
def record_steering(fact: JobsSteered) -> None:
    """Note that somebody retried, discarded, cancelled or cleared jobs by hand, which and how many."""
    about = fact.about.get("job_id", "")
    subject = audit.Reference("jobs.job", about, about) if about else None
    audit.record(f"job.{fact.steer}_by_hand", subject=subject, count=fact.count, about=dict(fact.about))


@schedule_changed.listen
def record_change_of_schedule(fact: ScheduleChanged) -> None:
    """Note that somebody changed an entry of the schedule, or dispatched it at once."""
    audit.record(f"schedule.{fact.change}", subject=audit.Reference("jobs.schedule", fact.schedule, fact.schedule))


@worker_told.listen
def record_order(fact: WorkerTold) -> None:
    """Note that a worker, or each (``*``), was told to rest, to go on, to stop or to start anew, and by whom."""
    audit.record(f"worker.told_to_{fact.wish}", subject=audit.Reference("jobs.worker", fact.worker, fact.worker))


@job_failed.listen
def end_unrun_task(fact: JobFailed) -> None:
    """Write down that a task failed whose job couldn't even be built."""
    if fact.job_class != get_job_name(TaskJob) or (row := find_result(fact.job_id)) is None:
        return
    ended = end_result(
        job_id=fact.job_id,
        attempts=row.attempts,
        status="FAILED",
        error=fact.error,
        now=timezone.now(),
        kept=get_kept(row.backend),
    )
    if ended is not None:
        transaction.on_commit(partial(announce, task_finished, ended))


@job_retry_requested.listen
def reopen_retried_task(fact: JobRetryRequested) -> None:
    """Write down that a task is to be tried again."""
    if fact.job_class == get_job_name(TaskJob):
        reopen_result(job_id=fact.job_id)
