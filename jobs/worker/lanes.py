"""Where the jobs of a worker process run, several at a time.

Jobs that block have threads, or else the main thread, one after another. A job that is a coroutine begins in the main
thread too, with its record, its middleware and the database, and goes aside while the coroutine runs in the loop of
events; when that has ended it goes on where it stood. Going aside is what greenlets are for: middleware are plain
functions around each other, and Django refuses a database to code inside of a loop.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from contextvars import copy_context
from datetime import timedelta
from functools import cache
from inspect import iscoroutinefunction
from typing import Any, Final

import structlog
from django.db import connections
from greenlet import getcurrent, greenlet

from jobs.drivers.base import Claim
from jobs.job import InnerHandle, Job, get_job_class
from jobs.worker.alarm import alarms_set_by, time_spent_elsewhere
from jobs.worker.event_loop import Errand, EventLoop
from jobs.worker.executor import Executor
from jobs.worker.hand import Hand
from jobs.worker.keeper import TELL_WITHIN
from jobs.worker.transactions import list_connections, make_room
from jobs.worker.watchdog import Watchdog

#: So much work is claimed ahead, by how long jobs took of late, and never more jobs than that. It fits into the time
#: within which the store must be told, so that the next claim does that.
_AHEAD_SECONDS: Final = TELL_WITHIN
_MAX_AHEAD: Final = 128
#: How much the last job counts in how long jobs take.
_WEIGHT: Final = 0.2
#: Those that ask the database as well: the main thread, the keeper, that of asynchronous code; and one to spare.
_OTHER_THREADS: Final = 4
_log = structlog.get_logger("gatehouse.worker")


class Lanes:
    """The places in which the jobs of one worker run. All but what the threads do is done in the main thread."""

    def __init__(
        self,
        hand: Hand,
        make_executor: Callable[[Callable[[timedelta], object]], Executor],
        *,
        threads: int,
        concurrency: int,
        rest: timedelta,
        wake: Callable[[], object],
    ) -> None:
        """Take what is held, what makes executors of a way to pause, and what ends the worker's wait.

        ``threads``: how many there are for jobs that block; 0: these have the main thread. ``concurrency``: how many
        coroutines run at a time. ``rest``: a thread's pause after each job.
        """
        self._hand = hand
        self._make_executor = make_executor
        self._thread_count = threads
        self._concurrency = concurrency
        self._rest = rest
        self._wake = wake
        self._watchdog = Watchdog()
        self._loop = EventLoop(self._watchdog)
        self._executor: Executor
        self._hub: greenlet
        self._idle: list[greenlet] = []
        #: Those whose coroutine runs in the loop.
        self._aside: set[greenlet] = set()
        self._ended: deque[greenlet] = deque()
        self._seconds_per_job = 1.0
        #: Whether the last job did that was begun in the main thread.
        self._went_aside = False
        self._is_waiting = False
        #: Whether something has happened since ``go_on``.
        self.has_news = False
        self._is_over = threading.Event()

    @contextmanager
    def open(self, executor: Executor) -> Iterator[None]:
        """Run threads within the block, and jobs of the main thread by this executor."""
        self._executor, self._hub = executor, getcurrent()
        self._depths = {one.alias: len(one.atomic_blocks) for one in list_connections()}
        if self._thread_count:
            make_room(self._thread_count + _OTHER_THREADS)
        threads = [
            threading.Thread(target=self._serve, name=f"lane {number}", daemon=True)
            for number in range(self._thread_count)
        ]
        with self._watchdog.watching(), self._loop.running():
            for thread in threads:
                thread.start()
            try:
                yield
            finally:
                self._is_over.set()
                self._hand.close()
                for thread in threads:
                    thread.join()

    # --- The main thread

    def count_room(self) -> int:
        """Return how many jobs to claim: as many as will begin in a moment, by how long they took of late.

        Nobody knows whether the next one blocks, so there is room only where there is some for either kind.
        """
        waiting, places = self._hand.count_waiting(), self._concurrency - len(self._aside)
        if places <= 0 or self._hand.holds_off():
            return 0
        ahead = 0 if self._rest else min(_MAX_AHEAD, int(_AHEAD_SECONDS / self._seconds_per_job))
        if not self._thread_count:
            return 0 if waiting else min(max(1, ahead), places if self._went_aside else _MAX_AHEAD)
        idle = self._thread_count - (self._hand.count_running() - len(self._aside))
        wanted = max(idle, ahead)
        return min(places, wanted - waiting) if waiting * 2 <= wanted else 0

    def begin(self) -> bool:
        """Let the next job that is for the main thread run until it has ended or goes aside; False if there is none."""
        if len(self._aside) >= self._concurrency:
            return False
        claim = self._hand.begin(is_coroutine if self._thread_count else None)
        if claim is None or not is_coroutine(claim):
            self._loop.flush()  # nobody knows how long the next thing takes
        if claim is None:
            return False
        lane = self._idle.pop() if self._idle else self._make_lane()
        self._switch(lane, claim)
        self._went_aside = lane in self._aside
        return True

    def go_on(self) -> None:
        """Let the jobs go on whose coroutines have ended, until each has ended itself."""
        self.has_news = False
        while self._ended:
            lane = self._ended.popleft()
            self._aside.remove(lane)
            self._switch(lane)

    def wait(self, wait: Callable[[], object]) -> None:
        """Wait, unless something has happened since ``go_on``, and until it does."""
        self._loop.flush()
        self._is_waiting = True
        if not self.has_news:
            wait()
        self._is_waiting = False

    def _switch(self, lane: greenlet, *arguments: Claim) -> None:
        started = time.perf_counter()
        lane.switch(*arguments)
        if lane not in self._aside:
            self._idle.append(lane)
        if not self._thread_count:
            self._note_time(time.perf_counter() - started)

    def _make_lane(self) -> greenlet:
        lane = greenlet(self._work)
        lane.gr_context = copy_context()
        return lane

    def _work(self, claim: Claim) -> None:
        """Run one job after another, in a greenlet of its own."""
        while True:
            self._executor.run(claim, self._await)
            self._hand.end(claim)
            claim = self._hub.switch()

    def _await(self, coroutine: Coroutine[Any, Any, object]) -> object:  # Any: as of RunCoroutine
        """Go aside while a coroutine runs.

        All jobs of this thread have the same connections. Where middleware hold a transaction open nobody else may
        come in between, and the thread waits.
        """
        if self._is_in_transaction():
            return self._run_and_wait(coroutine)
        lane = getcurrent()
        with time_spent_elsewhere() as seconds:
            errand = Errand(coroutine, seconds=seconds, on_end=lambda: self._note_end(lane))
            self._loop.add(errand)
            self._aside.add(lane)
            self._hub.switch()
            return errand.get_result()

    def _is_in_transaction(self) -> bool:
        return any(
            len(one.atomic_blocks) > self._depths.get(one.alias, 0)
            or not (one.in_atomic_block or one.connection is None or one.get_autocommit())
            for one in list_connections()
        )

    # --- Any thread

    def _run_and_wait(self, coroutine: Coroutine[Any, Any, object]) -> object:  # Any: as of RunCoroutine
        has_ended = threading.Event()
        with time_spent_elsewhere() as seconds:
            errand = Errand(coroutine, seconds=seconds, on_end=has_ended.set)
            self._loop.add(errand)
            self._loop.flush()
            has_ended.wait()
            return errand.get_result()

    def _note_end(self, lane: greenlet) -> None:
        self._ended.append(lane)
        self._tell()

    def _tell(self) -> None:
        """Let the main thread look what has happened."""
        self.has_news = True
        if self._is_waiting:
            self._is_waiting = False
            self._wake()

    def _note_time(self, seconds: float) -> None:
        self._seconds_per_job += _WEIGHT * (seconds - self._seconds_per_job)

    # --- Threads

    def _serve(self) -> None:
        """Run one job after another until the hand is closed."""
        executor = self._make_executor(lambda duration: self._is_over.wait(duration.total_seconds()))
        try:
            with alarms_set_by(self._watchdog.make_bell):
                while (claim := self._take()) is not None:
                    self._run_in_thread(executor, claim)
        finally:
            connections.close_all()

    def _take(self) -> Claim | None:
        claim = self._hand.begin(_is_blocking)
        if claim is None:
            self._tell()
            return self._hand.wait_for_turn(_is_blocking)
        if self._is_waiting and self.count_room():
            self._tell()
        return claim

    def _run_in_thread(self, executor: Executor, claim: Claim) -> None:
        started = time.perf_counter()
        try:
            executor.run(claim, self._run_and_wait)
        except BaseException as error:  # noqa: BLE001 - the thread must live as long as the worker
            _log.error("lane_interrupted", error=type(error).__qualname__)
        self._hand.end(claim)
        self._note_time((time.perf_counter() - started) / self._thread_count)
        if self._rest:
            self._is_over.wait(self._rest.total_seconds())


@cache
def _has_coroutine(job_class: type[Job]) -> bool:
    is_inner = issubclass(job_class, InnerHandle) and job_class.handle is InnerHandle.handle
    return iscoroutinefunction(getattr(job_class, "_handle" if is_inner else "handle"))


def is_coroutine(claim: Claim) -> bool:
    """Say whether a job's class has an ``async def handle``; others may return a coroutine all the same."""
    job_class = get_job_class(claim.job_class)
    return job_class is not None and _has_coroutine(job_class)


def _is_blocking(claim: Claim) -> bool:
    return not is_coroutine(claim)
