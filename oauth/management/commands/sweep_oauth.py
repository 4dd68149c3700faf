"""Delete codes, devices, requests, tokens, secrets and consents whose time is over."""

import json as jsonlib
from argparse import ArgumentParser
from collections import Counter
from typing import override

from django.core.management.base import BaseCommand
from django.utils import timezone

from oauth.services import sweep


class Command(BaseCommand):
    """Sweep until nothing is left; workers do it each hour."""

    help = (
        "Delete authorization codes, waiting devices, stored requests, opaque and personal access tokens, client "
        "secrets and consents whose time is over. Workers do it each hour. Exit code: 0."
    )

    @override
    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true", help="Print one JSON object.")

    @override
    def handle(self, *, json: bool, **_others: object) -> None:
        total: Counter[str] = Counter()
        is_complete = False
        while not is_complete:
            done = sweep(now=timezone.now())
            total.update(done.counts)
            is_complete = done.is_complete
        if json:
            self.stdout.write(jsonlib.dumps(dict(total)))
            return
        for name, count in total.items():
            self.stdout.write(f"{name.replace('_', ' ')}: {count}")
