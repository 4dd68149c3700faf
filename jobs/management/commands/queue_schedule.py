"""Look after the schedule, or show it."""

import json
from argparse import ArgumentParser
from datetime import datetime
from typing import override
from zoneinfo import ZoneInfo

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from jobs.exceptions import ScheduleTimingError
from jobs.management.rounds import go_round
from jobs.models import Schedule
from jobs.scheduler import Run, Ticker, run_due_schedules, synchronise_schedules
from jobs.scheduler.ticker import TICK
from jobs.selectors import list_schedules
from jobs.services import Relay
from project.printable import to_printable


class Command(BaseCommand):
    """Dispatch the jobs of the schedule when they are due, until SIGTERM or Ctrl-C."""

    help = (
        "Dispatch the jobs of the schedule when they are due, until SIGTERM or Ctrl-C. Workers do that too, between "
        "jobs; this process has nothing else to do, so it is on time even when all workers are busy. It relays the "
        "outbox as well. Any number of both may run: each run is dispatched once. Exit code: 0 at a normal end (also "
        "by a signal), 1 when the store can't be read, 2 for wrong arguments."
    )

    @override
    def add_arguments(self, parser: ArgumentParser) -> None:
        only = parser.add_mutually_exclusive_group()
        only.add_argument("--once", action="store_true", help="Dispatch what is due now, then end.")
        only.add_argument("--list", action="store_true", help="Show the entries and their runs, then end.")
        parser.add_argument("--json", action="store_true", help="With --list or --once: print one JSON array.")

    @override
    def handle(self, *, once: bool, list: bool, json: bool, **_others: object) -> None:
        if json and not (list or once):
            raise CommandError("--json needs --list or --once.", returncode=2)
        if list:
            rows = [_to_row(row) for row in list_schedules()]
            self.stdout.write(_dump(rows) if json else _to_text(rows))
        elif once:
            synchronise_schedules()
            runs = run_due_schedules()
            self.stdout.write(_dump([_to_json(run) for run in runs]) if json else _say(runs))
        else:
            self._look_after()

    def _look_after(self) -> None:
        ticker, relay = Ticker(), Relay()

        def step() -> None:
            for run in ticker.tick():
                self.stdout.write(_describe(run))
                self.stdout.flush()
            relay.tick()

        self.stdout.write("Looking after the schedule. Ctrl-C ends it.")
        self.stdout.flush()
        go_round(step, pause=TICK)
        self.stdout.write("The schedule is left to others.")


def _to_row(row: Schedule) -> dict[str, object]:
    return {
        "name": row.name,
        "job_class": row.job_class,
        "when": row.timing.describe(),
        "is_enabled": row.is_enabled,
        "next_run_at": _show(row.next_run_at, row),
        "last_run_at": _show(row.last_run_at, row),
        "missed_runs": row.missed_runs,
        "origin": row.origin,
        "is_edited": row.is_edited,
        "problem": row.problem,
    }


def _show(moment: datetime | None, row: Schedule) -> str | None:
    """Return a moment as the clocks of the entry show it."""
    if moment is None:
        return None
    try:
        return moment.astimezone(ZoneInfo(row.timezone)).isoformat(timespec="seconds")
    except (OSError, ValueError, ScheduleTimingError):
        return moment.isoformat(timespec="seconds")


def _to_text(rows: list[dict[str, object]]) -> str:
    if not rows:
        return (
            "The schedule has no entry. Add one in code (jobs.schedules.schedule), which a worker stores when it runs, "
            "or in the admin."
        )
    lines = []
    for row in rows:
        lines.append(f"{row['name']}  {row['job_class']}  {row['when']}")
        coming = f"next {_to_words(row['next_run_at'])}" if row["is_enabled"] else "disabled"
        lines.append(f"    {coming}, last {_to_words(row['last_run_at'])}")
        if row["problem"]:
            lines.append(f"    Problem: {row['problem']}")
    return "\n".join(map(to_printable, lines))


def _to_words(moment: object) -> str:
    """Return how long a moment is away, and the moment."""
    if not isinstance(moment, str):
        return "never"
    seconds = int((datetime.fromisoformat(moment) - timezone.now()).total_seconds())
    days, left = divmod(abs(seconds), 86_400)
    hours, minutes = left // 3_600, left % 3_600 // 60
    words = f"{days} d {hours} h" if days else f"{hours} h {minutes} min" if hours else f"{minutes} min"
    if days == hours == minutes == 0:
        words = f"{abs(seconds)} s"
    return f"in {words} ({moment})" if seconds >= 0 else f"{words} ago ({moment})"


def _to_json(run: Run) -> dict[str, object]:
    return {
        "schedule": run.schedule,
        "run_at": run.run_at.isoformat(),
        "state": str(run.state),
        "job_id": None if run.job_id is None else str(run.job_id),
        "detail": run.detail,
    }


def _say(runs: list[Run]) -> str:
    return "\n".join(_describe(run) for run in runs) or "Nothing is due."


def _describe(run: Run) -> str:
    what = f"job {run.job_id}" if run.job_id else run.detail
    return to_printable(f"{run.run_at.isoformat(timespec='seconds')}  {run.schedule}  {what}")


def _dump(rows: list[dict[str, object]]) -> str:
    return json.dumps(rows, indent=2)
