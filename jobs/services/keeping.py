"""What dispatch does while the store of its jobs is away: they wait in the outbox."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from django.db import transaction

from jobs.clock import get_database_now
from jobs.coordination import get_coordinator
from jobs.drivers.base import Message, QueueDriver
from jobs.drivers.inventory import QueueFigures
from jobs.exceptions import PartlySentError, QueueFull
from jobs.payload import Record
from jobs.services.announcing import announce_queued
from jobs.services.outbox import count_kept, is_away, keep, note_outage, uses_outbox


def get_present(driver: QueueDriver, *, is_after_commit: bool) -> datetime:
    """Return the time of the store, or that of the database, where the jobs go into the outbox."""
    if not uses_outbox(driver):
        return driver.get_now()
    if (is_after_commit and transaction.get_connection().in_atomic_block) or is_away(driver):
        return get_database_now()
    try:
        return driver.get_now()
    except driver.outage_errors as error:
        note_outage(driver, error)
        return get_database_now()


def may_wait_for_locks(driver: QueueDriver, records: Sequence[Record], *, is_after_commit: bool) -> bool:
    """Say whether jobs with locks may be sent without them, for who relays them to take these."""
    has_locks = any(record.unique is not None or record.debounce is not None for record in records)
    if not has_locks or not uses_outbox(driver) or get_coordinator().is_transactional:
        return False
    return is_after_commit or not transaction.get_connection().in_atomic_block


def push_or_keep(
    driver: QueueDriver, messages: Sequence[Message], limits: Mapping[str, int], push: Callable[[], object]
) -> None:
    """Push jobs, and keep those that their store doesn't take because it is away."""
    sent: Sequence[Message] = []
    if not is_away(driver):
        try:
            push()
        except driver.outage_errors as error:
            note_outage(driver, error)
        except PartlySentError as error:
            if not isinstance(error.__cause__, driver.outage_errors):
                raise
            note_outage(driver, error)
            sent = [message for message in messages if message.job_id in error.sent]
        else:
            sent = messages
    announce_queued(sent, connection=driver.name)
    if len(sent) < len(messages):
        ids = {message.job_id for message in sent}
        keep_within(driver, [message for message in messages if message.job_id not in ids], limits)


def keep_within(
    driver: QueueDriver, messages: Sequence[Message], limits: Mapping[str, int], *, needs_locks: bool = False
) -> None:
    """Let jobs wait in the outbox; there, too, a queue holds no more than it may.

    Raises:
        QueueFull: A queue has no room.
    """
    for queue, limit in limits.items():
        count = count_kept(driver, queue)
        if count + sum(message.queue == queue for message in messages) > limit:
            raise QueueFull.named(queue, count=count, max_jobs=limit)
    keep(driver, messages, needs_locks=needs_locks)


def measure(driver: QueueDriver) -> Mapping[str, QueueFigures]:
    """Return what a store holds; nothing where it is away, and jobs wait for it in the outbox."""
    if not uses_outbox(driver):
        return driver.measure()
    if is_away(driver):
        return {}
    try:
        return driver.measure()
    except driver.outage_errors as error:
        note_outage(driver, error)
        return {}
