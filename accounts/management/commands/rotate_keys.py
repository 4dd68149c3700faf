"""Rotate the keys that sign access tokens and ID tokens."""

import json as jsonlib
from argparse import ArgumentParser
from dataclasses import asdict
from typing import override

from django.core.management.base import BaseCommand
from django.core.serializers.json import DjangoJSONEncoder
from django.utils import timezone

from accounts.conf import get_settings
from accounts.services import KeyRotation, rotate_keys


class Command(BaseCommand):
    """Take the next step of a rotation."""

    help = (
        "Take the next step of a rotation of the keys that sign access tokens and ID tokens: publish the next key or, "
        "once it was published long enough, let it sign. Tokens of the key before stay good until they expire. "
        "Exit code: 0."
    )

    @override
    def add_arguments(self, parser: ArgumentParser) -> None:
        ways = parser.add_mutually_exclusive_group()
        ways.add_argument(
            "--now",
            action="store_true",
            help="Let another key sign at once; copies of the key set elsewhere may not have it yet.",
        )
        ways.add_argument(
            "--compromised",
            action="store_true",
            help="A key that signs or has signed is in wrong hands: another one signs at once, and all tokens of the "
            "old ones die within a minute, also as hints. People and programs have to refresh.",
        )
        parser.add_argument(
            "--algorithm",
            choices=get_settings().algorithms,
            help="Rotate the keys of this one only; without it those of each algorithm that is in use.",
        )
        parser.add_argument("--json", action="store_true", help="Print one JSON object.")

    @override
    def handle(self, *, now: bool, compromised: bool, algorithm: str | None, json: bool, **_others: object) -> None:
        rotations = rotate_keys(now=timezone.now(), is_forced=now, is_compromised=compromised, algorithm=algorithm)
        self.stdout.write(_to_json(rotations) if json else "\n".join(map(_to_text, rotations)))


def _to_json(rotations: list[KeyRotation]) -> str:
    return jsonlib.dumps({"rotations": [asdict(done) for done in rotations]}, cls=DjangoJSONEncoder)


def _to_text(done: KeyRotation) -> str:
    lines = [f"{done.algorithm}:"]
    if published := set(done.published) - set(done.activated):
        lines.append(f"  Published, not yet signing: {', '.join(sorted(published))}")
    if done.activated:
        lines.append(f"  Signs from now on: {', '.join(done.activated)}")
    if done.retired:
        lines.append(f"  Signs no more, verifies until its tokens have expired: {', '.join(done.retired)}")
    if done.withdrawn:
        lines.append(f"  Verifies ID tokens that come back as hints, and nothing else: {', '.join(done.withdrawn)}")
    if done.deleted:
        lines.append(f"  Deleted: {', '.join(done.deleted)}")
    if done.next_at is not None:
        lines.append(f"  The next key may sign from {done.next_at:%Y-%m-%d %H:%M} UTC on: run this command again then.")
    return "\n".join(lines if len(lines) > 1 else [f"{done.algorithm}: nothing to do."])
