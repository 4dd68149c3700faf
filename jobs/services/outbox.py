"""The outbox: jobs wait in the database, in the transaction that sends them, until their own store has them.

A row is held by whoever is sending it, first by the process that wrote it, until a stated moment. Each row has a key,
under which the store takes it once: so nothing is stored twice where a process dies before it could delete the row, or
where two send it. Once the row is gone and nobody else ever held it, the store is told to forget the key.
"""

import time
from collections import deque
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import batched
from typing import Final
from uuid import UUID, uuid4
from weakref import WeakKeyDictionary

import structlog

from jobs.clock import get_database_now
from jobs.conf import get_job_settings
from jobs.drivers.base import Message, QueueDriver
from jobs.models import OutboxJob
from jobs.services.announcing import announce_queued
from project.transactions import list_waiting, on_end

#: How long a row is left to whoever is sending it: longer than any store is waited for.
HOLD: Final = timedelta(seconds=10)
#: Rows that are pushed in one step at most.
AT_ONCE: Final = 1_000
#: A store that was away is not asked again by dispatch for so long.
_AWAY_SECONDS: Final = 2.0
_away_until: Final[WeakKeyDictionary[QueueDriver, float]] = WeakKeyDictionary()
#: Keys of rows that are gone: what a store may forget with the next push.
_forgettable: Final[WeakKeyDictionary[QueueDriver, deque[UUID]]] = WeakKeyDictionary()
_log: Final = structlog.get_logger("gatehouse.jobs")


def uses_outbox(driver: QueueDriver) -> bool:
    """Say whether jobs for a connection go through the outbox."""
    return driver.takes_outbox and get_job_settings().has_outbox


def is_away(driver: QueueDriver) -> bool:
    """Say whether the store of a connection was away just now, so that dispatch needn't wait for it again."""
    return time.monotonic() < _away_until.get(driver, 0)


def note_outage(driver: QueueDriver, error: Exception) -> None:
    """Remember for a moment that a store is away."""
    if not is_away(driver):
        _log.warning("jobs_wait_in_outbox", connection=driver.name, error=type(error).__qualname__)
    _away_until[driver] = time.monotonic() + _AWAY_SECONDS


def forget_outages() -> None:
    """Ask each store again, as a process does that has just begun."""
    _away_until.clear()


def send_with_commit(driver: QueueDriver, messages: Sequence[Message]) -> None:
    """Write jobs into the transaction that is open, and send them after its commit, in one step with others of it."""
    if is_away(driver):
        keep(driver, messages)
        return
    sending = next((one for one in list_waiting(_Sending, is_together=True) if one.driver is driver), None)
    if sending is None:
        sending = _Sending(driver, [], get_database_now() + HOLD)
        on_end(commit=sending)
    sending.rows += _write(driver, messages, held_until=sending.held_until)


def keep(driver: QueueDriver, messages: Sequence[Message], *, needs_locks: bool = False) -> None:
    """Write jobs down whose store can't be reached, for a relay to send them."""
    _write(driver, messages, needs_locks=needs_locks)


def take_back(driver: QueueDriver, job_ids: Iterable[UUID]) -> None:
    """Delete jobs that nobody has sent yet."""
    if not uses_outbox(driver):
        return
    ids = set(job_ids)
    for sending in list_waiting(_Sending):
        sending.rows = [row for row in sending.rows if row.job_id not in ids]
    OutboxJob.objects.filter(connection=driver.name, job_id__in=ids).delete()


def count_kept(driver: QueueDriver, queue: str) -> int:
    """Return how many jobs of a queue wait, those of the open transaction included."""
    return OutboxJob.objects.filter(connection=driver.name, queue=queue).count()


