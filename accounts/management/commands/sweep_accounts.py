"""Delete sessions, tokens and accounts whose time is over."""

import json as jsonlib
from argparse import ArgumentParser
from collections import Counter
from typing import override

from django.core.management.base import BaseCommand
from django.utils import timezone

from accounts.services import count_sweepable, sweep


class Command(BaseCommand):
    """Sweep until nothing is left; workers do it each hour."""

    help = (
        "Delete sessions, tokens, links, registrations and revocations whose time is over, and accounts that nobody "
        "confirmed. Workers do it each hour. Exit code: 0."
    )

    @override
    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="Count only.")
        parser.add_argument("--json", action="store_true", help="Print one JSON object.")

    @override
    def handle(self, *, dry_run: bool, json: bool, **_others: object) -> None:
        counts = count_sweepable(now=timezone.now()) if dry_run else _sweep_all()
        if json:
            self.stdout.write(jsonlib.dumps(counts))
            return
        for name, count in counts.items():
            self.stdout.write(f"{name.replace('_', ' ')}: {count}")


def _sweep_all() -> dict[str, int]:
    total: Counter[str] = Counter()
    is_complete = False
    while not is_complete:
        done = sweep(now=timezone.now())
        total.update(done.counts)
        is_complete = done.is_complete
    return dict(total)
