"""Rotate the keys that sign access tokens."""

import json as jsonlib
from argparse import ArgumentParser
from typing import override

from django.core.management.base import BaseCommand
from django.utils import timezone

from accounts.services import KeyRotation, rotate_keys


class Command(BaseCommand):
    """Take the next step of a rotation."""

    help = (
        "Take the next step of a rotation of the keys that sign access tokens: publish the next key or, once it was "
        "published long enough, let it sign. Tokens of the key before stay good until they expire. Exit code: 0."
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
            help="The signing key is in wrong hands: another one signs at once, and all tokens of the old one die "
            "within a minute. People and programs have to refresh.",
        )
        parser.add_argument("--json", action="store_true", help="Print one JSON object.")

    @override
    def handle(self, *, now: bool, compromised: bool, json: bool, **_others: object) -> None:
        done = rotate_keys(now=timezone.now(), is_forced=now, is_compromised=compromised)
        self.stdout.write(_to_json(done) if json else _to_text(done))


def _to_json(done: KeyRotation) -> str:
    return jsonlib.dumps(
        {
            "algorithm": done.algorithm,
            "published": done.published,
            "activated": done.activated,
            "retired": done.retired,
            "deleted": done.deleted,
            "next_at": done.next_at.isoformat() if done.next_at else None,
        }
    )


def _to_text(done: KeyRotation) -> str:
    lines = []
    if published := set(done.published) - set(done.activated):
        lines.append(f"Published, not yet signing: {', '.join(sorted(published))}")
    if done.activated:
        lines.append(f"Signs from now on ({done.algorithm}): {', '.join(done.activated)}")
    if done.retired:
        lines.append(f"Signs no more, verifies until its tokens have expired: {', '.join(done.retired)}")
    if done.deleted:
        lines.append(f"Deleted: {', '.join(done.deleted)}")
    if done.next_at is not None:
        lines.append(f"The next key may sign from {done.next_at:%Y-%m-%d %H:%M} UTC on: run this command again then.")
    return "\n".join(lines) or "Nothing to do."
