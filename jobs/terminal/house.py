"""What the dashboard shows: read at once, and told as tiles, rows, text or JSON."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from jobs.selectors import (
    JobQuery,
    JobRow,
    JobStatus,
    Overview,
    QueueOverview,
    WorkerStatus,
    get_overview,
    list_jobs,
)
from jobs.selectors.overview import Most
from jobs.terminal.table import Column, Row, Tone, clean, lay_out, to_clock, to_count, to_rate, to_span

#: How many of the newest failed jobs are shown.
FAILURES: Final = 50

QUEUES: Final = (
    Column("queue"),
    Column("waiting", 7, is_number=True),
    Column("delayed", 7, is_number=True),
    Column("running", 7, is_number=True),
    Column("failed", 6, is_number=True),
    Column("oldest", 7, is_number=True),
    Column("/min", 6, is_number=True),
    Column("p95", 7, is_number=True),
    Column("paused", 6),
    Column("wrk", 3, is_number=True),
)
WORKERS: Final = (
    Column("host"),
    Column("pid", 7, is_number=True),
    Column("state", 8),
    Column("job"),
    Column("MB", 5, is_number=True),
    Column("CPU %", 5, is_number=True),
    Column("tries", 7, is_number=True),
)
FAILED: Final = (Column("failed", 8), Column("job"), Column("queue", 12), Column("what it raised"))
STATE_TONES: Final[dict[str, Tone]] = {
    "busy": "good", "idle": "", "resting": "warning", "stopping": "warning", "dead": "dim",
}  # fmt: skip
_STATUS_TONES: Final[dict[str, Tone]] = {"running": "good", "paused": "warning", "inactive": "bad"}


@dataclass(frozen=True, slots=True)
class Tile:
    """One figure."""

    title: str
    value: str
    tone: Tone = ""


@dataclass(frozen=True, slots=True)
class House:
    """All that the dashboard shows, of one moment."""

    overview: Overview
    #: The newest ones.
    failures: Sequence[JobRow]


def read_house(*, now: datetime | None = None) -> House:
    """Return all that the dashboard shows; ``now`` as in ``get_overview``."""
    failures = list_jobs(JobQuery(status=JobStatus.FAILED), limit=FAILURES, now=now)
    return House(get_overview(now=now), failures.rows)


def make_tiles(overview: Overview) -> list[Tile]:
    """Return the eight figures that stand above all else."""
    wait, run, fastest = overview.longest_wait, overview.longest_run, overview.fastest
    return [
        Tile("status", overview.status, _STATUS_TONES[overview.status]),
        Tile("jobs per minute", to_rate(overview.per_minute)),
        Tile("jobs past hour", to_count(overview.processed_count)),
        Tile("failed past hour", to_count(overview.failed_count), "bad" if overview.failed_count else ""),
        Tile("processes", to_count(len(overview.alive_workers))),
        Tile("longest wait", "-" if wait is None else f"{_tell(wait.value)} {clean(wait.name)}"),
        Tile("longest run", "-" if run is None else f"{_tell(run.value)} {clean(run.name)}"),
        Tile("fastest queue", "-" if fastest is None else clean(fastest.name)),
    ]


def _tell(value: timedelta | float) -> str:
    return to_span(value) if isinstance(value, timedelta) else to_rate(value)


def get_queue_key(queue: QueueOverview) -> str:
    """Return what tells a queue from the others: one of the same name may be on another connection."""
    return f"{queue.connection} {queue.queue}"


def make_queue_rows(queues: Sequence[QueueOverview]) -> list[Row]:
    """Return the lines of queues; the connection is told where there are several."""
    has_several = len({queue.connection for queue in queues}) > 1
    return [_make_queue_row(queue, has_several=has_several) for queue in queues]


def _make_queue_row(queue: QueueOverview, *, has_several: bool) -> Row:
    tone: Tone = "warning" if queue.is_paused else "bad" if queue.failed_count else ""
    cells = (
        f"{queue.queue} ({queue.connection})" if has_several else queue.queue,
        to_count(queue.waiting_count),
        to_count(queue.delayed_count),
        to_count(queue.running_count),
        to_count(queue.failed_count),
        to_span(queue.oldest_wait),
        to_rate(queue.lately.processed_per_minute),
        to_span(queue.hourly.get_run_percentile(0.95)),
        "paused" if queue.is_paused else "",
        to_count(queue.worker_count),
    )
    return Row(get_queue_key(queue), cells, tone)


def make_worker_rows(workers: Sequence[WorkerStatus]) -> list[Row]:
    """Return the lines of workers; those that are alive come first."""
    return [
        Row(
            one.name,
            (
                one.host or one.name,
                str(one.pid or "-"),
                one.state,
                one.current_job_class or "-",
                "-" if one.memory_mb is None else f"{one.memory_mb:.0f}",
                "-" if one.cpu_percent is None else f"{one.cpu_percent:.0f}",
                to_count(one.try_count),
            ),
            STATE_TONES[one.state],
        )
        for one in sorted(workers, key=lambda one: not one.is_alive)
    ]


def make_failure_rows(failures: Sequence[JobRow]) -> list[Row]:
    """Return the lines of failed jobs."""
    return [Row(str(one.job_id), (to_clock(one.at), one.job_class, one.queue, one.error), "") for one in failures]


def to_text(house: House) -> str:
    """Return all of it as lines of text, as wide as they are."""
    overview = house.overview
    tiles = make_tiles(overview)
    width = max(len(tile.title) for tile in tiles)
    lines = [f"{tile.title:<{width}}  {tile.value}" for tile in tiles]
    lines += [f"The connection {name} does not answer." for name in overview.away]
    lines += [figures.describe() for figures in overview.outbox]
    tables = (
        ("Queues", QUEUES, make_queue_rows(overview.queues), "No queue holds a job."),
        ("Workers", WORKERS, make_worker_rows(overview.workers), "No worker runs. Start one with: queue_work"),
        ("Failed jobs", *_with_ids(make_failure_rows(house.failures)), "No job has failed."),
    )
    for title, columns, rows, otherwise in tables:
        lines += ["", title, *(lay_out(columns, rows) if rows else [otherwise])]
    return "\n".join(lines)


def _with_ids(rows: Sequence[Row]) -> tuple[Sequence[Column], Sequence[Row]]:
    """Return failed jobs with their ids, which people copy from a text."""
    return (Column("id"), *FAILED), [Row(row.key, (row.key, *row.cells)) for row in rows]


def to_json(house: House) -> dict[str, Any]:  # Any: JSON
    """Return all of it as JSON; durations in seconds."""
    overview = house.overview
    return {
        "at": overview.at.isoformat(),
        "status": overview.status,
        "per_minute": overview.per_minute,
        "processed_count": overview.processed_count,
        "failed_count": overview.failed_count,
        "process_count": len(overview.alive_workers),
        "longest_wait": _most(overview.longest_wait, "seconds"),
        "longest_run": _most(overview.longest_run, "seconds"),
        "fastest": _most(overview.fastest, "per_minute"),
        "queues": [_queue_to_json(queue) for queue in overview.queues],
        "workers": [worker_to_json(worker) for worker in overview.workers],
        "failures": [_failure_to_json(one) for one in house.failures],
        "outbox": [figures.as_json() for figures in overview.outbox],
        "away": list(overview.away),
    }


def _queue_to_json(queue: QueueOverview) -> dict[str, Any]:  # Any: JSON
    return {
        "connection": queue.connection,
        "queue": queue.queue,
        "waiting_count": queue.waiting_count,
        "delayed_count": queue.delayed_count,
        "running_count": queue.running_count,
        "failed_count": queue.failed_count,
        "oldest_wait_seconds": None if queue.oldest_wait is None else queue.oldest_wait.total_seconds(),
        "is_paused": queue.is_paused,
        "paused_until": queue.paused_until.isoformat() if queue.paused_until else None,
        "worker_count": queue.worker_count,
        "last_5_minutes": queue.lately.as_json(),
        "last_hour": queue.hourly.as_json(),
    }


def worker_to_json(worker: WorkerStatus) -> dict[str, Any]:  # Any: JSON
    """Return a worker as JSON."""
    since = worker.current_job_since
    return {
        **asdict(worker),
        "queues": list(worker.queues),
        "state": worker.state,
        "started_at": worker.started_at.isoformat(),
        "beat_at": worker.beat_at.isoformat(),
        "current_job_since": since.isoformat() if since else None,
    }


def _failure_to_json(failure: JobRow) -> dict[str, Any]:  # Any: JSON
    return {
        "job_id": str(failure.job_id),
        "connection": failure.connection,
        "queue": failure.queue,
        "job_class": failure.job_class,
        "state": failure.state,
        "failed_at": failure.at.isoformat(),
        "attempts": failure.attempts,
        "error": failure.error,
    }


def _most(most: Most | None, unit: str) -> dict[str, Any] | None:  # Any: JSON
    if most is None:
        return None
    value = most.value.total_seconds() if isinstance(most.value, timedelta) else most.value
    return {"name": most.name, unit: value}
