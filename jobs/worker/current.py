"""The job that runs in this thread, so that a signal can tell it."""

from jobs.job import Job

_running: list[Job] = []


def begin_job(job: Job) -> None:
    """Make a job the one that runs, until it is ended."""
    _running.append(job)


def end_job(job: Job) -> None:
    """Note that a job runs no more."""
    _running.remove(job)


def get_running_job() -> Job | None:
    """Return the job that runs; the innermost one where jobs run others."""
    return _running[-1] if _running else None
