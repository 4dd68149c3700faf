"""Storing jobs: signed, locked where they are unique, and seen by workers only if the transaction commits."""

import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import Final
from uuid import UUID

from django.db import transaction

from jobs.clock import get_database_now
from jobs.coordination import get_coordinator
from jobs.drivers.base import STEP, Message, QueueDriver, get_driver
from jobs.drivers.sync import SyncDriver
from jobs.exceptions import JobOptionError, PartlySentError, QueueFull
from jobs.options import get_due_time
from jobs.outlet import Current
from jobs.payload import Record, encode_payload
from jobs.queues import get_queue
from jobs.services.announcing import announce_queued
from jobs.services.keeping import get_present, keep_within, may_wait_for_locks, measure, push_or_keep
from jobs.services.locking import put_off, take_all_locks, unlock
from jobs.services.outbox import count_kept, is_away, note_outage, send_with_commit, take_back, uses_outbox
from jobs.signals import JobQueueing, job_queueing
from project.transactions import list_waiting, on_end

#: A driver, and the jobs that it is to store.
type _Part = tuple[QueueDriver, list[Record]]
_FIRST_PAUSE: Final = 0.02
_LONGEST_PAUSE: Final = 0.5


def send(
    records: Sequence[Record],
    *,
    is_after_commit: bool = True,
    now: datetime | None = None,
    on_failure: Callable[[Collection[UUID]], object] | None = None,
    keeps_part: bool = False,
) -> list[Record]:
    """Store jobs, all of one connection or none, and return those that were stored.

    A unique job is left out where one of its key waits or runs. Within a transaction the jobs become visible with the
    commit, and never if it is rolled back; ``is_after_commit=False`` sends them at once, where the connection's store
    takes no part in the transaction. Where a store takes them after the commit only, and then doesn't, their locks are
    given back and ``on_failure`` is called with their ids, to undo what the transaction has stored.

    Many jobs are stored in steps, where their store takes no part in transactions. If it fails in the middle all is
    undone as far as it answers; with ``keeps_part`` what was stored stays, there and on other connections.

    Raises:
        JobArgumentError: A record would be too long.
        QueueFull: A queue has no room, and got none in the time for which dispatch may wait.
        JobOptionError: A job is to be sent apart from the transaction that keeps its lock.
        UnknownConnectionError: There is no such connection.
        PartlySentError: A store failed when some were stored, and these stay (``keeps_part``).
    """
    sent: list[Record] = []
    together: list[_Part] = []
    try:
        for driver, here in _route(records):
            if keeps_part:
                together = []
            late = _Late(together, on_failure, keeps_part)
            accepted = _send_or_keep(driver, here, is_after_commit=is_after_commit, now=now, late=late)
            together.append((driver, accepted))
            sent += accepted
    except BaseException as error:
        if not keeps_part:
            _undo(together)
            raise
        stored = [*(record.job_id for record in sent), *(error.sent if isinstance(error, PartlySentError) else ())]
        if not stored or not isinstance(error, Exception):
            raise
        raise PartlySentError(stored) from (error.__cause__ or error)
    return sent


def admit(records: Iterable[Record], *, now: datetime, is_overdue: bool = False) -> list[Record]:
    """Return those of some jobs that may be stored, with their locks taken and their waits begun, and announce these.

    For what follows a job, which its store takes in the same step. May be repeated: a lock that a job has is its own.
    ``is_overdue``: see ``take_locks``.
    """
    prepared = [put_off(replace(record, created_at=now), now) for record in records]
    admitted = take_all_locks(prepared, is_overdue=is_overdue)
    for record in admitted:
        _announce_queueing([record], get_driver(record.connection))
    return admitted


def push_followers(records: Sequence[Record], *, now: datetime) -> None:
    """Store admitted jobs in other stores than that of the job before; limits of queues don't hold them up.

    Nor does a store that is away, where jobs may wait for it in the outbox; in a transaction they go with its commit.
    """
    for driver, here in _route(records):
        messages = make_messages(here, now=now)
        if not uses_outbox(driver):
            driver.push(messages)
            announce_queued(messages, connection=driver.name)
        elif transaction.get_connection().in_atomic_block:
            send_with_commit(driver, messages)
        else:
            push_or_keep(driver, messages, {}, partial(driver.push, messages))


def make_messages(records: Iterable[Record], *, now: datetime) -> list[Message]:
    """Return jobs as drivers take them, signed, with their waits counted from now."""
    return [_make_message(record, now, may_be_at_once=False) for record in records]


