"""Delete failed jobs by their ids."""

import json as jsonlib
from argparse import ArgumentParser
from typing import override
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError

from jobs.exceptions import FailedJobNotFoundError
from jobs.management.arguments import job_id
from jobs.services import forget_failed_job


class Command(BaseCommand):
    """Delete failed jobs for good."""

    help = (
        "Delete failed jobs for good. Exit code: 0; 1 when one of the ids is no failed job (the others are deleted all "
        "the same); 2 for what is not an id."
    )

    @override
    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("job_ids", nargs="+", type=job_id, metavar="JOB_ID", help="Ids as queue_failed shows them.")
        parser.add_argument("--json", action="store_true", help="Print one JSON object.")

    @override
    def handle(self, *, job_ids: list[UUID], json: bool, **_others: object) -> None:
        wanted = list(dict.fromkeys(job_ids))
        forgotten = [str(wanted_id) for wanted_id in wanted if _forget(wanted_id)]
        missing = [str(wanted_id) for wanted_id in wanted if str(wanted_id) not in forgotten]
        if json:
            self.stdout.write(jsonlib.dumps({"deleted": forgotten, "missing": missing}, indent=2))
        else:
            self.stdout.write(f"{len(forgotten)} failed {'job was' if len(forgotten) == 1 else 'jobs were'} deleted.")
        if missing:
            message = f"Not among the failed jobs: {', '.join(missing)}. See them with: queue_failed"
            raise CommandError(message)


def _forget(wanted_id: UUID) -> bool:
    try:
        forget_failed_job(job_id=wanted_id)
    except FailedJobNotFoundError:
        return False
    return True
