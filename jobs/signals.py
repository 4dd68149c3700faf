"""Facts about jobs: what is told of each step, and the Django signals that carry it.

Each is sent robustly: a receiver that raises is logged and stops nobody. No fact shows in its ``repr`` what an
exception says.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol, TypedDict
from uuid import UUID

from project.signals import FactSignal, VetoSignal

# --- Dispatch


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

# --- Tries


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

# --- Batches


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchFact:
    """What every fact about a batch tells."""

    batch_id: UUID
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchDispatched(BatchFact):
    """A batch and its jobs were stored; told after the commit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchStarted(BatchFact):
    """The first job of a batch has ended."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchFinished(BatchFact):
    """All jobs of a batch have ended well; told again where a finished one was added to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchCancelled(BatchFact):
    """A batch was cancelled, by somebody or by a failure."""


batch_dispatched = FactSignal[BatchDispatched]()
batch_started = FactSignal[BatchStarted]()
batch_finished = FactSignal[BatchFinished]()
batch_cancelled = FactSignal[BatchCancelled]()

# --- Queues


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueFact:
    """What every fact about a queue tells."""

    #: ``*`` stands for all.
    queue: str
    connection: str


@dataclass(frozen=True, slots=True, kw_only=True)
class QueuePaused(QueueFact):
    """A queue, or each, was told to rest."""

    #: None: until it is told to go on.
    until: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueResumed(QueueFact):
    """A queue, or each, was told to go on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueBusy(QueueFact):
    """A queue holds more jobs than it should; ``jobs.queues.monitor_queues`` tells."""

    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LongWaitDetected(QueueFact):
    """A job that is due waits for longer than it should; told again only after a while."""

    wait: timedelta
    limit: timedelta
    #: Whether it waits in the outbox, for any queue (``*``) of the connection.
    in_outbox: bool = False
    #: Whether nobody takes it because the queue rests.
    is_paused: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueFailedOver:
    """A connection could not be reached, and the next one was asked."""

    connection: str
    failed_connection: str
    error: Exception = field(repr=False)


queue_paused = FactSignal[QueuePaused]()
queue_resumed = FactSignal[QueueResumed]()
queue_busy = FactSignal[QueueBusy]()
long_wait_detected = FactSignal[LongWaitDetected]()
queue_failed_over = FactSignal[QueueFailedOver]()

# --- Workers


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerFact:
    """What every fact about a worker tells."""

    #: Its name.
    worker: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerStarting(WorkerFact):
    """A worker starts."""

    queues: Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerLooping(WorkerFact):
    """A worker begins a turn: a look for a job, and its run. A receiver that returns False lets it rest this once."""

    queues: Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerIdle(WorkerFact):
    """A worker has found nothing to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerStopping(WorkerFact):
    """A worker ends."""

    #: ``signal``, ``told``, ``max_jobs``, ``max_time``, ``memory``, ``empty`` or ``restart``.
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerInterrupting(WorkerFact):
    """The job in hand was told that its worker is to end."""

    job_id: UUID
    job_class: str
    signal_number: int


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerPausing(WorkerFact):
    """A worker rests until it is told to go on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerResuming(WorkerFact):
    """A worker that rested goes on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerQueuePaused(WorkerFact):
    """A worker noticed that a queue which it serves was told to rest; ``*`` where it serves each, and each rests.

    It asks the store before each look for a job, where somebody listens to this or the next.
    """

    queue: str
    connection: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerQueueResumed(WorkerFact):
    """A worker noticed that such a queue goes on."""

    queue: str
    connection: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerTold(WorkerFact):
    """Somebody told a worker, or all (``*``), to rest, to go on, to stop or to start anew; heard within seconds."""

    #: ``rest``, ``go_on``, ``stop`` or ``restart``.
    wish: str


worker_starting = FactSignal[WorkerStarting]()
worker_looping = VetoSignal[WorkerLooping]()
worker_idle = FactSignal[WorkerIdle]()
worker_stopping = FactSignal[WorkerStopping]()
worker_interrupting = FactSignal[WorkerInterrupting]()
worker_pausing = FactSignal[WorkerPausing]()
worker_resuming = FactSignal[WorkerResuming]()
worker_told = FactSignal[WorkerTold]()
worker_queue_paused = FactSignal[WorkerQueuePaused]()
worker_queue_resumed = FactSignal[WorkerQueueResumed]()

# --- Schedules


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleFact:
    """What every fact about an entry of the schedule tells."""

    #: Its name.
    schedule: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleDispatched(ScheduleFact):
    """An entry was due, and its job was dispatched; told after the commit."""

    run_at: datetime
    job_id: UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleBroken(ScheduleFact):
    """An entry could not be dispatched, for a reason that it didn't have before."""

    problem: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleChanged(ScheduleFact):
    """Somebody changed an entry by hand, or dispatched it besides the runs that it is due for."""

    #: ``enabled``, ``disabled``, ``reset``, ``saved`` or ``run``.
    change: str


schedule_changed = FactSignal[ScheduleChanged]()
schedule_dispatched = FactSignal[ScheduleDispatched]()
schedule_broken = FactSignal[ScheduleBroken]()
