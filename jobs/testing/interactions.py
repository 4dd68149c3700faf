"""One job in the hands of a test, which asks what it said to its queue."""

from collections.abc import Coroutine
from datetime import datetime, timedelta
from typing import Self, cast

from asgiref.sync import async_to_sync
from django.utils import timezone

from jobs.exceptions import PermanentJobError
from jobs.job import Job, JobRun
from jobs.middleware import MiddlewareStack
from jobs.options import Delay


class FakeQueue[J: Job]:
    """Stands for the queue of one job: ``fake_queue(job).run().assert_released(delay=30)``."""

    def __init__(self, job: J, *, attempts: int = 1) -> None:
        """Take the job, and the number of its try."""
        self.job = job
        queue = job.options.queue or job.queue
        self._run = job.__dict__["running"] = JobRun(job_id=job.job_id, queue=queue, connection="", attempts=attempts)
        self.error: Exception | None = None

    def handle(self) -> Self:
        """Do the work, without middleware; what it raises is raised, unless it is over by ``fail`` or ``delete``."""
        return self._call(is_bare=True)

    def run(self) -> Self:
        """Do the work inside of all middleware of the job; see ``handle``."""
        return self._call(is_bare=False)

    def assert_released(self, *, delay: Delay | None = None) -> Self:
        """Require that the job asked for another try, after this wait where one is given."""
        __tracebackhide__ = True
        released = self._run.released
        if released is None:
            raise AssertionError("The job was expected to be released, but was not.")
        if delay is not None and _to_wait(released) != _to_wait(delay):
            message = f"The job was released with a delay of {_to_wait(released)}, not of {_to_wait(delay)}."
            raise AssertionError(message)
        return self

    def assert_not_released(self) -> Self:
        """Require that the job asked for no other try."""
        __tracebackhide__ = True
        if self._run.released is not None:
            raise AssertionError("The job was unexpectedly released.")
        return self

    def assert_deleted(self) -> Self:
        """Require that the job, or its middleware, said that it is done."""
        __tracebackhide__ = True
        if not self._run.is_deleted:
            raise AssertionError("The job was expected to be deleted, but was not.")
        return self

    def assert_not_deleted(self) -> Self:
        """Require that nobody said that the job is done."""
        __tracebackhide__ = True
        if self._run.is_deleted:
            raise AssertionError("The job was unexpectedly deleted.")
        return self

    def assert_failed(self) -> Self:
        """Require that the job said that it can't be done."""
        __tracebackhide__ = True
        if self.error is None:
            raise AssertionError("The job was expected to be failed, but was not.")
        return self

    def assert_failed_with(self, expected: type[Exception] | str) -> Self:
        """Require that the job failed with an exception of a class, or with a text."""
        __tracebackhide__ = True
        self.assert_failed()
        given = self.error.__cause__ or self.error if self.error is not None else None
        fits = str(given) == expected if isinstance(expected, str) else isinstance(given, expected)
        if not fits:
            wanted = expected if isinstance(expected, str) else expected.__qualname__
            message = f"The job was expected to be failed with {wanted}, but was with {given!r}."
            raise AssertionError(message)
        return self

    def assert_not_failed(self) -> Self:
        """Require that the job did not say that it can't be done."""
        __tracebackhide__ = True
        if self.error is not None:
            raise AssertionError("The job was unexpectedly failed.")
        return self

    def _call(self, *, is_bare: bool) -> Self:
        stack = MiddlewareStack() if is_bare else MiddlewareStack.of(self.job)
        try:
            stack.run(self.job, self._do)
            error: Exception | None = self._run.failure  # even if the job has caught it
        except Exception as raised:
            error = raised
            if not (self._run.is_deleted or self._run.failure or isinstance(raised, PermanentJobError)):
                raise
        self.error = None if self._run.is_deleted else error
        return self

    def _do(self) -> object:
        result: object = self.job.handle()
        return async_to_sync(_await)(result) if isinstance(result, Coroutine) else result


def fake_queue[J: Job](job: J, *, attempts: int = 1) -> FakeQueue[J]:
    """Return what stands for the queue of a job, in its n-th try."""
    return FakeQueue(job, attempts=attempts)


async def _await(result: "Coroutine[object, object, object]") -> object:
    return await result


def _to_wait(delay: Delay) -> timedelta:
    """Return a wait in whole seconds from now."""
    if isinstance(delay, datetime):
        delay = delay - timezone.now()
    seconds = delay.total_seconds() if isinstance(delay, timedelta) else cast("float", delay)
    return timedelta(seconds=round(seconds))
