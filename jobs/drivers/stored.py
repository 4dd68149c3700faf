"""The rows of jobs as people are shown them.

SQLite keeps any value in any column, so all is read as the store has it, and made the best of.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from django.db import connection
from django.db.models import BinaryField, Case, Count, Min, Q, QuerySet, TextField, Value, When
from django.db.models.functions import Cast, Coalesce

from jobs.drivers.inventory import JobSearch, JobState, QueueFigures, StoredJob
from jobs.drivers.reading import Reader, read_moment, to_text
from jobs.drivers.states import is_delayed, is_due, is_running, is_unreadable
from jobs.models import QueuedJob

#: In which jobs are claimed.
ORDER: Final = ("-priority", "available_at", "id")
#: What a claim reads of a row.
READ: Final = (
    "job_id", "queue", "job_class", "payload", "priority", "attempts", "available_at", "created_at",
)  # fmt: skip
CLAIMED: Final = (*READ, "crashes")
_LISTED: Final = (*CLAIMED, "worker")


def as_stored(expression: str | Min | Case) -> Cast:
    """Return what a column holds as the store has it."""
    return Cast(expression, BinaryField() if connection.vendor == "sqlite" else TextField())


def to_bytes(value: str | bytes | None) -> bytes | None:
    """Return what ``as_stored`` has found, of either store."""
    return value.encode() if isinstance(value, str) else value


def measure_stored(*, now: datetime) -> Mapping[str, QueueFigures]:
    """Return the figures of each queue, by name."""
    oldest = Min(Coalesce("lease_expires_at", "available_at"), filter=is_due(now) & ~is_unreadable())
    rows = (
        QueuedJob.objects.values(name=as_stored("queue"))
        .annotate(
            waiting=Count("id", filter=is_due(now)),
            delayed=Count("id", filter=is_delayed(now)),
            running=Count("id", filter=is_running(now)),
            oldest_due_at=as_stored(oldest),
            unreadable=Count("id", filter=is_unreadable()),
        )
        .order_by()
    )
    figures: dict[str, QueueFigures] = {}
    for row in rows:
        queue = to_text(to_bytes(row["name"]) or b"")
        found = QueueFigures(
            waiting=row["waiting"],
            delayed=row["delayed"],
            running=row["running"],
            oldest_due_at=read_moment(to_bytes(row["oldest_due_at"])),
            unreadable=row["unreadable"],
        )
        figures[queue] = figures[queue].add(found) if queue in figures else found
    return dict(sorted(figures.items()))


def list_stored(
    *, queue: str | None = None, state: JobState | None = None, limit: int, now: datetime
) -> list[StoredJob]:
    """Return jobs in the order in which they would be claimed."""
    rows = QueuedJob.objects.order_by(*ORDER)
    if queue is not None:
        rows = rows.filter(queue=queue)
    if state is not None:
        rows = rows.filter(_get_conditions(now)[state])
    return list(_read(rows, 0, limit, now))


def browse_stored(
    search: JobSearch, *, place: int, limit: int, now: datetime
) -> tuple[Sequence[StoredJob], int | None]:
    """Return some of the jobs that are looked for; see the driver's ``browse``."""
    rows = QueuedJob.objects.filter(_get_conditions(now)[search.state]).order_by(*ORDER)
    if search.queue is not None:
        rows = rows.filter(queue=search.queue)
    if search.job_class is not None:
        rows = rows.filter(job_class=search.job_class)
    if search.text:
        rows = rows.filter(payload__contains=search.text)
    if search.since is not None:
        rows = rows.filter(available_at__gte=search.since)
    if search.until is not None:
        rows = rows.filter(available_at__lt=search.until)
    found = list(_read(rows, place, limit + 1, now))
    # SQLite takes letters of either case for the same.
    fitting = [job for job in found[:limit] if search.text in job.payload]
    return fitting, place + limit if len(found) > limit else None


def find_stored(job_id: UUID, *, now: datetime) -> StoredJob | None:
    """Return a job that waits or runs."""
    return next(iter(_read(QueuedJob.objects.filter(job_id=job_id), 0, 1, now)), None)


def _get_conditions(now: datetime) -> Mapping[JobState, Q]:
    return {"waiting": is_due(now), "delayed": is_delayed(now), "running": is_running(now)}


def _read(rows: QuerySet[QueuedJob], first: int, count: int, now: datetime) -> Iterable[StoredJob]:
    whens = [When(condition, then=Value(name)) for name, condition in _get_conditions(now).items()]
    fields = (as_stored(name) for name in _LISTED)
    for state, *values in rows.values_list(Case(*whens), *fields)[first : first + count]:
        yield Reader(dict(zip(_LISTED, map(to_bytes, values), strict=True))).read_stored(state=state)
