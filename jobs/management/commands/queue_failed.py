"""List the failed jobs."""

import json
from argparse import ArgumentParser
from collections.abc import Sequence
from datetime import datetime
from typing import override

from django.core.management.base import BaseCommand, CommandError

from jobs.drivers.base import get_driver
from jobs.exceptions import UnknownConnectionError
from jobs.management.arguments import positive_count
from jobs.management.failures import add_filters, make_query
from jobs.security import describe_arguments
from jobs.selectors import find_failed_jobs
from project.printable import to_printable


class Command(BaseCommand):
    """List the failed jobs, newest first."""

    help = (
        "List the failed jobs, newest first: all, or those that meet each of the filters that is said. Exit code: 0, "
        "also when there are none; 1 for an unknown connection; 2 for wrong arguments."
    )

    @override
    def add_arguments(self, parser: ArgumentParser) -> None:
        add_filters(parser)
        parser.add_argument("--limit", type=positive_count, default=100, metavar="N", help="At most N; 100 by default.")
        parser.add_argument(
            "--set-apart", action="store_true", help="Instead, the entries in Redis that not even a failed job can be."
        )
        parser.add_argument(
            "--connection",
            metavar="NAME",
            help="Only those of this connection; with --set-apart that of the settings by default.",
        )
        parser.add_argument("--json", action="store_true", help="Print one JSON array.")

    @override
    def handle(
        self,
        *,
        queue: str | None,
        job_class: str | None,
        since: datetime | None,
        exception: str | None,
        limit: int,
        set_apart: bool,
        connection: str | None,
        json: bool,
        **_others: object,
    ) -> None:
        try:
            driver = get_driver(connection)
        except UnknownConnectionError as error:
            raise CommandError(str(error)) from None
        if set_apart:
            self._show_set_apart(driver.list_set_apart(limit=limit), as_json=json)
            return
        query = make_query(
            queue=queue, job_class=job_class, since=since, exception=exception, connection=connection or ""
        )
        failed = find_failed_jobs(query).order_by("-failed_at", "-pk")
        rows = [
            {
                "job_id": str(job.job_id),
                "job_class": job.job_class,
                "queue": job.queue,
                "attempts": job.attempts,
                "exception": job.summary,
                "failed_at": job.failed_at.isoformat(),
                "arguments": describe_arguments(job.payload, job_class=job.job_class),
            }
            for job in failed[:limit]
        ]
        if json:
            self.stdout.write(_to_json(rows))
            return
        for row in rows:
            line = "{failed_at}  {job_id}  {job_class}  {queue}  tries: {attempts}".format(**row)
            self.stdout.write(to_printable(line))
            self.stdout.write(f"    {to_printable(str(row['exception']))}")
        self._say_what_next(shown=len(rows), total=failed.count())

    def _show_set_apart(self, entries: Sequence[str], *, as_json: bool) -> None:
        if as_json:
            self.stdout.write(json.dumps(list(entries), indent=2))
            return
        for entry in entries or ["Nothing was set apart."]:
            self.stdout.write(entry)

    def _say_what_next(self, *, shown: int, total: int) -> None:
        if not total:
            self.stdout.write("No job has failed.")
            return
        if shown < total:
            self.stdout.write(f"These are {shown} of {total}; see more with --limit.")
        self.stdout.write("Run one again with: queue_retry_failed JOB_ID (or --all)")


def _to_json(rows: list[dict[str, object]]) -> str:
    return json.dumps(rows, indent=2)
