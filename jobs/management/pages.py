"""What the commands that show a page of the terminal have in common."""

import sys
from argparse import ArgumentParser
from datetime import timedelta

from django.core.management.base import OutputWrapper

from jobs.management.arguments import refresh_seconds


def add_page_options(parser: ArgumentParser) -> None:
    """Add the options of a page."""
    parser.add_argument(
        "--refresh",
        type=refresh_seconds,
        default=timedelta(seconds=5),
        metavar="SECONDS",
        help="Read anew so often; every 5 seconds by default, as often as workers report.",
    )
    parser.add_argument("--once", action="store_true", help="Print text once, and end.")
    parser.add_argument("--json", action="store_true", help="Print one JSON object, and end.")


def has_terminal(stdout: OutputWrapper) -> bool:
    """Say whether there is a terminal to show a page on, and to press keys at."""
    return sys.stdin.isatty() and stdout.isatty()
