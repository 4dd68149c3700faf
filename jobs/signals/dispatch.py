"""Facts about jobs on their way into a store, and what every fact about a job tells."""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, TypedDict
from uuid import UUID

from project.signals import FactSignal


@dataclass(frozen=True, slots=True, kw_only=True)
class JobFact:
    """What every fact about a job tells."""

    job_id: UUID
    #: Registered name.
    job_class: str
    queue: str
    connection: str


class JobIdentity(TypedDict):
    """The fields of ``JobFact``."""

    job_id: UUID
    job_class: str
    queue: str
    connection: str


class _AboutJob(Protocol):
    @property
    def job_id(self) -> UUID: ...
    @property
    def job_class(self) -> str: ...
    @property
    def queue(self) -> str: ...
    @property
    def connection(self) -> str: ...


def identify(job: _AboutJob) -> JobIdentity:
    """Return what every fact about a job tells."""
    return {"job_id": job.job_id, "job_class": job.job_class, "queue": job.queue, "connection": job.connection}


@dataclass(frozen=True, slots=True, kw_only=True)
class JobQueueing(JobFact):
    """A job is about to be stored; told before the commit."""

    #: On whose behalf; empty where nobody was named.
    actor_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class JobQueued(JobFact):
    """A job was stored, by ``dispatch`` or by a retry; told after the commit."""

    available_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class UniqueJobSkipped(JobFact):
    """A unique job was not stored, because one with its key waits or runs."""

    key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class JobDebounced(JobFact):
    """A job was dropped, because a later one with its key took its place."""

    key: str


job_queueing = FactSignal[JobQueueing]()
job_queued = FactSignal[JobQueued]()
unique_job_skipped = FactSignal[UniqueJobSkipped]()
job_debounced = FactSignal[JobDebounced]()
