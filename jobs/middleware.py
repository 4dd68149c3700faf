"""Middleware: what stands around a job while it runs.

A middleware is an object with ``handle(job, proceed)``: it calls ``proceed()`` to go on, or doesn't, and may release,
delete or fail the job (``job.release(10)``). Jobs name theirs in ``middleware()``, queues in their definition, and
``JOBS["MIDDLEWARE"]`` names what every job passes; in this order from the outside: settings, queue, job.
"""

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Self
from uuid import uuid4

import structlog
from django.utils.module_loading import import_string

from jobs.conf import get_job_settings
from jobs.coordination import get_coordinator
from jobs.exceptions import PermanentJobError
from jobs.job import Job, get_job_name
from jobs.limits import ConcurrencyLimit, RateLimit
from jobs.options import Delay
from jobs.queues import get_queue

if TYPE_CHECKING:
    from jobs.batch import Batch

_log = structlog.get_logger("gatehouse.jobs")

#: Goes on with the job.
type Proceed = Callable[[], object]


class Middleware(ABC):
    """Something that stands around a job while it runs."""

    @abstractmethod
    def handle(self, job: Job, proceed: Proceed) -> object:
        """Run the job by ``proceed()``, or not; return what that returned."""


class MiddlewareStack:
    """Middleware in order, the outermost first."""

    def __init__(self, middleware: Iterable[Middleware] = ()) -> None:
        """Take the middleware."""
        self._layers = list(middleware)

    @classmethod
    def of(cls, job: Job) -> "MiddlewareStack":
        """Return what a job passes: what all do, what those of its queue do, its own."""
        queue = get_queue(job.running.queue if job.running else job.options.queue or job.queue)
        layers = [_build(path) for path in get_job_settings().middleware]
        if queue.rate_limit is not None:
            layers.append(ThrottleMiddleware(limit=queue.rate_limit, key=f"queue:{queue.name}"))
        if queue.max_running is not None:
            layers.append(LimitConcurrency(ConcurrencyLimit(queue.max_running, key=f"queue:{queue.name}")))
        return cls([*layers, *queue.middleware, *job.middleware()])

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

    def __iter__(self) -> "Iterable[Middleware]":
        """Go through the middleware."""
        return iter(self._layers)

    def __len__(self) -> int:
        return len(self._layers)

    def run(self, job: Job, core: Proceed) -> object:
        """Run ``core`` inside of all middleware; return what it returned, as middleware passed it on."""

        def proceed(position: int) -> object:
            if position == len(self._layers):
                return core()
            return self._layers[position].handle(job, lambda: proceed(position + 1))

        return proceed(0)


class LoggingMiddleware(Middleware):
    """Log the start and the end of a job, with how long it took; never its arguments."""

    def __init__(self, *, level: str = "info") -> None:
        """Take the level of the log entries: ``debug``, ``info`` or ``warning``."""
        if level not in {"debug", "info", "warning"}:
            message = f"level must be debug, info or warning, not {level!r}."
            raise ValueError(message)
        self.level = level

    def handle(self, job: Job, proceed: Proceed) -> object:
        """Log around the job."""
        write = getattr(_log, self.level)
        facts = {"job_class": get_job_name(type(job)), "job_id": str(job.job_id), "attempt": job.attempts}
        write("job_started", **facts)
        started = time.perf_counter()
        try:
            result = proceed()
        except BaseException as error:
            _log.warning("job_raised", **facts, error=type(error).__qualname__, duration_ms=_since(started))
            raise
        write("job_ended", **facts, duration_ms=_since(started))
        return result


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
        release_after: float | None = None,
        is_dropped: bool = False,
    ) -> None:
        """Take the limit.

        Args:
            max_attempts: How many may start …
            per_seconds: … in any so many seconds.
            key: What counts together; the job's class by default.
            limit: The limit in one, instead of the first two.
            release_after: Wait of a job that finds no room, in seconds; until there is room by default.
            is_dropped: Whether such a job is dropped instead.
        """
        self.limit = limit or RateLimit(max_attempts, per_seconds)
        self.key = key
        self.release_after = release_after
        self.is_dropped = is_dropped

    def handle(self, job: Job, proceed: Proceed) -> object:
        """Run the job if there is room."""
        key = self.limit.key or self.key or get_job_name(type(job))
        wait = get_coordinator().hit(f"rate:{key}", limit=self.limit.max_attempts, window=self.limit.window)
        if not wait:
            return proceed()
        put_back(job, wait=wait, release_after=self.release_after, is_dropped=self.is_dropped)
        return None


