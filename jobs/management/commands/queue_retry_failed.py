"""Put failed jobs back into their queues."""

import json as jsonlib
from argparse import ArgumentParser
from typing import override
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError

from jobs.exceptions import BatchNotFoundError
from jobs.management.arguments import job_id, queue_name
from jobs.services import retry_batch, retry_failed_jobs


class Command(BaseCommand):
    """Put failed jobs back into their queues, with all their tries."""

    help = (
        "Put failed jobs back into their queues, with all their tries. Exit code: 0; 1 when one of the ids is no "
        "failed job (the others are retried all the same), there is no such batch, or not one way of saying which is "
        "given; 2 for what is not an id."
    )

    @override
    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("job_ids", nargs="*", type=job_id, metavar="JOB_ID", help="Ids as queue_failed shows them.")
        parser.add_argument("--all", action="store_true", help="Every failed job.")
        parser.add_argument("--batch", type=job_id, metavar="BATCH_ID", help="The failed jobs of a batch.")
        parser.add_argument("--queue", type=queue_name, metavar="NAME", help="The failed jobs of a queue.")
        parser.add_argument("--json", action="store_true", help="Print one JSON object.")

    @override
    def handle(
        self, *, job_ids: list[UUID], all: bool, batch: UUID | None, queue: str | None, json: bool, **_others: object
    ) -> None:
        if [bool(job_ids), all, batch is not None, queue is not None].count(True) != 1:
            message = "Say which: ids as queue_failed shows them, --all for every failed job, --batch or --queue."
            raise CommandError(message)
        if batch is not None:
            self._show(_retry_batch(batch), as_json=json)
            return
        wanted = list(dict.fromkeys(job_ids))
        retried = retry_failed_jobs(job_ids=wanted or None, queue=queue)
        self._show(retried, as_json=json)
        if missing := [str(wanted_id) for wanted_id in wanted if wanted_id not in retried]:
            message = f"Not among the failed jobs: {', '.join(missing)}. See them with: queue_failed"
            raise CommandError(message)

    def _show(self, retried: list[UUID], *, as_json: bool) -> None:
        if as_json:
            self.stdout.write(jsonlib.dumps({"retried": [str(retried_id) for retried_id in retried]}, indent=2))
        else:
            self.stdout.write(_to_text(len(retried)))


def _retry_batch(batch_id: UUID) -> list[UUID]:
    try:
        return retry_batch(batch_id=batch_id)
    except BatchNotFoundError as error:
        message = f"There is no batch {batch_id}."
        raise CommandError(message) from error


def _to_text(count: int) -> str:
    if not count:
        return "No job was put back."
    return f"{count} {'job was' if count == 1 else 'jobs were'} put back; a worker runs them. Watch with: queue_stats"
