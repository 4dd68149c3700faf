"""What each connection holds, queue by queue, and whether it answers."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

import structlog

from jobs.conf import get_job_settings
from jobs.drivers.base import UNKNOWN, QueueDriver, get_driver
from jobs.drivers.inventory import QueueFigures
from jobs.models.queued import EVERY_QUEUE
from jobs.queues import get_queue, list_queue_names
from jobs.selectors.stores import list_stores

_EMPTY: Final = QueueFigures(waiting=0, delayed=0, running=0, oldest_due_at=None)
_log: Final = structlog.get_logger("gatehouse.jobs")


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueState:
    """What one queue of a connection holds."""

    queue: str
    figures: QueueFigures
    #: How long the oldest job that is due has waited; None when nothing waits.
    oldest_wait: timedelta | None
    #: Whether it rests, by itself or because all of the connection do.
    is_paused: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionState:
    """What a connection holds; nothing where it doesn't answer."""

    connection: str
    is_up: bool
    #: When it was asked, by its own clock.
    at: datetime = UNKNOWN
    #: What each queue holds that holds a job.
    figures: Mapping[str, QueueFigures] = field(default_factory=dict)
    #: Queues that rest, and until when; ``*`` for all.
    pauses: Mapping[str, datetime | None] = field(default_factory=dict)

    @property
    def queues(self) -> list[QueueState]:
        """The queues that hold a job, rest, or are known to be of this connection, by name; none where it is away."""
        names = {*self.figures, *self.pauses, *_list_own_queues(self.connection)} if self.is_up else set[str]()
        return [self._describe(name) for name in sorted(names - {EVERY_QUEUE})]

    def _describe(self, queue: str) -> QueueState:
        figures = self.figures.get(queue, _EMPTY)
        due_at = figures.oldest_due_at
        return QueueState(
            queue=queue,
            figures=figures,
            oldest_wait=None if due_at is None else max(self.at - due_at, timedelta(0)),
            is_paused=queue in self.pauses or EVERY_QUEUE in self.pauses,
        )


def list_connection_states(*, is_database_up: bool = True, now: datetime | None = None) -> list[ConnectionState]:
    """Return the state of each connection that keeps jobs itself, in two questions to each, whatever its queues.

    One that doesn't answer within some seconds is told of as that, whatever it raises.

    Args:
        is_database_up: False for callers that have just found out that the database is away, so that nobody waits for
            it again.
        now: The present; None takes the clock of each store.
    """
    return [_look(get_driver(name), is_database_up=is_database_up, now=now) for name in list_stores()]


def _look(driver: QueueDriver, *, is_database_up: bool, now: datetime | None) -> ConnectionState:
    if driver.is_transactional and not is_database_up:
        return ConnectionState(connection=driver.name, is_up=False)
    try:
        now = now or driver.get_now()
        pauses = driver.list_pauses(now=now)  # first: it says within two seconds that a store is away
        figures = driver.measure(now=now)
    except Exception as error:  # noqa: BLE001 - whatever one store raises, the others are to be told of
        _log.warning("connection_left_out", connection=driver.name, error=type(error).__qualname__)
        return ConnectionState(connection=driver.name, is_up=False)
    return ConnectionState(connection=driver.name, is_up=True, at=now, figures=figures, pauses=pauses)


def _list_own_queues(connection: str) -> list[str]:
    """Return the known queues whose jobs take that connection, unless they say otherwise themselves."""
    default = get_job_settings().connection
    return [name for name in list_queue_names() if (get_queue(name).connection or default) == connection]
