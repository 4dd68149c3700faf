"""Show how fast jobs are done, how many fail, and how long they run and wait."""

import json as jsonlib
from argparse import ArgumentParser
from collections.abc import Callable
from datetime import timedelta
from typing import Final, override

from django.core.management.base import BaseCommand
from django.utils import timezone

from jobs.management.arguments import queue_name
from jobs.selectors import SHARES, TryStatistics, get_try_statistics, list_points
from project.terminal import format_table

#: Whiles that can be looked at, and the steps in which they are told by time.
_SPANS: Final = {
    "1h": (timedelta(hours=1), timedelta(minutes=5)),
    "24h": (timedelta(hours=24), timedelta(hours=1)),
    "7d": (timedelta(days=7), timedelta(days=1)),
}
_PERCENTILES: Final = tuple(f"p{round(share * 100)}" for share in SHARES)
_HEAD: Final = (
    "done", "done/min", "released", "failed", "failed %",
    *(f"{kind} {name}" for kind in ("run", "wait") for name in (*_PERCENTILES, "longest")),
)  # fmt: skip


class Command(BaseCommand):
    """Show throughput, failures, run times and waits."""

    help = (
        "Show how many tries were done, released and failed within a while, how long they ran, and how long their jobs "
        "had waited: percentiles as exactly as the bounds tell by which times are counted, and the longest. Workers "
        "write figures every five seconds. Exit code: 0, also when there are none; 1 when the database can't be read; "
        "2 for wrong arguments."
    )

    @override
    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--since", choices=list(_SPANS), default="1h", help="How far back; 1h by default.")
        parser.add_argument("--queue", type=queue_name, metavar="NAME", help="Only tries of this queue.")
        parser.add_argument("--class", dest="job_class", metavar="NAME", help="Only tries of this class of jobs.")
        parser.add_argument(
            "--by",
            choices=["queue", "class", "time"],
            default="queue",
            help="What they are told apart by: queue by default; time tells steps of 5 minutes, an hour or a day.",
        )
        parser.add_argument("--json", action="store_true", help="Print one JSON object; durations in seconds.")

    @override
    def handle(
        self, *, since: str, queue: str | None, job_class: str | None, by: str, json: bool, **_others: object
    ) -> None:
        span, step = _SPANS[since]
        until = timezone.now()
        begin = until - span
        rows: dict[str, TryStatistics]
        if by == "time":
            points = list_points(since=begin, until=until, step=step, queue=queue, job_class=job_class)
            rows = {point.at.isoformat(timespec="minutes"): point.tries for point in points}
        else:
            rows = get_try_statistics(
                since=begin,
                until=until,
                by="queue" if by == "queue" else "job_class",
                queue=queue,
                job_class=job_class,
                has_percentiles=True,
            )
        if json:
            told = [{by: name, **tries.as_json()} for name, tries in rows.items()]
            body = {"since": begin.isoformat(), "until": until.isoformat(), "by": by, "rows": told}
            self.stdout.write(jsonlib.dumps(body, indent=2))
        elif not rows:
            self.stdout.write("No try has ended in that while.")
        else:
            table = [[name or "(untrusted)", *_to_cells(tries)] for name, tries in rows.items()]
            self.stdout.write("\n".join(format_table((by, *_HEAD), table)))


def _to_cells(tries: TryStatistics) -> list[str]:
    rate = tries.failure_rate
    return [
        str(tries.processed_count),
        f"{tries.processed_per_minute:.1f}",
        str(tries.released_count),
        str(tries.failed_count),
        "-" if rate is None else f"{rate * 100:.1f}",
        *_to_times(tries.get_run_percentile, tries.longest_run),
        *_to_times(tries.get_wait_percentile, tries.longest_wait),
    ]


def _to_times(find: Callable[[float], timedelta | None], longest: timedelta) -> list[str]:
    found = [find(share) for share in SHARES]
    if None in found:
        return ["-"] * (len(SHARES) + 1)
    return [_say(duration) for duration in (*found, longest)]


def _say(duration: timedelta | None) -> str:
    """Return a duration in the unit that suits it."""
    seconds = duration.total_seconds() if duration else 0.0
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    return f"{seconds:.1f} s" if seconds < 60 else f"{timedelta(seconds=int(seconds))}"
