"""Jobs that are dropped or put back on a condition."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from jobs.conditions import is_true
from jobs.job import Job
from jobs.middleware.base import Middleware, Proceed, check_wait
from jobs.options import Delay
from jobs.services.batches import skip_cancelled

if TYPE_CHECKING:
    from jobs.batch import Batch

#: A truth, or what is asked for it when the job is about to run.
type Question = bool | Callable[[], object]


class Skip(Middleware):
    """Drop a job on a condition: ``Skip.when(…)``, ``Skip.unless(…)``. What follows it goes on."""

    def __init__(self, *, is_skipped: Callable[[], bool]) -> None:
        """Take what decides, asked when the job is about to run."""
        self.is_skipped = is_skipped

    @classmethod
    def when(cls, condition: Question) -> "Skip":
        """Drop the job where the condition is true."""
        return cls(is_skipped=lambda: is_true(condition))

    @classmethod
    def unless(cls, condition: Question) -> "Skip":
        """Drop the job where the condition is false."""
        return cls(is_skipped=lambda: not is_true(condition))

    def handle(self, job: Job, proceed: Proceed) -> object:
        """Run the job, or drop it."""
        if self.is_skipped():
            job.delete()
            return None
        return proceed()


class Release(Middleware):
    """Put a job back on a condition: ``Release.when(…, after=10)``, ``Release.unless(…)``. The try counts."""

    def __init__(self, *, is_released: Callable[[], bool], after: Delay = 0) -> None:
        """Take what decides, asked when the job is about to run, and the wait.

        Raises:
            JobOptionError: The wait is out of range.
        """
        self.is_released = is_released
        self.after: Delay = check_wait(after, about="Release") or 0

    @classmethod
    def when(cls, condition: Question, after: Delay = 0) -> "Release":
        """Put the job back where the condition is true."""
        return cls(is_released=lambda: is_true(condition), after=after)

    @classmethod
    def unless(cls, condition: Question, after: Delay = 0) -> "Release":
        """Put the job back where the condition is false."""
        return cls(is_released=lambda: not is_true(condition), after=after)

    def handle(self, job: Job, proceed: Proceed) -> object:
        """Run the job, or put it back."""
        if self.is_released():
            job.release(self.after)
            return None
        return proceed()


class SkipIfBatchCancelled(Middleware):
    """Drop a job whose batch was cancelled, unless it was put back after that."""

    def handle(self, job: Job, proceed: Proceed) -> object:
        """Run the job, or drop it."""
        batch: Batch | None = job.batch
        if batch is not None and batch.is_cancelled and skip_cancelled(job.job_id, batch_id=batch.id):
            job.delete()
            return None
        return proceed()
