"""Several worker processes under one parent, which starts them by ``fork`` and none anew for each job.

The parent runs no job. It replaces processes that end by a limit of theirs or die, and settles at once what a dead one
held: the store is told of jobs that were done, jobs that were never begun go back as if nothing had happened, and the
one that ran is free for others, with its crash counted.
"""

import os
import signal
import socket
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from enum import IntEnum
from types import FrameType
from typing import Final

import structlog
from django.db import connections

from jobs.drivers.base import QueueDriver, get_driver
from jobs.worker.ledger import Ledger
from jobs.worker.loop import Worker, WorkerOptions
from jobs.worker.reporting import Reporter
from project.supervisor import die_with_parent

#: A process that lived shorter than this broke down; the next one in its place waits, ever longer.
_BREAKDOWN_SECONDS: Final = 1.0
_LONGEST_PAUSE: Final = 10.0
_TICK_SECONDS: Final = 0.05
_STOPS: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT)
_PASSED_ON: Final = (signal.SIGUSR2, signal.SIGCONT)
_log = structlog.get_logger("gatehouse.worker")


class Exit(IntEnum):
    """With what a worker process tells its parent why it ended."""

    STOPPED = 0
    BROKEN = 1
    MEMORY = 12
    EMPTY = 20
    MAX_JOBS = 21
    MAX_TIME = 22
    RESTART = 23


_REASONS: Final = {
    "memory": Exit.MEMORY,
    "empty": Exit.EMPTY,
    "max_jobs": Exit.MAX_JOBS,
    "max_time": Exit.MAX_TIME,
    "restart": Exit.RESTART,
}
#: After these another process takes the place.
_RECYCLED: Final = frozenset({Exit.STOPPED, Exit.MEMORY, Exit.MAX_JOBS, Exit.MAX_TIME, Exit.RESTART})


@dataclass(slots=True)
class _Process:
    pid: int
    ledger: Ledger
    started_at: float


@dataclass(slots=True)
class _Place:
    """Where one process after the other stands."""

    process: _Process | None = None
    #: No process is wanted here any more.
    is_closed: bool = False
    #: How many broke down, one right after the other.
    breakdowns: int = 0
    starts_at: float = field(default=0.0)


