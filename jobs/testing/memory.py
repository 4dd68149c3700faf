"""Where a fake keeps what it has taken: a driver and a coordinator in memory, with the fake's clock."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import count
from threading import RLock
from typing import ClassVar, override
from uuid import UUID, uuid4

from jobs.conf import get_job_settings
from jobs.coordination.base import Coordinator
from jobs.drivers.base import Burial, Claim, Message, QueueDriver
from jobs.drivers.failures import store_failure
from jobs.drivers.inventory import JobState, QueueFigures, StoredJob
from jobs.exceptions import QueueFull
from jobs.models.queued import EVERY_QUEUE

_EMPTY = QueueFigures(waiting=0, delayed=0, running=0, oldest_due_at=None)


@dataclass(slots=True)
class _Entry:
    message: Message
    number: int
    attempts: int = 0
    crashes: int = 0
    lease_id: UUID | None = None
    lease_expires_at: datetime | None = None
    worker: str = ""

    def get_due_time(self) -> datetime:
        return self.lease_expires_at or self.message.available_at

    def get_state(self, now: datetime) -> JobState:
        if self.get_due_time() <= now:
            return "waiting"
        return "delayed" if self.lease_expires_at is None else "running"


class MemoryDriver(QueueDriver):
    """Keeps jobs in memory, and tells what is pushed."""

    is_transactional: ClassVar[bool] = True  # for what is pushed in a transaction is there at once

    def __init__(self, name: str, *, clock: Callable[[], datetime], on_push: Callable[[Message], object]) -> None:
        """Take its name as a connection, the clock, and who is told of each job."""
        super().__init__(name, {})
        self._clock = clock
        self._on_push = on_push
        self._entries: dict[UUID, _Entry] = {}
        self._pauses: dict[str, datetime | None] = {}
        self._numbers = count()
        self._lock = RLock()

    @override
    def get_now(self) -> datetime:
        return self._clock()

    @override
    def push(self, messages: Sequence[Message], *, limits: Mapping[str, int] | None = None) -> None:
        with self._lock:
            for queue, limit in (limits or {}).items():
                held = sum(entry.message.queue == queue for entry in self._entries.values())
                if held + sum(message.queue == queue for message in messages) > limit:
                    raise QueueFull.named(queue, count=held, max_jobs=limit)
            for message in messages:
                if message.job_id not in self._entries:
                    self._entries[message.job_id] = _Entry(message, next(self._numbers))
                    self._on_push(message)

    @override
    def claim(
        self, *, queues: Sequence[str], worker: str, count: int = 1, now: datetime | None = None
    ) -> Sequence[Claim]:
        now = now or self.get_now()
        pauses = self.list_pauses(now=now)
        with self._lock:
            due = [entry for entry in self._sort() if entry.get_state(now) == "waiting"]
            due = [entry for entry in due if not {entry.message.queue, EVERY_QUEUE} & pauses.keys()]
            lines = [[entry for entry in due if entry.message.queue == queue] for queue in queues] or [due]
            found: list[_Entry] = next((line for line in lines if line), [])
            return [self._claim(entry, worker, now) for entry in found[:count]]

    @override
    def finish(self, claim: Claim, *, followers: Sequence[Message] = ()) -> bool:
        with self._lock:
            if self._get_held(claim) is None:
                return False
            del self._entries[claim.job_id]
            self.push(followers)
        return True

    @override
    def give_back(self, claims: Sequence[Claim]) -> None:
        with self._lock:
            for claim in claims:
                if (entry := self._get_held(claim)) is not None:
                    entry.attempts -= 1
                    entry.lease_id, entry.lease_expires_at, entry.worker = None, None, ""

    @override
    def renew_all(self, claims: Sequence[Claim], *, now: datetime | None = None) -> int:
        ends = (now or self.get_now()) + get_job_settings().lease
        return sum(not self.renew(claim, lease_expires_at=ends) for claim in claims)

    @override
    def release(
        self, claim: Claim, *, available_at: datetime, payload: str | None = None, is_unbegun: bool = False
    ) -> bool:
        with self._lock:
            entry = self._get_held(claim)
            if entry is None:
                return False
            entry.message = replace(entry.message, available_at=available_at, payload=payload or entry.message.payload)
            entry.attempts -= is_unbegun
            entry.lease_id, entry.lease_expires_at, entry.worker = None, None, ""
        return True

    @override
    def renew(self, claim: Claim, *, lease_expires_at: datetime, payload: str | None = None) -> bool:
        with self._lock:
            entry = self._get_held(claim)
            if entry is None:
                return False
            entry.lease_expires_at = lease_expires_at
            entry.message = replace(entry.message, payload=payload or entry.message.payload)
        return True

    @override
    def bury(self, claim: Claim, burial: Burial, *, followers: Sequence[Message] = ()) -> bool:
        if not self.finish(claim, followers=followers):
            return False
        store_failure(claim, burial)
        return True

    @override
    def remove(self, job_ids: Collection[UUID]) -> int:
        return self._remove(lambda entry: entry.message.job_id in job_ids, self.get_now())

    @override
    def clear(self, *, queue: str | None, now: datetime | None = None) -> int:
        return self._remove(lambda entry: queue in {None, entry.message.queue}, now or self.get_now())

    @override
    def measure(self, *, now: datetime | None = None) -> Mapping[str, QueueFigures]:
        now = now or self.get_now()
        figures: dict[str, QueueFigures] = {}
        with self._lock:
            for entry in self._entries.values():
                state, queue = entry.get_state(now), entry.message.queue
                one = QueueFigures(
                    waiting=state == "waiting",
                    delayed=state == "delayed",
                    running=state == "running",
                    oldest_due_at=entry.get_due_time() if state == "waiting" else None,
                )
                figures[queue] = figures.get(queue, _EMPTY).add(one)
        return dict(sorted(figures.items()))

    @override
    def list_jobs(
        self, *, queue: str | None = None, state: JobState | None = None, limit: int = 100, now: datetime | None = None
    ) -> Sequence[StoredJob]:
        now = now or self.get_now()
        with self._lock:
            jobs = [_show(entry, now) for entry in self._sort()]
        return [job for job in jobs if queue in {None, job.queue} and state in {None, job.state}][:limit]

    @override
    def pause(self, queue: str, *, until: datetime | None = None) -> None:
        self._pauses[queue] = until

    @override
    def resume(self, queue: str) -> bool:
        was_paused = queue in self.list_pauses()
        self._pauses.pop(queue, None)
        return was_paused

    @override
    def list_pauses(self, *, now: datetime | None = None) -> Mapping[str, datetime | None]:
        now = now or self.get_now()
        return {queue: until for queue, until in sorted(self._pauses.items()) if until is None or until > now}

    def _sort(self) -> list[_Entry]:
        def order(entry: _Entry) -> tuple[int, datetime, int]:
            return -entry.message.priority, entry.message.available_at, entry.number

        return sorted(self._entries.values(), key=order)

    def _claim(self, entry: _Entry, worker: str, now: datetime) -> Claim:
        message = entry.message
        entry.attempts += 1
        entry.crashes += entry.lease_id is not None
        entry.worker = worker
        entry.lease_id = uuid4()
        entry.lease_expires_at = now + get_job_settings().lease
        return Claim(
            job_id=message.job_id,
            queue=message.queue,
            job_class=message.job_class,
            payload=message.payload,
            priority=message.priority,
            attempts=entry.attempts,
            lease_id=entry.lease_id,
            lease_expires_at=entry.lease_expires_at,
            connection=self.name,
            worker=worker,
            crashes=entry.crashes,
            claimed_at=now,
        )

    def _get_held(self, claim: Claim) -> _Entry | None:
        entry = self._entries.get(claim.job_id)
        return entry if entry is not None and entry.lease_id == claim.lease_id else None

    def _remove(self, matches: Callable[[_Entry], bool], now: datetime) -> int:
        with self._lock:
            gone = [one for one in self._entries.values() if matches(one) and one.get_state(now) != "running"]
            for entry in gone:
                del self._entries[entry.message.job_id]
        return len(gone)


class MemoryCoordinator(Coordinator):
    """Keeps places, events and numbers in memory."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        """Take the clock."""
        super().__init__({})
        self._clock = clock
        self._slots: dict[str, dict[str, datetime | None]] = {}
        self._hits: dict[str, list[datetime]] = {}
        self._numbers: dict[str, tuple[int, datetime]] = {}
        self._lock = RLock()

    @override
    def acquire(
        self, key: str, *, owner: str, lifetime: timedelta | None, places: int = 1, now: datetime | None = None
    ) -> bool:
        now = now or self._clock()
        with self._held(key, now) as slots:
            if owner not in slots and len(slots) >= places:
                return False
            slots[owner] = None if lifetime is None else now + lifetime
        return True

    @override
    def release(self, key: str, *, owner: str) -> bool:
        with self._held(key, self._clock()) as slots:
            had_one = owner in slots
            slots.pop(owner, None)
        return had_one

    @override
    def replace(self, key: str, *, owner: str, lifetime: timedelta, now: datetime | None = None) -> None:
        now = now or self._clock()
        with self._held(key, now) as slots:
            slots.clear()
            slots[owner] = now + lifetime

    @override
    def list_owners(self, key: str, *, now: datetime | None = None) -> list[str]:
        with self._held(key, now or self._clock()) as slots:
            return list(slots)

    @override
    def hit(self, key: str, *, limit: int, window: timedelta, now: datetime | None = None) -> timedelta:
        now = now or self._clock()
        with self._lock:
            hits = self._hits[key] = [moment for moment in self._hits.get(key, ()) if moment > now - window]
            if len(hits) >= limit:
                return hits[-limit] + window - now if limit else window
            hits.append(now)
        return timedelta(0)

    @override
    def count_hits(self, key: str, *, window: timedelta, now: datetime | None = None) -> int:
        since = (now or self._clock()) - window
        return sum(moment > since for moment in self._hits.get(key, ()))

    @override
    def increment(self, key: str, *, lifetime: timedelta, now: datetime | None = None) -> int:
        now = now or self._clock()
        with self._lock:
            value, expires_at = self._numbers.get(key, (0, now))
            value = value + 1 if expires_at > now else 1
            self._numbers[key] = value, now + lifetime
        return value

    @override
    def forget(self, key: str) -> None:
        with self._lock:
            for kept in (self._slots, self._hits, self._numbers):
                kept.pop(key, None)

    @contextmanager
    def _held(self, key: str, now: datetime) -> Iterator[dict[str, datetime | None]]:
        with self._lock:
            slots = self._slots.get(key, {})
            slots = self._slots[key] = {owner: end for owner, end in slots.items() if end is None or end > now}
            yield slots


def _show(entry: _Entry, now: datetime) -> StoredJob:
    message = entry.message
    return StoredJob(
        job_id=message.job_id,
        queue=message.queue,
        job_class=message.job_class,
        payload=message.payload,
        priority=message.priority,
        attempts=entry.attempts,
        state=entry.get_state(now),
        available_at=message.available_at,
        created_at=message.created_at,
        worker=entry.worker,
    )
