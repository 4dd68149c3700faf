"""Facts about workers."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from project.signals import FactSignal, VetoSignal


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
