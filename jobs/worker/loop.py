"""The life of one worker process: claim, run, write down; wait when there is nothing; end on a signal."""

import os
import secrets
import signal
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from types import FrameType
from typing import Final

import structlog
from django.utils import timezone

from jobs.clock import StoreClock, get_uptime
from jobs.conf import get_job_settings
from jobs.drivers.base import get_driver
from jobs.queues import list_isolated_queues
from jobs.scheduler import Ticker
from jobs.services import Wish
from jobs.signals import (
    JobClaiming,
    WorkerIdle,
    WorkerLooping,
    WorkerPausing,
    WorkerResuming,
    WorkerStarting,
    WorkerStopping,
    job_claiming,
    worker_idle,
    worker_looping,
    worker_pausing,
    worker_resuming,
    worker_starting,
    worker_stopping,
)
from jobs.worker.executor import Executor
from jobs.worker.hand import LET_OTHERS, Hand
from jobs.worker.heart import Heart
from jobs.worker.housekeeping import Housekeeper
from jobs.worker.interrupting import interrupt_jobs
from jobs.worker.keeper import BEAT_PERIOD, TELL_WITHIN, Keeper
from jobs.worker.lanes import Lanes
from jobs.worker.ledger import Ledger
from jobs.worker.lookout import Lookout
from jobs.worker.metering import WRITE_PERIOD, Meter
from jobs.worker.options import WorkerOptions
from jobs.worker.pauses import PauseWatch
from jobs.worker.reporting import Reporter
from jobs.worker.restarts import Restarts
from jobs.worker.serving import ServedQueues
from jobs.worker.vitals import get_peak_mb
from jobs.worker.waiting import Waiter

__all__ = ["Worker", "WorkerOptions"]
_MAX_HOST_LENGTH = 150
#: Signals to stop that come so soon after the first one are the same.
_SAME_STOP_SECONDS: Final = 1.0
_log = structlog.get_logger("gatehouse.worker")


