"""What an exception of a job means."""

from collections.abc import Callable, Iterable
from datetime import timedelta

import structlog

from jobs.coordination import Window, get_coordinator
from jobs.exceptions import JobRefusedError, PermanentJobError
from jobs.job import Job, get_job_name, hide_key
from jobs.limits import RateLimit
from jobs.middleware.base import Middleware, Proceed
from jobs.signals import JobExceptionOccurred, job_exception_occurred

_log = structlog.get_logger("gatehouse.jobs")

#: Exceptions that are meant: a class of them, a function that says so, or several of such.
type Condition = type[Exception] | Callable[[Exception], object] | Iterable[Condition]


class ThrottlesExceptions(Middleware):
    """A circuit breaker: after so many exceptions jobs of a key are put back unrun, until a while has passed.

    Before that, an exception puts the job back after ``backoff`` seconds. A success closes the circuit. A job that
    fails itself (``job.fail``) is neither.
    """

    def __init__(
        self,
        max_attempts: int = 10,
        decay_seconds: float = 600,
        *,
        key: str = "",
        backoff: float | Callable[[Exception], float] = 0,
        when: Condition | None = None,
        delete_when: Condition | None = None,
        fail_when: Condition | None = None,
        report: bool | Condition = False,
        by_job: bool = False,
    ) -> None:
        """Take when the circuit opens, and for how long.

        Args:
            max_attempts: How many exceptions open it …
            decay_seconds: … within so many seconds; it closes as soon as there were fewer.
            key: What counts together; the job's class by default.
            backoff: Wait after an exception while it is closed, in seconds, or a function of the exception.
            when: Which exceptions are meant; others are raised as ever.
            delete_when: Which of them end the job as if it had done its work. They don't count.
            fail_when: Which of them make the job fail at once. They don't count.
            report: Which of them are logged and announced (``job_exception_occurred``) all the same; True: all.
            by_job: Whether each job counts for itself.

        Raises:
            ValueError: A number is out of range.
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
        key, coordinator = self._get_key(job), get_coordinator()
        if wait := coordinator.get_wait(Window(key, self.limit.max_attempts, self.limit.window)):
            job.release(wait)
            return None
        try:
            result = proceed()
        except (PermanentJobError, JobRefusedError):
            raise
        except Exception as error:
            if self.when is not None and not is_meant(self.when, error):
                raise
            self._report(job, error)
            self._hold_back(job, key, error)
            return None
        if job.running is None or job.running.released is None:  # one that was put back has not succeeded
            coordinator.forget(key)
        return result

    def _hold_back(self, job: Job, key: str, error: Exception) -> None:
        if is_meant(self.delete_when, error):
            job.delete()
            return
        if is_meant(self.fail_when, error):
            fail_at_once(job)
            raise error
        get_coordinator().hit(key, limit=self.limit.max_attempts, window=self.limit.window)
        wait = self.backoff(error) if callable(self.backoff) else self.backoff
        job.release(timedelta(seconds=wait))

    def _report(self, job: Job, error: Exception) -> None:
        if not (self.report is True or (self.report is not False and is_meant(self.report, error))):
            return
        _log.warning("job_exception_held_back", error=type(error).__qualname__)
        run = job.running
        job_exception_occurred.announce(
            JobExceptionOccurred(
                job_id=job.job_id,
                job_class=get_job_name(type(job)),
                queue=run.queue if run else job.queue,
                connection=run.connection if run else "",
                attempt=job.attempts,
                error=error,
            )
        )

    def _get_key(self, job: Job) -> str:
        if self.key:
            return f"circuit:{hide_key(job, self.key)}"
        return f"circuit:{job.job_id if self.by_job else get_job_name(type(job))}"


class FailOnException(Middleware):
    """Let a job fail at once on some exceptions, whatever tries are left."""

    def __init__(
        self, when: Condition | None = None, *, when_job: Callable[[Exception, Job], object] | None = None
    ) -> None:
        """Take which exceptions, or a function that is asked with the job as well."""
        self.when = when
        self.when_job = when_job

    def handle(self, job: Job, proceed: Proceed) -> object:
        """Run the job; what it raises goes on, as the last that it raises."""
        try:
            return proceed()
        except Exception as error:
            if is_meant(self.when, error) or (self.when_job is not None and self.when_job(error, job)):
                fail_at_once(job)
            raise


def is_meant(condition: Condition | None, error: Exception) -> bool:
    """Say whether an exception is one of those that are meant."""
    if condition is None:
        return False
    if isinstance(condition, type):
        return isinstance(error, condition)
    if callable(condition):
        return bool(condition(error))
    return any(is_meant(one, error) for one in condition)


def fail_at_once(job: Job) -> None:
    """Let what a job raises be the last that it raises; the failed job keeps it as it is."""
    if job.running is not None:
        job.running.is_final = True
