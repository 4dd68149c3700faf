"""Drivers that note what the store has accepted: whom it gave jobs, and whose word on their end it took."""

from collections.abc import Sequence
from datetime import datetime
from typing import override

from django.db import transaction

from jobs.drivers.base import Burial, Claim, Message
from jobs.drivers.database import DatabaseDriver
from jobs.drivers.redis import RedisDriver
from tests.faults.ledger import Entry, get_ledger


def note(phase: str, claims: Sequence[Claim], **detail: object) -> None:
    """Write down what became of claims, once it is committed."""
    entries = [
        Entry(phase=phase, job=str(one.job_id), attempt=one.attempts, fence=str(one.lease_id), detail=detail)
        for one in claims
    ]
    if entries:
        transaction.on_commit(lambda: get_ledger().note(*entries))


class WitnessedRedisDriver(RedisDriver):
    """Redis."""

    @override
    def exchange(
        self, done: Sequence[Claim], *, queues: Sequence[str], worker: str, count: int, now: datetime | None = None
    ) -> tuple[int, Sequence[Claim]]:
        lost, claims = super().exchange(done, queues=queues, worker=worker, count=count, now=now)
        note("claimed", claims)
        note("finished" if not lost else "unsure", done)
        return lost, claims

    @override
    def finish_all(self, claims: Sequence[Claim]) -> int:
        lost = super().finish_all(claims)
        note("finished" if not lost else "unsure", claims)
        return lost

    @override
    def finish(self, claim: Claim, *, followers: Sequence[Message] = ()) -> bool:
        is_held = super().finish(claim, followers=followers)
        note("finished" if is_held else "refused", [claim])
        return is_held

    @override
    def release(self, claim: Claim, *, available_at: datetime, payload: str | None = None) -> bool:
        is_held = super().release(claim, available_at=available_at, payload=payload)
        note("released" if is_held else "refused", [claim], wait=(available_at - self.get_now()).total_seconds())
        return is_held

    @override
    def bury(self, claim: Claim, burial: Burial, *, followers: Sequence[Message] = ()) -> bool:
        is_held = super().bury(claim, burial, followers=followers)
        note("buried" if is_held else "refused", [claim])
        return is_held


class WitnessedDatabaseDriver(DatabaseDriver):
    """PostgreSQL and SQLite."""

    @override
    def claim(
        self, *, queues: Sequence[str], worker: str, count: int = 1, now: datetime | None = None
    ) -> Sequence[Claim]:
        claims = super().claim(queues=queues, worker=worker, count=count, now=now)
        note("claimed", claims)
        return claims

    @override
    def finish_all(self, claims: Sequence[Claim]) -> int:
        lost = super().finish_all(claims)
        note("finished" if not lost else "unsure", claims)
        return lost

    @override
    def finish(self, claim: Claim, *, followers: Sequence[Message] = ()) -> bool:
        is_held = super().finish(claim, followers=followers)
        note("finished" if is_held else "refused", [claim])
        return is_held

    @override
    def release(self, claim: Claim, *, available_at: datetime, payload: str | None = None) -> bool:
        is_held = super().release(claim, available_at=available_at, payload=payload)
        note("released" if is_held else "refused", [claim], wait=(available_at - self.get_now()).total_seconds())
        return is_held
