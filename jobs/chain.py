"""Chains: jobs that follow each other, each when the one before has ended well.

::

    chain([ExtractJob(), TransformJob(), batch([…]), LoadJob()]).name("ETL").catch(report).dispatch()
"""

from collections.abc import Iterable
from dataclasses import replace
from typing import Self, override
from uuid import UUID, uuid4

from jobs.batch import Callback, PendingBatch, encode_callback
from jobs.batch.stored import note_members_sent
from jobs.exceptions import JobDefinitionError, JobOptionError
from jobs.job import InnerHandle, Job, PendingDispatch
from jobs.job.fluent import PendingGroup
from jobs.job.records import encode_links, note_sent, renew_ids, waits_for_commit
from jobs.options import Delay, JobOptions
from jobs.outlet import Current
from jobs.payload import Record
from jobs.services import BatchPlan, send, send_batch

#: What can be a link of a chain.
type Links = Iterable[Job | PendingDispatch | PendingBatch | None]


class ChainableJob(InnerHandle):
    """A job that changes what follows it while it runs: ``append_to_chain`` and ``prepend_to_chain``."""


class PendingChain(PendingGroup[UUID]):
    """A chain of which more can be said before it is sent."""

    kind = "chain"

    def __init__(self, jobs: Links = ()) -> None:
        """Take the links; what is empty among them is left out.

        Raises:
            JobDefinitionError: One is neither a job nor a batch.
        """
        super().__init__()
        self._links = _take(jobs)
        self._catch: list[Callback] = []
        self._delay: Delay | None = None
        self._is_after_commit: bool | None = None

    @property
    def links(self) -> list[Job | PendingDispatch | PendingBatch]:
        """The links, the first one first."""
        return list(self._links)

    def append(self, *jobs: Job | PendingDispatch | PendingBatch | None) -> Self:
        """Add links at the end."""
        self._links += _take(jobs)
        return self

    def prepend(self, *jobs: Job | PendingDispatch | PendingBatch | None) -> Self:
        """Add links, in their order, before all others."""
        self._links[:0] = _take(jobs)
        return self

    def catch(self, *callbacks: Callback) -> Self:
        """Call when a link has failed, after which none follows: ``function(failure)``."""
        for callback in callbacks:
            encode_callback(callback)  # what can't travel is heard here
        self._catch += callbacks
        return self

    def delay_until(self, delay: Delay) -> Self:
        """Let the first link wait; see ``Job.delay_until``. A batch doesn't wait: its jobs say so themselves."""
        JobOptions(delay=delay).check(about="chain")
        self._delay = delay
        return self

    def before_commit(self) -> Self:
        """Send it at once, as far as the connection can; a chain that begins with a batch goes with the commit."""
        self._is_after_commit = False
        return self

    @override
    def dispatch(self) -> UUID:
        """Send the first link, which carries the others; return its id, or that of the batch that it is.

        Each dispatch makes another chain, of other jobs.

        Raises:
            JobArgumentError: An argument of a job can't be stored.
            JobOptionError: An option is out of range, or there is no link.
            JobRefusedError: The acting user lacks a permission that a job requires.
            QueueFull: The queue of the first link has no room.
        """
        if not self._links:
            message = "A chain needs a job."
            raise JobOptionError(message)
        first = self._links[0]
        if self._delay is not None and not isinstance(first, PendingBatch):
            first.get_job().options.delay = self._delay
        jobs = renew_ids(self._links)
        link, *links = encode_links(self._links, queue=self._queue, connection=self._connection)
        words = {"links": links, "name": self._name, "queue": self._queue, "connection": self._connection}
        chain = {name: value for name, value in words.items() if value}
        chain["links"] = links
        if self._catch:
            chain["catch"] = [encode_callback(one) for one in self._catch]
        if Current.outlet is not None:
            Current.outlet.note_chain(self._links)
        if "batch" in link:
            first_id = send_batch(plan=BatchPlan.from_json(link["batch"]), batch_id=uuid4(), chain=chain).id
            note_members_sent(jobs, first_id)
        else:
            record = replace(Record.from_json(link["record"]), chain=chain)
            note_sent(jobs, is_sent=bool(send([record], is_after_commit=self._wants_commit(first))))
            first_id = record.job_id
        return first_id

    def _wants_commit(self, first: object) -> bool:
        if self._is_after_commit is not None:
            return self._is_after_commit
        if isinstance(first, Job | PendingDispatch):
            return waits_for_commit(first.get_job())
        return True


def chain(jobs: Links = ()) -> PendingChain:
    """Return a chain in the making."""
    return PendingChain(jobs)


def _take(jobs: Iterable[object]) -> list[Job | PendingDispatch | PendingBatch]:
    taken: list[Job | PendingDispatch | PendingBatch] = []
    for job in jobs:
        if isinstance(job, Job | PendingDispatch | PendingBatch):
            taken.append(job)
        elif job:
            message = f"{type(job).__name__} can't be a link of a chain: it is no job and no batch."
            raise JobDefinitionError(message)
    return taken
