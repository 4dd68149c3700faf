"""Delete the jobs that wait."""

import sys
from argparse import ArgumentParser
from typing import override

from django.core.management.base import BaseCommand, CommandError

from jobs.management.arguments import queue_name
from jobs.services import clear_queue


class Command(BaseCommand):
    """Delete the jobs that wait in one queue or in all."""

    help = (
        "Delete the jobs that wait, delayed ones included, in one queue or in all. Running jobs and failed jobs stay. "
        "Asks first; --no-input for scripts. Exit code: 0; 1 when nothing was deleted because nobody said yes."
    )

    @override
    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--queue", type=queue_name, metavar="NAME", help="Only this queue; every queue by default.")
        parser.add_argument("--no-input", action="store_true", help="Don't ask.")

    @override
    def handle(self, *, queue: str | None, no_input: bool, **_others: object) -> None:
        place = "every queue" if queue is None else f"the queue {queue}"
        if not no_input:
            self._ask(place)
        count = clear_queue(queue=queue)
        self.stdout.write(
            f"{count} waiting {'job was' if count == 1 else 'jobs were'} deleted from {place}. See the rest with: "
            "queue_stats"
        )

    def _ask(self, place: str) -> None:
        if not sys.stdin.isatty():
            message = "Nothing was deleted: there is no terminal to ask on. Say --no-input to delete without asking."
            raise CommandError(message)
        self.stdout.write(f"This deletes all waiting jobs of {place}; what they were to do will not be done.")
        try:
            answer = input("Type 'yes' to delete them: ")
        except (EOFError, KeyboardInterrupt):
            answer = ""
            self.stdout.write("")
        if answer != "yes":
            message = "Nothing was deleted."
            raise CommandError(message)
