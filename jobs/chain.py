"""Chains: jobs that follow each other, each when the one before has ended well.

::

    chain([ExtractJob(), TransformJob(), batch([…]), LoadJob()]).name("ETL").catch(report).dispatch()
"""

from collections.abc import Iterable
from typing import Any, Self
from uuid import UUID, uuid4

from django.db import transaction

from jobs.batch import Callback, PendingBatch, encode_callback
from jobs.exceptions import JobOptionError
from jobs.job import InnerHandle, Job, PendingDispatch
from jobs.job.records import encode_links, resolve_options
from jobs.options import Delay, JobOptions
from jobs.outlet import Current
from jobs.payload import Record
from jobs.services import send, start_link


class ChainableJob(InnerHandle):
    """A job that changes what follows it while it runs: ``append_to_chain`` and ``prepend_to_chain``."""


class PendingChain:
    """A chain of which more can be said before it is sent."""

    def __init__(self, jobs: "Iterable[Job | PendingDispatch | PendingBatch | None]") -> None:
        """Take the links; None among them is left out.

        Raises:
            JobOptionError: There are none.
        """
        self._links = [job for job in jobs if job is not None]
        if not self._links:
            message = "A chain needs a job."
            raise JobOptionError(message)
        self._name = ""
        self._catch: list[Callback] = []
        self._queue = ""
        self._connection = ""
        self._delay: Delay | None = None
        self._is_after_commit: bool | None = None

    @property
    def links(self) -> "list[Job | PendingDispatch | PendingBatch]":
        """The links, the first one first."""
        return list(self._links)

    def get_name(self) -> str:
        """Return its name, empty where it has none."""
        return self._name

    def name(self, name: str) -> Self:
        """Say what people call it."""
        self._name = name
        return self

    def catch(self, *callbacks: Callback) -> Self:
        """Call when a link has failed, after which none follows: ``function(failure)``."""
        for callback in callbacks:
            encode_callback(callback)  # what can't travel is heard here
        self._catch += callbacks
        return self

    def on_queue(self, queue: str) -> Self:
        """Let links that say nothing themselves wait in this queue."""
        self._queue = queue
        return self

    def on_connection(self, connection: str) -> Self:
        """Send links that say nothing themselves to this connection."""
        self._connection = connection
        return self

    def delay_until(self, delay: Delay) -> Self:
        """Let the first link wait; see ``Job.delay_until``."""
        JobOptions(delay=delay).check(about="chain")
        self._delay = delay
        return self

    def before_commit(self) -> Self:
        """Send it at once, as far as the connection can."""
        self._is_after_commit = False
        return self

    def dispatch(self) -> UUID:
        """Send the first link, which carries the others; return its id, or that of the batch that it is.

        Raises:
            JobArgumentError: An argument of a job can't be stored.
            JobOptionError: An option is out of range.
            QueueFullError: The queue of the first link has no room.
        """
        first = self._links[0]
        if self._delay is not None and not isinstance(first, PendingBatch):
            first.get_job().options.delay = self._delay
        links = encode_links(self._links, queue=self._queue, connection=self._connection)
        chain = {"links": links, "name": self._name, "queue": self._queue}
        if self._catch:
            chain["catch"] = [encode_callback(one) for one in self._catch]
        jobs = [link.get_job() for link in self._links if not isinstance(link, PendingBatch)]
        for job in jobs:
            job.authorize_dispatch()
        if Current.outlet is not None and Current.outlet.take_chain(self, self._links, _get_first_record(links)):
            return _get_id(links[0])
        with transaction.atomic():
            records = start_link(chain, seed=_get_id(links[0]))
            send(records, is_after_commit=self._wants_commit(first))
        return records[0].batch_id or records[0].job_id if records else _get_id(links[0])

    def dispatch_if(self, condition: object) -> UUID | None:
        """Send it where the condition (or what it returns, if it can be called) is true."""
        return self.dispatch() if (condition() if callable(condition) else condition) else None

    def dispatch_unless(self, condition: object) -> UUID | None:
        """Send it where the condition is false."""
        return None if (condition() if callable(condition) else condition) else self.dispatch()

    def _wants_commit(self, first: object) -> bool:
        if self._is_after_commit is not None:
            return self._is_after_commit
        if isinstance(first, Job | PendingDispatch):
            job = first.get_job()
            return resolve_options(type(job), job.options).is_after_commit
        return True


def chain(jobs: "Iterable[Job | PendingDispatch | PendingBatch | None]") -> PendingChain:
    """Return a chain in the making. Raises as ``PendingChain`` does."""
    return PendingChain(jobs)


def _get_first_record(links: list[dict[str, Any]]) -> Record | None:  # Any: JSON
    return Record.from_json(links[0]["record"]) if "record" in links[0] else None


def _get_id(link: dict[str, Any]) -> UUID:  # Any: JSON
    """Return the id of a link that is a job; a new one where it is a batch, whose id is made from it."""
    return UUID(link["record"]["job_id"]) if "record" in link else uuid4()
