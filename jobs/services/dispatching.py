"""Storing jobs: signed, locked where they are unique, and seen by workers only if the transaction commits."""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Final

from django.db import transaction

from jobs.coordination import get_coordinator
from jobs.drivers.base import Message, QueueDriver, get_driver
from jobs.drivers.sync import SyncDriver
from jobs.exceptions import JobOptionError, QueueFull
from jobs.options import get_due_time
from jobs.outlet import Current
from jobs.payload import Record, encode_payload
from jobs.queues import get_queue
from jobs.signals import (
    JobQueued,
    JobQueueing,
    UniqueJobSkipped,
    identify,
    job_queued,
    job_queueing,
    unique_job_skipped,
)
from project.transactions import list_waiting, on_end

#: Prefixes of what the coordinator keeps for jobs.
UNIQUE: Final = "unique:"
DEBOUNCE: Final = "debounce:"
#: How much longer than a job may wait it is remembered which one is the last of its key.
_DEBOUNCE_MARGIN: Final = timedelta(days=1)
_FIRST_PAUSE: Final = 0.02
_LONGEST_PAUSE: Final = 0.5


def send(
    records: Sequence[Record],
    *,
    is_after_commit: bool = True,
    now: datetime | None = None,
    on_failure: Callable[[], object] | None = None,
) -> list[Record]:
    """Store jobs, all of one connection or none, and return those that were stored.

    A unique job is left out where one of its key waits or runs. Within a transaction the jobs become visible with the
    commit, and never if it is rolled back; ``is_after_commit=False`` sends them at once, where the connection's store
    takes no part in the transaction. Where a store takes them after the commit only, and then doesn't, their locks are
    given back and ``on_failure`` is called, to undo what the transaction has stored.

    Raises:
        JobArgumentError: A record would be too long.
        QueueFull: A queue has no room, and got none in the time for which dispatch may wait.
        JobOptionError: A job is to be sent apart from the transaction that keeps its lock.
        UnknownConnectionError: There is no such connection.
    """
    sent: list[tuple[QueueDriver, list[Record]]] = []
    undo = partial(_undo, sent, on_failure)
    try:
        for driver, here in _route(records):
            sent_at = now or driver.get_now()
            accepted = _send_to(driver, here, is_after_commit=is_after_commit, now=sent_at, undo=undo)
            sent.append((driver, accepted))
    except BaseException:
        _undo(sent, None)
        raise
    return [record for _, accepted in sent for record in accepted]


def admit(records: Iterable[Record], *, now: datetime) -> list[Record]:
    """Return those of some jobs that may be stored, with their locks taken and their waits begun.

    For what follows a job, which its store takes in the same step. May be repeated: a lock that a job has is its own.
    """
    prepared = [_put_off(replace(record, created_at=now), now) for record in records]
    return [record for record in prepared if take_locks(record)]


def push_followers(records: Sequence[Record], *, now: datetime) -> None:
    """Store admitted jobs in other stores than that of the job before; limits of queues don't hold them up."""
    for driver, here in _route(records):
        messages = make_messages(here, now=now)
        driver.push(messages)
        announce_queued(messages, connection=driver.name)


def make_messages(records: Iterable[Record], *, now: datetime) -> list[Message]:
    """Return jobs as drivers take them, signed, with their waits counted from now."""
    return [_make_message(record, now) for record in records]


def announce_queued(messages: Sequence[Message], *, connection: str) -> None:
    """Say that jobs were stored, once they are."""
    if messages:
        on_end(commit=partial(_tell_queued, messages, connection))


def _tell_queued(messages: Sequence[Message], connection: str) -> None:
    if not job_queued.is_heard:
        return
    for message in messages:
        job_queued.announce(
            JobQueued(
                job_id=message.job_id,
                job_class=message.job_class,
                queue=message.queue,
                connection=connection,
                available_at=message.available_at,
            )
        )


def _route(records: Sequence[Record]) -> Iterator[tuple[QueueDriver, list[Record]]]:
    """Go through the drivers with the jobs that each is to store; first that of a test which takes jobs."""
    if Current.outlet is not None:
        taken, records = Current.outlet.pick(records)
        driver = Current.outlet.get_driver()
        if taken and isinstance(driver, QueueDriver):
            yield driver, taken
    for connection in dict.fromkeys(record.connection for record in records):
        yield get_driver(connection), [record for record in records if record.connection == connection]


