"""Dispatch a small story."""

import json as jsonlib
from argparse import ArgumentParser
from typing import override

from django.core.management.base import BaseCommand

from jobs.examples import Story, tell_small_story


class Command(BaseCommand):
    """Dispatch a small story of jobs."""

    help = (
        "Dispatch a small story: mails, one of them later, a job that needs luck, and one that fails. They touch "
        "nothing but the log. Exit code: 0."
    )

    @override
    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true", help="Print one JSON object.")

    @override
    def handle(self, *, json: bool, **_others: object) -> None:
        story = self.tell()
        if json:
            batches = [str(batch_id) for batch_id in story.batch_ids]
            self.stdout.write(jsonlib.dumps({"jobs": story.job_count, "batches": batches}))
            return
        self.stdout.write(f"Dispatched {story.job_count} jobs; more follow from chains and batches.")
        self.stdout.write("Run them with: queue_work --stop-when-empty. Look at them with: queue_stats, queue_failed")

    def tell(self) -> Story:
        """Dispatch the jobs."""
        return tell_small_story()
