"""The workers' heartbeats, and what they are told."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Final
from uuid import UUID

from django.db.models import F, Subquery
from django.utils import timezone

from jobs.exceptions import WorkerNotFoundError
from jobs.models import Counter, WorkerHeartbeat
from jobs.signals import WorkerTold, worker_told

_DEAD_WORKER_KEPT: Final = timedelta(hours=1)
_RESTARTS: Final = "workers:restart"
_FOR_EVER: Final = datetime.max.replace(tzinfo=UTC)


class Wish(StrEnum):
    """What a worker can be told."""

    #: Take no job until told to go on.
    REST = "rest"
    GO_ON = "go_on"
    #: End after the jobs in hand.
    STOP = "stop"
    #: The same, because all are to be started anew.
    RESTART = "restart"


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerReport:
    """What a worker says of itself: the columns of ``WorkerHeartbeat``."""

    host: str = ""
    pid: int = 0
    connection: str = ""
    current_job_class: str = ""
    current_job_since: datetime | None = None
    running_count: int = 0
    try_count: int = 0
    memory_mb: float | None = None
    cpu_percent: float | None = None
    is_resting: bool = False


_EMPTY: Final = WorkerReport()
_REPORTED: Final = [one.name for one in fields(WorkerReport)]


def record_heartbeat(
    *,
    name: str,
    queues: Iterable[str],
    started_at: datetime,
    now: datetime,
    alive_until: datetime,
    current_job_id: UUID | None,
    report: WorkerReport = _EMPTY,
) -> None:
    """Write that a worker is alive, in one statement."""
    beat = WorkerHeartbeat(
        name=name,
        queues=",".join(queues),
        started_at=started_at,
        beat_at=now,
        alive_until=alive_until,
        current_job_id=current_job_id,
        **asdict(report),
    )
    WorkerHeartbeat.objects.bulk_create(
        [beat],
        update_conflicts=True,
        unique_fields=["name"],
        update_fields=["beat_at", "alive_until", "current_job_id", *_REPORTED],
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """What a worker is to know."""

    #: How often a restart of all was requested.
    restart_count: int
    #: What somebody wants of it.
    wish: Wish | None


def hear(*, name: str) -> Heard:
    """Return what a worker is to know, and take it that its wish is heard; one statement where there is no wish."""
    restarts = Counter.objects.filter(key=_RESTARTS).values("value")
    found = WorkerHeartbeat.objects.filter(name=name).values_list("wish", Subquery(restarts)).first()
    if found is None:
        return Heard(restart_count=get_restart_count(), wish=None)
    wish, count = found
    if wish and wish != Wish.STOP:  # that one stays to be seen until the worker is gone
        WorkerHeartbeat.objects.filter(name=name, wish=wish).update(wish="")
    return Heard(restart_count=count or 0, wish=Wish(wish) if wish in Wish else None)


def tell_worker(*, name: str, wish: Wish) -> None:
    """Tell a worker something, which it hears within seconds.

    Raises:
        WorkerNotFoundError: There is none of that name that is alive.
    """
    if "\x00" in name:  # PostgreSQL can't even look for it
        raise WorkerNotFoundError
    if not WorkerHeartbeat.objects.filter(name=name, alive_until__gt=timezone.now()).update(wish=wish):
        raise WorkerNotFoundError
    worker_told.announce(WorkerTold(worker=name, wish=str(wish)))


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
    worker_told.announce(WorkerTold(worker="*", wish=str(Wish.RESTART)))


def get_restart_count() -> int:
    """Return how often a restart was requested."""
    return Counter.objects.filter(key=_RESTARTS).values_list("value", flat=True).first() or 0
