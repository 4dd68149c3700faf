"""Delete all data and start anew."""

import sys
from argparse import ArgumentParser
from typing import override

from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db import connection

from project.process_lock import ProcessLock, RunningElsewhereError
from project.seed import credentials_path


class Command(BaseCommand):
    """Delete all data of the database, keep the tables, and seed anew."""

    help = "Delete all data of the database, keep the tables, and seed anew. Asks first; --no-input for scripts."

    @override
    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--no-input", action="store_true", help="Don't ask.")

    @override
    def handle(self, *args: object, **options: object) -> None:
        name = str(connection.settings_dict["NAME"])
        if not options["no_input"]:
            self._ask(name)
        try:
            with ProcessLock():
                call_command("migrate", verbosity=0, interactive=False)
                call_command("flush", verbosity=0, interactive=False)
                credentials_path().unlink(missing_ok=True)
                call_command("db_seed", stdout=self.stdout)
        except RunningElsewhereError as error:
            message = f"{error} Stop it first, then reset."
            raise CommandError(message) from error
        self.stdout.write("All data was deleted and seeded anew. Start with: make run")

    def _ask(self, name: str) -> None:
        if not sys.stdin.isatty():
            message = "Nothing was deleted: there is no terminal to ask on. Say --no-input to delete without asking."
            raise CommandError(message)
        self.stdout.write(f"This deletes ALL data in {name}: users, clients, tokens, jobs.")
        try:
            answer = input("Type 'yes' to delete it: ")
        except (EOFError, KeyboardInterrupt):
            answer = ""
            self.stdout.write("")
        if answer != "yes":
            message = "Nothing was deleted."
            raise CommandError(message)
