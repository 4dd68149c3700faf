"""Drivers that note what the store has accepted: whom it gave jobs, and whose word on their end it took."""

from abc import ABC
from collections.abc import Sequence
from datetime import datetime
from typing import override

from django.db import transaction

from jobs.drivers.base import Burial, Claim, Message, QueueDriver
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


class _Witness(QueueDriver, ABC):
    """Stands before a driver, and notes what all drivers do by the same calls."""

    @override
    def finish_all(self, claims: Sequence[Claim]) -> int:
        lost = super().finish_all(claims)
        note("finished" if not lost else "unsure", claims)
        return lost

    @override
    def finish(self, claim: Claim, *, followers: Sequence[Message] = ()) -> bool:
        is_held = super().finish(claim, followers=followers)  # type: ignore[safe-super]  # a driver stands behind
        note("finished" if is_held else "refused", [claim])
        return is_held

    @override
    def release(
        self, claim: Claim, *, available_at: datetime, payload: str | None = None, is_unbegun: bool = False
    ) -> bool:
        is_held = super().release(  # type: ignore[safe-super]  # too
            claim, available_at=available_at, payload=payload, is_unbegun=is_unbegun
        )
        note("released" if is_held else "refused", [claim], wait=(available_at - self.get_now()).total_seconds())
        return is_held


class WitnessedRedisDriver(_Witness, RedisDriver):
    """Redis, where each call is a script of its own."""

    @override
    def exchange(
        self, done: Sequence[Claim], *, queues: Sequence[str], worker: str, count: int, now: datetime | None = None
    ) -> tuple[int, Sequence[Claim]]:
        lost, claims = super().exchange(done, queues=queues, worker=worker, count=count, now=now)
        note("claimed", claims)
        note("finished" if not lost else "unsure", done)
        return lost, claims

    @override
    def bury(self, claim: Claim, burial: Burial, *, followers: Sequence[Message] = ()) -> bool:
        is_held = super().bury(claim, burial, followers=followers)
        note("buried" if is_held else "refused", [claim])
        return is_held


class WitnessedDatabaseDriver(_Witness, DatabaseDriver):
    """PostgreSQL and SQLite, which exchange by a claim and ``finish_all``, and bury by ``finish``."""

    @override
    def claim(
        self, *, queues: Sequence[str], worker: str, count: int = 1, now: datetime | None = None
    ) -> Sequence[Claim]:
        claims = super().claim(queues=queues, worker=worker, count=count, now=now)
        note("claimed", claims)
        return claims
