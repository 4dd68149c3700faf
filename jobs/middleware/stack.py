"""Middleware in order, around the work."""

from collections.abc import Iterable, Iterator
from typing import Self

from django.utils.module_loading import import_string

from jobs.conf import get_job_settings
from jobs.exceptions import JobDefinitionError
from jobs.job import Job
from jobs.limits import ConcurrencyLimit
from jobs.middleware.base import Middleware, Proceed
from jobs.middleware.limiting import LimitConcurrency, ThrottleMiddleware
from jobs.queues import QueueDefinition, get_queue


class MiddlewareStack:
    """Middleware in order, the outermost first."""

    def __init__(self, middleware: Iterable[Middleware] = ()) -> None:
        """Take the middleware."""
        self._layers = list(middleware)

    @classmethod
    def of(cls, job: Job) -> "MiddlewareStack":
        """Return what a job passes: what all do, what those of its queue do, its own; an internal one its own alone.

        Raises:
            JobDefinitionError: ``JOBS["MIDDLEWARE"]`` names what is none.
        """
        if job.is_internal:
            return cls(job.middleware())
        queue = get_queue(job.running.queue if job.running else job.options.queue or job.queue)
        everywhere = [find_middleware(path) for path in get_job_settings().middleware]
        return cls([*everywhere, *_get_limits(queue), *queue.middleware, *job.middleware()])

    def add(self, *middleware: Middleware) -> Self:
        """Put middleware inside of all that is there."""
        self._layers += middleware
        return self

    def prepend(self, *middleware: Middleware) -> Self:
        """Put middleware around all that is there."""
        self._layers[:0] = middleware
        return self

    def without(self, *kinds: type[Middleware]) -> Self:
        """Leave out middleware of some classes."""
        self._layers = [one for one in self._layers if not isinstance(one, kinds)]
        return self

    def __iter__(self) -> Iterator[Middleware]:
        """Go through the middleware."""
        return iter(self._layers)

    def __len__(self) -> int:
        return len(self._layers)

    def run(self, job: Job, core: Proceed) -> object:
        """Run ``core`` inside of all middleware; return what it returned, as middleware passed it on."""
        if not self._layers:
            return core()
        layers = tuple(self._layers)

        def proceed(position: int) -> object:
            if position == len(layers):
                return core()
            return layers[position].handle(job, lambda: proceed(position + 1))

        return proceed(0)


def find_middleware(path: str) -> Middleware:
    """Return the middleware of an import path: of an object, or of a class or function that makes one.

    Raises:
        JobDefinitionError: There is none.
    """
    try:
        found: object = import_string(path)
        made = found() if callable(found) and not isinstance(found, Middleware) else found
    except (ImportError, TypeError) as error:
        message = f"JOBS['MIDDLEWARE'] names {path!r}, which can't be used: {error}."
        raise JobDefinitionError(message) from error
    if not isinstance(made, Middleware):
        message = f"JOBS['MIDDLEWARE'] names {path!r}, which is no jobs.middleware.Middleware."
        raise JobDefinitionError(message)
    return made


def _get_limits(queue: QueueDefinition) -> list[Middleware]:
    """Return the limits of a queue. Who finds no place to run must not have used up the rate, so that comes last."""
    if queue.max_running is None and queue.rate_limit is None:
        return []
    about, limits = f"queue:{queue.name}", list[Middleware]()
    if queue.max_running is not None:
        limits.append(LimitConcurrency(ConcurrencyLimit(queue.max_running, key=about)))
    if queue.rate_limit is not None:
        limits.append(ThrottleMiddleware(limit=queue.rate_limit, key=about))
    return limits
