"""Facts about queues and the stores that hold them."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from project.signals import FactSignal


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
