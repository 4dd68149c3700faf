"""Limits over all workers, by name: defined once, used by any number of jobs.

::

    rate_limiter("mails", lambda job: RateLimit.per_minute(100, key=job.tenant))


    class SendEmailJob(Job):
        def middleware(self):
            return [RateLimited("mails")]
"""

from collections.abc import Callable, Iterable, Sequence
from enum import Enum
from typing import Any, Final

from jobs.coordination import Window, get_coordinator
from jobs.exceptions import JobDefinitionError
from jobs.job import Job, get_job_name, hide_key
from jobs.limits import ConcurrencyLimit, RateLimit
from jobs.middleware import Middleware, Proceed, put_back
from jobs.middleware.base import check_wait
from jobs.options import Delay

#: Says what holds for a job: nothing, one limit, or several, of which each must have room.
type Limiter = Callable[[Any], RateLimit | Sequence[RateLimit] | None]  # Any: the job, of whatever class
#: What a limiter is called; of an enum its value.
type LimiterName = str | Enum

_limiters: Final[dict[str, Limiter]] = {}


def rate_limiter(name: LimiterName, limiter: Limiter | RateLimit | Sequence[RateLimit]) -> None:
    """Define a limit by name; a second definition takes the place of the first."""
    _limiters[_to_text(name)] = limiter if callable(limiter) else lambda _job: limiter


class RateLimited(Middleware):
    """Let a job run only where a limit has room; otherwise it is put back until there is, or dropped.

    Of several limits none is used up where another has no room. A try that is put back counts; give such jobs
    ``retry_until`` or many ``tries``.
    """

    def __init__(
        self, limiter: LimiterName | RateLimit, *, release_after: Delay | None = None, is_dropped: bool = False
    ) -> None:
        """Take the name of a limit, or a limit.

        Args:
            limiter: See ``rate_limiter``.
            release_after: Wait of a job that finds no room; until there is room by default.
            is_dropped: Whether such a job is dropped instead.

        Raises:
            JobOptionError: The wait is out of range.
        """
        self.limiter = limiter if isinstance(limiter, RateLimit) else _to_text(limiter)
        self.release_after = check_wait(release_after, about="RateLimited")
        self.is_dropped = is_dropped

    def handle(self, job: Job, proceed: Proceed) -> object:
        """Run the job if there is room.

        Raises:
            JobDefinitionError: No limit has that name.
        """
        windows = list(self._list_windows(job))
        if not windows or not (wait := get_coordinator().hit_all(windows)):
            return proceed()
        put_back(job, wait=wait, release_after=self.release_after, is_dropped=self.is_dropped)
        return None

    def _list_windows(self, job: Job) -> Iterable[Window]:
        """Return the windows that must have room, each once: of two limits with one key the stricter holds."""
        windows: dict[str, Window] = {}
        for number, limit in enumerate(self._list_limits(job)):
            key = limit.name_key(self._name(job, limit, number))
            if key not in windows or windows[key].limit > limit.max_attempts:
                windows[key] = Window(key, limit.max_attempts, limit.window)
        return windows.values()

    def _name(self, job: Job, limit: RateLimit, number: int) -> str:
        if isinstance(self.limiter, RateLimit):
            return hide_key(job, limit.key) if limit.key else get_job_name(type(job))
        return f"{self.limiter}:{hide_key(job, limit.key) if limit.key else number}"

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


def _to_text(name: LimiterName) -> str:
    return str(name.value) if isinstance(name, Enum) else name


__all__ = ["ConcurrencyLimit", "Limiter", "RateLimit", "RateLimited", "rate_limiter"]
