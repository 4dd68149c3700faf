"""Delete failed jobs."""

import json as jsonlib
from argparse import ArgumentParser
from datetime import datetime
from typing import override
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError

from jobs.management.arguments import job_id
from jobs.management.failures import add_filters, make_query, steer_found, steer_named
from jobs.selectors import find_failed_jobs
from jobs.services import Steer, forget_one
from project.terminal import confirm_deletion


class Command(BaseCommand):
    """Delete failed jobs for good."""

    help = (
        "Delete failed jobs for good: those that are named, or those that meet each of --queue, --class, --since and "
        "--exception that is said; asks before that, unless --no-input is said. Exit code: 0; 1 when one of the ids is "
        "no failed job (the others are deleted all the same), nobody said yes, or it isn't said which; 2 for wrong "
        "arguments."
    )

    @override
    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("job_ids", nargs="*", type=job_id, metavar="JOB_ID", help="Ids as queue_failed shows them.")
        add_filters(parser)
        parser.add_argument("--no-input", action="store_true", help="Don't ask.")
        parser.add_argument("--json", action="store_true", help="Print one JSON object.")

    @override
    def handle(
        self,
        *,
        job_ids: list[UUID],
        queue: str | None,
        job_class: str | None,
        since: datetime | None,
        exception: str | None,
        no_input: bool,
        json: bool,
        **_others: object,
    ) -> None:
        is_filtered = any(value is not None for value in (queue, job_class, since, exception))
        if bool(job_ids) == is_filtered:
            message = "Say which: ids as queue_failed shows them, or some of --queue, --class, --since and --exception."
            raise CommandError(message)
        if job_ids:
            steered = steer_named(job_ids, lambda wanted: forget_one(job_id=wanted))
        else:
            query = make_query(queue=queue, job_class=job_class, since=since, exception=exception)
            if not no_input:
                count = find_failed_jobs(query).count()
                warning = f"This deletes {count} failed jobs; none can be retried then."
                confirm_deletion(warning=warning)
            steered = steer_found(query, Steer.DISCARD, words="Deleting")
        count = steered.done_count
        text = f"{count} failed {'job was' if count == 1 else 'jobs were'} deleted."
        self.stdout.write(jsonlib.dumps(steered.as_json("deleted")) if json else text)
        if steered.refused:
            raise CommandError(steered.describe_refusals())
