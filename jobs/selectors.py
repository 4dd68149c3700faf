"""Everything that reads jobs without changing them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID

from django.db.models import Count, Max, Min, Q, QuerySet, Sum

from jobs.drivers.base import QueueFigures, get_driver
from jobs.models import FailedJob, JobMetric, JobResult, OutboxJob, Schedule, WorkerHeartbeat

#: Failed jobs that nobody has put back.
IS_OPEN = Q(retried_at=None, recovered_at=None)
_EMPTY = QueueFigures(waiting=0, delayed=0, running=0, oldest_due_at=None)


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
    """What one queue holds."""

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
        wait = timedelta(seconds=int(self.oldest_wait.total_seconds()))
        return f"{self.count} jobs wait in the outbox for the connection {self.connection}, the oldest for {wait}."

    def as_json(self) -> dict[str, str | int | float]:
        """Return it as commands print it."""
        seconds = self.oldest_wait.total_seconds()
        return {"connection": self.connection, "count": self.count, "oldest_wait_seconds": seconds}


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerStatus:
    """A worker that is alive, or died not long ago."""

    name: str
    #: In order; empty means every queue.
    queues: Sequence[str]
    is_alive: bool
    started_at: datetime
    beat_at: datetime
    current_job_id: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TryStatistics:
    """How tries ended within a while, and how long they took."""

    #: The while, in whole minutes but for the last one.
    span: timedelta
    #: Tries by their end: done, put back for another try, or given up.
    processed_count: int = 0
    released_count: int = 0
    failed_count: int = 0
    #: Those among the last two that took too long.
    timed_out_count: int = 0
    total_run: timedelta = timedelta(0)
    longest_run: timedelta = timedelta(0)
    #: From due until claim.
    total_wait: timedelta = timedelta(0)
    longest_wait: timedelta = timedelta(0)

    @property
    def try_count(self) -> int:
        """All tries."""
        return self.processed_count + self.released_count + self.failed_count

    @property
    def processed_per_minute(self) -> float:
        """Throughput."""
        return self.processed_count / (self.span / timedelta(minutes=1)) if self.span else 0.0

    @property
    def failure_rate(self) -> float | None:
        """The share of those that were given up in all that came to their end; None where none did."""
        ended = self.processed_count + self.failed_count
        return self.failed_count / ended if ended else None

    @property
    def average_run(self) -> timedelta | None:
        """Run time of one try; None where there was none."""
        return self.total_run / self.try_count if self.try_count else None

    @property
    def average_wait(self) -> timedelta | None:
        """Time from due until claim of one try; None where there was none."""
        return self.total_wait / self.try_count if self.try_count else None


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


def get_queue_statistics(*, now: datetime) -> list[QueueStatistics]:
    """Return the figures of every queue that holds a job or a failed job, by name."""
    figures = get_driver().measure(now=now)
    failed = dict(FailedJob.objects.filter(IS_OPEN).order_by("queue").values_list("queue").annotate(Count("id")))
    statistics = []
    for queue in sorted({*figures, *failed}):
        found = figures.get(queue, _EMPTY)
        statistics.append(
            QueueStatistics(
                queue=queue,
                waiting_count=found.waiting,
                delayed_count=found.delayed,
                running_count=found.running,
                failed_count=failed.get(queue, 0),
                oldest_wait=_wait(found.oldest_due_at, now),
                unreadable_count=found.unreadable,
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


def get_try_statistics(
    *, since: datetime, until: datetime, by: Literal["queue", "job_class"] = "queue", connection: str | None = None
) -> dict[str, TryStatistics]:
    """Return how tries ended and how long they took, for each queue or each class of jobs that had one, by name.

    Figures are kept by the minute and come a few seconds late: a worker writes them every five seconds.

    Args:
        since: Begin; the minute in which it lies counts whole.
        until: End; the minute in which it lies is left out where it is its begin.
        by: What they are told apart by. The class of records that can't be trusted is ``""``.
        connection: Only jobs of that connection.
    """
    begin = since.replace(second=0, microsecond=0)
    rows = JobMetric.objects.filter(minute__gte=begin, minute__lt=until)
    if connection is not None:
        rows = rows.filter(connection=connection)
    sums = rows.order_by(by).values_list(by).annotate(
        Sum("processed"), Sum("released"), Sum("failed"), Sum("timed_out"),
        Sum("run_seconds"), Max("max_run_seconds"), Sum("wait_seconds"), Max("max_wait_seconds"),
    )  # fmt: skip
    return {
        name: TryStatistics(
            span=until - begin,
            processed_count=processed,
            released_count=released,
            failed_count=failed,
            timed_out_count=timed_out,
            total_run=timedelta(seconds=run),
            longest_run=timedelta(seconds=longest_run),
            total_wait=timedelta(seconds=wait),
            longest_wait=timedelta(seconds=longest_wait),
        )
        for name, processed, released, failed, timed_out, run, longest_run, wait, longest_wait in sums
    }


def list_workers(*, now: datetime) -> list[WorkerStatus]:
    """Return the workers by name."""
    return [
        WorkerStatus(
            name=row.name,
            queues=row.queues.split(",") if row.queues else [],
            is_alive=row.alive_until > now,
            started_at=row.started_at,
            beat_at=row.beat_at,
            current_job_id=str(row.current_job_id) if row.current_job_id else None,
        )
        for row in WorkerHeartbeat.objects.order_by("name")
    ]


def list_failed_jobs(*, queue: str | None = None, connection: str | None = None) -> QuerySet[FailedJob]:
    """Return the failed jobs that nobody has put back, newest first; of one queue, and of one connection, if named."""
    failed = FailedJob.objects.filter(IS_OPEN).order_by("-failed_at", "-id")
    if queue is not None:
        failed = failed.filter(queue=queue)
    return failed if connection is None else failed.filter(connection=connection)


def find_result(job_id: UUID) -> JobResult | None:
    """Return the result of a task; None where there is none (any more)."""
    return JobResult.objects.filter(job_id=job_id).first()


def list_schedules() -> QuerySet[Schedule]:
    """Return the entries of the schedule by name."""
    return Schedule.objects.order_by("name")


def _wait(due_at: datetime | None, now: datetime) -> timedelta | None:
    return None if due_at is None else now - due_at