class LimitConcurrency(Middleware):
    """Let only so many jobs of a key run at the same time, over all workers; others are put back for a while."""

    def __init__(self, limit: ConcurrencyLimit, *, key: str = "", release_after: float = 1) -> None:
        """Take the limit, what counts together (the class by default), and the wait of others, in seconds."""
        self.limit = limit
        self.key = key
        self.release_after = release_after

    def handle(self, job: Job, proceed: Proceed) -> object:
        """Run the job if there is a place."""
        key = f"running:{self.limit.key or self.key or get_job_name(type(job))}"
        owner, coordinator = str(uuid4()), get_coordinator()
        lifetime = timedelta(seconds=self.limit.lifetime_seconds)
        if not coordinator.acquire(key, owner=owner, lifetime=lifetime, places=self.limit.max_running):
            job.release(self.release_after)
            return None
        try:
            return proceed()
        finally:
            coordinator.release(key, owner=owner)


class WithoutOverlapping(Middleware):
    """Let no two jobs of a class and key run at the same time; others are put back or dropped.

    The lock is given back when the job has ended, and is free by itself after ``expire_after`` seconds, so that a
    worker that died holds nobody up for ever.
    """

    def __init__(
        self,
        key: str = "",
        *,
        release_after: float = 0,
        is_dropped: bool = False,
        expire_after: float | None = None,
        is_shared: bool = False,
    ) -> None:
        """Take what the lock is about.

        Args:
            key: What no two jobs may be about.
            release_after: Wait of a job that finds the lock taken, in seconds.
            is_dropped: Whether such a job is dropped instead.
            expire_after: When the lock is free by itself, in seconds; None: never.
            is_shared: Whether jobs of other classes with the same key count too.
        """
        self.key = key
        self.release_after = release_after
        self.is_dropped = is_dropped
        self.expire_after = expire_after
        self.is_shared = is_shared

    def get_lock_key(self, job: Job) -> str:
        """Return the key of the lock."""
        return f"overlap:{self.key}" if self.is_shared else f"overlap:{get_job_name(type(job))}:{self.key}"

    def handle(self, job: Job, proceed: Proceed) -> object:
        """Run the job if the lock is free."""
        key, owner, coordinator = self.get_lock_key(job), str(uuid4()), get_coordinator()
        lifetime = None if self.expire_after is None else timedelta(seconds=self.expire_after)
        if not coordinator.acquire(key, owner=owner, lifetime=lifetime):
            put_back(job, wait=timedelta(0), release_after=self.release_after, is_dropped=self.is_dropped)
            return None
        try:
            return proceed()
        finally:
            coordinator.release(key, owner=owner)


class ThrottlesExceptions(Middleware):
    """A circuit breaker: after so many exceptions jobs of a key are put back unrun, until a while has passed.

    Before that, an exception puts the job back after ``backoff`` seconds. A success closes the circuit.
    """

    def __init__(
        self,
        max_attempts: int = 10,
        decay_seconds: float = 600,
        *,
        key: str = "",
        backoff: float | Callable[[Exception], float] = 0,
        when: Callable[[Exception], bool] | None = None,
        delete_when: Callable[[Exception], bool] | type[Exception] | None = None,
        fail_when: Callable[[Exception], bool] | type[Exception] | None = None,
        report: Callable[[Exception], object] | None = None,
        by_job: bool = False,
    ) -> None:
        """Take when the circuit opens, and for how long.

        Args:
            max_attempts: How many exceptions open it …
            decay_seconds: … within so many seconds, after which it closes again.
            key: What counts together; the job's class by default.
            backoff: Wait after an exception while it is closed, in seconds, or a function of the exception.
            when: Which exceptions count; others are raised as ever.
            delete_when: Which exceptions end the job as if it had done its work.
            fail_when: Which exceptions make the job fail at once.
            report: What is told each exception that is held back.
            by_job: Whether each job counts for itself.
        """
        self.limit = RateLimit(max_attempts, decay_seconds)
        self.key = key
        self.backoff = backoff
        self.when = when
        self.delete_when = delete_when
        self.fail_when = fail_when
        self.report = report
        self.by_job = by_job

    def handle(self, job: Job, proceed: Proceed) -> object:
        """Run the job if the circuit is closed."""
        key, coordinator, window = self._get_key(job), get_coordinator(), self.limit.window
        if coordinator.count_hits(key, window=window) >= self.limit.max_attempts:
            job.release(window)
            return None
        try:
            result = proceed()
        except Exception as error:
            if self.when is not None and not self.when(error):
                raise
            if self.report is not None:
                self.report(error)
            if _fits(self.delete_when, error):
                job.delete()
                return None
            if _fits(self.fail_when, error):
                raise PermanentJobError(str(error)) from error
            coordinator.hit(key, limit=self.limit.max_attempts, window=window)
            job.release(self.backoff(error) if callable(self.backoff) else self.backoff)
            return None
        coordinator.forget(key)
        return result

    def _get_key(self, job: Job) -> str:
        about = str(job.job_id) if self.by_job else self.key or get_job_name(type(job))
        return f"circuit:{about}"


