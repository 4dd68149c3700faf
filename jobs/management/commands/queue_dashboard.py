"""Watch queues, workers and failed jobs."""

import json as jsonlib
from argparse import ArgumentParser
from datetime import timedelta
from typing import override

from django.core.management.base import BaseCommand

from jobs.management.pages import add_page_options, has_terminal
from jobs.terminal.dashboard import Dashboard
from jobs.terminal.house import House, read_house, to_json, to_text


class Command(BaseCommand):
    """Watch queues, workers and failed jobs in the terminal, pause queues, and retry jobs."""

    help = (
        "Watch queues, workers and failed jobs, pause queues and retry jobs: a page of the terminal, on which ? tells "
        "the keys. Prints the same once, as text, where there is no terminal or --once is said. Exit code: 0; 1 when "
        "the database can't be read (the page waits for it); 2 for wrong arguments."
    )

    @override
    def add_arguments(self, parser: ArgumentParser) -> None:
        add_page_options(parser)

    @override
    def handle(self, *, refresh: timedelta, once: bool, json: bool, **_others: object) -> None:
        if json:
            self.stdout.write(jsonlib.dumps(to_json(_read()), indent=2))
        elif once or not has_terminal(self.stdout):
            self.stdout.write(to_text(_read()))
        else:
            Dashboard(source=_read, refresh=refresh).run()


def _read() -> House:
    return read_house()
