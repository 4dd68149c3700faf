"""Limits over all workers, by name: defined once, used by any number of jobs.

::

    rate_limiter("mails", lambda job: RateLimit.per_minute(100, key=job.tenant))


    class SendEmailJob(Job):
        def middleware(self):
            return [RateLimited("mails")]
"""

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any, Final

from jobs.coordination import get_coordinator
from jobs.exceptions import JobDefinitionError
from jobs.job import Job, get_job_name
from jobs.limits import ConcurrencyLimit, RateLimit
from jobs.middleware import Middleware, Proceed, put_back

#: Says what holds for a job: nothing, one limit, or several, of which each must have room.
type Limiter = Callable[[Any], RateLimit | Sequence[RateLimit] | None]  # Any: the job, of whatever class

_limiters: Final[dict[str, Limiter]] = {}


def rate_limiter(name: str, limiter: Limiter | RateLimit) -> None:
    """Define a limit by name; a second definition takes the place of the first."""
    _limiters[name] = limiter if callable(limiter) else lambda _job: limiter


class RateLimited(Middleware):
    """Let a job run only where a limit has room; otherwise it is put back until there is, or dropped.

    A try that is put back counts; give such jobs ``retry_until`` or many ``tries``.
    """

    def __init__(
        self, limiter: str | RateLimit, *, release_after: float | None = None, is_dropped: bool = False
    ) -> None:
        """Take the name of a limit, or a limit.

        Args:
            limiter: See ``rate_limiter``.
            release_after: Wait of a job that finds no room, in seconds; until there is room by default.
            is_dropped: Whether such a job is dropped instead.
        """
        self.limiter = limiter
        self.release_after = release_after
        self.is_dropped = is_dropped

    def handle(self, job: Job, proceed: Proceed) -> object:
        """Run the job if there is room.

        Raises:
            JobDefinitionError: No limit has that name.
        """
        wait = self._take_room(job)
        if not wait:
            return proceed()
        put_back(job, wait=wait, release_after=self.release_after, is_dropped=self.is_dropped)
        return None

    def _take_room(self, job: Job) -> timedelta:
        coordinator = get_coordinator()
        for number, limit in enumerate(self._list_limits(job)):
            about = self.limiter if isinstance(self.limiter, str) else get_job_name(type(job))
            key = f"rate:{about}:{limit.key}" if limit.key else f"rate:{about}:#{number}"
            if wait := coordinator.hit(key, limit=limit.max_attempts, window=limit.window):
                return wait
        return timedelta(0)

    def _list_limits(self, job: Job) -> Sequence[RateLimit]:
        if isinstance(self.limiter, RateLimit):
            return [self.limiter]
        if self.limiter not in _limiters:
            message = f"There is no rate limit called {self.limiter!r}; define it with jobs.rate_limiting.rate_limiter."
            raise JobDefinitionError(message)
        found = _limiters[self.limiter](job)
        if found is None:
            return []
        return [found] if isinstance(found, RateLimit) else found


__all__ = ["ConcurrencyLimit", "Limiter", "RateLimit", "RateLimited", "rate_limiter"]
