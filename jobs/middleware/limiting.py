"""How often, and how many at a time."""

from datetime import timedelta

from jobs.coordination import get_coordinator
from jobs.job import Job, get_job_name, hide_key
from jobs.limits import ConcurrencyLimit, RateLimit
from jobs.middleware.base import Middleware, Proceed, check_wait, hold_place, put_back
from jobs.options import Delay


class ThrottleMiddleware(Middleware):
    """Let jobs of a key start only so often, over all workers; others are put back until there is room.

    A try that is put back counts; give such jobs ``retry_until`` or many ``tries``.
    """

    def __init__(
        self,
        max_attempts: int = 100,
        per_seconds: float = 3600,
        *,
        key: str = "",
        limit: RateLimit | None = None,
        release_after: Delay | None = None,
        is_dropped: bool = False,
    ) -> None:
        """Take the limit.

        Args:
            max_attempts: How many may start …
            per_seconds: … in any so many seconds.
            key: What counts together; the job's class by default.
            limit: The limit in one, instead of the first two.
            release_after: Wait of a job that finds no room; until there is room by default.
            is_dropped: Whether such a job is dropped instead.

        Raises:
            ValueError: A number is out of range.
        """
        self.limit = limit or RateLimit(max_attempts, per_seconds)
        self.key = key
        self.release_after = check_wait(release_after, about="ThrottleMiddleware")
        self.is_dropped = is_dropped

    def handle(self, job: Job, proceed: Proceed) -> object:
        """Run the job if there is room."""
        key = self.limit.name_key(_name(job, self.limit.key or self.key))
        wait = get_coordinator().hit(key, limit=self.limit.max_attempts, window=self.limit.window)
        if not wait:
            return proceed()
        put_back(job, wait=wait, release_after=self.release_after, is_dropped=self.is_dropped)
        return None


class LimitConcurrency(Middleware):
    """Let only so many jobs of a key run at the same time, over all workers; others are put back for a while."""

    def __init__(self, limit: ConcurrencyLimit, *, key: str = "", release_after: Delay = 1) -> None:
        """Take the limit, what counts together (the class by default), and the wait of others.

        Raises:
            JobOptionError: The wait is out of range.
        """
        self.limit = limit
        self.key = key
        self.release_after = check_wait(release_after, about="LimitConcurrency")

    def handle(self, job: Job, proceed: Proceed) -> object:
        """Run the job if there is a place."""
        key = f"running:{_name(job, self.limit.key or self.key)}"
        with hold_place(
            job, key, places=self.limit.max_running, lifetime_seconds=self.limit.lifetime_seconds
        ) as has_place:
            if has_place:
                return proceed()
        put_back(job, wait=timedelta(0), release_after=self.release_after, is_dropped=False)
        return None


class WithoutOverlapping(Middleware):
    """Let no two jobs of a class and key run at the same time; others are put back or dropped.

    The lock is given back when the job has ended, however it ended. That of a worker which died is free by itself as
    soon as the worker's hold on the job lapses, or after ``expire_after`` seconds, so that it holds nobody up for long.
    """

    def __init__(
        self,
        key: str = "",
        *,
        release_after: Delay = 0,
        is_dropped: bool = False,
        expire_after: float | None = None,
        is_shared: bool = False,
    ) -> None:
        """Take what the lock is about.

        Args:
            key: What no two jobs may be about.
            release_after: Wait of a job that finds the lock taken.
            is_dropped: Whether such a job is dropped instead.
            expire_after: When the lock is free by itself, in seconds, even if the job still runs; by default it lasts
                while the job runs.
            is_shared: Whether jobs of other classes with the same key count too.

        Raises:
            JobOptionError: A wait is out of range.
        """
        self.key = key
        self.release_after = check_wait(release_after, about="WithoutOverlapping")
        self.is_dropped = is_dropped
        check_wait(expire_after, about="WithoutOverlapping: expire_after")
        self.expire_after = expire_after
        self.is_shared = is_shared

    def get_lock_key(self, job: Job) -> str:
        """Return the key of the lock."""
        key = hide_key(job, self.key)
        return f"overlap:{key}" if self.is_shared else f"overlap:{get_job_name(type(job))}:{key}"

    def handle(self, job: Job, proceed: Proceed) -> object:
        """Run the job if the lock is free."""
        with hold_place(job, self.get_lock_key(job), lifetime_seconds=self.expire_after) as has_lock:
            if has_lock:
                return proceed()
        put_back(job, wait=timedelta(0), release_after=self.release_after, is_dropped=self.is_dropped)
        return None


def _name(job: Job, key: str) -> str:
    return hide_key(job, key) if key else get_job_name(type(job))
