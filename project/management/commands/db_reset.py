"""Delete all data and start anew."""

from argparse import ArgumentParser
from typing import override

from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db import connection

from project.process_lock import ProcessLock, RunningElsewhereError
from project.seed import credentials_path
from project.terminal import confirm_deletion


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
            warning = f"This deletes ALL data in {name}: users, clients, tokens, jobs."
            confirm_deletion(warning=warning)
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
