"""The driver that sends jobs to the first of several connections that can be reached."""

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, override
from uuid import UUID

import structlog
from django.core.exceptions import ImproperlyConfigured

from jobs.drivers.base import Burial, Claim, Message, QueueDriver, get_driver
from jobs.drivers.inventory import JobState, QueueFigures, StoredJob
from jobs.drivers.listening import Listener
from jobs.exceptions import ConnectionsAwayError
from jobs.signals import QueueFailedOver, queue_failed_over

_log = structlog.get_logger("gatehouse.jobs")


class FailoverDriver(QueueDriver):
    """Dispatch goes to the first connection of ``CONNECTIONS`` that answers; workers serve them one after another.

    What a worker claims carries the name of the connection that it came from, where it is finished. Reading tells what
    the connections say that answer. To remove, clear, pause and resume reaches each of these, and then raises
    ``ConnectionsAwayError`` where one didn't answer; where none does, all raise what the last one raised.
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
        outages = {error for driver in self.drivers for error in driver.outage_errors}
        self.outage_errors = (ConnectionsAwayError, *outages)  # type: ignore[misc]  # of this one instance
        self.takes_outbox = any(driver.takes_outbox for driver in self.drivers)  # type: ignore[misc]  # as above

    @override
    def get_now(self) -> datetime:
        return self._try(lambda driver: driver.get_now())

    @override
    def push(self, messages: Sequence[Message], *, limits: Mapping[str, int] | None = None) -> None:
        self._try(lambda driver: driver.push(messages, limits=limits))

    @override
    def push_once(self, messages: Mapping[UUID, Message], *, forget: Collection[UUID] = ()) -> None:
        self._try(lambda driver: driver.push_once(messages, forget=forget))

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
    def finish_all(self, claims: Sequence[Claim]) -> int:
        return sum(_tell_each(claims, lambda driver, some: driver.finish_all(some)))

    @override
    def give_back(self, claims: Sequence[Claim]) -> None:
        _tell_each(claims, lambda driver, some: driver.give_back(some))

    @override
    def renew_all(self, claims: Sequence[Claim], *, now: datetime | None = None) -> int:
        return sum(_tell_each(claims, lambda driver, some: driver.renew_all(some, now=now)))

    @override
    def release(
        self, claim: Claim, *, available_at: datetime, payload: str | None = None, is_unbegun: bool = False
    ) -> bool:
        return get_driver(claim.connection).release(
            claim, available_at=available_at, payload=payload, is_unbegun=is_unbegun
        )

    @override
    def renew(self, claim: Claim, *, lease_expires_at: datetime, payload: str | None = None) -> bool:
        return get_driver(claim.connection).renew(claim, lease_expires_at=lease_expires_at, payload=payload)

    @override
    def bury(self, claim: Claim, burial: Burial, *, followers: Sequence[Message] = ()) -> bool:
        return get_driver(claim.connection).bury(claim, burial, followers=followers)

    @override
    def remove(self, job_ids: Collection[UUID]) -> int:
        return sum(self._reach_each(lambda driver: driver.remove(job_ids)))

    @override
    def clear(self, *, queue: str | None, now: datetime | None = None) -> int:
        return sum(self._reach_each(lambda driver: driver.clear(queue=queue, now=now)))

    @override
    def measure(self, *, now: datetime | None = None) -> Mapping[str, QueueFigures]:
        figures: dict[str, QueueFigures] = {}
        for measured in self._read_each(lambda driver: driver.measure(now=now)):
            for queue, found in measured.items():
                figures[queue] = figures[queue].add(found) if queue in figures else found
        return figures

    @override
    def list_queues(self) -> Sequence[str]:
        return sorted({name for names in self._read_each(lambda driver: driver.list_queues()) for name in names})

    @override
    def list_jobs(
        self, *, queue: str | None = None, state: JobState | None = None, limit: int = 100, now: datetime | None = None
    ) -> Sequence[StoredJob]:
        lists = self._read_each(lambda driver: driver.list_jobs(queue=queue, state=state, limit=limit, now=now))
        return [job for jobs in lists for job in jobs][:limit]

    @override
    def list_set_apart(self, *, limit: int = 100) -> Sequence[str]:
        lists = self._read_each(lambda driver: driver.list_set_apart(limit=limit))
        return [entry for entries in lists for entry in entries][:limit]

    @override
    def pause(self, queue: str, *, until: datetime | None = None) -> None:
        def pause(driver: QueueDriver) -> bool:
            driver.pause(queue, until=until)
            return True

        self._reach_each(pause)

    @override
    def resume(self, queue: str) -> bool:
        return any(self._reach_each(lambda driver: driver.resume(queue)))

    @override
    def list_pauses(self, *, now: datetime | None = None) -> Mapping[str, datetime | None]:
        pauses: dict[str, datetime | None] = {}
        for found in self._read_each(lambda driver: driver.list_pauses(now=now)):
            pauses |= found
        return pauses

    def _read_each[T](self, read: Callable[[QueueDriver], T]) -> list[T]:
        """Return what those connections say that answer. Raises as ``_ask_each``."""
        return self._ask_each(read)[0]

    def _reach_each[T](self, operation: Callable[[QueueDriver], T]) -> list[T]:
        """Let each connection that answers do something, and return what they say.

        Raises:
            ConnectionsAwayError: Some didn't answer.
            Exception: As ``_ask_each``.
        """
        answers, away = self._ask_each(operation)
        if away:
            raise ConnectionsAwayError(self.name, away=away, has_changed=any(answers))
        return answers

    def _ask_each[T](self, operation: Callable[[QueueDriver], T]) -> tuple[list[T], list[str]]:
        """Return what those connections say that answer, and the names of the others.

        Raises:
            Exception: What the last one raised, where none answers.
        """
        answers: list[T] = []
        away: list[str] = []
        outage: Exception | None = None
        for driver in self.drivers:
            try:
                answers.append(operation(driver))
            except driver.outage_errors as error:
                _log.warning("connection_left_out", connection=driver.name, error=type(error).__qualname__)
                away.append(driver.name)
                outage = error
        if outage is not None and not answers:
            raise outage
        return answers, away

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


def _tell_each[T](claims: Sequence[Claim], tell: Callable[[QueueDriver, list[Claim]], T]) -> list[T]:
    """Tell each connection of those that came from it; one that is away keeps the others from nothing.

    Raises:
        Exception: What the last one raised that didn't answer, after all others were told.
    """
    answers: list[T] = []
    outage: Exception | None = None
    for name in dict.fromkeys(claim.connection for claim in claims):
        driver = get_driver(name)
        try:
            answers.append(tell(driver, [claim for claim in claims if claim.connection == name]))
        except driver.outage_errors as error:
            outage = error
    if outage is not None:
        raise outage
    return answers