def push_held(driver: QueueDriver, rows: Sequence[OutboxJob], *, held_until: datetime) -> int:
    """Push rows that the caller holds and delete them; return how many.

    One that its store refuses is left, and tried again when its hold is over.

    Args:
        driver: Of their connection.
        rows: As they were before the caller held them, or as it wrote them.
        held_until: What their hold is known by.

    Raises:
        Exception: One of the driver's ``outage_errors``; others may have the rows then.
    """
    try:
        return sum(_push(driver, some, held_until=held_until) for some in batched(rows, AT_ONCE, strict=False))
    except driver.outage_errors as error:
        note_outage(driver, error)
        let_go(rows, held_until)
        raise


def let_go(rows: Sequence[OutboxJob], held_until: datetime) -> None:
    """Let others have rows at once; that somebody has tried stays to be seen."""
    for some in batched([row.pk for row in rows], AT_ONCE, strict=False):
        OutboxJob.objects.filter(pk__in=some, held_until=held_until).update(held_until=get_database_now())


@dataclass(slots=True)
class _Sending:
    """What one transaction, or one savepoint of it, has for a connection; called after the commit."""

    driver: QueueDriver
    rows: list[OutboxJob]
    held_until: datetime

    def __call__(self) -> None:
        """Send it, unless others may do so by now; what goes wrong is logged, for the jobs are safe already."""
        try:
            if get_database_now() < self.held_until:
                push_held(self.driver, self.rows, held_until=self.held_until)
        except Exception as error:  # noqa: BLE001 - see above
            _log.warning("left_in_outbox", connection=self.driver.name, error=type(error).__qualname__)


def _write(
    driver: QueueDriver,
    messages: Sequence[Message],
    *,
    held_until: datetime | None = None,
    needs_locks: bool = False,
) -> list[OutboxJob]:
    rows = [
        OutboxJob(
            key=message.key or uuid4(),
            connection=driver.name,
            job_id=message.job_id,
            queue=message.queue,
            job_class=message.job_class,
            payload=message.payload,
            priority=message.priority,
            available_at=message.available_at,
            created_at=message.created_at,
            timeout_seconds=message.timeout_seconds,
            held_until=held_until,
            needs_locks=needs_locks,
        )
        for message in messages
    ]
    return OutboxJob.objects.bulk_create(rows, batch_size=AT_ONCE)


def _push(driver: QueueDriver, rows: Sequence[OutboxJob], *, held_until: datetime) -> int:
    messages = {row.key: _to_message(row) for row in rows}
    forget = _list_forgettable(driver)
    try:
        driver.push_once(messages, forget=forget)
    except Exception as error:
        _forgettable[driver].extend(forget)
        if isinstance(error, driver.outage_errors):
            raise
        if len(rows) > 1:  # one that is refused must not stop the others
            return sum(_push(driver, [row], held_until=held_until) for row in rows)
        _log.error(
            "refused_from_outbox", connection=driver.name, job_id=str(rows[0].job_id), error=type(error).__name__
        )
        return 0
    announce_queued(list(messages.values()), connection=driver.name)
    held = OutboxJob.objects.filter(pk__in=[row.pk for row in rows], held_until=held_until)
    # One statement, without a transaction around it: nothing refers to these rows.
    if held._raw_delete(held.db) == len(rows):  # noqa: SLF001 - Django has it for this
        _forgettable[driver].extend(row.key for row in rows if row.held_until in {None, held_until})
    return len(rows)


def _list_forgettable(driver: QueueDriver) -> list[UUID]:
    """Take some of the keys that the store of a connection may forget."""
    keys = _forgettable.setdefault(driver, deque())
    taken: list[UUID] = []
    with suppress(IndexError):
        while len(taken) < AT_ONCE:
            taken.append(keys.popleft())
    return taken


def _to_message(row: OutboxJob) -> Message:
    return Message(
        job_id=row.job_id,
        queue=row.queue,
        job_class=row.job_class,
        payload=row.payload,
        priority=row.priority,
        available_at=row.available_at,
        created_at=row.created_at,
        timeout_seconds=row.timeout_seconds,
    )
