"""The job that runs in this thread, so that a signal can tell it."""

from collections.abc import Iterator
from contextlib import contextmanager

from jobs.job import Job

_running: list[Job] = []


@contextmanager
def running_job(job: Job) -> Iterator[None]:
    """Make a job the one that runs, within the block."""
    _running.append(job)
    try:
        yield
    finally:
        _running.remove(job)


def get_running_job() -> Job | None:
    """Return the job that runs; the innermost one where jobs run others."""
    return _running[-1] if _running else None