def _route(records: Sequence[Record]) -> Iterator[tuple[QueueDriver, list[Record]]]:
    """Go through the drivers with the jobs that each is to store; first that of a test which takes jobs."""
    if Current.outlet is not None:
        taken, records = Current.outlet.pick(records)
        driver = Current.outlet.get_driver()
        if taken and isinstance(driver, QueueDriver):
            yield driver, taken
    for connection in dict.fromkeys(record.connection for record in records):
        yield get_driver(connection), [record for record in records if record.connection == connection]


def _send_or_keep(
    driver: QueueDriver, records: list[Record], *, is_after_commit: bool, now: datetime | None, late: "_Late"
) -> list[Record]:
    """Send jobs; where their locks can't be asked for, leave these to who relays the jobs."""
    may_wait = may_wait_for_locks(driver, records, is_after_commit=is_after_commit)
    if not (may_wait and is_away(driver)):
        try:
            return _send_to(driver, records, is_after_commit=is_after_commit, now=now, late=late)
        except get_coordinator().outage_errors as error:
            if not may_wait:
                raise
            note_outage(driver, error)
    sent_at = now or get_database_now()
    for record in records:
        record.created_at = sent_at
    _announce_queueing(records, driver)
    messages = make_messages(records, now=sent_at)
    keep_within(driver, messages, _get_limits(messages), needs_locks=True)
    return records


def _send_to(
    driver: QueueDriver,
    records: list[Record],
    *,
    is_after_commit: bool,
    now: datetime | None,
    late: "_Late",
) -> list[Record]:
    sent_at = now or get_present(driver, is_after_commit=is_after_commit)
    for record in records:
        record.created_at = sent_at
    prepared = [put_off(record, sent_at) for record in records]
    # Whatever can't be stored is heard before a lock is taken.
    messages = [_make_message(record, sent_at, may_be_at_once=now is None) for record in prepared]
    is_apart = not is_after_commit and not driver.is_transactional
    if is_apart:
        _check_locks_are_apart(driver, prepared)
    accepted = take_all_locks(prepared, is_apart=is_apart)
    if len(accepted) < len(prepared):
        kept = {record.job_id for record in accepted}
        messages = [message for message in messages if message.job_id in kept]
    if not messages:
        return []
    if job_queueing.is_heard:
        _announce_queueing(accepted, driver)
    _push_or_unlock(driver, messages, accepted, is_after_commit=is_after_commit, late=late)
    return accepted


def _push_or_unlock(
    driver: QueueDriver, messages: list[Message], records: list[Record], *, is_after_commit: bool, late: "_Late"
) -> None:
    try:
        _push(driver, messages, is_after_commit=is_after_commit, late=late)
    except PartlySentError as error:
        if not late.keeps_part:
            _undo([(driver, records)])
            raise error.__cause__ or error from None
        unlock(record for record in records if record.job_id not in error.sent)
        announce_queued([one for one in messages if one.job_id in error.sent], connection=driver.name)
        raise
    except BaseException:
        unlock(records)
        raise


def _announce_queueing(records: Iterable[Record], driver: QueueDriver) -> None:
    for record in records:
        job_queueing.announce(
            JobQueueing(
                job_id=record.job_id,
                job_class=record.job_class,
                queue=record.queue,
                connection=driver.name,
                actor_id=record.actor_id,
            )
        )


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


def _push(driver: QueueDriver, messages: Sequence[Message], *, is_after_commit: bool, late: "_Late") -> None:
    limits = _get_limits(messages)
    is_open = transaction.get_connection().in_atomic_block
    if not is_open and uses_outbox(driver):
        push_or_keep(driver, messages, limits, partial(_push_patiently, driver, messages, limits))
        return
    if driver.is_transactional or not is_after_commit or not is_open:
        _push_patiently(driver, messages, limits)
        announce_queued(messages, connection=driver.name)
        return
    if limits:
        _check_room(driver, messages, limits)
    push_late(driver, messages, undo=late.undo, keeps_part=late.keeps_part)


def push_late(
    driver: QueueDriver, messages: Sequence[Message], *, undo: Callable[..., object], keeps_part: bool = False
) -> None:
    """Push after the commit; where that raises, the transaction can't be rolled back any more, but undone.

    ``keeps_part``: what was stored by then stays; ``undo`` is called with its ids.
    """
    if uses_outbox(driver):  # nothing need be undone then
        send_with_commit(driver, messages)
        return
    on_end(commit=_LatePush(driver, messages, undo, keeps_part), undo=undo)


