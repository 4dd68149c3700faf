"""Write ``.env.example`` from the settings."""

import textwrap
from argparse import ArgumentParser
from itertools import groupby
from pathlib import Path
from typing import override

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from project.settings.base import env

_HEAD = """\
# Every variable that Gatehouse reads, with its default. Copy the file to .env and set what you need.
# NAME_FILE=/path gives a value by a file, as container platforms mount secrets.
# This file is written by: manage.py env_example
"""


class Command(BaseCommand):
    """Write .env.example from the settings, or check that it is what the settings say."""

    help = "Write .env.example from the settings, or check that it is what the settings say."
    requires_system_checks = ()

    @override
    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--check", action="store_true", help="Write nothing; exit with 1 where the file differs.")

    @override
    def handle(self, *args: object, check: bool, **options: object) -> None:
        path = Path(settings.BASE_DIR) / ".env.example"
        text = render()
        if not check:
            path.write_text(text)
            self.stdout.write(f"Wrote {path.name}.")
        elif not path.is_file() or path.read_text() != text:
            message = ".env.example is not what the settings say; run: manage.py env_example"
            raise CommandError(message)


def render() -> str:
    """Return the text of ``.env.example``."""
    parts = [_HEAD]
    for group, variables in groupby(env.variables, key=lambda variable: variable.group):
        parts.append(f"\n# --- {group} ---\n")
        for variable in variables:
            help_lines = textwrap.wrap(variable.help, 110, initial_indent="# ", subsequent_indent="# ")
            parts.append("\n".join([*help_lines, f"# {variable.name}={variable.default}", ""]))
    return "".join(parts)
