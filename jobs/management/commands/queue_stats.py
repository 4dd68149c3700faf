"""Show what the queues hold, how fast they are worked off, and who works on them."""

import json as jsonlib
import sys
from argparse import ArgumentParser
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final, override

from django.core.management.base import BaseCommand
from django.utils import timezone

from jobs.selectors import (
    QueueStatistics,
    TryStatistics,
    WorkerStatus,
    get_queue_statistics,
    get_try_statistics,
    list_connection_states,
    list_outbox_figures,
    list_workers,
)
from project.printable import to_printable
from project.terminal import format_table

#: Exit code when a connection doesn't answer, so that the figures are not all.
EXIT_AWAY: Final = 1
_FIVE_MINUTES: Final = timedelta(minutes=5)
_HOUR: Final = timedelta(hours=1)
_HEAD: Final = (
    "queue", "waiting", "delayed", "running", "failed", "oldest wait", "done/min 5m", "done/min 1h", "failed 1h",
    "run time", "wait time",
)  # fmt: skip


class Command(BaseCommand):
    """Show waiting, delayed, running and failed jobs of each queue, its throughput, and the workers."""

    help = (
        "Show waiting, delayed, running and failed jobs of each queue, how many were done per minute of the last five "
        "minutes and of the last hour, how many failed in that hour, their average run time and wait, and the workers. "
        "Queues of one name are summed up over all connections. What waits in the outbox, and which connection doesn't "
        "answer, is told first. Exit code: 0; 1 when the database can't be read, or a connection doesn't answer."
    )

    @override
    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true", help="Print one JSON object, also by class of jobs.")

    @override
    def handle(self, *, json: bool, **_others: object) -> None:
        now = timezone.now()
        outbox = list_outbox_figures(now=now)
        states = list_connection_states()
        away = [state.connection for state in states if not state.is_up]
        lately = get_try_statistics(since=now - _FIVE_MINUTES, until=now)
        hourly = get_try_statistics(since=now - _HOUR, until=now)
        queues, workers = _complete(get_queue_statistics(states), hourly), list_workers(now=now)
        if json:
            body = {
                "queues": [{**_to_row(queue), **_to_figures(queue.queue, lately, hourly)} for queue in queues],
                "job_classes": _to_classes(now),
                "workers": [_to_worker(worker) for worker in workers],
                "outbox": [figures.as_json() for figures in outbox],
                "away": away,
            }
            self.stdout.write(jsonlib.dumps(body, indent=2))
        else:
            for figures in outbox:
                self.stdout.write(figures.describe())
            for name in away:
                self.stdout.write(f"The connection {name} does not answer.")
            self.stdout.write(_to_text(queues, lately, hourly, workers, now))
        if away:
            sys.exit(EXIT_AWAY)


def _complete(queues: list[QueueStatistics], hourly: Mapping[str, TryStatistics]) -> list[QueueStatistics]:
    """Return the queues that hold a job, and those that are empty but were worked on."""
    idle = [
        QueueStatistics(queue=name, waiting_count=0, delayed_count=0, running_count=0, failed_count=0, oldest_wait=None)
        for name in hourly.keys() - {queue.queue for queue in queues}
    ]
    return sorted([*queues, *idle], key=lambda queue: queue.queue)


def _to_row(queue: QueueStatistics) -> dict[str, Any]:  # Any: JSON
    return {
        "queue": queue.queue,
        "waiting_count": queue.waiting_count,
        "delayed_count": queue.delayed_count,
        "running_count": queue.running_count,
        "failed_count": queue.failed_count,
        "unreadable_count": queue.unreadable_count,
        "oldest_wait_seconds": _to_seconds(queue.oldest_wait),
    }


def _to_classes(now: datetime) -> list[dict[str, Any]]:  # Any: JSON
    lately = get_try_statistics(since=now - _FIVE_MINUTES, until=now, by="job_class")
    hourly = get_try_statistics(since=now - _HOUR, until=now, by="job_class")
    return [{"job_class": name, **_to_figures(name, lately, hourly)} for name in hourly]


def _to_figures(
    name: str, lately: Mapping[str, TryStatistics], hourly: Mapping[str, TryStatistics]
) -> dict[str, Any]:  # Any: JSON
    return {
        "last_5_minutes": _to_json(lately.get(name, TryStatistics(span=_FIVE_MINUTES))),
        "last_hour": _to_json(hourly.get(name, TryStatistics(span=_HOUR))),
    }


def _to_json(tries: TryStatistics) -> dict[str, Any]:  # Any: JSON
    return {
        "processed_count": tries.processed_count,
        "released_count": tries.released_count,
        "failed_count": tries.failed_count,
        "timed_out_count": tries.timed_out_count,
        "processed_per_minute": tries.processed_per_minute,
        "failure_rate": tries.failure_rate,
        "average_run_seconds": _to_seconds(tries.average_run),
        "longest_run_seconds": tries.longest_run.total_seconds(),
        "average_wait_seconds": _to_seconds(tries.average_wait),
        "longest_wait_seconds": tries.longest_wait.total_seconds(),
    }


def _to_worker(worker: WorkerStatus) -> dict[str, Any]:  # Any: JSON
    return {
        "name": worker.name,
        "queues": list(worker.queues),
        "is_alive": worker.is_alive,
        "started_at": worker.started_at.isoformat(),
        "beat_at": worker.beat_at.isoformat(),
        "current_job_id": worker.current_job_id,
    }


def _to_text(
    queues: list[QueueStatistics],
    lately: Mapping[str, TryStatistics],
    hourly: Mapping[str, TryStatistics],
    workers: list[WorkerStatus],
    now: datetime,
) -> str:
    rows = []
    for queue in queues:
        five = lately.get(queue.queue, TryStatistics(span=_FIVE_MINUTES))
        hour = hourly.get(queue.queue, TryStatistics(span=_HOUR))
        counts = (queue.waiting_count, queue.delayed_count, queue.running_count, queue.failed_count)
        rates = (five.processed_per_minute, hour.processed_per_minute)
        rows.append(
            [
                queue.queue,
                *map(str, counts),
                _to_words(queue.oldest_wait),
                *(f"{rate:.1f}" for rate in rates),
                str(hour.failed_count),
                _to_short(hour.average_run),
                _to_short(hour.average_wait),
            ]
        )
    lines = format_table(_HEAD, rows) if rows else ["No queue holds a job."]
    if unreadable := sum(queue.unreadable_count for queue in queues):
        lines.append(f"When {unreadable} of the waiting jobs are due can't be read; a worker sets them apart.")
    lines.append("")
    lines += [_describe(worker, now) for worker in workers] or ["No worker runs. Start one with: queue_work"]
    if any(queue.failed_count for queue in queues):
        lines += ["", "See the failed jobs with: queue_failed"]
    return "\n".join(lines)


def _describe(worker: WorkerStatus, now: datetime) -> str:
    served = to_printable(", ".join(worker.queues) or "every queue")
    state = f"runs {worker.current_job_id}" if worker.current_job_id else "idle"
    seen = f"last seen {_to_words(now - worker.beat_at)} ago"
    return f"{to_printable(worker.name)}  {served}  {state if worker.is_alive else 'dead'}, {seen}"


def _to_words(duration: timedelta | None) -> str:
    return "-" if duration is None else f"{timedelta(seconds=int(duration.total_seconds()))}"


def _to_short(duration: timedelta | None) -> str:
    return "-" if duration is None else f"{duration.total_seconds():.2f} s"


def _to_seconds(duration: timedelta | None) -> float | None:
    return None if duration is None else duration.total_seconds()