class FailOnException(Middleware):
    """Let a job fail at once on some exceptions, whatever tries are left."""

    def __init__(self, when: type[Exception] | Sequence[type[Exception]] | Callable[[Exception], bool]) -> None:
        """Take classes of exceptions, or a function that says which ones."""
        self.when = when

    def handle(self, job: Job, proceed: Proceed) -> object:
        """Run the job, and turn such exceptions into failure."""
        try:
            return proceed()
        except Exception as error:
            if self._is_final(error):
                job.fail(error)
            raise

    def _is_final(self, error: Exception) -> bool:
        if isinstance(self.when, Sequence):
            return isinstance(error, tuple(self.when))
        return _fits(self.when, error)


class Skip(Middleware):
    """Drop a job on a condition: ``Skip.when(…)``, ``Skip.unless(…)``. What follows it goes on."""

    def __init__(self, *, is_skipped: Callable[[], bool]) -> None:
        """Take what decides, asked when the job is about to run."""
        self.is_skipped = is_skipped

    @classmethod
    def when(cls, condition: bool | Callable[[], bool]) -> "Skip":  # noqa: FBT001 - Laravel's word
        """Drop the job where the condition is true."""
        return cls(is_skipped=lambda: bool(condition() if callable(condition) else condition))

    @classmethod
    def unless(cls, condition: bool | Callable[[], bool]) -> "Skip":  # noqa: FBT001 - Laravel's word
        """Drop the job where the condition is false."""
        return cls(is_skipped=lambda: not (condition() if callable(condition) else condition))

    def handle(self, job: Job, proceed: Proceed) -> object:
        """Run the job, or drop it."""
        if self.is_skipped():
            job.delete()
            return None
        return proceed()


class Release(Middleware):
    """Put a job back on a condition: ``Release.when(…, after=10)``, ``Release.unless(…)``."""

    def __init__(self, *, is_released: Callable[[], bool], after: Delay = 0) -> None:
        """Take what decides, asked when the job is about to run, and the wait."""
        self.is_released = is_released
        self.after = after

    @classmethod
    def when(cls, condition: bool | Callable[[], bool], after: Delay = 0) -> "Release":  # noqa: FBT001 - Laravel's word
        """Put the job back where the condition is true."""
        return cls(is_released=lambda: bool(condition() if callable(condition) else condition), after=after)

    @classmethod
    def unless(cls, condition: bool | Callable[[], bool], after: Delay = 0) -> "Release":  # noqa: FBT001 - as above
        """Put the job back where the condition is false."""
        return cls(is_released=lambda: not (condition() if callable(condition) else condition), after=after)

    def handle(self, job: Job, proceed: Proceed) -> object:
        """Run the job, or put it back."""
        if self.is_released():
            job.release(self.after)
            return None
        return proceed()


class SkipIfBatchCancelled(Middleware):
    """Drop a job whose batch was cancelled."""

    def handle(self, job: Job, proceed: Proceed) -> object:
        """Run the job, or drop it."""
        batch: Batch | None = job.batch
        if batch is not None and batch.is_cancelled:
            job.delete()
            return None
        return proceed()


def put_back(job: Job, *, wait: timedelta, release_after: float | None, is_dropped: bool) -> None:
    """Let a job that may not run now come back, or end."""
    if is_dropped:
        job.delete()
    else:
        job.release(wait if release_after is None else release_after)


def _build(path: str) -> Middleware:
    made: Middleware = import_string(path)()
    return made


def _fits(condition: Callable[[Exception], bool] | type[Exception] | None, error: Exception) -> bool:
    if condition is None:
        return False
    if isinstance(condition, type):
        return isinstance(error, condition)
    return bool(condition(error))


def _since(started: float) -> float:
    return round((time.perf_counter() - started) * 1000, 1)
