"""Print what lets a shell complete the commands of jobs."""

from argparse import ArgumentParser
from typing import override

from django.core.management.base import BaseCommand

from jobs.management.completion import WRITERS, list_command_words


class Command(BaseCommand):
    """Print a script by which a shell completes the commands of jobs and their options."""

    help = (
        "Print a script by which a shell completes the commands of jobs and their options, for the shell to read: "
        "source <(manage.py queue_completion bash). Exit code: 0; 2 for another shell."
    )

    @override
    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("shell", choices=list(WRITERS), help="The shell.")

    @override
    def handle(self, *, shell: str, **_others: object) -> None:
        self.stdout.write(WRITERS[shell](list_command_words()), ending="")
