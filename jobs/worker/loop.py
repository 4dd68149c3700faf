"""The life of one worker process: claim, run, write down; wait when there is nothing; end on a signal."""

import os
import queue
import re
import secrets
import signal
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import FrameType

import structlog
from django.db import connections
from django.utils import timezone

from jobs.drivers.base import Claim, get_driver
from jobs.job import get_lease
from jobs.services import record_heartbeat, remove_dead_heartbeats, remove_heartbeat
from jobs.worker.runner import attempt, settle

#: An idle worker counts as alive for this long after a heartbeat, and writes one every third of it.
HEARTBEAT_LIFE = timedelta(seconds=15)
#: Database connections are opened anew after this long.
CONNECTION_LIFE = timedelta(minutes=1)
_FIRST_PAUSE = timedelta(seconds=0.1)
_LONGEST_PAUSE = timedelta(seconds=5)
_MAX_HOST_LENGTH = 150
#: A single quote that is not the apostrophe of a short form, such as in "couldn't".
_QUOTE = re.compile(r"(?<![A-Za-z])'|'(?!(?:d|ll|m|re|s|t|ve)\b)")
_log = structlog.get_logger("gatehouse.worker")


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerOptions:
    """What a worker serves, and when it ends by itself."""

    #: In order; empty means every queue, as if they were one.
    queues: Sequence[str] = ()
    #: Stands in front of the worker's name, in place of the host's.
    name: str = ""
    #: Pause between two looks at an empty queue.
    sleep: timedelta
    #: End after so many tries.
    max_jobs: int | None = None
    #: End as soon as no job is due.
    stop_when_empty: bool = False


