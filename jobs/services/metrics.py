"""Figures of tries: added up by period, connection, queue and class of jobs."""

from bisect import bisect_left
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime, timedelta
from itertools import batched
from typing import Final, NamedTuple

from django.db import connection, transaction

from jobs.clock import get_database_now
from jobs.conf import get_job_settings
from jobs.models import JobMetric
from jobs.models.metrics import BOUNDS, EVER, HOUR, MINUTE

#: Begin of the period that has no end.
BEGIN_OF_ALL: Final = datetime(1970, 1, 1, tzinfo=UTC)
#: How long the figures of each hour are kept.
HOURS_KEPT: Final = timedelta(days=31)


class MetricKey(NamedTuple):
    """What is counted together."""

    #: Begin of the minute in which a try ended.
    minute: datetime
    connection: str
    queue: str
    #: Empty for records that can't be trusted.
    job_class: str


@dataclass(slots=True, kw_only=True)
class TryFigures:
    """How tries ended and how long they took: the columns of ``JobMetric``."""

    processed: int = 0
    released: int = 0
    failed: int = 0
    timed_out: int = 0
    run_seconds: float = 0.0
    max_run_seconds: float = 0.0
    wait_seconds: float = 0.0
    max_wait_seconds: float = 0.0
    #: How many took, and waited, so long: one count for each of ``BOUNDS``, and one for what is longer.
    run_buckets: list[int] = field(default_factory=lambda: [0] * (len(BOUNDS) + 1))
    wait_buckets: list[int] = field(default_factory=lambda: [0] * (len(BOUNDS) + 1))

    def note_times(self, *, run: float, wait: float) -> None:
        """Count how long one try ran and waited, in seconds."""
        self.run_seconds += run
        self.wait_seconds += wait
        self.max_run_seconds = max(self.max_run_seconds, run)
        self.max_wait_seconds = max(self.max_wait_seconds, wait)
        self.run_buckets[bisect_left(BOUNDS, run)] += 1
        self.wait_buckets[bisect_left(BOUNDS, wait)] += 1

    def add(self, other: "TryFigures") -> None:
        """Add the figures of other tries."""
        for name in _SIMPLE:
            ours, theirs = getattr(self, name), getattr(other, name)
            setattr(self, name, max(ours, theirs) if name.startswith("max_") else ours + theirs)
        for counts, others in ((self.run_buckets, other.run_buckets), (self.wait_buckets, other.wait_buckets)):
            counts[:] = [one + another for one, another in zip(counts, others, strict=True)]

    def list_values(self) -> Iterator[float]:
        """Yield what stands in each of the columns of a row."""
        yield from (getattr(self, name) for name in _SIMPLE)
        yield from self.run_buckets
        yield from self.wait_buckets


_SIMPLE: Final = tuple(one.name for one in fields(TryFigures) if not one.name.endswith("_buckets"))
_COLUMNS: Final = (
    *_SIMPLE,
    *(f"{kind}_bucket_{number}" for kind in ("run", "wait") for number in range(len(BOUNDS) + 1)),
)
#: The periods in the order in which rows are written.
_ORDER: Final = (MINUTE, HOUR, EVER)
#: Rows of one statement, of which each has some fifty values; SQLite takes 32,766 in all.
_ROWS_AT_ONCE: Final = 100
_KEY: Final = ("period_seconds", "begins_at", "connection", "queue", "job_class")


def add_metrics(*, gathered: Mapping[MetricKey, TryFigures]) -> None:
    """Add figures to what is stored, all or none; exact however many workers add to the same rows.

    Each is added to its minute, its hour and all time, so that nobody has to sum up later, and what is pruned is
    missing nowhere.
    """
    # All take the rows in one order, so that two never wait for each other; those that most want stand last, so that
    # they are held for the shortest time: all that run share the row of all time, and of an hour.
    rows = [
        (key[0], connection.ops.adapt_datetimefield_value(key[1]), *key[2:], *figures.list_values())
        for key, figures in sorted(_spread(gathered).items(), key=lambda item: (_ORDER.index(item[0][0]), item[0]))
    ]
    with transaction.atomic(), connection.cursor() as cursor:
        for some in batched(rows, _ROWS_AT_ONCE, strict=False):
            cursor.execute(_HEAD + ", ".join([_ROW] * len(some)) + _TAIL, [value for row in some for value in row])


def prune_metrics(*, older_than: timedelta | None = None, now: datetime | None = None) -> int:
    """Delete figures of minutes long ago, by default those past ``JOBS["METRICS_HOURS"]``; return how many rows.

    Those of hours go after a month, and those of all time never.
    """
    now = now or get_database_now()
    age = get_job_settings().metrics_kept if older_than is None else older_than
    minutes = JobMetric.objects.filter(period_seconds=MINUTE, begins_at__lt=now - age)
    hours = JobMetric.objects.filter(period_seconds=HOUR, begins_at__lt=now - max(age, HOURS_KEPT))
    return minutes.delete()[0] + hours.delete()[0]


def _spread(
    gathered: Mapping[MetricKey, TryFigures],
) -> dict[tuple[int, datetime, str, str, str], TryFigures]:
    """Return the figures of each period."""
    spread: dict[tuple[int, datetime, str, str, str], TryFigures] = {}
    for (minute, *about), figures in gathered.items():
        for period, begin in ((MINUTE, minute), (HOUR, minute.replace(minute=0)), (EVER, BEGIN_OF_ALL)):
            name, queue, job_class = about
            spread.setdefault((period, begin, name, queue, job_class), TryFigures()).add(figures)
    return spread


def _write_sum(name: str) -> str:
    ours, theirs = f"job_metrics.{name}", f"excluded.{name}"
    return f"CASE WHEN {theirs} > {ours} THEN {theirs} ELSE {ours} END" if "max_" in name else f"{ours} + {theirs}"


#: The statement that adds rows, in the SQL that PostgreSQL and SQLite share: what stands before, for, and behind them.
_HEAD: Final = f"INSERT INTO job_metrics ({', '.join((*_KEY, *_COLUMNS))}) VALUES "  # noqa: S608 - names of our own columns
_ROW: Final = f"({', '.join(['%s'] * (len(_KEY) + len(_COLUMNS)))})"
_TAIL: Final = (
    f" ON CONFLICT ({', '.join(_KEY)}) DO UPDATE SET {', '.join(f'{name} = {_write_sum(name)}' for name in _COLUMNS)}"
)
