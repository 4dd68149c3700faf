"""The places of worker processes: groups that serve the same each, and crews of groups that share what there may be."""

import os
import signal
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta
from enum import IntEnum
from typing import Final

import structlog

from jobs.worker.forking import BROKEN, fork
from jobs.worker.ledger import Ledger
from jobs.worker.loop import Worker, WorkerOptions
from jobs.worker.processors import choose_processor, keep_to
from jobs.worker.restarts import Restarts

#: A process that lived shorter than this broke down; the next one in its place waits, ever longer.
_BREAKDOWN_SECONDS: Final = 1.0
_LONGEST_PAUSE: Final = 10.0
_log = structlog.get_logger("gatehouse.worker")


class Exit(IntEnum):
    """With what a worker process tells its parent why it ended."""

    STOPPED = 0
    BROKEN = BROKEN
    MEMORY = 12
    EMPTY = 20
    MAX_JOBS = 21
    MAX_TIME = 22
    RESTART = 23
    ISOLATED = 24


_REASONS: Final = {
    "memory": Exit.MEMORY,
    "empty": Exit.EMPTY,
    "max_jobs": Exit.MAX_JOBS,
    "max_time": Exit.MAX_TIME,
    "restart": Exit.RESTART,
    "isolated": Exit.ISOLATED,
}


@dataclass(slots=True)
class Process:
    """A worker process that was started and not yet taken leave of."""

    pid: int
    ledger: Ledger
    started_at: float
    #: Whether it was told to end.
    is_told: bool = False
    #: The one that it keeps to.
    processor: int | None = None

    def send(self, number: int) -> None:
        """Send it a signal, if it is still there."""
        with suppress(ProcessLookupError):
            os.kill(self.pid, number)


@dataclass(slots=True)
class Place:
    """Where one process after the other stands."""

    options: WorkerOptions
    #: Whether those who stand here are one worker to others: its limits of tries and time hold for all together.
    is_one_worker: bool = False
    process: Process | None = None
    #: No process is wanted here any more.
    is_closed: bool = False
    #: How many broke down, one right after the other.
    breakdowns: int = 0
    starts_at: float = 0.0
    made_at: float = field(default_factory=time.monotonic)
    #: How many tries those have made who have left.
    tries: int = 0

    def is_due(self) -> bool:
        """Say whether a process is to be started here now."""
        return self.process is None and not self.is_closed and time.monotonic() >= self.starts_at

    def start(self, restarts: Restarts, *, taken: Iterable[int | None] = ()) -> None:
        """Start a process here; ``taken``: the processors that others keep to."""
        processor = choose_processor(taken) if self.options.cpu_affinity else None
        ledger, options = Ledger(self.options.count_held()), self._get_options()

        def work(let_signals_through: Callable[[], None]) -> int:
            if processor is not None:
                keep_to(processor)
            worker = Worker(options, ledger=ledger, restarts=restarts)
            with worker.listen_to_signals():
                let_signals_through()
                worker.run()
            return _REASONS.get(worker.stop_reason, Exit.STOPPED)

        try:
            pid = fork(work)
        except OSError as error:  # no memory, or too many processes: just after a breakdown that is likely
            ledger.close()
            _log.error("worker_not_started", error=type(error).__qualname__)
            self.note_breakdown(time.monotonic())
            return
        self.process = Process(pid, ledger, time.monotonic(), processor=processor)

    def take_leave(self) -> None:
        """Note that the process has ended; want no other one where the limits of all together are reached."""
        if self.process is not None:
            self.tries += self.process.ledger.count_begun()
        self.process = None
        left = self._get_options()
        if self.is_one_worker and (left.max_jobs == 0 or left.max_time == timedelta(0)):
            self.is_closed = True

    def _get_options(self) -> WorkerOptions:
        """Return the options of the next process."""
        if not self.is_one_worker:
            return self.options
        jobs, duration = self.options.max_jobs, self.options.max_time
        passed = timedelta(seconds=time.monotonic() - self.made_at)
        return replace(
            self.options,
            max_jobs=None if jobs is None else max(jobs - self.tries, 0),
            max_time=None if duration is None else max(duration - passed, timedelta(0)),
        )

    def close(self) -> None:
        """Want no process here any more; the one that is here finishes the job in hand."""
        self.is_closed = True
        if self.process is not None:
            self.process.send(signal.SIGTERM)

    def note_breakdown(self, started_at: float) -> None:
        """Let the next process wait where the one that has ended wasn't there for long."""
        is_breakdown = time.monotonic() - started_at < _BREAKDOWN_SECONDS
        self.breakdowns = self.breakdowns + 1 if is_breakdown else 0
        if self.breakdowns:
            self.starts_at = time.monotonic() + min(2.0**self.breakdowns / 4, _LONGEST_PAUSE)

    def is_busy(self) -> bool:
        """Say whether a job is in the hand of its process."""
        return self.process is not None and bool(self.process.ledger.read().running)


class Group:
    """Places whose processes serve the same."""

    def __init__(self, options: WorkerOptions, *, size: int, is_one_worker: bool = False) -> None:
        """Take what they serve, and how many there are at first; see ``Place`` for the rest."""
        self.options = options
        self.places = [Place(options, is_one_worker=is_one_worker) for _ in range(size)]

    def count(self) -> int:
        """Return how many processes there are or will be, those included that were told to end and haven't yet."""
        return len(self.places)

    def resize(self, count: int, *, room: int) -> None:
        """Have so many places, told to end or not, but no more new ones than there is room for.

        Where some are too many, those without a job in hand go first.
        """
        for _ in range(min(count - len(self.places), room)):
            self.places.append(Place(self.options))
        staying = [place for place in self.places if not place.is_closed]
        surplus = len(staying) - count
        if surplus > 0:
            for place in sorted(staying, key=Place.is_busy)[:surplus]:
                place.close()
            self.forget_closed()

    def forget_closed(self) -> None:
        """Drop places that nobody stands in or ever will."""
        self.places = [place for place in self.places if not (place.is_closed and place.process is None)]
