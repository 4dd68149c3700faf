"""Delete what is over."""

import json as jsonlib
from argparse import ArgumentParser
from datetime import timedelta
from typing import override

from django.core.management.base import BaseCommand
from django.utils import timezone

from jobs.management.arguments import age_in_hours
from jobs.management.failures import steer_found
from jobs.scheduler import prune_schedule_runs
from jobs.selectors import JobQuery, JobStatus
from jobs.services import Steer, prune_batches, prune_metrics, prune_results, sweep_expired
from project.terminal import show_progress


class Command(BaseCommand):
    """Delete old failed jobs and batches, and what is kept for a while only."""

    help = (
        "Delete failed jobs and batches that ended long ago; batches that never ended, or were cancelled, where an age "
        "is given for them; old runs of schedules and figures; and expired results of tasks, locks and counts. Exit "
        "code: 0."
    )

    @override
    def add_arguments(self, parser: ArgumentParser) -> None:
        ages = {
            "--hours": "Age of failed jobs and ended batches; 24 by default.",
            "--unfinished": "Age of batches that never ended.",
            "--cancelled": "Age of cancelled batches.",
            "--metrics-hours": "Age of figures of queues and classes of jobs; JOBS['METRICS_HOURS'] by default.",
        }
        for option, words in ages.items():
            default = timedelta(hours=24) if option == "--hours" else None
            parser.add_argument(option, type=age_in_hours, default=default, metavar="HOURS", help=words)
        parser.add_argument("--json", action="store_true", help="Print one JSON object.")

    @override
    def handle(
        self,
        *,
        hours: timedelta,
        unfinished: timedelta | None,
        cancelled: timedelta | None,
        metrics_hours: timedelta | None,
        json: bool,
        **_others: object,
    ) -> None:
        query = JobQuery(status=JobStatus.FAILED, until=timezone.now() - hours, outcome=None)
        failed = steer_found(query, Steer.DISCARD, words="Deleting").done_count
        batches = prune_batches(
            older_than=hours,
            unfinished_older_than=unfinished,
            cancelled_older_than=cancelled,
        )
        runs, results = prune_schedule_runs(), prune_results()
        metrics = prune_metrics(older_than=metrics_hours)
        expired = _sweep()
        if json:
            counts = {"failed_jobs": failed, "batches": batches, "schedule_runs": runs, "results": results}
            self.stdout.write(jsonlib.dumps({**counts, "metrics": metrics, "expired": expired}))
            return
        self.stdout.write(
            f"Deleted {failed} failed jobs, {batches} batches, {runs} runs of schedules, {results} results of tasks, "
            f"{metrics} rows of figures, and {expired} other rows that had expired."
        )


def _sweep() -> int:
    """Delete all that has expired, step by step; return how many rows."""
    count = 0
    with show_progress("Deleting", total=None) as show:
        while not (swept := sweep_expired()).is_complete:
            count += swept.count
            show(count)
    return count + swept.count