class Worker:
    """Runs jobs one after another in the calling thread, until told to stop."""

    def __init__(self, options: WorkerOptions) -> None:
        """Give the worker a name of its own; nothing is stored yet."""
        host = (options.name or socket.gethostname())[:_MAX_HOST_LENGTH]
        self.name = f"{host}:{os.getpid()}:{secrets.token_hex(4)}"
        self._options = options
        self._driver = get_driver()
        self._started_at = timezone.now()
        self._next_beat_at = self._started_at
        self._next_renewal_at = self._started_at + CONNECTION_LIFE
        self._is_stopping = False
        # SimpleQueue.put may be called in a signal handler while get waits; Event.set may dead-lock there.
        self._wake_up: queue.SimpleQueue[None] = queue.SimpleQueue()

    def run(self) -> int:
        """Work until stopped; return how many tries were made. Signals are heard in the main thread only."""
        self._log = _log.bind(worker=self.name)
        self._log.info("worker_started", queues=list(self._options.queues) or "every")
        self._patiently(lambda: remove_dead_heartbeats(now=timezone.now()))
        tries = 0
        while not self._is_stopping and tries != self._options.max_jobs:
            claim = self._patiently(self._claim)
            self._beat(claim)
            if claim is not None:
                self._work(claim)
                tries += 1
            elif self._options.stop_when_empty:
                break
            else:
                self._pause(self._options.sleep)
        self._leave()
        self._log.info("worker_stopped", tries=tries)
        return tries

    def stop(self) -> None:
        """End after the job in hand; from any thread or a signal handler."""
        self._is_stopping = True
        self._wake_up.put(None)

    @contextmanager
    def listen_to_signals(self) -> Iterator[None]:
        """Stop on SIGTERM and SIGINT within the block; only in the main thread."""

        def on_signal(_number: int, _frame: FrameType | None) -> None:
            self.stop()

        numbers = (signal.SIGTERM, signal.SIGINT)
        previous = [signal.signal(number, on_signal) for number in numbers]
        try:
            yield
        finally:
            for number, handler in zip(numbers, previous, strict=True):
                signal.signal(number, handler)

    def _claim(self) -> Claim | None:
        return self._driver.claim(
            queues=self._options.queues, worker=self.name, now=timezone.now(), get_lease=get_lease
        )

    def _work(self, claim: Claim) -> None:
        with structlog.contextvars.bound_contextvars(
            job_id=str(claim.job_id), job_class=claim.job_class, queue=claim.queue, attempt=claim.attempts
        ):
            outcome = attempt(claim)
            self._renew_connections()
            ended_at = timezone.now()
            try:
                # Past the end of the lease the job is somebody else's, and writing would change nothing.
                self._patiently(lambda: settle(claim, outcome, now=ended_at), until=claim.lease_expires_at)
            except Exception as error:  # noqa: BLE001 - one record that can't be written must not stop all others
                self._log.error("job_not_settled", error=type(error).__qualname__)
        self._next_beat_at = timezone.now()  # if there is no next job, say so without delay

    def _beat(self, claim: Claim | None) -> None:
        """Report at each claim, and when idle a few times within the life of a heartbeat."""
        now = timezone.now()
        if claim is None and now < self._next_beat_at:
            return
        try:
            record_heartbeat(
                name=self.name,
                queues=self._options.queues,
                started_at=self._started_at,
                now=now,
                alive_until=claim.lease_expires_at if claim else now + HEARTBEAT_LIFE,
                current_job_id=claim.job_id if claim else None,
            )
        except self._driver.outage_errors as error:
            # The job in hand matters more than the report about it.
            self._log.warning("heartbeat_not_written", error=type(error).__qualname__)
        self._next_beat_at = now + HEARTBEAT_LIFE / 3

    def _leave(self) -> None:
        try:
            remove_heartbeat(name=self.name)
        except self._driver.outage_errors as error:
            self._log.warning("heartbeat_left_behind", error=type(error).__qualname__)

    def _patiently[T](self, operation: Callable[[], T], *, until: datetime | None = None) -> T | None:
        """Return what the operation returns; while the store is away, wait ever longer and try again.

        Gives up, with None, when the worker is told to stop or at ``until``.
        """
        pause = _FIRST_PAUSE
        is_away = False
        while True:
            try:
                result = operation()
            except self._driver.outage_errors as error:
                is_away = True
                self._log.warning(
                    "store_unavailable",
                    error=type(error).__qualname__,
                    reason=_get_reason(error),
                    retry_in_seconds=pause.total_seconds(),
                )
            else:
                if is_away:
                    self._log.info("store_available_again")
                return result
            if self._is_stopping or (until is not None and timezone.now() >= until):
                return None
            self._renew_connections()
            self._pause(pause)
            pause = min(pause * 2, _LONGEST_PAUSE)

    def _pause(self, duration: timedelta) -> None:
        """Wait, but not once the worker was told to stop."""
        try:
            self._wake_up.get(timeout=duration.total_seconds())
        except queue.Empty:
            return

    def _renew_connections(self) -> None:
        """Close connections that broke, that a job left in another mode, and once a minute all of them.

        Django's ``close_old_connections`` would close them after every job: ``CONN_MAX_AGE`` is made for requests, and
        opening SQLite anew costs more than a small job. One whose transaction a caller has open is left alone.
        """
        is_time = timezone.now() >= self._next_renewal_at
        if is_time:
            self._next_renewal_at = timezone.now() + CONNECTION_LIFE
        for connection in connections.all(initialized_only=True):
            if connection.connection is None or connection.in_atomic_block:
                continue
            if is_time or connection.errors_occurred or not connection.get_autocommit():
                connection.close()


def _get_reason(error: Exception) -> str:
    """Return what the store says, without what it quotes: that may be the content of a row."""
    first_line = (str(error).splitlines() or [""])[0]
    quotes = [found.start() for found in _QUOTE.finditer(first_line)]
    if not quotes:
        return first_line[:200]
    # What is quoted may hold quotes itself, so the span goes to the last one, and to the end where there is one only.
    end = quotes[-1] + 1 if len(quotes) > 1 else len(first_line)
    return f"{first_line[: quotes[0]]}'…'{first_line[end:]}"[:200]
