"""Questions to the person at the terminal."""

import sys
from collections.abc import Callable

from django.core.management.base import CommandError


def confirm_deletion(*, warning: str, say: Callable[[str], object]) -> None:
    """Ask before something is deleted.

    Raises:
        CommandError: The answer wasn't "yes", or there is no terminal to ask on.
    """
    if not sys.stdin.isatty():
        message = "Nothing was deleted: there is no terminal to ask on. Say --no-input to delete without asking."
        raise CommandError(message)
    say(warning)
    try:
        answer = input("Type 'yes' to go on: ")
    except (EOFError, KeyboardInterrupt):
        answer = ""
        say("")
    if answer != "yes":
        message = "Nothing was deleted."
        raise CommandError(message)