def _send_to(
    driver: QueueDriver,
    records: list[Record],
    *,
    is_after_commit: bool,
    now: datetime,
    undo: Callable[[], object],
) -> list[Record]:
    prepared = [_put_off(replace(record, created_at=now), now) for record in records]
    messages = make_messages(prepared, now=now)  # whatever can't be stored is heard before a lock is taken
    is_apart = not is_after_commit and not driver.is_transactional
    if is_apart:
        _check_locks_are_apart(driver, prepared)
    accepted = [record for record in prepared if take_locks(record, is_apart=is_apart)]
    kept = {record.job_id for record in accepted}
    messages = [message for message in messages if message.job_id in kept]
    if not messages:
        return []
    for record in accepted:
        job_queueing.announce(
            JobQueueing(
                job_id=record.job_id,
                job_class=record.job_class,
                queue=record.queue,
                connection=driver.name,
                actor_id=record.actor_id,
            )
        )
    try:
        _push(driver, messages, is_after_commit=is_after_commit, undo=undo)
    except BaseException:
        _unlock(accepted)
        raise
    return accepted


def _check_locks_are_apart(driver: QueueDriver, records: Iterable[Record]) -> None:
    """Refuse what would be out when a rollback takes its lock; what runs in place has given it back by then.

    Raises:
        JobOptionError: A job has a lock, and locks are kept in the transaction that is open.
    """
    is_in_place = isinstance(driver, SyncDriver)
    if is_in_place or not get_coordinator().is_transactional or not transaction.get_connection().in_atomic_block:
        return
    for record in records:
        if record.unique is not None or record.debounce is not None:
            message = (
                f"{record.job_class}: before_commit() would send the job at once, but its lock is kept in the database "
                "and ends if the transaction is rolled back. Send it with the commit, or outside of the transaction, "
                "or let JOBS['COORDINATION'] name a connection whose locks are kept elsewhere, such as on Redis."
            )
            raise JobOptionError(message)


def _push(
    driver: QueueDriver, messages: Sequence[Message], *, is_after_commit: bool, undo: Callable[[], object]
) -> None:
    limits = _get_limits(messages)
    if driver.is_transactional or not is_after_commit or not transaction.get_connection().in_atomic_block:
        _push_patiently(driver, messages, limits)
        announce_queued(messages, connection=driver.name)
        return
    if limits:
        _check_room(driver, messages, limits)
    push_late(driver, messages, undo=undo)


def push_late(driver: QueueDriver, messages: Sequence[Message], *, undo: Callable[[], object]) -> None:
    """Push after the commit; where that raises, the transaction can't be rolled back any more, but undone."""
    on_end(commit=_LatePush(driver, messages, undo), undo=undo)


@dataclass(frozen=True, slots=True)
class _LatePush:
    driver: QueueDriver
    messages: Sequence[Message]
    undo: Callable[[], object]

    def __call__(self) -> None:
        try:
            self.driver.push(self.messages)
        except BaseException:
            self.undo()
            raise
        announce_queued(self.messages, connection=self.driver.name)


def _undo(sent: Sequence[tuple[QueueDriver, list[Record]]], on_failure: Callable[[], object] | None) -> None:
    """Take jobs back from where they were stored, as far as their stores answer, and what was stored with them."""
    if transaction.get_connection().needs_rollback:
        return
    for driver, records in sent:
        _unlock(records)
        with suppress(*driver.outage_errors):
            driver.remove([record.job_id for record in records])
    if on_failure is not None:
        on_failure()


def _push_patiently(driver: QueueDriver, messages: Sequence[Message], limits: dict[str, int]) -> None:
    """Push; where a queue is full and its definition says so, wait for room, unless that would hold a transaction."""
    waits = [get_queue(queue).wait_for_room_seconds for queue in limits]
    deadline = time.monotonic() + min(waits, default=0)
    pause = _FIRST_PAUSE
    while True:
        try:
            driver.push(messages, limits=limits)
        except QueueFull:
            left = deadline - time.monotonic()
            if left <= 0 or transaction.get_connection().in_atomic_block:
                raise
        else:
            return
        time.sleep(min(pause, left))
        pause = min(pause * 2, _LONGEST_PAUSE)


def _check_room(driver: QueueDriver, messages: Sequence[Message], limits: dict[str, int]) -> None:
    """Say now what can't be said after the commit, and count what this transaction has for the same store already.

    What transactions that are open at the same time hold isn't known: together they can go beyond the limit by what all
    but one of them push.

    Raises:
        QueueFull: A queue has no room.
    """
    figures = driver.measure()
    late = [one for push in list_waiting(_LatePush) if push.driver.name == driver.name for one in push.messages]
    for queue, limit in limits.items():
        held = figures.get(queue)
        count = held.waiting + held.delayed + held.running if held else 0
        count += sum(message.queue == queue for message in late)
        if count + sum(message.queue == queue for message in messages) > limit:
            raise QueueFull.named(queue, count=count, max_jobs=limit)


