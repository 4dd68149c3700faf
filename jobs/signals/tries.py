"""Facts about the tries of a job, how they end, and what people do to jobs by hand."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from jobs.signals.dispatch import JobFact
from project.signals import FactSignal


@dataclass(frozen=True, slots=True, kw_only=True)
class JobTryFact(JobFact):
    """What every fact about one try of a job tells."""

    #: Its number, from 1.
    attempt: int


@dataclass(frozen=True, slots=True, kw_only=True)
class JobClaiming:
    """A worker is about to look for a job."""

    worker: str
    #: Those that it serves; empty: all.
    queues: Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class JobClaimed(JobTryFact):
    """A worker has claimed a job."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JobProcessing(JobTryFact):
    """A job is about to run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JobAttempted(JobTryFact):
    """A try is over, however it ended."""

    duration: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class JobProcessed(JobTryFact):
    """A job ran to its end."""

    duration: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class JobExceptionOccurred(JobTryFact):
    """A job raised."""

    error: Exception = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class JobReleased(JobTryFact):
    """A job was put back for another try."""

    available_at: datetime
    #: What it raised; None where the job itself or its middleware asked for it.
    error: Exception | None = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class JobTimedOut(JobTryFact):
    """A try was stopped because it took too long."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JobFailed(JobFact):
    """A job was moved to the failed jobs."""

    #: How many tries it had.
    attempts: int
    error: Exception = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class JobQuarantined(JobFact):
    """A record that can't be trusted or read was moved to the failed jobs, unrun; ``JobFailed`` follows."""

    error: Exception = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class JobRetryRequested(JobFact):
    """Somebody asked for a failed job to be tried again."""


job_claiming = FactSignal[JobClaiming]()
job_claimed = FactSignal[JobClaimed]()
job_processing = FactSignal[JobProcessing]()
job_attempted = FactSignal[JobAttempted]()
job_processed = FactSignal[JobProcessed]()
job_exception_occurred = FactSignal[JobExceptionOccurred]()
job_released = FactSignal[JobReleased]()
job_timed_out = FactSignal[JobTimedOut]()
job_failed = FactSignal[JobFailed]()
job_quarantined = FactSignal[JobQuarantined]()


@dataclass(frozen=True, slots=True, kw_only=True)
class JobsSteered:
    """Jobs were retried, discarded or cancelled by hand: one, or a part of what a search finds; or cleared queues."""

    #: ``retry``, ``discard``, ``cancel``, ``cancel_batch`` or ``clear``.
    steer: str
    count: int
    #: Which one, or what was looked for.
    about: Mapping[str, str]


jobs_steered = FactSignal[JobsSteered]()
job_retry_requested = FactSignal[JobRetryRequested]()
