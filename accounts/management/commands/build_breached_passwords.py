"""Make the file that new passwords are held against."""

import json
import time
from argparse import ArgumentParser, ArgumentTypeError
from dataclasses import asdict
from pathlib import Path
from typing import override

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from accounts.conf import get_password_settings
from accounts.passwords import bloom
from accounts.passwords.lists import BreachedList, ListError

_DEFAULT_NAME = "breached-passwords.bloom"


class Command(BaseCommand):
    """Make a filter of breached passwords from a list: SHA-1 digests as Have I Been Pwned has them, or passwords."""

    help = (
        "Make the file of breached passwords that BREACHED_PASSWORDS_FILE names, from a list with one entry per line: "
        "SHA-1 digests, with or without a count behind a colon, as Have I Been Pwned publishes them, or passwords. "
        "The list may be gzipped. Processes that run take the new file up by themselves."
    )
    requires_system_checks = ()  # one of them is that the file exists

    @override
    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("source", type=Path, metavar="LIST", help="File with the list.")
        parser.add_argument(
            "--output",
            type=Path,
            metavar="FILE",
            help=f"File to write; without it BREACHED_PASSWORDS_FILE, else {_DEFAULT_NAME} in VAR_DIR.",
        )
        parser.add_argument(
            "--false-positives",
            type=_rate,
            default=1e-6,
            metavar="RATE",
            help="Share of other passwords that are refused by mistake, from 1e-9 to 0.1; without it 1e-6.",
        )
        parser.add_argument("--json", action="store_true", help="Print one JSON object.")

    @override
    def handle(self, *, source: Path, output: Path | None, false_positives: float, **options: object) -> None:
        path = output or get_password_settings().breached_file or Path(settings.VAR_DIR) / _DEFAULT_NAME
        started = time.monotonic()
        try:
            breached = BreachedList(source)
            built = bloom.build(
                path, read_digests=breached.read, entries=breached.count(), false_positives=false_positives
            )
        except (ListError, ValueError) as error:
            raise CommandError(f"{source}: {error}") from error
        except OSError as error:
            raise CommandError(f"{error.filename or path}: {error.strerror or error}") from error
        body = {
            "file": str(path.resolve()),
            "kind": breached.kind.value,
            "entries": built.entries,
            "false_positives": false_positives,
            **asdict(built.shape),
            "bytes": built.size_bytes,
            "seconds": round(time.monotonic() - started, 3),
        }
        self.stdout.write(json.dumps(body, indent=2) if options["json"] else _to_text(body))


def _to_text(body: dict[str, str | float | int]) -> str:
    return (
        f"Wrote {body['file']}: {body['entries']:,} entries ({body['kind']}) in {body['bytes']:,} bytes, "
        f"in {body['seconds']} s.\nIt is in use where BREACHED_PASSWORDS_FILE names it."
    )


def _rate(text: str) -> float:
    """Read a rate.

    Raises:
        ArgumentTypeError: It is no number from 1e-9 to 0.1.
    """
    try:
        rate = float(text)
    except ValueError:
        rate = 0
    if not 1e-9 <= rate <= 0.1:
        message = f"{text!r} is no rate: give a number from 1e-9 to 0.1"
        raise ArgumentTypeError(message)
    return rate