class Worker:
    """Claims jobs, and runs them in its lanes, until told to stop."""

    def __init__(
        self, options: WorkerOptions, *, ledger: Ledger | None = None, restarts: Restarts | None = None
    ) -> None:
        """Give the worker a name of its own; nothing is stored yet.

        ``ledger``: what a parent process reads. ``restarts``: what its processes know together.
        """
        host = (options.name or socket.gethostname())[:_MAX_HOST_LENGTH]
        self.name = f"{host}:{os.getpid()}:{secrets.token_hex(4)}"
        self._log: structlog.stdlib.BoundLogger = _log.bind(worker=self.name)
        self._options = options
        self._driver = get_driver(options.connection or None)
        self._started_at = timezone.now()
        self._ends_at = None if options.max_time is None else time.monotonic() + options.max_time.total_seconds()
        self._hand = Hand(ledger, isolated=list_isolated_queues())
        self._heart = Heart(
            name=self.name,
            queues=options.queues,
            connection=self._driver.name,
            started_at=self._started_at,
            hand=self._hand,
            restarts=restarts or Restarts(),
            is_resting=lambda: self._is_resting,
            tell=self._hear,
        )
        self._keeper = Keeper(self._hand, self._driver, beat=self._heart.beat)
        self._clock = StoreClock(self._started_at)
        self._ticker = Ticker()
        self._meter = Meter()
        self._reporter = Reporter(options.report, worker=self.name)
        self._housekeeper = Housekeeper()
        self._lookout = Lookout()
        self._pauses = PauseWatch(worker=self.name, queues=options.queues, driver=self._driver)
        self._served = ServedQueues(options.queues, self._driver)
        #: Whether the store was asked in this turn, and had nothing: threads may have done all that was claimed by now.
        self._is_empty = False
        self._is_stopping = self._is_resting = False
        self._has_parent = ledger is not None
        #: When a signal to stop came first.
        self._told_at = 0.0
        #: Why it ended; what ``worker_stopping`` says.
        self.stop_reason = ""
        self._waiter = Waiter(self._driver.listen(options.queues))
        self._executor = self._make_executor(self._waiter.pause)
        self._patiently = self._executor.patience.call
        self._lanes = Lanes(
            self._hand,
            self._make_executor,
            threads=options.threads,
            concurrency=options.get_concurrency(),
            rest=options.rest,
            wake=self._waiter.wake,
        )

    def run(self) -> int:
        """Work until stopped; return how many tries were made. Signals are heard in the main thread only."""
        self._log.info("worker_started", queues=list(self._options.queues) or "every", connection=self._driver.name)
        self._reporter.start(connection=self._driver.name, queues=self._options.queues)
        worker_starting.announce(WorkerStarting(worker=self.name, queues=self._options.queues))
        self._patiently(self._heart.start)
        with ExitStack() as stack:
            if self._options.has_keeper:
                stack.enter_context(self._keeper.keeping())
                stack.enter_context(self._lookout.looking())
                stack.enter_context(self._lanes.open(self._executor))
            self.stop_reason = self._work_until_told()
            self._finish_what_runs()
        self._waiter.close()
        self._meter.write(at_once=True)
        self._heart.stop()
        self._log.info("worker_stopped", tries=self._hand.begun, reason=self.stop_reason)
        self._reporter.stop(tries=self._hand.begun, reason=self.stop_reason)
        worker_stopping.announce(WorkerStopping(worker=self.name, reason=self.stop_reason))
        return self._hand.begun

    def _work_until_told(self) -> str:
        """Return why there are no more tries."""
        looping = WorkerLooping(worker=self.name, queues=self._options.queues)
        while not (reason := self._find_reason_to_stop()):
            self._lanes.go_on()
            self._ticker.tick()
            if not self._keeper.is_running and self._heart.is_due():
                self._heart.beat()
            is_resting = self._is_resting or not worker_looping.allows(looping)
            if not is_resting and self._work():
                self._work_on()
                self._keep_house(pause=self._options.rest)
                self._pause(self._options.rest)
            elif self._hand.is_busy():
                self._keep_house(pause=timedelta(0))
                self._wait(is_listening=not is_resting and self._count_room() > 0)
            elif self._options.stop_when_empty and not is_resting:
                if self._is_empty:
                    return "empty"
            else:
                self._keep_house(pause=self._options.sleep)
                if not is_resting and self._waiter.listen():
                    continue  # it listens from now on: what came just before must be looked for first
                worker_idle.announce(WorkerIdle(worker=self.name))
                self._wait(is_listening=not is_resting)
        return reason

    def _finish_what_runs(self) -> None:
        """Wait until each job has ended that was begun."""
        self._hand.is_held = True
        while self._hand.count_running():
            self._lanes.go_on()
            if self._hand.count_running():
                self._lanes.wait(lambda: self._waiter.pause(BEAT_PERIOD))

    def stop(self) -> None:
        """End after the job in hand; from any thread or a signal handler."""
        self._is_stopping = self._hand.is_held = True
        self._waiter.wake()

    def rest(self) -> None:
        """Take no job until ``go_on``; from any thread or a signal handler."""
        self._is_resting = self._hand.is_held = True
        worker_pausing.announce(WorkerPausing(worker=self.name))

    def go_on(self) -> None:
        """Take jobs again; from any thread or a signal handler."""
        self._is_resting = False
        self._waiter.wake()
        worker_resuming.announce(WorkerResuming(worker=self.name))

    @contextmanager
    def listen_to_signals(self) -> Iterator[None]:
        """Within the block stop on SIGTERM, SIGINT and SIGQUIT, rest on SIGUSR2 and go on on SIGCONT.

        A second signal to stop ends the process at once, whatever runs, unless a parent sees to that. One within a
        second of the first is no second one: a terminal and a supervisor may both pass on the same Ctrl-C.

        Only in the main thread.
        """

        def on_stop(number: int, _frame: FrameType | None) -> None:
            if not self._has_parent and self._is_told_again():
                os._exit(128 + number)  # nothing may hold it up, a job least of all; the leases run out by themselves
            self.stop()
            interrupt_jobs(number, worker=self.name)

        handlers: dict[int, Callable[[int, FrameType | None], object]] = {
            signal.SIGTERM: on_stop,
            signal.SIGINT: on_stop,
            signal.SIGQUIT: on_stop,
            signal.SIGUSR2: lambda _number, _frame: self.rest(),
            signal.SIGCONT: lambda _number, _frame: self.go_on(),
        }
        previous = {number: signal.signal(number, handler) for number, handler in handlers.items()}
        # Ends a wait also where the signal comes just before it, when no handler could be called any more.
        previous_fd = signal.set_wakeup_fd(self._waiter.wake_fd, warn_on_full_buffer=False)
        try:
            yield
        finally:
            signal.set_wakeup_fd(previous_fd)
            for number, handler in previous.items():
                signal.signal(number, handler)

    def _is_told_again(self) -> bool:
        """Note that somebody wants this process to stop; say whether that was so a while ago already."""
        now = time.monotonic()
        self._told_at = self._told_at or now
        return now - self._told_at > _SAME_STOP_SECONDS

    def _find_reason_to_stop(self) -> str:
        """Return why the worker ends now; empty where it goes on."""
        if self._is_stopping:
            return self.stop_reason or "signal"
        if self._hand.is_spent:
            return "isolated"
        if self._options.max_jobs is not None and self._hand.begun >= self._options.max_jobs:
            return "max_jobs"
        if self._ends_at is not None and time.monotonic() >= self._ends_at:
            return "max_time"
        if self._options.memory_mb is not None and get_peak_mb() > self._options.memory_mb:
            return "memory"
        return ""

    def _work(self) -> bool:
        """Let a job run in this thread, or as far as it goes here, and claim others where there is room for them.

        False where there was nothing to do here.
        """
        if self._hand.is_held:
            self._hand.let_go_on()
            self._hand.is_held = self._is_resting or self._is_stopping  # a signal may have come just now
        if self._begin():
            return True
        self._is_empty = False
        self._patiently(self._exchange, even=(Exception,))
        return self._begin()

    def _work_on(self) -> None:
        """Let jobs follow for a moment that are held already, without most of what belongs to a turn."""
        if self._options.rest or worker_looping.is_heard or not self._keeper.is_running:
            return
        ends_at = time.monotonic() + TELL_WITHIN
        while self._hand.count_waiting() and not self._lanes.has_news and time.monotonic() < ends_at:
            if self._find_reason_to_stop() or not self._lanes.begin():
                return

    def _begin(self) -> bool:
        if self._keeper.is_running:
            return self._lanes.begin()
        claim = self._hand.begin()
        if claim is None:
            return False
        self._heart.beat()
        self._executor.run(claim)
        self._hand.end(claim)
        self._heart.hurry()  # if there is no next job, say so without delay
        return True

    def _count_room(self) -> int:
        """Return how many jobs to claim at once."""
        count = self._lanes.count_room() if self._keeper.is_running else 1
        limit = self._options.max_jobs
        left = None if limit is None else limit - self._hand.begun - self._hand.count_waiting()
        return count if left is None else max(min(count, left), 0)  # a thread may have begun one just now

    def _exchange(self) -> None:
        count = self._count_room()
        if not count:
            return
        if job_claiming.is_heard:
            job_claiming.announce(JobClaiming(worker=self.name, queues=self._options.queues))
        self._pauses.look()
        done, until = self._hand.take_done(), get_uptime() + get_job_settings().lease.total_seconds()
        try:
            lost, claims = self._served.exchange(done, worker=self.name, count=count)
        except BaseException as error:
            self._hand.put_back(done)
            if not isinstance(error, Exception) or all(claim.connection == self._driver.name for claim in done):
                raise
            # Of several stores one doesn't take what it is told. That keeps nobody from the jobs of the others.
            done = []
            lost, claims = self._served.exchange(done, worker=self.name, count=count)
        self._hand.forget(done)
        self._is_empty = not claims
        if lost:
            self._log.warning("leases_lost", count=lost)
        if claims:
            self._waiter.stop_listening()
            self._clock.set(claims[0].claimed_at)
            self._hand.take(claims, until=until)
            self._keeper.give_back()  # what is not to be held together

    def _make_executor(self, pause: Callable[[timedelta], object]) -> Executor:
        return Executor(
            clock=self._clock,
            meter=self._meter,
            reporter=self._reporter,
            job_options=self._options.job_options,
            finish=self._hand.finish if self._options.has_keeper else None,
            pause=pause,
            is_stopping=lambda: self._is_stopping,
            log=self._log,
        )

    def _hear(self, wish: Wish) -> None:
        """Do what somebody wants of this worker, or of all."""
        match wish:
            case Wish.STOP | Wish.RESTART:
                self.stop_reason = self.stop_reason or ("restart" if wish is Wish.RESTART else "told")
                self.stop()
            case Wish.REST:
                self.rest()
            case Wish.GO_ON:
                self.go_on()

    def _keep_house(self, *, pause: timedelta) -> None:
        """Write figures and delete what has expired, where it is time to, or won't be before the next look."""
        self._meter.write(at_once=pause > WRITE_PERIOD)
        self._housekeeper.tick()
        if pause:
            self._executor.connections.renew()

    def _pause(self, duration: timedelta) -> None:
        """Let this thread begin nothing for so long."""
        ends_at = time.monotonic() + duration.total_seconds()
        while duration and not self._is_stopping and (left := ends_at - time.monotonic()) > 0:
            self._lanes.go_on()
            self._lanes.wait(lambda: self._waiter.pause(timedelta(seconds=left)))

    def _wait(self, *, is_listening: bool) -> None:
        """Wait until something happens: one of the jobs that run has ended or, if one listens, another is due.

        Where listening has only begun now, what came just before must be looked for first.
        """
        if not is_listening:
            pause = min(self._options.sleep, LET_OTHERS) if self._hand.holds_off() else self._options.sleep
            self._lanes.wait(lambda: self._waiter.pause(pause))
        elif not self._waiter.listen():
            self._lanes.wait(lambda: self._waiter.wait(self._options.sleep))
