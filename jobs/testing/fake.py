"""What takes jobs instead of their queues while a test looks on."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from threading import RLock
from typing import Final, Self
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from jobs.batch import Batch, PendingBatch, batch
from jobs.drivers.base import Message
from jobs.drivers.inventory import JobState, StoredJob
from jobs.job import Job, build_job, find_class
from jobs.outlet import Current, Outlet
from jobs.payload import Record, read_payload
from jobs.services import CALLBACK_JOB
from jobs.testing.matching import Expected, flatten, has_jobs, matches_all
from jobs.testing.memory import MemoryCoordinator, MemoryDriver
from jobs.testing.words import forbid, list_names, name, require, say_times
from jobs.worker.runner import attempt, settle
from project.transactions import on_end

#: The connection that the jobs of a fake are on while they run.
CONNECTION: Final = "fake"
_WORKER: Final = "fake"

#: Jobs of a class, or those of which something is true.
type Choice = type[Job] | Callable[[Job], object]


@dataclass(frozen=True, slots=True)
class Dispatched:
    """One dispatch that was taken."""

    job: Job
    #: None where the job was to run at once.
    record: Record | None


class JobsFake:
    """Takes all jobs that are dispatched within the block, in any thread, also within transactions.

    A job counts as dispatched as soon as its code says so; when the transaction is rolled back it doesn't any more.
    Members of batches count as batched, not as dispatched. What is looked at are the jobs themselves.
    """

    def __init__(self, *, only: Iterable[Choice] = (), except_: Iterable[Choice] = ()) -> None:
        """Take what is taken (all by default), and what is sent and run as ever."""
        self._only = list(only)
        self._except = list(except_)
        self._is_restoring = False
        self._lock = RLock()
        self._now: datetime | None = None
        self._dispatched: list[Dispatched] = []
        self._chains: list[list[object]] = []
        self._batches: list[PendingBatch] = []
        self._jobs: dict[UUID, Job] = {}
        self._outer: list[Outlet | None] = []
        self._driver = MemoryDriver(CONNECTION, clock=self.get_now, on_push=self._note_pushed)
        self._coordinator = MemoryCoordinator(self.get_now)

    def __enter__(self) -> Self:
        """Begin to take jobs."""
        self._outer.append(Current.outlet)
        Current.outlet = self
        return self

    def __exit__(self, *_: object) -> None:
        """Let jobs go their way again."""
        Current.outlet = self._outer.pop()

    def only(self, *choices: Choice) -> Self:
        """Take these jobs alone; others are sent and run as ever."""
        self._only += choices
        return self

    def except_(self, *choices: Choice) -> Self:
        """Let these jobs be sent and run as ever."""
        self._except += choices
        return self

    def serialize_and_restore(self) -> Self:
        """Look at each job as a worker would get it, so that what can't travel is missed."""
        self._is_restoring = True
        return self

    # --- What was taken

    def dispatched[J: Job](self, job_class: type[J], where: Callable[[J], object] | None = None) -> list[J]:
        """Return the jobs of a class that were dispatched, in whatever way, in order."""
        return _select([one.job for one in self._list()], job_class, where)

    def dispatched_now[J: Job](self, job_class: type[J], where: Callable[[J], object] | None = None) -> list[J]:
        """Return the jobs of a class that were to run at once."""
        return _select([one.job for one in self._list() if one.record is None], job_class, where)

    def dispatched_on[J: Job](
        self, queue: str, job_class: type[J], where: Callable[[J], object] | None = None
    ) -> list[J]:
        """Return the jobs of a class that were sent to a queue."""
        return _select([one.job for one in self._list() if one.record and one.record.queue == queue], job_class, where)

    def batched(self, where: Callable[[PendingBatch], object] | None = None) -> list[PendingBatch]:
        """Return the batches that were dispatched."""
        with self._lock:
            return [one for one in self._batches if where is None or where(one)]

    def chained(self) -> list[list[object]]:
        """Return the chains that were dispatched: jobs and batches, the first link first."""
        with self._lock:
            return [list(links) for links in self._chains]

    def list_jobs(self, *, queue: str | None = None, state: JobState | None = None) -> Sequence[StoredJob]:
        """Return what has not ended yet: ``waiting``, ``delayed`` or ``running``, in the order of running."""
        return self._driver.list_jobs(queue=queue, state=state, limit=1_000_000)

    def size(self, queue: str | None = None, *, state: JobState | None = None) -> int:
        """Return how many jobs have not ended yet."""
        return len(self.list_jobs(queue=queue, state=state))

    def dispatch_fake_batch(self, name: str = "") -> Batch:
        """Return a batch without jobs, for code that needs one."""
        return batch([]).name(name).dispatch()

    # --- What is required

    def assert_dispatched[J: Job](
        self, job_class: type[J], *, times: int | None = None, where: Callable[[J], object] | None = None
    ) -> None:
        """Require that a job of the class was dispatched, in whatever way; so many times where that is said."""
        __tracebackhide__ = True
        found = self.dispatched(job_class, where)
        require(job_class, found, times, "dispatched")

    def assert_dispatched_once[J: Job](self, job_class: type[J], *, where: Callable[[J], object] | None = None) -> None:
        """Require that one job of the class was dispatched."""
        __tracebackhide__ = True
        found = self.dispatched(job_class, where)
        require(job_class, found, 1, "dispatched")

    def assert_dispatched_times[J: Job](
        self, job_class: type[J], times: int = 1, *, where: Callable[[J], object] | None = None
    ) -> None:
        """Require that so many jobs of the class were dispatched."""
        __tracebackhide__ = True
        found = self.dispatched(job_class, where)
        require(job_class, found, times, "dispatched")

    def assert_not_dispatched[J: Job](self, job_class: type[J], *, where: Callable[[J], object] | None = None) -> None:
        """Require that no job of the class was dispatched."""
        __tracebackhide__ = True
        found = self.dispatched(job_class, where)
        forbid(job_class, found, "dispatched")

    def assert_dispatched_now[J: Job](
        self, job_class: type[J], *, times: int | None = None, where: Callable[[J], object] | None = None
    ) -> None:
        """Require that a job of the class was to run at once."""
        __tracebackhide__ = True
        found = self.dispatched_now(job_class, where)
        require(job_class, found, times, "dispatched at once")

    def assert_not_dispatched_now[J: Job](
        self, job_class: type[J], *, where: Callable[[J], object] | None = None
    ) -> None:
        """Require that no job of the class was to run at once."""
        __tracebackhide__ = True
        found = self.dispatched_now(job_class, where)
        forbid(job_class, found, "dispatched at once")

    def assert_dispatched_on[J: Job](
        self, queue: str, job_class: type[J], *, times: int | None = None, where: Callable[[J], object] | None = None
    ) -> None:
        """Require that a job of the class was sent to a queue."""
        __tracebackhide__ = True
        found = self.dispatched_on(queue, job_class, where)
        require(job_class, found, times, f"dispatched on {queue}")

    def assert_nothing_dispatched(self) -> None:
        """Require that no job was dispatched, in whatever way; batches are another matter."""
        __tracebackhide__ = True
        if names := [type(one.job).__qualname__ for one in self._list()]:
            raise AssertionError(list_names("The following jobs were dispatched unexpectedly:", names))

    def assert_count(self, count: int) -> None:
        """Require that so many jobs were sent in all."""
        __tracebackhide__ = True
        found = sum(one.record is not None for one in self._list())
        if found != count:
            message = f"{say_times(found, 'job was', 'jobs were')} sent instead of {count}."
            raise AssertionError(message)

    def assert_dispatched_with_chain[J: Job](
        self, job_class: type[J], expected: Sequence[Expected], *, where: Callable[[J], object] | None = None
    ) -> None:
        """Require that a job of the class was dispatched which just these jobs follow."""
        __tracebackhide__ = True
        self.assert_dispatched(job_class, where=where)
        if not expected:
            raise AssertionError("The expected chain can not be empty; use assert_dispatched_without_chain.")
        jobs = self.dispatched(job_class, where)
        chains = [links for links in self.chained() if any(links[0] is job for job in jobs)]
        if not any(matches_all(links[1:], expected) for links in chains):
            raise AssertionError("The expected chain was not dispatched.")

    def assert_dispatched_without_chain[J: Job](
        self, job_class: type[J], *, where: Callable[[J], object] | None = None
    ) -> None:
        """Require that a job of the class was dispatched which nothing follows."""
        __tracebackhide__ = True
        self.assert_dispatched(job_class, where=where)
        firsts = [links[0] for links in self.chained() if len(links) > 1]
        if all(any(first is job for first in firsts) for job in self.dispatched(job_class, where)):
            raise AssertionError("The expected job was dispatched with a chain.")

    def assert_chained(self, expected: Sequence[Expected]) -> None:
        """Require that a chain of just these links was dispatched."""
        __tracebackhide__ = True
        if not expected:
            raise AssertionError("The expected chain can not be empty.")
        if not any(matches_all(links, expected) for links in self.chained()):
            raise AssertionError("The expected chain was not dispatched.")

    def assert_nothing_chained(self) -> None:
        """Require that no chain was dispatched."""
        __tracebackhide__ = True
        if chains := self.chained():
            names = [" → ".join(name(link) for link in links) for links in chains]
            raise AssertionError(list_names("The following chains were dispatched unexpectedly:", names))

    def assert_batched(self, expected: Callable[[PendingBatch], object] | Sequence[Expected]) -> None:
        """Require that a batch was dispatched of which something is true, or which holds just these jobs."""
        __tracebackhide__ = True
        found = self.batched(expected if callable(expected) else lambda one: has_jobs(one, expected))
        if not found:
            raise AssertionError("The expected batch was not dispatched.")

    def assert_batch_count(self, count: int) -> None:
        """Require that so many batches were dispatched."""
        __tracebackhide__ = True
        found = len(self.batched())
        if found != count:
            message = f"{say_times(found, 'batch was', 'batches were')} dispatched instead of {count}."
            raise AssertionError(message)

    def assert_nothing_batched(self) -> None:
        """Require that no batch was dispatched."""
        __tracebackhide__ = True
        if batches := self.batched():
            names = [name(job) for one in batches for job in one.jobs]
            raise AssertionError(list_names("The following batched jobs were dispatched unexpectedly:", names))

    def assert_nothing_placed(self) -> None:
        """Require that neither a job, nor a chain, nor a batch was dispatched."""
        __tracebackhide__ = True
        self.assert_nothing_dispatched()
        self.assert_nothing_chained()
        self.assert_nothing_batched()

    # --- Running

    def run_pending(self, *, now: datetime | None = None, limit: int = 10_000) -> int:
        """Run what is due, also what comes up meanwhile, as a worker would; return how many tries that were.

        Middleware, tries, chains, batches and failed jobs are the real ones, in the database. A job that is put back
        runs again only when its wait is over: with a later ``now``, or when the clock has been set on.

        Args:
            now: The moment; ``timezone.now()`` by default, as often as it is asked.
            limit: Stop after so many tries.
        """
        before, self._now = self._now, now or self._now
        try:
            for tries in range(limit):
                claims = self._driver.claim(queues=(), worker=_WORKER)
                if not claims:
                    return tries
                settle(claims[0], attempt(claims[0], now=self.get_now()), now=self.get_now())
        finally:
            self._now = before
        return limit

    def get_now(self) -> datetime:
        """Return the time of the fake."""
        return self._now or timezone.now()

    # --- What dispatch tells (``jobs.outlet.Outlet``)

    def note_job(self, job: object) -> None:
        """Keep a job, so that the test gets this very one."""
        if isinstance(job, Job):
            with self._lock:
                self._jobs[job.job_id] = job
            if job.get_links():
                self._note_links([job])

    def note_chain(self, links: Sequence[object]) -> None:
        """Keep a chain."""
        self._note_links(links)

    def note_batch(self, pending: object) -> None:
        """Keep a batch."""
        if isinstance(pending, PendingBatch):
            with self._lock:
                self._batches.append(pending)

    def take_now(self, job: object) -> bool:
        """Take a job that was to run at once."""
        if not isinstance(job, Job) or not self._wants(job):
            return False
        with self._lock:
            self._dispatched.append(Dispatched(self._restore(job, job.make_record()), None))
        return True

    def pick(self, records: Sequence[Record]) -> tuple[list[Record], list[Record]]:
        """Return the jobs that are taken, and the others."""
        taken: list[Record] = []
        others: list[Record] = []
        for record in records:
            (taken if self._takes(record) else others).append(record)
        return taken, others

    def get_driver(self) -> MemoryDriver:
        """Return where the jobs are."""
        return self._driver

    def get_coordinator(self) -> MemoryCoordinator:
        """Return where locks and limits are."""
        return self._coordinator

    def _list(self) -> list[Dispatched]:
        with self._lock:
            return list(self._dispatched)

    def _note_links(self, links: Sequence[object]) -> None:
        flat = flatten(links)
        with self._lock:
            self._chains.append(flat)
            self._jobs.update({link.job_id: link for link in flat if isinstance(link, Job)})

    def _note_pushed(self, message: Message) -> None:
        record = read_payload(message.payload)
        if record.batch_id is not None or record.job_class == CALLBACK_JOB or record.is_retry:
            return
        one = Dispatched(self._get_job(record), record)
        with self._lock:
            self._dispatched.append(one)
        if transaction.get_connection().in_atomic_block:
            on_end(rollback=lambda: self._take_back(one))

    def _take_back(self, one: Dispatched) -> None:
        """Forget a job whose transaction was rolled back."""
        with self._lock:
            self._dispatched = [other for other in self._dispatched if other is not one]
            self._chains = [links for links in self._chains if links[0] is not one.job]
        self._driver.remove([one.job.job_id])

    def _get_job(self, record: Record) -> Job:
        job = self._jobs.get(record.job_id)
        if job is None:
            job = build_job(find_class(record), record)
            job.options.queue = record.queue
        return self._restore(job, record)

    def _restore(self, job: Job, record: Record) -> Job:
        return build_job(type(job), record) if self._is_restoring else job

    def _takes(self, record: Record) -> bool:
        return record.job_class == CALLBACK_JOB or self._wants(self._jobs.get(record.job_id) or self._get_job(record))

    def _wants(self, job: Job) -> bool:
        if any(_fits(job, choice) for choice in self._except):
            return False
        return not self._only or any(_fits(job, choice) for choice in self._only)


def _fits(job: Job, choice: Choice) -> bool:
    return type(job) is choice if isinstance(choice, type) else bool(choice(job))


def _select[J: Job](jobs: Iterable[Job], job_class: type[J], where: Callable[[J], object] | None) -> list[J]:
    return [job for job in jobs if type(job) is job_class and (where is None or where(job))]
