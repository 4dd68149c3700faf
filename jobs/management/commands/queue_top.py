"""Watch worker processes."""

import json as jsonlib
from argparse import ArgumentParser
from datetime import timedelta
from typing import override

from django.core.management.base import BaseCommand
from django.utils import timezone

from jobs.management.pages import add_page_options, has_terminal
from jobs.terminal.processes import Processes, Sort, read_processes, to_json, to_text
from jobs.terminal.top import Top


class Command(BaseCommand):
    """Watch worker processes: memory, processor time, the job in hand and since when, tries, state, host."""

    help = (
        "Watch worker processes: host, state, processor time, memory, tries, the job in hand and for how long it has "
        "run: a page of the terminal, on which ? tells the keys. Prints the same once, as text, where there is no "
        "terminal or --once is said. Exit code: 0; 1 when the database can't be read (the page waits for it); 2 for "
        "wrong arguments."
    )

    @override
    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--sort",
            choices=[one.value for one in Sort],
            default=Sort.CPU.value,
            help="What comes first: cpu by default; time is that of the job in hand.",
        )
        add_page_options(parser)

    @override
    def handle(self, *, sort: str, refresh: timedelta, once: bool, json: bool, **_others: object) -> None:
        order = Sort(sort)
        if json:
            self.stdout.write(jsonlib.dumps(to_json(_read(), order), indent=2))
        elif once or not has_terminal(self.stdout):
            self.stdout.write(to_text(_read(), order))
        else:
            Top(source=_read, refresh=refresh, sort=order).run()


def _read() -> Processes:
    return read_processes(now=timezone.now())