def _get_limits(messages: Iterable[Message]) -> dict[str, int]:
    definitions = [get_queue(queue) for queue in {message.queue for message in messages}]
    return {one.name: one.max_jobs for one in definitions if one.max_jobs is not None}


def _make_message(record: Record, now: datetime) -> Message:
    record = record if record.created_at else replace(record, created_at=now)
    assert record.created_at is not None  # noqa: S101 - just set
    return Message(
        job_id=record.job_id,
        queue=record.queue,
        job_class=record.job_class,
        payload=encode_payload(record),
        priority=record.priority,
        available_at=get_due_time(record.delay_until or record.delay_seconds, now=now),
        created_at=record.created_at,
        timeout_seconds=record.timeout_seconds,
    )


def take_locks(record: Record, *, is_apart: bool = False) -> bool:
    """Take the lock of a unique job, which only the job itself gives back; make a debounced one the last of its key.

    Both are undone if the transaction is rolled back, unless the job is sent apart from it.

    Returns:
        False if another job holds the lock.
    """
    if record.debounce is not None:
        _make_last(record, is_apart=is_apart)
    if record.unique is None:
        return True
    key, seconds = str(record.unique["key"]), record.unique["seconds"]
    lifetime = timedelta(seconds=seconds) if seconds else None
    if get_coordinator().acquire(UNIQUE + key, owner=str(record.job_id), lifetime=lifetime):
        if not is_apart:
            on_end(rollback=partial(_release_after_rollback, UNIQUE + key, str(record.job_id)))
        return True
    unique_job_skipped.announce(UniqueJobSkipped(**identify(record), key=key))
    return False


def release_unique(record: Record) -> None:
    """Let another job of the same key be dispatched."""
    if record.unique is not None:
        get_coordinator().release(UNIQUE + str(record.unique["key"]), owner=str(record.job_id))


def _release_after_rollback(key: str, owner: str) -> None:
    """Give a lock back; what is kept in the database was rolled back itself, and can't be asked now."""
    coordinator = get_coordinator()
    if not coordinator.is_transactional:
        coordinator.release(key, owner=owner)


def _unlock(records: Iterable[Record]) -> None:
    """Give back the locks of jobs that aren't stored after all."""
    if transaction.get_connection().needs_rollback:
        return
    for record in records:
        for prefix, lock in ((UNIQUE, record.unique), (DEBOUNCE, record.debounce)):
            if lock is not None:
                get_coordinator().release(prefix + str(lock["key"]), owner=str(record.job_id))


def _put_off(record: Record, now: datetime) -> Record:
    """Let a debounced job wait, but not longer than the first one of its key may be put off in all."""
    if record.debounce is None:
        return record
    wait, longest = float(record.debounce["seconds"]), record.debounce["max_wait"]
    if longest is not None:
        since = next(iter(get_coordinator().list_owners(_get_since_key(record))), now.isoformat())
        end = datetime.fromisoformat(since) + timedelta(seconds=longest)
        wait = max(min(wait, (end - now).total_seconds()), 0)
    return replace(record, delay_seconds=wait, delay_until=None)


def _make_last(record: Record, *, is_apart: bool) -> None:
    """Make a job the one of its key that will run; if it isn't stored after all, the ones before it run."""
    assert record.debounce is not None  # noqa: S101 - asked by the caller
    assert record.created_at is not None  # noqa: S101 - set at dispatch
    key, owner, coordinator = DEBOUNCE + str(record.debounce["key"]), str(record.job_id), get_coordinator()
    lifetime = timedelta(seconds=max(record.debounce["seconds"], record.debounce["max_wait"] or 0)) + _DEBOUNCE_MARGIN
    if record.debounce["max_wait"] is not None and not coordinator.list_owners(_get_since_key(record)):
        coordinator.acquire(_get_since_key(record), owner=record.created_at.isoformat(), lifetime=lifetime)
    coordinator.replace(key, owner=owner, lifetime=lifetime)
    if not is_apart:
        on_end(rollback=partial(_release_after_rollback, key, owner))


def _get_since_key(record: Record) -> str:
    """Return the key under which it is kept since when jobs of the same key are put off."""
    assert record.debounce is not None  # noqa: S101 - asked by the caller
    return f"{DEBOUNCE}{record.debounce['key']}:since"
