"""What every middleware is, and what several of them do."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Final
from uuid import UUID, uuid4

import structlog

from jobs.conf import get_job_settings
from jobs.coordination import get_coordinator
from jobs.coordination.holding import held_places
from jobs.job import Job
from jobs.options import Delay, JobOptions

#: So long a place is held for a job that may take any time.
_WITHOUT_LIMIT: Final = timedelta(days=1)
_log = structlog.get_logger("gatehouse.jobs")

#: Goes on with the job.
type Proceed = Callable[[], object]


class Middleware(ABC):
    """Something that stands around a job while it runs.

    One object may stand around many jobs at a time, so it keeps nothing about any of them.
    """

    @abstractmethod
    def handle(self, job: Job, proceed: Proceed) -> object:
        """Run the job by ``proceed()``, or not; return what that returned."""


def put_back(job: Job, *, wait: timedelta, release_after: Delay | None, is_dropped: bool) -> None:
    """Let a job that may not run now come back, or end."""
    if is_dropped:
        job.delete()
    else:
        job.release(wait if release_after is None else release_after)


def check_wait(wait: Delay | None, *, about: str) -> Delay | None:
    """Return a wait that was said in a constructor.

    Raises:
        JobOptionError: It is out of range.
    """
    JobOptions(delay=wait).check(about=about)
    return wait


@contextmanager
def hold_place(job: Job, key: str, *, places: int = 1, lifetime_seconds: float | None = None) -> Iterator[bool]:
    """Hold one of the places of a key within the block, if there is one; yield whether there was.

    Without a lifetime the place is renewed together with the lease of the job, so that a worker which died holds nobody
    up longer than that; where nobody renews it, it is held as long as the job may take. The job itself is never held
    up: its next try begins by giving the place back.
    """
    coordinator, owner = get_coordinator(), str(uuid4())
    if job.running is not None:
        owner = f"{job.running.job_id}:{owner}"
        if job.running.attempts > 1:
            _give_back_left_places(key, job.running.job_id)
    renewed = None if lifetime_seconds else held_places.get_lifetime()
    lifetime = timedelta(seconds=lifetime_seconds) if lifetime_seconds else renewed or _get_longest_run(job)
    if not coordinator.acquire(key, owner=owner, lifetime=lifetime, places=places):
        yield False
        return
    if renewed is not None:
        held_places.add(key, owner=owner, places=places)
    try:
        yield True
    finally:
        held_places.drop(key, owner=owner)
        try:
            coordinator.release(key, owner=owner)
        except Exception as error:  # noqa: BLE001 - what the job did counts; the place is free by itself in a while
            _log.warning("place_not_given_back", error=type(error).__qualname__)


def _give_back_left_places(key: str, job_id: UUID) -> None:
    """Give back what a try of this job still holds whose worker died."""
    coordinator = get_coordinator()
    for owner in coordinator.list_owners(key):
        if owner.startswith(f"{job_id}:"):
            coordinator.release(key, owner=owner)


def _get_longest_run(job: Job) -> timedelta:
    timeout = job.running.timeout if job.running is not None else 0
    return timedelta(seconds=timeout) + get_job_settings().lease if timeout else _WITHOUT_LIMIT
