"""Put failed jobs back into their queues."""

from argparse import ArgumentParser
from typing import override
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError

from jobs.management.arguments import job_id
from jobs.services import retry_failed_jobs


class Command(BaseCommand):
    """Put failed jobs back into their queues, with all their tries."""

    help = (
        "Put failed jobs back into their queues, with all their tries. Exit code: 0; 1 when one of the ids is no "
        "failed job (the others are retried all the same) or none is given; 2 for what is not an id."
    )

    @override
    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("job_ids", nargs="*", type=job_id, metavar="JOB_ID", help="Ids as queue_failed shows them.")
        parser.add_argument("--all", action="store_true", help="Every failed job.")

    @override
    def handle(self, *, job_ids: list[UUID], all: bool, **_others: object) -> None:
        if bool(job_ids) == all:
            raise CommandError("Say which: ids as queue_failed shows them, or --all for every failed job.")
        wanted = list(dict.fromkeys(job_ids))
        retried = retry_failed_jobs(job_ids=None if all else wanted)
        self.stdout.write(_to_text(len(retried)))
        if missing := [str(wanted_id) for wanted_id in wanted if wanted_id not in retried]:
            message = f"Not among the failed jobs: {', '.join(missing)}. See them with: queue_failed"
            raise CommandError(message)


def _to_text(count: int) -> str:
    if not count:
        return "No job was put back."
    return f"{count} {'job was' if count == 1 else 'jobs were'} put back; a worker runs them. Watch with: queue_stats"
