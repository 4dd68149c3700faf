"""Ask the workers to start anew."""

import json as jsonlib
from argparse import ArgumentParser
from typing import override

from django.core.management.base import BaseCommand
from django.utils import timezone

from jobs.selectors import list_workers
from jobs.services import request_restart


class Command(BaseCommand):
    """Let every worker end after the job in hand, so that whoever keeps it alive starts it with the new code."""

    help = (
        "Let every worker that runs now end after the job in hand, within seconds; whoever keeps it alive starts it "
        "with the new code. Run it after each deployment. Exit code: 0."
    )

    @override
    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true", help="Print one JSON object.")

    @override
    def handle(self, *, json: bool, **_others: object) -> None:
        request_restart()
        if json:
            count = sum(worker.is_alive for worker in list_workers(now=timezone.now()))
            self.stdout.write(jsonlib.dumps({"worker_count": count}))
            return
        self.stdout.write("Every worker that runs now ends after the job in hand.")
