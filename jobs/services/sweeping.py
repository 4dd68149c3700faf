"""Deleting what has expired by itself, which nobody asks for again."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from django.db.models import Model, QuerySet

from jobs.clock import get_database_now
from jobs.conf import get_job_settings
from jobs.models import Counter, Hit, JobMetric, JobResult, Slot
from jobs.models.metrics import HOUR, MINUTE
from jobs.services.history import MAX_TRIES_DELETED, delete_tries, list_old_tries
from jobs.services.metrics import HOURS_KEPT
from jobs.services.workers import remove_dead_heartbeats

#: Rows of one table that one step deletes at most, so that nobody waits for it.
MAX_SWEPT: Final = 1_000
#: Locks and counts stay for so long after their end, in case that the clock is set back.
_GRACE: Final = timedelta(hours=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Swept:
    """What one step deleted."""

    count: int
    #: Whether there is no more to delete now.
    is_complete: bool


def sweep_expired(*, now: datetime | None = None) -> Swept:
    """Delete locks, counted events, counters, results, metrics, tries and dead workers' heartbeats that are over.

    One step deletes at most 1,000 rows of a table, and 10,000 tries; call it again until nothing is left. Failed jobs
    and batches stay until they are pruned, and runs of schedules are pruned by who looks after the schedule.
    """
    now = now or get_database_now()
    over = now - _GRACE
    counts = [
        _delete_some(Slot.objects.filter(expires_at__lte=over)),
        _delete_some(Hit.objects.filter(expires_at__lte=over)),
        _delete_some(Counter.objects.filter(expires_at__lte=over)),
        _delete_some(JobResult.objects.filter(expires_at__lte=now)),
        _delete_some(
            JobMetric.objects.filter(period_seconds=MINUTE, begins_at__lt=now - get_job_settings().metrics_kept)
        ),
        _delete_some(JobMetric.objects.filter(period_seconds=HOUR, begins_at__lt=now - HOURS_KEPT)),
    ]
    tries = delete_tries(list_old_tries(now=now))
    dead = remove_dead_heartbeats(now=now)
    is_complete = max(counts) < MAX_SWEPT and tries < MAX_TRIES_DELETED
    return Swept(count=sum(counts) + tries + dead, is_complete=is_complete)


def _delete_some[M: Model](rows: QuerySet[M]) -> int:
    """Delete some of the rows; one that was renewed since they were looked up stays."""
    keys: list[Any] = list(rows.order_by().values_list("pk", flat=True)[:MAX_SWEPT])  # Any: each table has its own
    return rows.filter(pk__in=keys).delete()[0] if keys else 0
