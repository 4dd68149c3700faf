"""Give an OAuth client another secret."""

import json as jsonlib
from argparse import ArgumentParser, ArgumentTypeError
from datetime import timedelta
from typing import override

from django.core.management.base import BaseCommand, CommandError

from oauth.selectors import get_client
from oauth.services import renew_client_secret
from project.exceptions import DomainError

_MAX_HOURS = 30 * 24


class Command(BaseCommand):
    """Make another secret and print it, this once."""

    help = (
        "Give an OAuth client another secret, which is printed this once. The one that it has works on for as long as "
        "--overlap says, so that the program can be changed meanwhile. Exit code: 0, or 1 where there is no such "
        "client or it has no secret."
    )

    @override
    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("client_id", metavar="CLIENT_ID", help="Id of the client.")
        parser.add_argument(
            "--overlap",
            type=_hours,
            default=timedelta(hours=24),
            metavar="HOURS",
            help=f"How long the present secret works on, 0 to {_MAX_HOURS} hours. Without it 24; 0 ends it at once.",
        )
        parser.add_argument("--json", action="store_true", help="Print one JSON object.")

    @override
    def handle(self, *, client_id: str, overlap: timedelta, json: bool, **_others: object) -> None:
        try:
            renewed = renew_client_secret(application=get_client(client_id=client_id), overlap=overlap)
        except DomainError as error:
            texts = [text for texts in error.fields.values() for text in texts]
            raise CommandError(" ".join(texts) or error.message) from error
        if json:
            self.stdout.write(jsonlib.dumps({"client_id": client_id, "client_secret": renewed.client_secret}))
            return
        hours = int(overlap.total_seconds() // 3600)
        former = f"The secret before works for {hours} hours more." if hours else "The secret before no longer works."
        self.stdout.write(f"client_secret: {renewed.client_secret}\nKeep it now: it is shown this once. {former}")


def _hours(text: str) -> timedelta:
    """Read a number of hours.

    Raises:
        ArgumentTypeError: It is none from 0 to 720.
    """
    if text.isascii() and text.isdigit() and len(text) <= len(str(_MAX_HOURS)) and int(text) <= _MAX_HOURS:
        return timedelta(hours=int(text))
    message = f"{text!r} is no number of hours from 0 to {_MAX_HOURS}"
    raise ArgumentTypeError(message)
