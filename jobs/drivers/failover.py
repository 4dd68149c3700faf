"""The driver that sends jobs to the first of several connections that can be reached."""

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, override
from uuid import UUID

import structlog
from django.core.exceptions import ImproperlyConfigured

from jobs.drivers.base import Burial, Claim, JobState, Message, QueueDriver, QueueFigures, StoredJob, get_driver
from jobs.drivers.listening import Listener
from jobs.signals import QueueFailedOver, queue_failed_over

_log = structlog.get_logger("gatehouse.jobs")


class FailoverDriver(QueueDriver):
    """Dispatch goes to the first connection of ``CONNECTIONS`` that answers; workers serve them one after another.

    What a worker claims carries the name of the connection that it came from, where it is finished.
    """

    def __init__(self, name: str, options: Mapping[str, Any]) -> None:  # Any: each driver has options of its own
        """Take the names of the connections, in order.

        Raises:
            ImproperlyConfigured: There are none, or this one is among them.
        """
        super().__init__(name, options)
        names = list(options.get("CONNECTIONS", []))
        if not names or name in names:
            message = f"JOBS['CONNECTIONS'][{name!r}]['CONNECTIONS'] must name other connections."
            raise ImproperlyConfigured(message)
        self.drivers = [get_driver(one) for one in names]
        self.outage_errors = tuple({error for driver in self.drivers for error in driver.outage_errors})  # type: ignore[misc]  # of this one instance

    @override
    def get_now(self) -> datetime:
        return self._try(lambda driver: driver.get_now())

    @override
    def push(self, messages: Sequence[Message], *, limits: Mapping[str, int] | None = None) -> None:
        self._try(lambda driver: driver.push(messages, limits=limits))

    @override
    def claim(
        self, *, queues: Sequence[str], worker: str, count: int = 1, now: datetime | None = None
    ) -> Sequence[Claim]:
        outage: Exception | None = None
        for driver in self.drivers:
            try:
                if claims := driver.claim(queues=queues, worker=worker, count=count, now=now):
                    return claims
            except driver.outage_errors as error:
                outage = error
        if outage is not None:
            raise outage
        return []

    @override
    def listen(self, queues: Sequence[str]) -> Sequence[Listener]:
        return [listener for driver in self.drivers for listener in driver.listen(queues)]

    @override
    def finish(self, claim: Claim, *, followers: Sequence[Message] = ()) -> bool:
        return get_driver(claim.connection).finish(claim, followers=followers)

    @override
    def release(self, claim: Claim, *, available_at: datetime, payload: str | None = None) -> bool:
        return get_driver(claim.connection).release(claim, available_at=available_at, payload=payload)

    @override
    def renew(self, claim: Claim, *, lease_expires_at: datetime, payload: str | None = None) -> bool:
        return get_driver(claim.connection).renew(claim, lease_expires_at=lease_expires_at, payload=payload)

    @override
    def bury(self, claim: Claim, burial: Burial, *, followers: Sequence[Message] = ()) -> bool:
        return get_driver(claim.connection).bury(claim, burial, followers=followers)

    @override
    def remove(self, job_ids: Collection[UUID]) -> int:
        return sum(driver.remove(job_ids) for driver in self.drivers)

    @override
    def clear(self, *, queue: str | None, now: datetime | None = None) -> int:
        return sum(driver.clear(queue=queue, now=now) for driver in self.drivers)

    @override
    def measure(self, *, now: datetime | None = None) -> Mapping[str, QueueFigures]:
        figures: dict[str, QueueFigures] = {}
        for driver in self.drivers:
            for queue, found in driver.measure(now=now).items():
                figures[queue] = figures[queue].add(found) if queue in figures else found
        return figures

    @override
    def list_jobs(
        self, *, queue: str | None = None, state: JobState | None = None, limit: int = 100, now: datetime | None = None
    ) -> Sequence[StoredJob]:
        lists = [driver.list_jobs(queue=queue, state=state, limit=limit, now=now) for driver in self.drivers]
        return [job for jobs in lists for job in jobs][:limit]

    @override
    def list_set_apart(self, *, limit: int = 100) -> Sequence[str]:
        return [entry for driver in self.drivers for entry in driver.list_set_apart(limit=limit)][:limit]

    @override
    def pause(self, queue: str, *, until: datetime | None = None) -> None:
        for driver in self.drivers:
            driver.pause(queue, until=until)

    @override
    def resume(self, queue: str) -> bool:
        return sum(driver.resume(queue) for driver in self.drivers) > 0  # each, not up to the first that says yes

    @override
    def list_pauses(self, *, now: datetime | None = None) -> Mapping[str, datetime | None]:
        pauses: dict[str, datetime | None] = {}
        for driver in self.drivers:
            pauses |= driver.list_pauses(now=now)
        return pauses

    def _try[T](self, operation: Callable[[QueueDriver], T]) -> T:
        """Return what the first connection says that answers.

        Raises:
            Exception: What the last one raised, where none answers.
        """
        *others, last = self.drivers
        for driver in others:
            try:
                return operation(driver)
            except driver.outage_errors as error:
                _log.warning("queue_failed_over", failed_connection=driver.name, error=type(error).__qualname__)
                queue_failed_over.announce(
                    QueueFailedOver(connection=self.name, failed_connection=driver.name, error=error)
                )
        return operation(last)
