"""Emptying queues."""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import Final

from jobs.clock import get_database_now
from jobs.drivers.base import QueueDriver, get_driver
from jobs.drivers.failover import FailoverDriver
from jobs.drivers.inventory import JobState, StoredJob
from jobs.exceptions import ConnectionsAwayError
from jobs.services.results import fail_results
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

    Running ones are left, and so is what a store of a failover holds that doesn't answer. ``show`` is told from time to
    time how many are gone.

    Raises:
        ConnectionsAwayError: Of a failover, some didn't answer; the others are cleared.
        Exception: What a store raises that is away, where no other one answers.
    """
    driver, cleared = get_driver(connection), 0
    stores = driver.drivers if isinstance(driver, FailoverDriver) else [driver]
    outages: dict[str, Exception] = {}
    try:
        for store in stores:
            try:
                for count in _clear_store(store, queue, now):
                    cleared += count
                    show(cleared)
            except store.outage_errors as error:
                outages[store.name] = error
                if len(outages) == len(stores):
                    raise
    finally:  # those that are gone are told of though the store went away, or somebody interrupted
        if cleared:
            about = {"queue": queue or "", "connection": driver.name}
            jobs_steered.announce(JobsSteered(steer="clear", count=cleared, about=about))
    if outages:
        raise ConnectionsAwayError(driver.name, away=outages, has_changed=cleared > 0)
    return cleared


def _clear_store(driver: QueueDriver, queue: str | None, now: datetime | None) -> Iterator[int]:
    for state in _FREE:
        yield from _clear(driver, queue, state, now)
    yield driver.clear(queue=queue, now=now)


def _clear(driver: QueueDriver, queue: str | None, state: JobState, now: datetime | None) -> Iterator[int]:
    while jobs := driver.list_jobs(queue=queue, state=state, limit=_CHUNK, now=now):
        count = driver.remove([job.job_id for job in jobs])
        _give_back(driver, jobs, are_gone=count == len(jobs))
        yield count
        if count == 0:
            break


def _give_back(driver: QueueDriver, jobs: Sequence[StoredJob], *, are_gone: bool) -> None:
    """Give back the locks of jobs that were deleted, and end their tasks; not of those that a worker took."""
    kept = set() if are_gone else {job.job_id for job in driver.list_jobs(state="running", limit=_MOST_RUNNING)}
    gone = [job for job in jobs if job.job_id not in kept]
    for job in gone:
        release_locks_of(job)
    fail_results(job_ids=[job.job_id for job in gone], now=get_database_now())
