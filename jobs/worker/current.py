"""The jobs that run in this process, so that a signal can tell them."""

from contextvars import ContextVar
from typing import Final

from jobs.job import Job

#: By ``id``: two jobs may be equal. With each the one that runs it, where one does.
_running: Final[dict[int, Job]] = {}
_outer: Final[dict[int, Job | None]] = {}
_innermost: Final[ContextVar[Job | None]] = ContextVar("running_job", default=None)


def begin_job(job: Job) -> None:
    """Make a job one that runs, until it is ended, in place of the one that runs it."""
    outer = _outer[id(job)] = _innermost.get()
    if outer is not None:
        _running.pop(id(outer), None)
    _innermost.set(job)
    _running[id(job)] = job


def end_job(job: Job) -> None:
    """Note that a job runs no more."""
    del _running[id(job)]
    outer = _outer.pop(id(job))
    _innermost.set(outer)
    if outer is not None:
        _running[id(outer)] = outer


def get_current_job() -> Job | None:
    """Return the job whose code this is."""
    return _innermost.get()


def list_running_jobs() -> list[Job]:
    """Return the jobs that run; of one that runs another the other."""
    return list(_running.values())
