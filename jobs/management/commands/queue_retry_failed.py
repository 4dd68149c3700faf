"""Put failed jobs back into their queues."""

import json as jsonlib
from argparse import ArgumentParser
from datetime import datetime
from typing import override
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError

from jobs.batch import find_batch
from jobs.management.arguments import job_id
from jobs.management.failures import Steered, add_filters, make_query, steer_found, steer_named
from jobs.services import Steer, retry_one


class Command(BaseCommand):
    """Put failed jobs back into their queues, with all their tries."""

    help = (
        "Put failed jobs back into their queues, with all their tries: those that are named, all, or those that meet "
        "each of --queue, --class, --since, --exception and --batch that is said. Exit code: 0; 1 when one of the ids "
        "is no failed job or can't be put back (the others are retried all the same), there is no such batch, or it "
        "isn't said which; 2 for wrong arguments."
    )

    @override
    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("job_ids", nargs="*", type=job_id, metavar="JOB_ID", help="Ids as queue_failed shows them.")
        parser.add_argument("--all", action="store_true", help="Every failed job.")
        parser.add_argument("--batch", type=job_id, metavar="BATCH_ID", help="Only those of a batch.")
        add_filters(parser)
        parser.add_argument("--json", action="store_true", help="Print one JSON object.")

    @override
    def handle(
        self,
        *,
        job_ids: list[UUID],
        all: bool,
        batch: UUID | None,
        queue: str | None,
        job_class: str | None,
        since: datetime | None,
        exception: str | None,
        json: bool,
        **_others: object,
    ) -> None:
        is_filtered = any(value is not None for value in (batch, queue, job_class, since, exception))
        if [bool(job_ids), all, is_filtered].count(True) != 1:
            message = (
                "Say which: ids as queue_failed shows them, --all for every failed job, or some of --queue, --class, "
                "--since, --exception and --batch."
            )
            raise CommandError(message)
        if batch is not None and find_batch(batch) is None:
            message = f"There is no batch {batch}."
            raise CommandError(message)
        if job_ids:
            steered = steer_named(job_ids, lambda wanted: retry_one(job_id=wanted))
        else:
            query = make_query(queue=queue, job_class=job_class, since=since, exception=exception, batch_id=batch)
            steered = steer_found(query, Steer.RETRY, words="Retrying")
        self.stdout.write(jsonlib.dumps(steered.as_json("retried")) if json else _to_text(steered))
        if steered.refused:
            raise CommandError(steered.describe_refusals())


def _to_text(steered: Steered) -> str:
    count, skipped = steered.done_count, steered.skipped_count
    left = f" {skipped} stayed: another one of their key waits, or their connection is gone." if skipped else ""
    if not count:
        return f"No job was put back.{left}"
    were = "job was" if count == 1 else "jobs were"
    return f"{count} {were} put back; a worker runs them. Watch with: queue_stats{left}"
