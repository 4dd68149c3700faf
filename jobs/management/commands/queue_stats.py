"""Show what the queues hold and who works on them."""

import json
from argparse import ArgumentParser
from datetime import datetime, timedelta
from typing import override

from django.core.management.base import BaseCommand
from django.utils import timezone

from jobs.selectors import QueueStatistics, WorkerStatus, get_queue_statistics, list_workers


class Command(BaseCommand):
    """Show waiting, delayed, running and failed jobs of each queue, and the workers."""

    help = (
        "Show waiting, delayed, running and failed jobs of each queue, and the workers. Exit code: 0, or 1 when the "
        "store can't be read."
    )

    @override
    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true", help="Print one JSON object.")

    @override
    def handle(self, *, json: bool, **_others: object) -> None:
        now = timezone.now()
        queues, workers = get_queue_statistics(now=now), list_workers(now=now)
        self.stdout.write(_to_json(queues, workers) if json else _to_text(queues, workers, now))


def _to_json(queues: list[QueueStatistics], workers: list[WorkerStatus]) -> str:
    body = {
        "queues": [
            {
                "queue": queue.queue,
                "waiting_count": queue.waiting_count,
                "delayed_count": queue.delayed_count,
                "running_count": queue.running_count,
                "failed_count": queue.failed_count,
                "oldest_wait_seconds": None if queue.oldest_wait is None else queue.oldest_wait.total_seconds(),
            }
            for queue in queues
        ],
        "workers": [
            {
                "name": worker.name,
                "queues": list(worker.queues),
                "is_alive": worker.is_alive,
                "started_at": worker.started_at.isoformat(),
                "beat_at": worker.beat_at.isoformat(),
                "current_job_id": worker.current_job_id,
            }
            for worker in workers
        ],
    }
    return json.dumps(body, indent=2)


def _to_text(queues: list[QueueStatistics], workers: list[WorkerStatus], now: datetime) -> str:
    width = max((len(queue.queue) for queue in queues), default=0)
    width = max(width, len("queue"))
    lines = [f"{'queue':<{width}}  waiting  delayed  running  failed  oldest wait"]
    lines += [
        f"{queue.queue:<{width}}  {queue.waiting_count:>7}  {queue.delayed_count:>7}  {queue.running_count:>7}"
        f"  {queue.failed_count:>6}  {_to_words(queue.oldest_wait)}"
        for queue in queues
    ]
    if not queues:
        lines = ["No queue holds a job."]
    lines.append("")
    lines += [_describe(worker, now) for worker in workers] or ["No worker runs. Start one with: queue_work"]
    if any(queue.failed_count for queue in queues):
        lines += ["", "See the failed jobs with: queue_failed"]
    return "\n".join(lines)


def _describe(worker: WorkerStatus, now: datetime) -> str:
    served = ", ".join(worker.queues) or "every queue"
    state = f"runs {worker.current_job_id}" if worker.current_job_id else "idle"
    seen = f"last seen {_to_words(now - worker.beat_at)} ago"
    return f"{worker.name}  {served}  {state if worker.is_alive else 'dead'}, {seen}"


def _to_words(duration: timedelta | None) -> str:
    return "-" if duration is None else f"{timedelta(seconds=int(duration.total_seconds()))}"
