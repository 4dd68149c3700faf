"""Whether jobs get done, why not, and what to do about it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import IntEnum
from shlex import quote
from typing import Final

from django.db import DatabaseError, InterfaceError
from django.utils import timezone

from jobs.models.queued import EVERY_QUEUE
from jobs.selectors.connections import ConnectionState, list_connection_states
from jobs.selectors.failed import list_failed_jobs
from jobs.selectors.queues import OutboxFigures, list_outbox_figures
from jobs.selectors.waits import describe_long_wait, list_long_waits
from jobs.selectors.workers import WorkerStatus, list_workers
from project.printable import to_printable

#: Failed jobs of so long count.
_LATELY: Final = timedelta(hours=1)


class Health(IntEnum):
    """How well it is; the worse, the more."""

    OK = 0
    #: Jobs get done, but not all, or late.
    DEGRADED = 1
    #: No job gets done, or nobody can tell.
    DOWN = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """What is wrong, and what to do about it; each is a sentence that is safe for a terminal."""

    health: Health
    #: Names the kind.
    code: str
    reason: str
    advice: str
    #: What it is about, as it was named; empty where it is about more, ``*`` where about all queues of a connection.
    connection: str = ""
    queue: str = ""


def list_problems(*, max_failed: int) -> list[Problem]:
    """Return all that is wrong with jobs now, the worst first; nothing raises where a store is away.

    ``max_failed``: so many jobs may have failed in the last hour, and not been put back.
    """
    now = timezone.now()
    try:
        workers, outbox = list_workers(now=now), list_outbox_figures(now=now)
        failed = list_failed_jobs().filter(failed_at__gte=now - _LATELY).count()
    except (DatabaseError, InterfaceError):  # also where its tables are missing
        away = [_tell_away(state) for state in list_connection_states(is_database_up=False) if not state.is_up]
        return [_DATABASE_AWAY, *away]
    states = list_connection_states()
    found = [
        *(_tell_away(state) for state in states if not state.is_up),
        *_find_unserved(states, workers),
        *_find_waits(states, outbox),
        *_find_pauses(states),
        *_find_failures(failed, max_failed),
    ]
    return sorted(found, key=lambda problem: -problem.health)


_DATABASE_AWAY: Final = Problem(
    health=Health.DOWN,
    code="database_away",
    reason="The database can't be read.",
    advice="See that it runs, that DATABASE_URL is right, and that its tables are there: manage.py migrate.",
)


def _tell_away(state: ConnectionState) -> Problem:
    return Problem(
        health=Health.DOWN,
        code="connection_away",
        connection=state.connection,
        reason=f"The connection {to_printable(state.connection)} does not answer.",
        advice="See that its store runs and that its address is right; workers come back to it by themselves.",
    )


def _find_unserved(states: Sequence[ConnectionState], workers: Sequence[WorkerStatus]) -> Iterator[Problem]:
    """Yield what waits while no worker is alive, or none that takes it."""
    alive = [worker for worker in workers if worker.is_alive]
    waiting = [(state.connection, queue) for state in states for queue in state.queues if queue.figures.waiting]
    if waiting and not alive:
        count = sum(queue.figures.waiting for _, queue in waiting)
        yield Problem(
            health=Health.DOWN,
            code="no_worker",
            reason=f"No worker is alive, and {count} {'job waits' if count == 1 else 'jobs wait'}.",
            advice="Start workers: manage.py queue_supervise, or queue_work.",
        )
        return
    for connection, queue in waiting:
        if not queue.is_paused and not any(worker.serves(queue.queue, connection) for worker in alive):
            name, place = to_printable(queue.queue), to_printable(connection)
            yield Problem(
                health=Health.DEGRADED,
                code="queue_unserved",
                connection=connection,
                queue=queue.queue,
                reason=f"Jobs wait in the queue {name} of {place}, and no living worker takes them.",
                advice=f"Start one: manage.py queue_work --queue {quote(name)} --connection {quote(place)}",
            )


def _find_waits(states: Sequence[ConnectionState], outbox: Sequence[OutboxFigures]) -> Iterator[Problem]:
    for wait in list_long_waits(states=states, outbox=outbox):
        if wait.in_outbox:
            code, advice = "outbox_wait", "See that its store answers and that a worker or queue_relay runs."
        else:
            code, advice = (
                "long_wait",
                "Start more workers for it (queue_work --queue), or see what they do: queue_stats.",
            )
        yield Problem(
            health=Health.DEGRADED,
            code=code,
            connection=wait.connection,
            queue="" if wait.in_outbox else wait.queue,
            reason=describe_long_wait(wait),
            advice=advice,
        )


def _find_pauses(states: Sequence[ConnectionState]) -> Iterator[Problem]:
    for state in states:
        resting = (
            [EVERY_QUEUE] if EVERY_QUEUE in state.pauses else [queue.queue for queue in state.queues if queue.is_paused]
        )
        for queue in resting:
            name, place = to_printable(queue), to_printable(state.connection)
            what = f"All queues of {place} rest." if queue == EVERY_QUEUE else f"The queue {name} of {place} rests."
            which = "--all" if queue == EVERY_QUEUE else quote(name)
            yield Problem(
                health=Health.DEGRADED,
                code="paused",
                connection=state.connection,
                queue=queue,
                reason=what,
                advice=f"Let it go on: manage.py queue_resume {which} --connection {quote(place)}",
            )


def _find_failures(count: int, most: int) -> Iterator[Problem]:
    if count > most:
        yield Problem(
            health=Health.DEGRADED,
            code="failures",
            reason=f"{count} jobs failed in the last hour, more than {most}.",
            advice="See why: manage.py queue_failed; put them back with queue_retry_failed.",
        )
