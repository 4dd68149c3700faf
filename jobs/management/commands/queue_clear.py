"""Delete the jobs that wait."""

import json as jsonlib
from argparse import ArgumentParser
from typing import override

from django.core.management.base import BaseCommand, CommandError

from jobs.drivers.base import get_driver
from jobs.exceptions import ConnectionsAwayError
from jobs.management.arguments import connection_name, queue_name
from jobs.services import clear_queue
from project.terminal import confirm_deletion, show_progress


class Command(BaseCommand):
    """Delete the jobs that wait in one queue of a connection, or in all of its queues."""

    help = (
        "Delete the jobs that wait, delayed ones included, in one queue of a connection or in all of its queues. "
        "Running jobs and failed jobs stay. Asks first; --no-input for scripts. Exit code: 0; 1 when nothing was "
        "deleted because nobody said yes, or when a connection of a failover didn't answer; 2 for wrong arguments."
    )

    @override
    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--queue", type=queue_name, metavar="NAME", help="Only this queue; every queue by default.")
        parser.add_argument(
            "--connection",
            type=connection_name,
            metavar="NAME",
            help="Connection that is cleared; JOBS['CONNECTION'] by default.",
        )
        parser.add_argument("--no-input", action="store_true", help="Don't ask.")
        parser.add_argument("--json", action="store_true", help="Print one JSON object.")

    @override
    def handle(
        self, *, queue: str | None, connection: str | None, no_input: bool, json: bool, **_others: object
    ) -> None:
        name = get_driver(connection).name
        place = f"{'every queue' if queue is None else f'the queue {queue}'} of the connection {name}"
        if not no_input:
            warning = f"This deletes all waiting jobs of {place}; what they were to do will not be done."
            confirm_deletion(warning=warning)
        try:
            with show_progress("Deleting", total=None) as show:
                count = clear_queue(queue=queue, connection=name, show=show)
        except ConnectionsAwayError as error:
            raise CommandError(str(error)) from None
        if json:
            self.stdout.write(jsonlib.dumps({"connection": name, "deleted_count": count}))
            return
        self.stdout.write(
            f"{count} waiting {'job was' if count == 1 else 'jobs were'} deleted from {place}. See the rest with: "
            "queue_stats"
        )
