"""Several worker processes under one parent, which starts them by ``fork`` and none anew for each job.

The parent runs no job. It replaces processes that end by a limit of theirs or die, and settles at once what a dead one
held: the store is told of jobs that were done, jobs that were never begun go back as if nothing had happened, and the
one that ran is free for others, with its crash counted.
"""

import os
import signal
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from types import FrameType
from typing import Final, Protocol

import structlog

from jobs.drivers.base import get_driver
from jobs.worker.alarm import TimeIsUp, call_within
from jobs.worker.forking import PASSED_ON, STOPS
from jobs.worker.groups import Exit, Group, Place, Process
from jobs.worker.reporting import Reporter
from jobs.worker.restarts import Restarts
from jobs.worker.waiting import Waiter

_TICK: Final = timedelta(seconds=0.05)
#: A store that takes longer to hear of a dead process keeps nobody from starting the next one.
_SETTLE_SECONDS: Final = 2.0
#: With these a process ends that has no job in hand.
_IN_ORDER: Final = frozenset(Exit) - {Exit.BROKEN}
_log = structlog.get_logger("gatehouse.worker")


class Balancer(Protocol):
    """Moves processes from group to group."""

    def tick(self) -> None:
        """Do what it is time for; called many times a second, so it must not wait for anything."""

    def close(self) -> None:
        """Let go of what it has."""


class Pool:
    """Keeps worker processes running until it is told to stop; safe in the main thread only."""

    def __init__(
        self,
        groups: Sequence[Group],
        *,
        grace_seconds: float | None = None,
        report: Callable[[str], object] | None = None,
        balancer: Balancer | None = None,
    ) -> None:
        """Take the groups of processes, and how long a job in hand may take at the end."""
        self._groups = groups
        self._grace_seconds = grace_seconds
        self._balancer = balancer
        self._reporter = Reporter(report, worker=f"{socket.gethostname()}:{os.getpid()}")
        self._restarts = Restarts()
        self._waiter = Waiter()
        self._stopping_since: float | None = None
        self._is_told = self._is_hard = False
        #: How often a process was replaced that died.
        self.crashes = 0
        #: Whether all ended because a restart was asked for.
        self.is_restart_asked = False

    def run(self) -> None:
        """Run until all processes have ended for good. Signals are heard meanwhile.

        SIGTERM, SIGINT and SIGQUIT let each finish the job in hand; a second one, or the end of the grace, kills them.
        """
        handlers: dict[int, Callable[[int, FrameType | None], object]] = {
            **dict.fromkeys(STOPS, lambda _number, _frame: self._hear_stop()),
            **dict.fromkeys(PASSED_ON, lambda number, _frame: self._send(number)),
            signal.SIGCHLD: lambda _number, _frame: None,  # to end the wait: the next process is not to come late
        }
        previous = {number: signal.signal(number, handler) for number, handler in handlers.items()}
        previous_fd = signal.set_wakeup_fd(self._waiter.wake_fd, warn_on_full_buffer=False)
        try:
            while True:
                self._reap()
                self._start_missing()
                self._tell_to_end()
                self._kill_late()
                if not self._is_open():
                    break
                if self._balancer is not None and self._stopping_since is None:
                    self._balancer.tick()
                self._waiter.pause(_TICK)
        finally:
            signal.set_wakeup_fd(previous_fd)
            for number, handler in previous.items():
                signal.signal(number, handler)
            self._kill_all()
            if self._balancer is not None:
                self._balancer.close()

    def stop(self) -> None:
        """Let each process finish the job in hand and start none anew."""
        if self._stopping_since is None:
            self._stopping_since = time.monotonic()
        self._waiter.wake()

    def list_pids(self) -> Sequence[int]:
        """Return the ids of the processes that run."""
        return [process.pid for _, process in self._list_processes()]

    def _hear_stop(self) -> None:
        """Stop; said twice, kill what is left."""
        self._is_hard, self._is_told = self._is_told, True
        self.is_restart_asked = False
        self.stop()

    def _list_places(self) -> Iterator[Place]:
        return (place for group in self._groups for place in group.places)

    def _list_processes(self) -> list[tuple[Place, Process]]:
        return [(place, place.process) for place in self._list_places() if place.process is not None]

    def _is_open(self) -> bool:
        return any(not place.is_closed or place.process is not None for place in self._list_places())

    def _start_missing(self) -> None:
        for place in self._list_places():
            if self._stopping_since is not None:
                place.is_closed = True
            if place.is_due():
                place.start(self._restarts, taken=[process.processor for _, process in self._list_processes()])

    def _reap(self) -> None:
        for place, process in self._list_processes():
            pid, status = os.waitpid(process.pid, os.WNOHANG)
            if pid:
                place.take_leave()
                self._take_leave(place, process, os.waitstatus_to_exitcode(status))
        for group in self._groups:
            group.forget_closed()

    def _take_leave(self, place: Place, process: Process, code: int) -> None:
        has_begun = process.ledger.count_begun() > 0
        was_running = _settle(place, process)
        if was_running or code not in _IN_ORDER:  # a job may end its process itself, with any code
            self.crashes += 1
            _log.error("worker_died", pid=process.pid, exit_code=code)
            self._reporter.note_death(pid=process.pid, exit_code=code)
            place.note_breakdown(process.started_at)
        elif code == Exit.EMPTY:
            place.is_closed = True
        elif code == Exit.MEMORY and not has_begun:  # such as a bound of memory that is below what a process needs
            place.note_breakdown(process.started_at)
        elif code == Exit.RESTART and not self._is_told:
            self.is_restart_asked = True
            self.stop()

    def _tell_to_end(self) -> None:
        """Tell each process once, also one that was just being started when we were told."""
        if self._stopping_since is None:
            return
        for _, process in self._list_processes():
            if not process.is_told:
                process.is_told = True
                process.send(signal.SIGTERM)

    def _kill_late(self) -> None:
        if self._stopping_since is None:
            return
        is_late = self._grace_seconds is not None and time.monotonic() - self._stopping_since > self._grace_seconds
        if self._is_hard or is_late:
            self._send(signal.SIGKILL)

    def _kill_all(self) -> None:
        self._send(signal.SIGKILL)
        for place, process in self._list_processes():
            os.waitpid(process.pid, 0)
            place.process = None
            _settle(place, process)

    def _send(self, number: int) -> None:
        for _, process in self._list_processes():
            process.send(number)


def _settle(place: Place, process: Process) -> bool:
    """Let go of what a dead process held, and say whether a job ran in it.

    Where the store doesn't answer, the leases end by themselves.
    """
    driver = get_driver(place.options.connection or None)
    rows = process.ledger.read()
    process.ledger.close()

    def settle() -> None:
        driver.finish_all(rows.done)
        driver.give_back(rows.unbegun)
        for claim in rows.running:
            driver.renew(claim, lease_expires_at=driver.get_now())

    try:
        call_within(_SETTLE_SECONDS, settle)
    except (Exception, TimeIsUp) as error:  # noqa: BLE001 - whatever one store says, the parent looks after the others
        _log.warning("hand_not_settled", error=type(error).__qualname__)
    return bool(rows.running)
