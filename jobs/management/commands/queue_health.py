"""Say whether jobs get done."""

import json as jsonlib
import sys
from argparse import ArgumentParser
from typing import override

from django.core.management.base import BaseCommand

from jobs.management.arguments import whole_count
from jobs.selectors import Health, list_problems


class Command(BaseCommand):
    """Say whether jobs get done, why not, and what to do about it."""

    help = (
        "Say whether jobs get done, why not, and what to do about it. Exit code: 0 when all is well; 1 when it is "
        "degraded: a job has waited for longer than JOBS['LONG_WAIT_SECONDS'] in a queue or in the outbox, a queue "
        "rests or has no worker, or more jobs failed in the last hour than --max-failed; 2 when it is down: a store "
        "does not answer, or jobs wait and no worker is alive; 2 for wrong arguments too."
    )

    @override
    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--max-failed",
            type=whole_count,
            default=10,
            metavar="N",
            help="So many jobs may have failed in the last hour and not been put back; 10 by default.",
        )
        parser.add_argument("--json", action="store_true", help="Print one JSON object.")

    @override
    def handle(self, *, max_failed: int, json: bool, **_others: object) -> None:
        problems = list_problems(max_failed=max_failed)
        health = max((problem.health for problem in problems), default=Health.OK)
        if json:
            found = [
                {
                    "status": problem.health.name.lower(),
                    "code": problem.code,
                    "connection": problem.connection,
                    "queue": problem.queue,
                    "reason": problem.reason,
                    "advice": problem.advice,
                }
                for problem in problems
            ]
            self.stdout.write(jsonlib.dumps({"status": health.name.lower(), "problems": found}, indent=2))
        elif not problems:
            self.stdout.write("All is well.")
        else:
            self.stdout.write(f"Jobs are {health.name.lower()}.")
            for problem in problems:
                self.stdout.write(f"- {problem.reason}\n  {problem.advice}")
        if health:
            sys.exit(health)
