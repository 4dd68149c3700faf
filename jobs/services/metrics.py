"""Figures of tries: added up by minute, connection, queue and class of jobs."""

from collections.abc import Mapping
from dataclasses import astuple, dataclass, fields
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from django.db import connection, transaction

from jobs.clock import get_database_now
from jobs.conf import get_job_settings
from jobs.models import JobMetric


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

    def add(self, other: "TryFigures") -> None:
        """Add the figures of other tries."""
        for name in _FIGURES:
            ours, theirs = getattr(self, name), getattr(other, name)
            setattr(self, name, max(ours, theirs) if name.startswith("max_") else ours + theirs)


_FIGURES: Final = tuple(field.name for field in fields(TryFigures))


def add_metrics(*, gathered: Mapping[MetricKey, TryFigures]) -> None:
    """Add figures to what is stored, all or none; exact however many workers add to the same rows."""
    # All take the rows in one order, so that two never wait for each other.
    rows = [
        (connection.ops.adapt_datetimefield_value(key.minute), *key[1:], *astuple(figures))
        for key, figures in sorted(gathered.items(), key=lambda item: item[0])
    ]
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.executemany(_write_statement(), rows)


def prune_metrics(*, older_than: timedelta | None = None, now: datetime | None = None) -> int:
    """Delete figures of minutes long ago, by default those past ``JOBS["METRICS_HOURS"]``; return how many rows."""
    age = get_job_settings().metrics_kept if older_than is None else older_than
    return JobMetric.objects.filter(minute__lt=(now or get_database_now()) - age).delete()[0]


def _write_statement() -> str:
    """Return the statement that adds one row, in the SQL that PostgreSQL and SQLite share."""
    columns = ", ".join((*MetricKey._fields, *_FIGURES))
    places = ", ".join(["%s"] * (len(MetricKey._fields) + len(_FIGURES)))
    changes = ", ".join(f"{name} = {_write_sum(name)}" for name in _FIGURES)
    return (
        f"INSERT INTO job_metrics ({columns}) VALUES ({places})"  # noqa: S608 - names of our own columns
        f" ON CONFLICT ({', '.join(MetricKey._fields)}) DO UPDATE SET {changes}"
    )


def _write_sum(name: str) -> str:
    ours, theirs = f"job_metrics.{name}", f"excluded.{name}"
    return f"CASE WHEN {theirs} > {ours} THEN {theirs} ELSE {ours} END" if "max_" in name else f"{ours} + {theirs}"
