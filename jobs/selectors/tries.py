"""How tries ended, and how long they took: sums, percentiles, and how that went over time."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Literal

from django.db.models import FloatField, Max, QuerySet, Sum
from django.db.models.functions import Cast

from jobs.models import JobMetric
from jobs.models.metrics import BOUNDS, EVER, HOUR, MINUTE
from project.printable import to_storable

#: What percentiles are told.
SHARES: Final = (0.5, 0.95, 0.99)
#: Beyond it figures are read by the hour, which are kept longer than those by the minute and are fewer.
_LONGEST_BY_MINUTE: Final = timedelta(hours=24)
#: Beyond it tables of all queues and classes are.
_SHORT: Final = timedelta(hours=2)


def _sum(name: str) -> Sum:
    """Return a sum of whole numbers, exact up to 2 ** 53: PostgreSQL adds up numbers without bound far more slowly."""
    return Sum(Cast(name, FloatField()))


_SUMS: Final = (
    _sum("processed"), _sum("released"), _sum("failed"), _sum("timed_out"),
    Sum("run_seconds"), Max("max_run_seconds"), Sum("wait_seconds"), Max("max_wait_seconds"),
)  # fmt: skip
_BUCKETS: Final = tuple(
    _sum(f"{kind}_bucket_{number}") for kind in ("run", "wait") for number in range(len(BOUNDS) + 1)
)
type Grouping = Literal["queue", "job_class"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TryStatistics:
    """How tries ended within a while, and how long they took."""

    #: The while, in whole minutes but for the last one.
    span: timedelta
    #: Tries by their end: done, put back for another try, or given up.
    processed_count: int = 0
    released_count: int = 0
    failed_count: int = 0
    #: Those among the last two that took too long.
    timed_out_count: int = 0
    total_run: timedelta = timedelta(0)
    longest_run: timedelta = timedelta(0)
    #: From due until claim.
    total_wait: timedelta = timedelta(0)
    longest_wait: timedelta = timedelta(0)
    #: How many ran, and waited, no longer than each of the bounds of ``JobMetric`` and longer than the one before; none
    #: where nobody asked for them.
    run_buckets: Sequence[int] = ()
    wait_buckets: Sequence[int] = ()

    @property
    def try_count(self) -> int:
        """All tries."""
        return self.processed_count + self.released_count + self.failed_count

    @property
    def processed_per_minute(self) -> float:
        """Throughput."""
        return self.processed_count / (self.span / timedelta(minutes=1)) if self.span else 0.0

    @property
    def failure_rate(self) -> float | None:
        """The share of those that were given up in all that came to their end; None where none did."""
        ended = self.processed_count + self.failed_count
        return self.failed_count / ended if ended else None

    @property
    def average_run(self) -> timedelta | None:
        """Run time of one try; None where there was none."""
        return self.total_run / self.try_count if self.try_count else None

    @property
    def average_wait(self) -> timedelta | None:
        """Time from due until claim of one try; None where there was none."""
        return self.total_wait / self.try_count if self.try_count else None

    def get_run_percentile(self, share: float) -> timedelta | None:
        """Return what that share of the tries ran no longer than, as far as the bounds tell; None without any."""
        return find_percentile(self.run_buckets, share, longest=self.longest_run)

    def get_wait_percentile(self, share: float) -> timedelta | None:
        """Return what that share of the tries waited no longer than; see ``get_run_percentile``."""
        return find_percentile(self.wait_buckets, share, longest=self.longest_wait)

    def as_json(self) -> dict[str, Any]:  # Any: JSON
        """Return it as commands and the API tell it; durations in seconds."""
        return {
            "processed_count": self.processed_count,
            "released_count": self.released_count,
            "failed_count": self.failed_count,
            "timed_out_count": self.timed_out_count,
            "processed_per_minute": self.processed_per_minute,
            "failure_rate": self.failure_rate,
            "run_seconds": _tell(self.average_run, self.get_run_percentile, self.longest_run),
            "wait_seconds": _tell(self.average_wait, self.get_wait_percentile, self.longest_wait),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """The tries of a while that begins at a moment."""

    at: datetime
    tries: TryStatistics


@dataclass(frozen=True, slots=True, kw_only=True)
class Total:
    """All tries of one class of jobs from one queue since the first one."""

    connection: str
    queue: str
    job_class: str
    tries: TryStatistics


def get_try_statistics(
    *,
    since: datetime,
    until: datetime,
    by: Grouping = "queue",
    connection: str | None = None,
    queue: str | None = None,
    job_class: str | None = None,
    has_percentiles: bool = False,
) -> dict[str, TryStatistics]:
    """Return how tries ended and how long they took, for each queue or each class of jobs that had one, by name.

    Figures are kept by the minute for a day and by the hour for a month, and come a few seconds late: a worker writes
    them every five seconds.

    Args:
        since: Begin; the minute, or in a span of more than a day the hour, in which it lies counts whole.
        until: End; the minute in which it lies is left out where it is its begin.
        by: What they are told apart by. The class of records that can't be trusted is ``""``.
        connection: Only jobs of that connection.
        queue: Only those of that queue.
        job_class: Only those of that class.
        has_percentiles: Whether percentiles are wanted too.
    """
    period = HOUR if until - since > _LONGEST_BY_MINUTE else MINUTE
    begin = _get_begin(since, period)
    rows = _find(period, begin, until, connection=connection, queue=queue, job_class=job_class)
    sums = _add_up(rows.order_by(by).values_list(by), has_percentiles=has_percentiles)
    return {str(name): _to_statistics(values, until - begin) for (name,), values in sums}


def get_tables(
    *, since: datetime, until: datetime, queue: str | None = None, job_class: str | None = None
) -> tuple[dict[str, TryStatistics], dict[str, TryStatistics]]:
    """Return how tries went by queue and by class of jobs, with percentiles, in one look.

    Of more than two hours figures are read by the hour, of which the first counts whole.

    Args:
        since: Begin.
        until: End.
        queue: Only tries of that queue.
        job_class: Only those of that class.
    """
    period = HOUR if until - since > _SHORT else MINUTE
    begin = _get_begin(since, period)
    rows = JobMetric.objects.filter(period_seconds=period, begins_at__gte=begin, begins_at__lt=until)
    wanted = {"queue": queue, "job_class": job_class}
    rows = rows.filter(**{name: to_storable(value) for name, value in wanted.items() if value is not None})
    key = ("queue", "job_class")
    tables: tuple[dict[str, list[float]], dict[str, list[float]]] = {}, {}
    for names, values in _add_up(rows.order_by(*key).values_list(*key), has_percentiles=True):
        for name, table in zip(names, tables, strict=True):
            table[name] = _join(table[name], values) if name in table else values
    by_queue, by_class = (
        {name: _to_statistics(values, until - begin) for name, values in table.items()} for table in tables
    )
    return by_queue, by_class


def get_queue_tries(
    *, since: datetime, until: datetime, has_percentiles: bool = False
) -> dict[tuple[str, str], TryStatistics]:
    """Return how tries went for each connection and queue that had one; see above."""
    period = HOUR if until - since > _LONGEST_BY_MINUTE else MINUTE
    begin = _get_begin(since, period)
    rows = _find(period, begin, until)
    key = ("connection", "queue")
    sums = _add_up(rows.order_by(*key).values_list(*key), has_percentiles=has_percentiles)
    return {(connection, queue): _to_statistics(values, until - begin) for (connection, queue), values in sums}


def list_points(
    *,
    since: datetime,
    until: datetime,
    step: timedelta,
    queue: str | None = None,
    job_class: str | None = None,
    connection: str | None = None,
    has_percentiles: bool = True,
) -> list[Point]:
    """Return how tries went, one point for each step, oldest first, those included in which there was none.

    Args:
        since: Begin, which is set back to a whole minute, or a whole hour where steps are that long.
        until: End.
        step: Whole minutes, or whole hours.
        queue: Only tries of that queue.
        job_class: Only those of that class.
        connection: Only those of that connection.
        has_percentiles: Whether percentiles are wanted too.
    """
    period = HOUR if step >= timedelta(seconds=HOUR) else MINUTE
    begin = _get_begin(since, period)
    rows = _find(period, begin, until, connection=connection, queue=queue, job_class=job_class)
    sums: dict[int, list[float]] = {}
    for (at,), values in _add_up(rows.order_by("begins_at").values_list("begins_at"), has_percentiles=has_percentiles):
        place = (at - begin) // step
        sums[place] = _join(sums[place], values) if place in sums else values
    count = -(-(until - begin) // step)
    return [
        Point(
            at=begin + number * step,
            tries=_to_statistics(sums[number], step) if number in sums else TryStatistics(span=step),
        )
        for number in range(count)
    ]


def list_totals() -> list[Total]:
    """Return all tries since the first one, by connection, queue and class of jobs."""
    key = ("connection", "queue", "job_class")
    rows = JobMetric.objects.filter(period_seconds=EVER).order_by(*key).values_list(*key)
    return [
        Total(connection=connection, queue=queue, job_class=job_class, tries=_to_statistics(values, timedelta(0)))
        for (connection, queue, job_class), values in _add_up(rows, has_percentiles=True)
    ]


def find_percentile(counts: Sequence[int], share: float, *, longest: timedelta) -> timedelta | None:
    """Return what a share of durations is no longer than, which are counted by ``BOUNDS``; None without any.

    Within the two bounds between which it lies they are taken as spread evenly; none is longer than the longest.
    """
    total = sum(counts)
    if not total:
        return None
    wanted, passed, low = share * total, 0, 0.0
    for count, bound in zip(counts, (*BOUNDS, longest.total_seconds()), strict=True):
        high = min(bound, longest.total_seconds())
        if passed + count >= wanted and count:
            return timedelta(seconds=low + (high - low) * (wanted - passed) / count)
        passed, low = passed + count, high
    return longest


#: Places of what is not added up but compared, among the sums.
_LONGEST: Final = frozenset({5, 7})


def _join(one: Sequence[float], other: Sequence[float]) -> list[float]:
    return [
        max(ours, theirs) if number in _LONGEST else ours + theirs
        for number, (ours, theirs) in enumerate(zip(one, other, strict=True))
    ]


def _get_begin(moment: datetime, period: int) -> datetime:
    moment = moment.astimezone(UTC).replace(second=0, microsecond=0)
    return moment.replace(minute=0) if period == HOUR else moment


def _find(period: int, begin: datetime, until: datetime, **wanted: str | None) -> QuerySet[JobMetric]:
    """Return the rows of a while, where columns that are given a value have it."""
    rows = JobMetric.objects.filter(period_seconds=period, begins_at__gte=begin, begins_at__lt=until)
    return rows.filter(**{name: to_storable(value) for name, value in wanted.items() if value is not None})


def _add_up(
    rows: QuerySet[JobMetric, tuple[Any, ...]],  # Any: whatever the columns hold
    *,
    has_percentiles: bool,
) -> Iterator[tuple[tuple[Any, ...], list[float]]]:  # Any: as above
    """Yield the values by which the rows are told apart, and the sums of their figures."""
    sums = (*_SUMS, *_BUCKETS) if has_percentiles else _SUMS
    for values in rows.annotate(**{f"sum_{number}": one for number, one in enumerate(sums)}):
        key = len(values) - len(sums)
        yield values[:key], list(values[key:])


def _to_statistics(values: Sequence[float], span: timedelta) -> TryStatistics:
    processed, released, failed, timed_out, run, longest_run, wait, longest_wait, *counts = values
    half = len(counts) // 2
    return TryStatistics(
        span=span,
        processed_count=int(processed),
        released_count=int(released),
        failed_count=int(failed),
        timed_out_count=int(timed_out),
        total_run=timedelta(seconds=run),
        longest_run=timedelta(seconds=longest_run),
        total_wait=timedelta(seconds=wait),
        longest_wait=timedelta(seconds=longest_wait),
        run_buckets=[int(count) for count in counts[:half]],
        wait_buckets=[int(count) for count in counts[half:]],
    )


def _tell(
    average: timedelta | None, find: Callable[[float], timedelta | None], longest: timedelta
) -> dict[str, float | None]:
    """Return durations in seconds."""
    found = {f"p{round(share * 100)}": find(share) for share in SHARES}
    told = {"average": average, **found, "longest": longest}
    return {name: None if value is None else value.total_seconds() for name, value in told.items()}
