"""Relaying: what waits in the outbox is sent to its store, by whoever comes by."""

import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import structlog
from django.db import transaction
from django.db.models import Q

from jobs.clock import get_database_now
from jobs.conf import get_job_settings
from jobs.coordination import get_coordinator
from jobs.drivers.base import QueueDriver, get_driver
from jobs.exceptions import PayloadError
from jobs.models import OutboxJob
from jobs.payload import Record, decode_payload
from jobs.services.batches import abandon
from jobs.services.dispatching import admit, make_messages
from jobs.services.followers import send_followers
from jobs.services.outbox import AT_ONCE, HOLD, let_go, push_held
from jobs.services.results import fail_results

#: Between two looks.
RELAY_PERIOD: Final = timedelta(seconds=1)
#: Rows of one connection that one look sends at most, so that the caller comes to its other work.
_MOST: Final = 5_000
_log: Final = structlog.get_logger("gatehouse.jobs")


@dataclass(frozen=True, slots=True, kw_only=True)
class Relayed:
    """What one look did with the rows of one connection."""

    connection: str
    #: How many its store has now.
    count: int
    #: Whether its store was away, so that the others wait on.
    is_away: bool


def relay_outbox(*, now: datetime | None = None) -> list[Relayed]:
    """Send what waits in the outbox, in its order; return what was done for each connection that had anything.

    Any number of processes may do so at the same time: each row is held by one of them. A store that is away doesn't
    stop the others.
    """
    drivers = [get_driver(name) for name in get_job_settings().connections]
    looks = [_relay(driver, now) for driver in drivers if driver.takes_outbox]
    return [look for look in looks if look.count or look.is_away]


class Relay:
    """Looks once a second at most, however often it is asked."""

    def __init__(self) -> None:
        """Look as soon as it is asked."""
        self._next_look = time.monotonic()

    def tick(self) -> int:
        """Send what waits, if it is time to look; return how many rows were sent.

        Raises nothing: what goes wrong is logged and tried again, for the caller has other work.
        """
        clock = time.monotonic()
        if clock < self._next_look:
            return 0
        self._next_look = clock + RELAY_PERIOD.total_seconds()
        try:
            return sum(look.count for look in relay_outbox())
        except Exception as error:  # noqa: BLE001 - see above
            _log.warning("outbox_not_relayed", error=type(error).__qualname__)
            return 0


def _relay(driver: QueueDriver, now: datetime | None) -> Relayed:
    sent, count = 0, 1  # one row shows whether the store answers; the others are left alone until it does
    try:
        while sent < _MOST:
            held_until = (now or get_database_now()) + HOLD
            rows = _take(driver, count, held_until)
            if not rows:
                break
            sent += push_held(driver, _lock(rows, held_until), held_until=held_until)
            count = AT_ONCE
    except (*driver.outage_errors, *get_coordinator().outage_errors):
        return Relayed(connection=driver.name, count=sent, is_away=True)
    return Relayed(connection=driver.name, count=sent, is_away=False)


def _take(driver: QueueDriver, count: int, held_until: datetime) -> list[OutboxJob]:
    """Hold the first rows that nobody holds, and return them as they were."""
    free = Q(held_until=None) | Q(held_until__lte=held_until - HOLD)
    rows = OutboxJob.objects.filter(free, connection=driver.name).order_by("id")
    # SQLite's transaction takes the write lock at BEGIN, which who finds nothing must not do.
    if not rows.exists():
        return []
    with transaction.atomic():
        if transaction.get_connection().features.has_select_for_update_skip_locked:
            rows = rows.select_for_update(skip_locked=True)
        taken = list(rows[:count])
        OutboxJob.objects.filter(pk__in=[row.pk for row in taken]).update(held_until=held_until)
    return taken


def _lock(rows: list[OutboxJob], held_until: datetime) -> list[OutboxJob]:
    """Take the locks that were away when the jobs were sent; return those jobs that are still to be sent."""
    try:
        return [row for row in rows if not row.needs_locks or _lock_one(row)]
    except get_coordinator().outage_errors:
        let_go(rows, held_until)
        raise


def _lock_one(row: OutboxJob) -> bool:
    """Take the locks of a job, as if it was sent only now, and note that it has them: they are taken once."""
    try:
        record = decode_payload(row.payload, job_id=row.job_id, queue=row.queue, job_class=row.job_class)
    except PayloadError:
        return True  # the worker that takes it sets it apart
    admitted = admit([record], now=row.created_at, is_overdue=True)
    if not admitted:
        _drop(row, record)
        return False
    (message,) = make_messages(admitted, now=row.created_at)
    row.payload, row.available_at, row.needs_locks = message.payload, message.available_at, False
    row.save(update_fields=["payload", "available_at", "needs_locks"])
    return True


def _drop(row: OutboxJob, record: Record) -> None:
    """Delete a job of whose key another one waits or runs, let it leave its batches, and let its task end."""
    now = get_database_now()
    with transaction.atomic():
        OutboxJob.objects.filter(pk=row.pk).delete()
        send_followers(abandon(record, now=now), now=now)
        fail_results(job_ids=[row.job_id], now=now)
