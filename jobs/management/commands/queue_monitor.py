"""Say which queues hold too many jobs, and whether jobs wait in the outbox for too long."""

import json as jsonlib
import sys
from argparse import ArgumentParser
from typing import Final, override

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from jobs.conf import get_job_settings
from jobs.exceptions import UnknownQueueError
from jobs.management.arguments import connection_name, positive_count, queue_name
from jobs.queues import check_queue_is_known, monitor_queues
from jobs.selectors import list_outbox_figures
from project.printable import to_printable

#: Exit code when a queue is too long, or a job waits in the outbox for too long.
EXIT_BUSY: Final = 1
_EXIT_USAGE: Final = 2


class Command(BaseCommand):
    """Say which queues hold too many jobs, and send the signal ``queue_busy`` for each."""

    help = (
        "Say which queues hold more than --max jobs, waiting, delayed and running ones together, and send the signal "
        "queue_busy for each. What waits in the outbox is told first. Exit code: 0 when all is well, 1 when a queue "
        "holds more, a job has waited in the outbox for longer than JOBS['MAX_WAIT_SECONDS'], or the store can't be "
        "read, 2 for wrong arguments or a queue that nobody defined."
    )

    @override
    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("queues", nargs="+", type=queue_name, metavar="QUEUE", help="Queues to look at.")
        parser.add_argument(
            "--max",
            type=positive_count,
            default=1000,
            dest="limit",
            metavar="N",
            help="Jobs that a queue may hold; 1000 by default.",
        )
        parser.add_argument(
            "--connection",
            type=connection_name,
            metavar="NAME",
            help="Connection to look at; JOBS['CONNECTION'] by default.",
        )
        parser.add_argument("--json", action="store_true", help="Print one JSON object.")

    @override
    def handle(self, *, queues: list[str], limit: int, connection: str | None, json: bool, **_others: object) -> None:
        names = list(dict.fromkeys(queues))
        _check_known(names)
        outbox = list_outbox_figures(now=timezone.now())
        if not json:  # told even where the store is away, for that is when jobs wait there
            for figures in outbox:
                self.stdout.write(figures.describe())
        busy = monitor_queues(max_size=limit, queues=names, connection=connection)
        if json:
            waiting = [figures.as_json() for figures in outbox]
            self.stdout.write(jsonlib.dumps({"max": limit, "busy": busy, "outbox": waiting}, indent=2))
        else:
            for name, size in busy.items():
                self.stdout.write(f"{to_printable(name)} holds {size} jobs, more than {limit}.")
            if not busy:
                self.stdout.write(f"None of these holds more than {limit} jobs: {', '.join(names)}.")
        if busy or any(figures.oldest_wait > get_job_settings().max_wait for figures in outbox):
            sys.exit(EXIT_BUSY)


def _check_known(names: list[str]) -> None:
    """Refuse a mistyped name, which would never be too long."""
    try:
        for name in names:
            check_queue_is_known(name)
    except UnknownQueueError as error:
        raise CommandError(str(error), returncode=_EXIT_USAGE) from None
