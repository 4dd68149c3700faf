"""Send what waits in the outbox."""

import json as jsonlib
import sys
from argparse import ArgumentParser
from typing import Final, override

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from jobs.management.rounds import go_round
from jobs.selectors import list_outbox_figures
from jobs.services import RELAY_PERIOD, Relay, relay_outbox
from project.printable import to_printable

#: Exit code when jobs wait on.
EXIT_WAITING: Final = 1


class Command(BaseCommand):
    """Send what waits in the outbox to its store, until SIGTERM or Ctrl-C."""

    help = (
        "Send what waits in the outbox to its store, until SIGTERM or Ctrl-C. Workers and queue_schedule do that too, "
        "once a second; any number of them may run. Exit code: 0 at a normal end (also by a signal); with --once 1 "
        "when jobs wait on, because a store is away or another process is sending them; 2 for wrong arguments."
    )

    @override
    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--once", action="store_true", help="Send what can be sent now, then end.")
        parser.add_argument("--json", action="store_true", help="With --once: print one JSON object.")

    @override
    def handle(self, *, once: bool, json: bool, **_others: object) -> None:
        if json and not once:
            raise CommandError("--json needs --once.", returncode=2)
        if not once:
            self._look_after()
            return
        looks = relay_outbox()
        left = list_outbox_figures(now=timezone.now())
        if json:
            sent = {look.connection: look.count for look in looks}
            away = [look.connection for look in looks if look.is_away]
            waiting = {one.connection: one.count for one in left}
            self.stdout.write(jsonlib.dumps({"sent": sent, "away": away, "waiting": waiting}, indent=2))
        else:
            lines = [
                f"{to_printable(look.connection)}: {look.count} sent{', it is away' * look.is_away}." for look in looks
            ]
            lines += [one.describe() for one in left]
            self.stdout.write("\n".join(lines) or "Nothing waits.")
        if left:
            sys.exit(EXIT_WAITING)

    def _look_after(self) -> None:
        relay = Relay()

        def step() -> None:
            if count := relay.tick():
                self.stdout.write(f"{count} sent.")
                self.stdout.flush()

        self.stdout.write("Relaying the outbox. Ctrl-C ends it.")
        self.stdout.flush()
        go_round(step, pause=RELAY_PERIOD)
        self.stdout.write("The outbox is left to others.")
