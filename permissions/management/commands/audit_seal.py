"""Seal the audit log."""

from argparse import ArgumentParser
from typing import override

from django.core.management.base import BaseCommand

from permissions import audit


class Command(BaseCommand):
    """Join the recorded events to the chain, once or for as long as the house runs."""

    help = (
        "Join the recorded events of the audit log to its chain, so that audit_verify finds what is changed from then "
        "on. Any number may run; one of them works at a time."
    )

    @override
    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--follow", action="store_true", help="Go on until Ctrl-C or SIGTERM, once a second.")

    @override
    def handle(self, *, follow: bool, **_others: object) -> None:
        if not follow:
            self.stdout.write(_describe(audit.seal()))
            return
        sealer = audit.Sealer()
        self.stdout.write("The sealer runs. Ctrl-C ends it.")
        self.stdout.flush()
        with sealer.listen_to_signals():
            sealed = sealer.run()
        self.stdout.write(_describe(sealed))


def _describe(count: int) -> str:
    return f"{count} {'event was' if count == 1 else 'events were'} sealed."
