"""What a job may ask and say while it runs."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from datetime import timedelta
from importlib import import_module
from typing import TYPE_CHECKING, Any, NoReturn

from jobs.exceptions import PermanentJobError
from jobs.job.records import Link, add_ids, encode_links
from jobs.job.running import JobRun
from jobs.options import Delay, JobOptions

if TYPE_CHECKING:
    from jobs.batch import Batch
    from jobs.job.base import Job


class Controls(ABC):
    """A job's view of the try that runs."""

    #: The try that runs now; None where the job isn't run by a worker.
    running: JobRun | None = None

    @abstractmethod
    def get_job(self) -> "Job":
        """Return the job itself."""

    @property
    def attempts(self) -> int:
        """How often it was tried, this try included; 1 where no worker runs it."""
        return self.running.attempts if self.running else 1

    @property
    def batch(self) -> "Batch | None":
        """The batch that it belongs to, as it stands now; None where there is none (any more)."""
        if self.running is None or self.running.batch_id is None:
            return None
        module = import_module("jobs.batch")  # it stands above this module
        found: Batch | None = module.find_batch(self.running.batch_id)
        return found

    def release(self, delay: Delay = 0) -> None:
        """Let the job be tried again after a wait, when ``handle`` has returned. This try counts."""
        JobOptions(delay=delay).check(about=type(self).__name__)
        run = self._get_run()
        run.released = timedelta(seconds=delay) if isinstance(delay, int | float) else delay

    def delete(self) -> None:
        """Let the job count as done when ``handle`` has returned, even if it raises; what follows it goes on."""
        self._get_run().is_deleted = True

    def fail(self, error: Exception | str) -> NoReturn:
        """Stop here and send the job to the failed jobs at once, whatever tries are left.

        Raises:
            PermanentJobError: Always; raising it does the same. The job fails even if it catches it.
        """
        failure = self._get_run().failure = PermanentJobError(str(error))
        try:
            if isinstance(error, Exception):
                raise failure from error
            raise failure
        finally:
            del failure  # its traceback refers to this call

    def append_to_chain(self, *jobs: Link) -> None:
        """Let more jobs follow, after those that follow already."""
        chain = self._get_chain()
        chain["links"] = [*chain["links"], *self._encode(jobs)]

    def prepend_to_chain(self, *jobs: Link) -> None:
        """Let more jobs follow, before those that follow already."""
        chain = self._get_chain()
        chain["links"] = [*self._encode(jobs), *chain["links"]]

    def _encode(self, jobs: Sequence[Link]) -> list[dict[str, Any]]:  # Any: JSON
        chain, added = self._get_chain(), add_ids(jobs, self._get_run())
        return encode_links(added, queue=chain.get("queue", ""), connection=chain.get("connection", ""))

    def _get_chain(self) -> dict[str, Any]:  # Any: JSON
        run = self._get_run()
        if run.chain is None:
            run.chain = {"links": []}
        return run.chain

    def _get_run(self) -> JobRun:
        job = self.get_job()
        run = self.running or JobRun(job_id=job.job_id, queue=job.queue, connection="", attempts=1)
        self.__dict__["running"] = run
        return run
