"""Let queues rest."""

import json as jsonlib
from argparse import ArgumentParser
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import override

from django.core.management.base import BaseCommand, CommandError

from jobs.conf import get_job_settings
from jobs.exceptions import ConnectionsAwayError, UnknownConnectionError
from jobs.management.arguments import pause_duration, queue_names
from jobs.models.queued import EVERY_QUEUE
from jobs.queues import describe_unknown_queues, list_pauses, pause_queue
from jobs.selectors.stores import list_stores, serves_connection


class Command(BaseCommand):
    """Let no worker take jobs from some queues, or from any."""

    help = (
        "Let no worker take jobs from some queues (A,B), or with --all from any, for a while or until queue_resume. "
        "Jobs in hand are finished, and dispatch goes on. Exit code: 0, 1 for a connection that is unknown or did not "
        "answer, 2 for wrong arguments."
    )

    @override
    def add_arguments(self, parser: ArgumentParser) -> None:
        chosen = parser.add_mutually_exclusive_group(required=True)
        chosen.add_argument("queues", nargs="?", type=queue_names, metavar="A,B", help="Queues that are to rest.")
        chosen.add_argument("--all", action="store_true", dest="is_all", help="Every queue.")
        parser.add_argument(
            "--for", type=pause_duration, dest="duration", metavar="SECONDS", help="End by itself then."
        )
        parser.add_argument("--connection", help="Connection; that of the settings by default.")
        parser.add_argument("--json", action="store_true", help="Print one JSON object: what rests now.")

    @override
    def handle(
        self,
        *,
        queues: list[str] | None,
        is_all: bool,
        duration: timedelta | None,
        connection: str | None,
        json: bool,
        **_others: object,
    ) -> None:
        names = [EVERY_QUEUE] if is_all or not queues else queues
        served = connection or get_job_settings().connection
        pauses = _pause(names, connection=connection, until=duration)
        if not pauses.keys() & set(names):
            message = f"Nothing rests: {served} keeps no jobs, so no worker takes any from it."
            raise CommandError(message)
        if json:
            paused = {name: until.isoformat() if until else None for name, until in pauses.items()}
            self.stdout.write(jsonlib.dumps({"paused": paused}, indent=2))
            return
        what = "All queues rest" if is_all else f"{', '.join(names)} {'rests' if len(names) == 1 else 'rest'}"
        end = f"for {int(duration.total_seconds())} s" if duration else "until queue_resume"
        self.stdout.write(f"{what} {end}. Jobs in hand are finished; new ones wait.")
        if unknown := describe_unknown_queues(names):
            self.stdout.write(unknown)
        if others := [name for name in list_stores() if not serves_connection(served, name)]:
            self.stdout.write(f"That is on {served} alone; elsewhere say --connection: {', '.join(others)}.")


def _pause(names: Sequence[str], *, connection: str | None, until: timedelta | None) -> Mapping[str, datetime | None]:
    """Let queues rest, each that can be reached; return all that rest.

    Raises:
        CommandError: There is no such connection, or one didn't answer.
    """
    away: ConnectionsAwayError | None = None
    try:
        for name in names:
            try:
                pause_queue(name, connection=connection, until=until)
            except ConnectionsAwayError as error:  # the other queues first
                away = error
        pauses = list_pauses(connection=connection)
    except UnknownConnectionError as error:
        raise CommandError(str(error)) from None
    if away is not None:
        raise CommandError(str(away))
    return pauses
