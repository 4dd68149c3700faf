"""The driver that keeps nothing: a job runs where it is dispatched, before dispatch returns."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from importlib import import_module
from typing import override
from uuid import UUID

from django.utils import timezone

from jobs.drivers.base import Burial, Claim, Message, QueueDriver
from jobs.drivers.inventory import JobState, QueueFigures, StoredJob


class SyncDriver(QueueDriver):
    """For scripts and small tests: delays, tries and limits of queues don't count, and what a job raises is raised."""

    @override
    def get_now(self) -> datetime:
        return timezone.now()

    @override
    def push(self, messages: Sequence[Message], *, limits: Mapping[str, int] | None = None) -> None:
        runner = import_module("jobs.worker.runner")  # it stands above drivers
        for message in messages:
            runner.run_message(message)

    @override
    def claim(
        self, *, queues: Sequence[str], worker: str, count: int = 1, now: datetime | None = None
    ) -> Sequence[Claim]:
        return []

    @override
    def finish(self, claim: Claim, *, followers: Sequence[Message] = ()) -> bool:
        self.push(followers)
        return True

    @override
    def give_back(self, claims: Sequence[Claim]) -> None:
        """Do nothing: nothing is ever claimed."""

    @override
    def renew_all(self, claims: Sequence[Claim], *, now: datetime | None = None) -> int:
        return 0

    @override
    def release(
        self, claim: Claim, *, available_at: datetime, payload: str | None = None, is_unbegun: bool = False
    ) -> bool:
        return True

    @override
    def renew(self, claim: Claim, *, lease_expires_at: datetime, payload: str | None = None) -> bool:
        return True

    @override
    def bury(self, claim: Claim, burial: Burial, *, followers: Sequence[Message] = ()) -> bool:
        self.push(followers)
        return True

    @override
    def remove(self, job_ids: Collection[UUID]) -> int:
        return 0

    @override
    def clear(self, *, queue: str | None, now: datetime | None = None) -> int:
        return 0

    @override
    def measure(self, *, now: datetime | None = None) -> Mapping[str, QueueFigures]:
        return {}

    @override
    def list_jobs(
        self, *, queue: str | None = None, state: JobState | None = None, limit: int = 100, now: datetime | None = None
    ) -> Sequence[StoredJob]:
        return []

    @override
    def pause(self, queue: str, *, until: datetime | None = None) -> None:
        """Do nothing: there is no worker that could rest."""

    @override
    def resume(self, queue: str) -> bool:
        return False

    @override
    def list_pauses(self, *, now: datetime | None = None) -> Mapping[str, datetime | None]:
        return {}
