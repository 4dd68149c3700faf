"""Telling the jobs in hand that their worker is to end."""

import structlog

from jobs.job import get_job_name
from jobs.signals import WorkerInterrupting, worker_interrupting
from jobs.worker.current import get_current_job, list_running_jobs

_log = structlog.get_logger("gatehouse.worker")


def interrupt_jobs(signal_number: int, *, worker: str) -> None:
    """Call ``interrupted`` of each job that runs in this process; from a signal handler.

    What the job raises whose code the signal has met is its own, and cuts it short. Of others it is logged, for it
    would hit whatever this thread is at: another job, or the worker itself.
    """
    raised: BaseException | None = None
    for job in list_running_jobs():
        name = get_job_name(type(job))
        worker_interrupting.announce(
            WorkerInterrupting(worker=worker, job_id=job.job_id, job_class=name, signal_number=signal_number)
        )
        try:
            job.interrupted(signal_number)
        except BaseException as error:  # noqa: BLE001 - a hook of strangers must not hit what this thread is at
            if job is get_current_job():
                raised = error
            else:
                _log.error("interrupted_hook_raised", job_id=str(job.job_id), error=type(error).__qualname__)
    if raised is not None:
        raise raised
