"""Emptying queues."""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import Final

from jobs.drivers.base import QueueDriver, get_driver
from jobs.drivers.inventory import JobState, StoredJob
from jobs.services.settlement import release_locks_of
from jobs.signals import JobsSteered, jobs_steered

_CHUNK: Final = 1_000
_MOST_RUNNING: Final = 100_000
_FREE: Final[tuple[JobState, ...]] = ("waiting", "delayed")


def clear_queue(
    *,
    queue: str | None = None,
    connection: str | None = None,
    now: datetime | None = None,
    show: Callable[[int], object] = lambda _count: None,
) -> int:
    """Delete the jobs of one queue, or of all, that wait or are delayed, and give back their locks; return how many.

    Running ones are left. ``show`` is told from time to time how many are gone.
    """
    driver, cleared = get_driver(connection), 0
    try:
        for state in _FREE:
            for count in _clear(driver, queue, state, now):
                cleared += count
                show(cleared)
        cleared += driver.clear(queue=queue, now=now)
    finally:  # those that are gone are told of though the store went away, or somebody interrupted
        if cleared:
            about = {"queue": queue or "", "connection": driver.name}
            jobs_steered.announce(JobsSteered(steer="clear", count=cleared, about=about))
    return cleared


def _clear(driver: QueueDriver, queue: str | None, state: JobState, now: datetime | None) -> Iterator[int]:
    while jobs := driver.list_jobs(queue=queue, state=state, limit=_CHUNK, now=now):
        count = driver.remove([job.job_id for job in jobs])
        _give_back(driver, jobs, are_gone=count == len(jobs))
        yield count
        if count == 0:
            break


def _give_back(driver: QueueDriver, jobs: Sequence[StoredJob], *, are_gone: bool) -> None:
    """Give back the locks of jobs that were deleted, but not of those that a worker took just before."""
    kept = set() if are_gone else {job.job_id for job in driver.list_jobs(state="running", limit=_MOST_RUNNING)}
    for job in jobs:
        if job.job_id not in kept:
            release_locks_of(job)