class Pool:
    """Keeps worker processes running until it is told to stop; safe in the main thread only."""

    def __init__(self, options: WorkerOptions, *, size: int, grace_seconds: float | None = None) -> None:
        """Take what each process serves, how many there are, and how long a job in hand may take at the end."""
        self._options = options
        self._grace_seconds = grace_seconds
        self._places = [_Place() for _ in range(size)]
        self._reporter = Reporter(options.report, worker=f"{socket.gethostname()}:{os.getpid()}")
        self._driver: QueueDriver = get_driver(options.connection or None)
        self._stopping_since: float | None = None
        self._is_hard = False
        #: How often a process was replaced that died.
        self.crashes = 0

    def run(self) -> None:
        """Run until all processes have ended for good. Signals are heard meanwhile.

        SIGTERM, SIGINT and SIGQUIT let each finish the job in hand; a second one, or the end of the grace, kills them.
        """
        handlers: dict[int, Callable[[int, FrameType | None], object]] = {
            **dict.fromkeys(_STOPS, lambda _number, _frame: self.stop()),
            **dict.fromkeys(_PASSED_ON, lambda number, _frame: self._send(number)),
        }
        previous = {number: signal.signal(number, handler) for number, handler in handlers.items()}
        try:
            while self._is_open():
                self._start_missing()
                self._kill_late()
                self._reap()
                time.sleep(_TICK_SECONDS)
        finally:
            for number, handler in previous.items():
                signal.signal(number, handler)
            self._kill_all()

    def stop(self) -> None:
        """Let each process finish the job in hand and start none anew; said twice, kill them."""
        if self._stopping_since is not None:
            self._is_hard = True
            return
        self._stopping_since = time.monotonic()
        self._send(signal.SIGTERM)

    def list_pids(self) -> Sequence[int]:
        """Return the ids of the processes that run."""
        return [place.process.pid for place in self._places if place.process is not None]

    def _is_open(self) -> bool:
        return any(not place.is_closed or place.process is not None for place in self._places)

    def _start_missing(self) -> None:
        for place in self._places:
            if self._stopping_since is not None:
                place.is_closed = True
            if place.process is None and not place.is_closed and time.monotonic() >= place.starts_at:
                place.process = self._start()

    def _start(self) -> _Process:
        _let_go_of_connections()
        ledger = Ledger()
        blocked = signal.pthread_sigmask(signal.SIG_BLOCK, {*_STOPS, *_PASSED_ON})
        parent = os.getpid()
        pid = os.fork()
        if pid == 0:
            _become_worker(self._options, ledger, blocked, parent=parent)
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
        return _Process(pid, ledger, time.monotonic())

    def _reap(self) -> None:
        for place in self._places:
            if place.process is None:
                continue
            pid, status = os.waitpid(place.process.pid, os.WNOHANG)
            if pid:
                self._take_leave(place, place.process, os.waitstatus_to_exitcode(status))

    def _take_leave(self, place: _Place, process: _Process, code: int) -> None:
        place.process = None
        self._settle(process)
        if code == Exit.RESTART:
            self.stop()
        if code == Exit.EMPTY:
            place.is_closed = True
        elif code not in _RECYCLED:
            self.crashes += 1
            _log.error("worker_died", pid=process.pid, exit_code=code)
            self._reporter.note_death(pid=process.pid, exit_code=code)
            is_breakdown = time.monotonic() - process.started_at < _BREAKDOWN_SECONDS
            place.breakdowns = place.breakdowns + 1 if is_breakdown else 0
            if place.breakdowns:
                place.starts_at = time.monotonic() + min(2.0**place.breakdowns / 4, _LONGEST_PAUSE)

    def _settle(self, process: _Process) -> None:
        """Let go of what a dead process held. Where the store doesn't answer, the leases end by themselves."""
        rows = process.ledger.read()
        process.ledger.close()
        try:
            self._driver.finish_all(rows.done)
            self._driver.give_back(rows.unbegun)
            for claim in rows.running:
                self._driver.renew(claim, lease_expires_at=self._driver.get_now())
        except self._driver.outage_errors as error:
            _log.warning("hand_not_settled", error=type(error).__qualname__)

    def _kill_late(self) -> None:
        if self._stopping_since is None:
            return
        is_late = self._grace_seconds is not None and time.monotonic() - self._stopping_since > self._grace_seconds
        if self._is_hard or is_late:
            self._send(signal.SIGKILL)

    def _kill_all(self) -> None:
        self._send(signal.SIGKILL)
        for place in self._places:
            if place.process is not None:
                os.waitpid(place.process.pid, 0)
                self._settle(place.process)
                place.process = None

    def _send(self, number: int) -> None:
        for pid in self.list_pids():
            with suppress(ProcessLookupError):
                os.kill(pid, number)


def _become_worker(options: WorkerOptions, ledger: Ledger, blocked: set[signal.Signals | int], *, parent: int) -> None:
    """Be a worker until the end of the process, which doesn't return."""
    code: int = Exit.BROKEN
    try:
        os.setpgid(0, 0)  # so that Ctrl-C reaches the parent alone, which ends its children in order
        die_with_parent()
        if os.getppid() != parent:
            return  # it died before the kernel was asked
        for number in (*_STOPS, *_PASSED_ON):
            signal.signal(number, signal.SIG_DFL)
        worker = Worker(options, ledger=ledger)
        with worker.listen_to_signals():
            signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
            worker.run()
        code = _REASONS.get(worker.stop_reason, Exit.STOPPED)
    except BaseException as error:  # noqa: BLE001 - nothing of the parent may run here
        _log.error("worker_broken", error=type(error).__qualname__)
    finally:
        os._exit(code)


def _let_go_of_connections() -> None:
    """Close what a child must not share."""
    for connection in connections.all(initialized_only=True):
        connection.close()
        if hasattr(connection, "close_pool"):
            connection.close_pool()
