"""Delete all failed jobs."""

import json as jsonlib
from argparse import ArgumentParser
from datetime import timedelta
from typing import override

from django.core.management.base import BaseCommand
from django.utils import timezone

from jobs.management.arguments import age_in_hours
from jobs.management.failures import steer_found
from jobs.selectors import JobQuery, JobStatus
from jobs.services import Steer
from project.terminal import confirm_deletion


class Command(BaseCommand):
    """Delete all failed jobs, or all that failed long ago, for good."""

    help = (
        "Delete all failed jobs, or with --hours those that failed so long ago, for good; jobs that wait or run stay. "
        "Asks first; --no-input for scripts. Exit code: 0; 1 when nothing was deleted because nobody said yes; 2 for "
        "wrong arguments."
    )

    @override
    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--hours", type=age_in_hours, metavar="N", help="Only those that failed so long ago.")
        parser.add_argument("--no-input", action="store_true", help="Don't ask.")
        parser.add_argument("--json", action="store_true", help="Print one JSON object.")

    @override
    def handle(self, *, hours: timedelta | None, no_input: bool, json: bool, **_others: object) -> None:
        if not no_input:
            which = (
                "all failed jobs" if hours is None else f"the failed jobs older than {hours // timedelta(hours=1)} h"
            )
            confirm_deletion(warning=f"This deletes {which}; none can be retried then.")
        until = None if hours is None else timezone.now() - hours
        query = JobQuery(status=JobStatus.FAILED, until=until, outcome=None)
        count = steer_found(query, Steer.DISCARD, words="Deleting").done_count
        if json:
            self.stdout.write(jsonlib.dumps({"deleted_count": count}))
            return
        self.stdout.write(f"{count} failed {'job was' if count == 1 else 'jobs were'} deleted.")
