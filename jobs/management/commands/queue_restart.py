"""Ask the workers to start anew."""

from typing import override

from django.core.management.base import BaseCommand

from jobs.services import request_restart


class Command(BaseCommand):
    """Let every worker end after the job in hand, so that whoever keeps it alive starts it with the new code."""

    help = (
        "Let every worker that runs now end after the job in hand, within seconds; whoever keeps it alive starts it "
        "with the new code. Run it after each deployment. Exit code: 0."
    )

    @override
    def handle(self, **_others: object) -> None:
        request_restart()
        self.stdout.write("Every worker that runs now ends after the job in hand.")
