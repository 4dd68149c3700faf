"""What a worker says of itself every few seconds, and what it is told in return."""

import os
import socket
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Final

import structlog
from django.utils import timezone

from jobs.drivers.base import Claim
from jobs.services import (
    Wish,
    WorkerReport,
    get_restart_count,
    hear,
    record_heartbeat,
    remove_dead_heartbeats,
    remove_heartbeat,
)
from jobs.worker.hand import Hand
from jobs.worker.keeper import BEAT_PERIOD
from jobs.worker.outages import list_outage_errors
from jobs.worker.restarts import Restarts
from jobs.worker.vitals import VitalsMonitor

#: A worker counts as alive for this long after a heartbeat.
HEARTBEAT_LIFE: Final = 3 * BEAT_PERIOD
_MAX_HOST_LENGTH: Final = 150
_log = structlog.get_logger("gatehouse.worker")


class Heart:
    """That of one worker; it beats in one thread at a time."""

    def __init__(
        self,
        *,
        name: str,
        queues: Sequence[str],
        connection: str,
        started_at: datetime,
        hand: Hand,
        restarts: Restarts,
        is_resting: Callable[[], bool],
        tell: Callable[[Wish], object],
    ) -> None:
        """Take what is said of the worker, what it holds and knows, and whom to tell what is heard."""
        self._name = name
        self._queues = queues
        self._connection = connection
        self._started_at = started_at
        self._hand = hand
        self._is_resting = is_resting
        self._tell = tell
        self._next_beat_at = started_at
        self._restarts = restarts
        self._vitals = VitalsMonitor()

    def start(self) -> None:
        """Take the dead from the list, and hear whether the worker is to end at once: its parent is older than it."""
        remove_dead_heartbeats(now=timezone.now())
        self._hear_restarts(get_restart_count())

    def is_due(self) -> bool:
        """Say whether it is time for the next beat."""
        return timezone.now() >= self._next_beat_at

    def hurry(self) -> None:
        """Let the next beat be due now."""
        self._next_beat_at = timezone.now()

    def beat(self) -> None:
        """Report that the worker is alive, and hear what somebody wants of it.

        Raises nothing where the database is away: the job in hand matters more than the report about it.
        """
        now, running = timezone.now(), self._hand.get_running()
        try:
            record_heartbeat(
                name=self._name,
                queues=self._queues,
                started_at=self._started_at,
                now=now,
                alive_until=now + HEARTBEAT_LIFE,
                current_job_id=running.job_id if running else None,
                report=self._report(running),
            )
            heard = hear(name=self._name)
        except list_outage_errors() as error:
            _log.warning("heartbeat_not_written", worker=self._name, error=type(error).__qualname__)
        else:
            self._hear_restarts(heard.restart_count)
            if heard.wish is not None:
                self._tell(heard.wish)
        self._next_beat_at = now + BEAT_PERIOD

    def stop(self) -> None:
        """Take the worker from the list, if the database answers."""
        try:
            remove_heartbeat(name=self._name)
        except list_outage_errors() as error:
            _log.warning("heartbeat_left_behind", worker=self._name, error=type(error).__qualname__)

    def _hear_restarts(self, count: int) -> None:
        if self._restarts.is_new(count):
            self._tell(Wish.RESTART)

    def _report(self, running: Claim | None) -> WorkerReport:
        vitals = self._vitals.look()
        return WorkerReport(
            host=socket.gethostname()[:_MAX_HOST_LENGTH],
            pid=os.getpid(),
            connection=self._connection,
            current_job_class=running.job_class if running else "",
            current_job_since=running.claimed_at if running else None,
            running_count=self._hand.count_running(),
            try_count=self._hand.begun,
            memory_mb=vitals.memory_mb,
            cpu_percent=vitals.cpu_percent,
            is_resting=self._is_resting(),
        )
