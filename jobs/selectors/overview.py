"""All queues, workers and figures of a moment: what every dashboard shows first."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal

from django.utils import timezone

from jobs.drivers.inventory import QueueFigures
from jobs.models.queued import EVERY_QUEUE
from jobs.selectors.connections import ConnectionState, list_connection_states
from jobs.selectors.failed import count_open_failures
from jobs.selectors.queues import OutboxFigures, list_outbox_figures
from jobs.selectors.tries import TryStatistics, get_queue_tries, get_try_statistics
from jobs.selectors.workers import WorkerStatus, list_workers

_FIVE_MINUTES: Final = timedelta(minutes=5)
_HOUR: Final = timedelta(hours=1)
_EMPTY: Final = QueueFigures(waiting=0, delayed=0, running=0, oldest_due_at=None)
_NOTHING: Final = TryStatistics(span=_HOUR)
_NOTHING_LATELY: Final = TryStatistics(span=_FIVE_MINUTES)


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueOverview:
    """One queue of one connection."""

    connection: str
    queue: str
    waiting_count: int
    delayed_count: int
    running_count: int
    #: Failed jobs that nobody has put back.
    failed_count: int
    #: How long the oldest job that is due has waited; None when nothing waits.
    oldest_wait: timedelta | None
    is_paused: bool
    #: What to resume so that it goes on: its own name, or ``*`` where all of its connection rest.
    paused_by: str
    #: When the pause ends by itself; None where somebody has to end it, or there is none.
    paused_until: datetime | None
    #: Workers that are alive and take its jobs.
    worker_count: int
    #: Tries of the last five minutes, and of the last hour, with percentiles.
    lately: TryStatistics
    hourly: TryStatistics


@dataclass(frozen=True, slots=True, kw_only=True)
class Most:
    """The most of something, and who holds it: a queue, or a class of jobs."""

    name: str
    value: timedelta | float
    #: That of the queue; empty for a class.
    connection: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    """The whole house."""

    at: datetime
    #: ``inactive`` where no worker is alive, ``paused`` where all that are rest or each queue does.
    status: Literal["running", "paused", "inactive"]
    #: Jobs that were done per minute of the last five, and in the last hour.
    per_minute: float
    processed_count: int
    #: Tries that were the last ones, in the last hour, and failed jobs that nobody has put back.
    failed_count: int
    open_failed_count: int
    #: Jobs in all queues.
    waiting_count: int
    delayed_count: int
    running_count: int
    #: The queue whose oldest due job has waited longest; the class that ran longest, and the queue that was fastest, of
    #: the last hour.
    longest_wait: Most | None
    longest_run: Most | None
    fastest: Most | None
    queues: Sequence[QueueOverview]
    #: Dead ones included, for an hour.
    workers: Sequence[WorkerStatus]
    outbox: Sequence[OutboxFigures]
    #: Connections of which all queues rest, and until when.
    resting: Mapping[str, datetime | None]
    #: Connections that don't answer.
    away: Sequence[str]

    @property
    def alive_workers(self) -> Sequence[WorkerStatus]:
        """Those that are alive."""
        return [worker for worker in self.workers if worker.is_alive]


def get_overview(*, now: datetime | None = None) -> Overview:
    """Return all that a dashboard shows first, in a number of questions that doesn't grow with the house.

    Args:
        now: The present; None takes the clock of each store for what it holds, and that of this host for all else.
    """
    states = list_connection_states(now=now)
    now = now or timezone.now()
    workers = list_workers(now=now)
    queues = _list_queues(states, workers, now)
    classes = get_try_statistics(since=now - _HOUR, until=now, by="job_class")
    alive = [worker for worker in workers if worker.is_alive]
    waits = {(queue.connection, queue.queue): queue.oldest_wait or timedelta(0) for queue in queues}
    speeds = {(queue.connection, queue.queue): queue.lately.processed_per_minute for queue in queues}
    runs = {("", name or "?"): one.longest_run for name, one in classes.items()}
    resting = {one.connection: one.pauses[EVERY_QUEUE] for one in states if EVERY_QUEUE in one.pauses}
    return Overview(
        at=now,
        status=_get_status(alive, queues, has_rest=bool(resting)),
        per_minute=sum(queue.lately.processed_per_minute for queue in queues),
        processed_count=sum(queue.hourly.processed_count for queue in queues),
        failed_count=sum(queue.hourly.failed_count for queue in queues),
        open_failed_count=sum(queue.failed_count for queue in queues),
        waiting_count=sum(queue.waiting_count for queue in queues),
        delayed_count=sum(queue.delayed_count for queue in queues),
        running_count=sum(queue.running_count for queue in queues),
        longest_wait=_find_most(waits, timedelta(0)),
        longest_run=_find_most(runs, timedelta(0)),
        fastest=_find_most(speeds, 0.0),
        queues=queues,
        workers=workers,
        outbox=list_outbox_figures(now=now),
        resting=resting,
        away=[state.connection for state in states if not state.is_up],
    )


def _list_queues(
    states: Sequence[ConnectionState], workers: Sequence[WorkerStatus], now: datetime
) -> list[QueueOverview]:
    """Return the queues that hold a job, a failed job or a pause, or were worked on in the last hour."""
    figures = {(state.connection, queue): one for state in states for queue, one in state.figures.items()}
    waits = {(state.connection, one.queue): one.oldest_wait for state in states for one in state.queues}
    pauses = {(state.connection, queue): until for state in states for queue, until in state.pauses.items()}
    failed = count_open_failures()
    lately = get_queue_tries(since=now - _FIVE_MINUTES, until=now)
    hourly = get_queue_tries(since=now - _HOUR, until=now, has_percentiles=True)
    resting = {key for key in pauses if key[1] != EVERY_QUEUE}
    found = []
    for connection, queue in sorted({*figures, *failed, *hourly, *resting}):
        key = (connection, queue)
        held = figures.get(key, _EMPTY)
        pause = key if key in pauses else (connection, EVERY_QUEUE)
        found.append(
            QueueOverview(
                connection=connection,
                queue=queue,
                waiting_count=held.waiting,
                delayed_count=held.delayed,
                running_count=held.running,
                failed_count=failed.get(key, 0),
                oldest_wait=waits.get(key),
                is_paused=pause in pauses,
                paused_by=pause[1] if pause in pauses else "",
                paused_until=pauses.get(pause),
                worker_count=sum(one.is_alive and one.serves(queue, connection) for one in workers),
                lately=lately.get(key, _NOTHING_LATELY),
                hourly=hourly.get(key, _NOTHING),
            )
        )
    return found


def _get_status(
    alive: Sequence[WorkerStatus], queues: Sequence[QueueOverview], *, has_rest: bool
) -> Literal["running", "paused", "inactive"]:
    if not alive:
        return "inactive"
    are_paused = all(queue.is_paused for queue in queues) if queues else has_rest
    is_resting = all(worker.is_resting for worker in alive) or are_paused
    return "paused" if is_resting else "running"


def _find_most[V: (timedelta, float)](values: Mapping[tuple[str, str], V], nothing: V) -> Most | None:
    """Return the most of what is given by connection and name; None where that is nothing."""
    key = max(values, key=lambda one: values[one], default=None)
    if key is None or values[key] <= nothing:
        return None
    return Most(connection=key[0], name=key[1], value=values[key])
