"""What is said to the person at the terminal, and asked."""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from django.core.management.base import CommandError
from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress

from project.printable import to_printable


def format_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Return the lines of a table: the first column to the left, the others to the right; no cell ends its line."""
    cells = [[to_printable(cell) for cell in row] for row in (head, *rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return [
        "  ".join([first.ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(rest, widths[1:], strict=True))])
        for first, *rest in cells
    ]


@contextmanager
def show_progress(words: str, *, total: int | None) -> Iterator[Callable[[int], None]]:
    """Show how far long work has come, where stderr is a terminal; call what is yielded with how much is done.

    Nothing of it stays in the terminal, and nothing goes where no person looks.
    """
    if not sys.stderr.isatty():
        yield lambda _done: None
        return
    with Progress(
        *Progress.get_default_columns(), MofNCompleteColumn(), console=Console(stderr=True), transient=True
    ) as bar:
        task = bar.add_task(words, total=total)
        yield lambda done: bar.update(task, completed=done)


def confirm_deletion(*, warning: str) -> None:
    """Ask before something is deleted, by way of stderr: what a command answers goes to stdout.

    Raises:
        CommandError: The answer wasn't "yes", or there is no terminal to ask on.
    """
    if not sys.stdin.isatty():
        message = "Nothing was deleted: there is no terminal to ask on. Say --no-input to delete without asking."
        raise CommandError(message)
    sys.stderr.write(f"{warning}\nType 'yes' to go on: ")
    sys.stderr.flush()
    try:
        answer = input()
    except (EOFError, KeyboardInterrupt):
        answer = ""
        sys.stderr.write("\n")
    if answer != "yes":
        message = "Nothing was deleted."
        raise CommandError(message)
