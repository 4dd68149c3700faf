"""What can be in a batch, what it can call, and both as they travel."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from importlib import import_module
from typing import Any

from jobs.callables import name_callable
from jobs.exceptions import NotBatchableError
from jobs.job import Job, PendingDispatch, make_record, records
from jobs.job.records import PlannedBatch, encode_links, wrap_chain
from jobs.payload import Record

#: What can be in a batch: jobs, batches, and lists of both, which are chains. None is left out.
type Members = Iterable["Job | PendingDispatch | PlannedBatch | Members | None"]
type Member = Job | PendingDispatch | PlannedBatch | Sequence[Member]
#: What can be called: a function of the batch, or a job to be sent.
type Callback = Callable[..., object] | Job | PendingDispatch


def check_members(jobs: Members) -> Iterator[Member]:
    """Return what is in a batch, without what is empty.

    Raises:
        NotBatchableError: A job isn't a ``BatchableJob``.
    """
    for member in jobs:
        if isinstance(member, PlannedBatch):
            yield member
        elif isinstance(member, Job | PendingDispatch):
            _check_job(member.get_job())
            yield member
        elif member and not isinstance(member, list | tuple | Iterator):
            message = f"{type(member).__name__} can't be in a batch: it is no job."
            raise NotBatchableError(message)
        elif member and (members := list(check_members(member))):
            yield members


def flatten(members: Iterable[Member]) -> "Iterator[Job | PlannedBatch]":
    """Return the jobs and batches in their order; lists within lists are one chain."""
    for member in members:
        if isinstance(member, Job | PendingDispatch):
            yield member.get_job()
        elif isinstance(member, PlannedBatch):
            yield member
        else:
            yield from flatten(member)


def list_jobs(members: Iterable[Member]) -> list[Job]:
    """Return all jobs, with those of batches and those that follow others."""
    return records.list_jobs(flatten(members))


def make_records(members: Iterable[Member], *, queue: str, connection: str) -> Iterator[Record]:
    """Return the jobs of a batch as they travel; a list among them becomes a job that carries its chain.

    A batch among them becomes a job that does nothing, which the batch follows.
    """
    for member in members:
        links = list(flatten([member]))
        first = links[0]
        if not isinstance(first, Job):
            first = import_module("jobs.batch.stored").OpenBatchJob()  # it stands above this module
            links.insert(0, first)
        record = make_record(first, queue=queue, connection=connection)
        words = {
            "queue": first.options.chain_queue or queue,
            "connection": first.options.chain_connection or connection,
        }
        followers = encode_links([*first.get_links(), *links[1:]], **words)
        yield wrap_chain(record, followers, **words) if followers else record


def encode_callback(callback: Callback) -> dict[str, Any]:  # Any: JSON
    """Return a callback as it travels.

    Raises:
        JobDefinitionError: It is a lambda, a closure or a method.
    """
    if isinstance(callback, Job | PendingDispatch):
        return {"job": callback.get_job().make_record().as_json()}
    return {"function": name_callable(callback)}


def _check_job(job: Job) -> None:
    module = import_module("jobs.batch.stored")  # it stands above this module
    if not isinstance(job, module.BatchableJob):
        message = f"{type(job).__name__} can't be in a batch: it isn't a BatchableJob."
        raise NotBatchableError(message)
    for link in job.get_links():
        if isinstance(link, Job | PendingDispatch):
            _check_job(link.get_job())
