"""Let queues go on."""

import json as jsonlib
from argparse import ArgumentParser
from collections.abc import Sequence
from typing import override

from django.core.management.base import BaseCommand, CommandError

from jobs.exceptions import ConnectionsAwayError, UnknownConnectionError
from jobs.management.arguments import queue_names
from jobs.models.queued import EVERY_QUEUE
from jobs.queues import list_pauses, resume_queue
from project.printable import to_printable


class Command(BaseCommand):
    """Let workers take jobs from queues again."""

    help = (
        "Let workers take jobs from some queues (A,B) again; --all ends the rest of all queues, and of each that rests "
        "by itself. Exit code: 0, also where nothing rested; 1 for a connection that is unknown or did not answer, "
        "2 for wrong arguments."
    )

    @override
    def add_arguments(self, parser: ArgumentParser) -> None:
        chosen = parser.add_mutually_exclusive_group(required=True)
        chosen.add_argument("queues", nargs="?", type=queue_names, metavar="A,B", help="Queues that are to go on.")
        chosen.add_argument("--all", action="store_true", dest="is_all", help="Every queue.")
        parser.add_argument("--connection", help="Connection; that of the settings by default.")
        parser.add_argument("--json", action="store_true", help="Print one JSON object: what went on.")

    @override
    def handle(
        self, *, queues: list[str] | None, is_all: bool, connection: str | None, json: bool, **_others: object
    ) -> None:
        try:
            pauses = list_pauses(connection=connection)
            resumed = _resume_each(list(pauses) if is_all or not queues else queues, connection)
        except (UnknownConnectionError, ConnectionsAwayError) as error:
            raise CommandError(str(error)) from None
        if json:
            self.stdout.write(jsonlib.dumps({"resumed": resumed}))
        elif not resumed:
            self.stdout.write("Nothing rested.")
        else:
            shown = ", ".join("all queues" if name == EVERY_QUEUE else name for name in resumed)
            self.stdout.write(f"Workers take jobs again from: {to_printable(shown)}.")
        if not json and EVERY_QUEUE in pauses and EVERY_QUEUE not in resumed:
            self.stdout.write("All queues still rest; end that with: queue_resume --all")


def _resume_each(names: Sequence[str], connection: str | None) -> list[str]:
    """Return those queues that had rested; raises as ``resume_queue``, but goes through all of them before."""
    resumed: list[str] = []
    away: ConnectionsAwayError | None = None
    for name in names:
        try:
            if resume_queue(name, connection=connection):
                resumed.append(name)
        except ConnectionsAwayError as error:
            away = error
    if away is not None:
        raise away
    return resumed
