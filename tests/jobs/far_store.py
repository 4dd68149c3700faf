"""A store that takes no part in transactions, and can be away."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import ClassVar, override
from uuid import UUID

import pytest
from django.db import OperationalError
from pytest_django import Settings

from jobs.drivers.base import Burial, Claim, Message
from jobs.drivers.database import DatabaseDriver
from jobs.drivers.inventory import JobSearch, QueueFigures, StoredJob


class FarDriver(DatabaseDriver):
    """Keeps jobs in the database, as if it were another one: test it with queues of its own."""

    is_transactional: ClassVar[bool] = False
    #: Operations that go wrong for now.
    away: ClassVar[set[str]] = set()
    #: How often jobs are stored before it goes away for that; None: as often as one likes.
    pushes_left: ClassVar[int | None] = None

    @override
    def push(self, messages: Sequence[Message], *, limits: Mapping[str, int] | None = None) -> None:
        if FarDriver.pushes_left is not None:
            FarDriver.pushes_left -= 1
            if FarDriver.pushes_left < 0:
                self.away.add("push")
        self._reach("push")
        super().push(messages, limits=limits)

    @override
    def finish(self, claim: Claim, *, followers: Sequence[Message] = ()) -> bool:
        self._reach("finish")
        return super().finish(claim, followers=followers)

    @override
    def bury(self, claim: Claim, burial: Burial, *, followers: Sequence[Message] = ()) -> bool:
        self._reach("bury")
        return super().bury(claim, burial, followers=followers)

    @override
    def find_job(self, job_id: UUID, *, now: datetime | None = None) -> StoredJob | None:
        self._reach("find_job")
        return super().find_job(job_id, now=now)

    @override
    def browse(
        self, search: JobSearch, *, place: int = 0, limit: int = 50, now: datetime | None = None
    ) -> tuple[Sequence[StoredJob], int | None]:
        self._reach("browse")
        return super().browse(search, place=place, limit=limit, now=now)

    @override
    def measure(self, *, now: datetime | None = None) -> Mapping[str, QueueFigures]:
        self._reach("measure")
        return super().measure(now=now)

    @override
    def pause(self, queue: str, *, until: datetime | None = None) -> None:
        self._reach("pause")
        super().pause(queue, until=until)

    def _reach(self, operation: str) -> None:
        if operation in self.away:
            message = f"{self.name} is away"
            raise OperationalError(message)


@pytest.fixture(name="far")
def far_fixture(settings: Settings, transactional_db: None) -> Iterator[set[str]]:
    """The operations that go wrong in the store ``far``, which is the default; there is one more, ``near``."""
    connections = {
        "near": {"DRIVER": "jobs.drivers.database.DatabaseDriver"},
        "far": {"DRIVER": "tests.jobs.far_store.FarDriver"},
        "either": {"DRIVER": "jobs.drivers.failover.FailoverDriver", "CONNECTIONS": ["near", "far"]},
    }
    settings.JOBS = {
        **settings.JOBS,
        "CONNECTION": "far",
        "COORDINATION": "near",
        "CONNECTIONS": {**settings.JOBS["CONNECTIONS"], **connections},
    }
    FarDriver.away.clear()
    FarDriver.pushes_left = None
    yield FarDriver.away
    FarDriver.away.clear()
    FarDriver.pushes_left = None
