"""The workers' heartbeats."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

from django.db.models import F

from jobs.models import Counter, WorkerHeartbeat

_DEAD_WORKER_KEPT: Final = timedelta(hours=1)
_RESTARTS: Final = "workers:restart"
_FOR_EVER: Final = datetime.max.replace(tzinfo=UTC)


def record_heartbeat(
    *,
    name: str,
    queues: Iterable[str],
    started_at: datetime,
    now: datetime,
    alive_until: datetime,
    current_job_id: UUID | None,
) -> None:
    """Write that a worker is alive, in one statement."""
    beat = WorkerHeartbeat(
        name=name,
        queues=",".join(queues),
        started_at=started_at,
        beat_at=now,
        alive_until=alive_until,
        current_job_id=current_job_id,
    )
    WorkerHeartbeat.objects.bulk_create(
        [beat],
        update_conflicts=True,
        unique_fields=["name"],
        update_fields=["beat_at", "alive_until", "current_job_id"],
    )


def remove_heartbeat(*, name: str) -> None:
    """Take a worker that ends from the list."""
    WorkerHeartbeat.objects.filter(name=name).delete()


def remove_dead_heartbeats(*, now: datetime) -> int:
    """Delete workers that died more than an hour ago; return how many."""
    return WorkerHeartbeat.objects.filter(alive_until__lt=now - _DEAD_WORKER_KEPT).delete()[0]


def request_restart() -> None:
    """Let every worker that runs now end after the job in hand, so that whoever keeps it alive starts it anew."""
    Counter.objects.get_or_create(key=_RESTARTS, defaults={"expires_at": _FOR_EVER})
    Counter.objects.filter(key=_RESTARTS).update(value=F("value") + 1)


def get_restart_count() -> int:
    """Return how often a restart was requested."""
    return Counter.objects.filter(key=_RESTARTS).values_list("value", flat=True).first() or 0
