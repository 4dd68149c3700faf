"""Delete what is over."""

import json as jsonlib
from argparse import ArgumentParser
from datetime import timedelta
from typing import override

from django.core.management.base import BaseCommand

from jobs.management.arguments import positive_count
from jobs.scheduler import prune_schedule_runs
from jobs.services import prune_batches, prune_failed_jobs, prune_results


class Command(BaseCommand):
    """Delete old failed jobs and batches, and what is kept for a while only."""

    help = (
        "Delete failed jobs and batches that ended long ago; batches that never ended, or were cancelled, where an age "
        "is given for them; and old runs of schedules and expired results of tasks. Exit code: 0."
    )

    @override
    def add_arguments(self, parser: ArgumentParser) -> None:
        ages = {
            "--hours": "Age of failed jobs and ended batches; 24 by default.",
            "--unfinished": "Age of batches that never ended.",
            "--cancelled": "Age of cancelled batches.",
        }
        for option, words in ages.items():
            default = 24 if option == "--hours" else None
            parser.add_argument(option, type=positive_count, default=default, metavar="HOURS", help=words)
        parser.add_argument("--json", action="store_true", help="Print one JSON object.")

    @override
    def handle(
        self, *, hours: int, unfinished: int | None, cancelled: int | None, json: bool, **_others: object
    ) -> None:
        failed = prune_failed_jobs(older_than=timedelta(hours=hours))
        batches = prune_batches(
            older_than=timedelta(hours=hours),
            unfinished_older_than=None if unfinished is None else timedelta(hours=unfinished),
            cancelled_older_than=None if cancelled is None else timedelta(hours=cancelled),
        )
        runs, results = prune_schedule_runs(), prune_results()
        if json:
            counts = {"failed_jobs": failed, "batches": batches, "schedule_runs": runs, "results": results}
            self.stdout.write(jsonlib.dumps(counts))
            return
        self.stdout.write(
            f"Deleted {failed} failed jobs, {batches} batches, {runs} runs of schedules and {results} results of tasks."
        )