@dataclass(frozen=True, slots=True)
class _LatePush:
    driver: QueueDriver
    messages: Sequence[Message]
    undo: Callable[..., object]
    keeps_part: bool

    def __call__(self) -> None:
        try:
            store(self.driver, self.messages)
        except PartlySentError as error:
            if not self.keeps_part:
                self.undo()
                raise error.__cause__ or error from None
            self.undo(error.sent)
            announce_queued([one for one in self.messages if one.job_id in error.sent], connection=self.driver.name)
            raise
        except BaseException:
            self.undo()
            raise
        announce_queued(self.messages, connection=self.driver.name)


@dataclass(frozen=True, slots=True)
class _Late:
    """What is undone, together, where one of the stores doesn't take its jobs after the commit."""

    together: Sequence[_Part]
    on_failure: Callable[[Collection[UUID]], object] | None
    keeps_part: bool

    def undo(self, kept: Collection[UUID] = ()) -> None:
        lost = [(driver, [one for one in records if one.job_id not in kept]) for driver, records in self.together]
        if _undo(lost) and self.on_failure is not None:
            self.on_failure([record.job_id for _, records in lost for record in records])


def _undo(parts: Iterable[_Part]) -> bool:
    """Take jobs back from where they were stored, as far as their stores answer; False where the database can't."""
    if transaction.get_connection().needs_rollback:
        return False
    for driver, records in parts:
        unlock(records)
        take_back(driver, [record.job_id for record in records])
        if is_away(driver):
            continue
        with suppress(*driver.outage_errors):
            driver.remove([record.job_id for record in records])
    return True


def store(driver: QueueDriver, messages: Sequence[Message], *, limits: Mapping[str, int] | None = None) -> None:
    """Hand jobs to their driver, which stores all or none; many in steps, those of queues with a limit in the first.

    Raises:
        QueueFull: A queue would hold more than its limit; nothing is stored.
        PartlySentError: The store failed between two steps.
    """
    if len(messages) <= STEP or driver.is_transactional:
        driver.push(messages, limits=limits)
        return
    first = [message for message in messages if limits and message.queue in limits]
    if first:
        driver.push(first, limits=limits)
    try:
        driver.push_many([message for message in messages if not limits or message.queue not in limits])
    except Exception as error:
        stored = [*(one.job_id for one in first), *(error.sent if isinstance(error, PartlySentError) else ())]
        if not stored:
            raise
        raise PartlySentError(stored) from (error.__cause__ or error)


def _push_patiently(driver: QueueDriver, messages: Sequence[Message], limits: dict[str, int]) -> None:
    """Push; where a queue is full and its definition says so, wait for room, unless that would hold a transaction."""
    waits = [get_queue(queue).wait_for_room_seconds for queue in limits]
    deadline = time.monotonic() + min(waits, default=0)
    pause = _FIRST_PAUSE
    while True:
        try:
            store(driver, messages, limits=limits)
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
    figures = measure(driver)
    late = [one for push in list_waiting(_LatePush) if push.driver.name == driver.name for one in push.messages]
    for queue, limit in limits.items():
        held = figures.get(queue)
        count = held.waiting + held.delayed + held.running if held else 0
        count += count_kept(driver, queue) if uses_outbox(driver) else sum(message.queue == queue for message in late)
        if count + sum(message.queue == queue for message in messages) > limit:
            raise QueueFull.named(queue, count=count, max_jobs=limit)


def _get_limits(messages: Iterable[Message]) -> dict[str, int]:
    definitions = [get_queue(queue) for queue in {message.queue for message in messages}]
    return {one.name: one.max_jobs for one in definitions if one.max_jobs is not None}


def _make_message(record: Record, now: datetime, *, may_be_at_once: bool) -> Message:
    record = record if record.created_at else replace(record, created_at=now)
    assert record.created_at is not None  # noqa: S101 - just set
    delay = record.delay_until or record.delay_seconds
    return Message(
        job_id=record.job_id,
        queue=record.queue,
        job_class=record.job_class,
        payload=encode_payload(record),
        priority=record.priority,
        available_at=get_due_time(delay, now=now) if delay else now,
        created_at=record.created_at,
        is_at_once=may_be_at_once and not delay,
        timeout_seconds=record.timeout_seconds,
    )
