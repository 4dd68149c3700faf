"""Look for what was done to the audit log behind the house's back."""

import json
import sys
from argparse import ArgumentParser, ArgumentTypeError
from typing import override

from django.core.management.base import BaseCommand, CommandError

from permissions import audit


class Command(BaseCommand):
    """Say whether every event of the audit log is as it was recorded, and in its place."""

    help = (
        "Say whether every event of the audit log is as it was recorded, and in its place; if not, which one is the "
        "first that was edited, deleted, reordered, cut off the end, or forged. Exit code: 0 where all is well, else 1."
    )

    @override
    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true", help="Print one JSON object.")
        parser.add_argument(
            "--after",
            type=_position,
            default=0,
            metavar="POSITION",
            help="Start behind this position, such as that of damage which is known and explained.",
        )

    @override
    def handle(self, *, after: int, **options: object) -> None:
        try:
            found = audit.verify(after=after)
        except LookupError as error:
            raise CommandError(str(error)) from None
        self.stdout.write(_to_json(found) if options["json"] else _to_text(found))
        if found.fault is not None:
            sys.exit(1)


def _to_json(found: audit.Verification) -> str:
    fault, oldest = found.fault, found.oldest_unsealed_at
    body = {
        "ok": fault is None,
        "fault": fault
        and {"kind": fault.kind, "position": fault.position, "event_id": fault.event_id, "message": str(fault)},
        "sealed_count": found.sealed_count,
        "unsealed_count": found.unsealed_count,
        "oldest_unsealed_at": oldest and oldest.isoformat(),
        "head": {"position": found.head_position, "hash": found.head_hash},
    }
    return json.dumps(body, indent=2)


def _to_text(found: audit.Verification) -> str:
    lines = [f"{found.sealed_count} sealed events are as they were recorded, and in their places."]
    if found.fault is not None:
        lines = [f"The audit log is broken. First fault: {found.fault}", f"Good up to there: {found.sealed_count}."]
    waiting = f"Not yet sealed: {found.unsealed_count}"
    if found.oldest_unsealed_at is not None:
        waiting += f", the oldest of {found.oldest_unsealed_at:%Y-%m-%d %H:%M:%S} UTC"
    lines += [f"{waiting}.", f"Head: {found.head_position} {found.head_hash}".rstrip()]
    return "\n".join(lines)


def _position(text: str) -> int:
    """Read a position.

    Raises:
        ArgumentTypeError: It is no whole number from 0.
    """
    if not (text.isascii() and text.isdigit()) or int(text[:19]) >= 2**63 or len(text) > 19:
        message = f"{text!r} is no position: give a whole number from 0"
        raise ArgumentTypeError(message)
    return int(text)
