"""Run jobs until told to stop."""

from argparse import ArgumentParser
from datetime import timedelta
from typing import override

from django.core.management.base import BaseCommand

from jobs.conf import get_job_settings
from jobs.management.arguments import pause_seconds, positive_count, queue_name, queue_names
from jobs.worker.loop import Worker, WorkerOptions


class Command(BaseCommand):
    """Run jobs, one after another, until SIGTERM or Ctrl-C; the job in hand is finished first."""

    help = (
        "Run jobs, one after another, until SIGTERM or Ctrl-C; the job in hand is finished first. Without --queue it "
        "serves every queue, highest priority first; with --queue a,b a job of b runs only when none of a is due. "
        "Several workers may run at once. Exit code: 0 at a normal end (also by a signal), 1 when the worker can't "
        "start, 2 for wrong arguments."
    )

    @override
    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--queue", type=queue_names, default=[], metavar="A,B", help="Queues to serve, in order.")
        parser.add_argument("--max-jobs", type=positive_count, metavar="N", help="End after N tries.")
        parser.add_argument("--stop-when-empty", action="store_true", help="End when no job is due.")
        parser.add_argument("--once", action="store_true", help="Run one job if one is due, then end.")
        parser.add_argument(
            "--sleep",
            type=pause_seconds,
            metavar="SECONDS",
            help="Pause between two looks at an empty queue; JOBS['SLEEP_SECONDS'] by default.",
        )
        parser.add_argument("--name", type=queue_name, help="Name in queue_stats, in place of the host's.")

    @override
    def handle(
        self,
        *,
        queue: list[str],
        max_jobs: int | None,
        stop_when_empty: bool,
        once: bool,
        sleep: float | None,
        name: str | None,
        **_others: object,
    ) -> None:
        pause = get_job_settings().sleep if sleep is None else timedelta(seconds=sleep)
        options = WorkerOptions(
            queues=tuple(queue),
            name=name or "",
            sleep=pause,
            max_jobs=1 if once else max_jobs,
            stop_when_empty=stop_when_empty or once,
        )
        worker = Worker(options)
        served = f"the queues {', '.join(queue)}" if queue else "every queue"
        self.stdout.write(f"Worker {worker.name} serves {served}. Ctrl-C ends it after the job in hand.")
        self.stdout.flush()
        with worker.listen_to_signals():
            tries = worker.run()
        self.stdout.write(f"Worker {worker.name} ended after {tries} {'try' if tries == 1 else 'tries'}.")
