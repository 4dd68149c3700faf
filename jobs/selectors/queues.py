"""What queues hold, and what waits for them in the outbox."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Count, Max, Min, Q

from jobs.drivers.base import get_driver
from jobs.models import FailedJob, OutboxJob, WorkerHeartbeat
from jobs.selectors.connections import ConnectionState, QueueState
from jobs.selectors.failed import IS_OPEN
from project.printable import to_printable


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueHealth:
    """Whether jobs get done, over all queues."""

    #: How long the oldest job that is due has waited; None when nothing waits.
    oldest_wait: timedelta | None
    #: Jobs that are due and in nobody's hands.
    waiting_count: int
    #: Workers that are alive.
    worker_count: int
    #: When a worker last reported, dead ones included; None when there was none.
    last_heartbeat_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueStatistics:
    """What one queue holds, in all connections."""

    queue: str
    waiting_count: int
    delayed_count: int
    running_count: int
    failed_count: int
    #: How long the oldest job that is due has waited; None when nothing waits.
    oldest_wait: timedelta | None
    #: Those of ``waiting_count`` of which the store doesn't say in a readable way when they are due.
    unreadable_count: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboxFigures:
    """What waits in the outbox for one connection."""

    connection: str
    count: int
    #: How long ago the oldest one was dispatched.
    oldest_wait: timedelta

    def describe(self) -> str:
        """Return it in words."""
        wait, name = timedelta(seconds=int(self.oldest_wait.total_seconds())), to_printable(self.connection)
        return f"{self.count} jobs wait in the outbox for the connection {name}, the oldest for {wait}."

    def as_json(self) -> dict[str, str | int | float]:
        """Return it as commands print it."""
        seconds = self.oldest_wait.total_seconds()
        return {"connection": self.connection, "count": self.count, "oldest_wait_seconds": seconds}


def get_queue_health(*, now: datetime) -> QueueHealth:
    """Return whether jobs get done, in two queries."""
    figures = get_driver().measure(now=now).values()
    oldest = min((f.oldest_due_at for f in figures if f.oldest_due_at is not None), default=None)
    workers = WorkerHeartbeat.objects.aggregate(
        alive=Count("name", filter=Q(alive_until__gt=now)), last_beat_at=Max("beat_at")
    )
    return QueueHealth(
        oldest_wait=_wait(oldest, now),
        waiting_count=sum(f.waiting for f in figures),
        worker_count=workers["alive"],
        last_heartbeat_at=workers["last_beat_at"],
    )


def get_queue_statistics(states: Sequence[ConnectionState]) -> list[QueueStatistics]:
    """Return the figures of every queue that holds a job or a failed job, by name, summed up over connections."""
    held: defaultdict[str, list[QueueState]] = defaultdict(list)
    for state in states:
        for one in state.queues:
            if one.queue in state.figures:
                held[one.queue].append(one)
    failed = dict(FailedJob.objects.filter(IS_OPEN).order_by("queue").values_list("queue").annotate(Count("id")))
    statistics = []
    for queue in sorted({*held, *failed}):
        found = held[queue]
        statistics.append(
            QueueStatistics(
                queue=queue,
                waiting_count=sum(one.figures.waiting for one in found),
                delayed_count=sum(one.figures.delayed for one in found),
                running_count=sum(one.figures.running for one in found),
                failed_count=failed.get(queue, 0),
                oldest_wait=max((one.oldest_wait for one in found if one.oldest_wait is not None), default=None),
                unreadable_count=sum(one.figures.unreadable for one in found),
            )
        )
    return statistics


def list_outbox_figures(*, now: datetime) -> list[OutboxFigures]:
    """Return what waits in the outbox, for each connection for which something does, by name."""
    rows = OutboxJob.objects.order_by("connection").values_list("connection")
    return [
        OutboxFigures(connection=connection, count=count, oldest_wait=max(now - oldest, timedelta(0)))
        for connection, count, oldest in rows.annotate(Count("id"), Min("created_at"))
    ]


def _wait(due_at: datetime | None, now: datetime) -> timedelta | None:
    return None if due_at is None else now - due_at
