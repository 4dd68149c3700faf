"""The life of one worker process: claim, run, write down; wait when there is nothing; end on a signal."""

import os
import resource
import secrets
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from contextvars import copy_context
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import FrameType

import structlog
from django.utils import timezone

from jobs.clock import StoreClock
from jobs.conf import get_job_settings
from jobs.drivers.base import Claim, get_driver
from jobs.job import get_job_name
from jobs.options import JobOptions
from jobs.scheduler import Ticker
from jobs.services import get_restart_count, record_heartbeat, remove_dead_heartbeats, remove_heartbeat
from jobs.signals import (
    JobClaiming,
    WorkerIdle,
    WorkerInterrupting,
    WorkerLooping,
    WorkerPausing,
    WorkerResuming,
    WorkerStarting,
    WorkerStopping,
    job_claiming,
    worker_idle,
    worker_interrupting,
    worker_looping,
    worker_pausing,
    worker_resuming,
    worker_starting,
    worker_stopping,
)
from jobs.worker.current import get_running_job
from jobs.worker.hand import Hand, count_together
from jobs.worker.housekeeping import Housekeeper
from jobs.worker.keeper import BEAT_PERIOD, TELL_WITHIN, Keeper
from jobs.worker.ledger import Ledger
from jobs.worker.metering import WRITE_PERIOD, Meter
from jobs.worker.outages import get_reason, list_outage_errors
from jobs.worker.outcomes import summarize
from jobs.worker.pauses import PauseWatch
from jobs.worker.reporting import Reporter
from jobs.worker.runner import Outcome, attempt, settle
from jobs.worker.serving import ServedQueues
from jobs.worker.transactions import Connections
from jobs.worker.waiting import Waiter

#: A worker counts as alive for this long after a heartbeat.
HEARTBEAT_LIFE = 3 * BEAT_PERIOD
#: So much work is claimed ahead, by how long jobs took of late, and never more jobs than that. It fits into the time
#: within which the store must be told, so that the next claim does that.
_AHEAD_SECONDS = TELL_WITHIN
_MAX_AHEAD = 64
#: How much the last job counts in how long jobs take.
_WEIGHT = 0.2
_FIRST_PAUSE, _LONGEST_PAUSE = timedelta(seconds=0.1), timedelta(seconds=2)
#: Wait of a job that couldn't be begun.
_NEXT_BEGIN = timedelta(seconds=10)
_MAX_HOST_LENGTH = 150
_log = structlog.get_logger("gatehouse.worker")


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerOptions:
    """What a worker serves, and when it ends by itself."""

    #: Names, and patterns in which ``*`` stands for any characters, in order; empty: every queue, as if they were one.
    queues: Sequence[str] = ()
    #: Connection that it serves; empty means that of the settings.
    connection: str = ""
    #: Stands in front of the worker's name, in place of the host's.
    name: str = ""
    #: Pause between two looks at an empty queue.
    sleep: timedelta
    #: End after so many tries.
    max_jobs: int | None = None
    #: End as soon as no job is due.
    stop_when_empty: bool = False
    #: End, after the job in hand, when it has run so long.
    max_time: timedelta | None = None
    #: End, after the job in hand, when the process has taken more memory, in MB.
    memory_mb: int | None = None
    #: Pause after each job.
    rest: timedelta = timedelta(0)
    #: Tries, back-off and timeout that hold in place of those of the settings.
    job_options: JobOptions | None = None
    #: Whether a thread of its own keeps what it holds. Without one it claims and finishes one job at a time, and none
    #: may take longer than the lease.
    has_keeper: bool = False
    #: Takes a line of JSON for each event (``jobs.worker.reporting``).
    report: Callable[[str], object] | None = None


class Worker:
    """Runs jobs one after another in the calling thread, until told to stop."""

    def __init__(self, options: WorkerOptions, *, ledger: Ledger | None = None) -> None:
        """Give the worker a name of its own; nothing is stored yet. ``ledger``: what a parent process reads."""
        host = (options.name or socket.gethostname())[:_MAX_HOST_LENGTH]
        self.name = f"{host}:{os.getpid()}:{secrets.token_hex(4)}"
        self._options = options
        self._driver = get_driver(options.connection or None)
        self._outage_errors = list_outage_errors()
        self._started_at = timezone.now()
        self._ends_at = None if options.max_time is None else time.monotonic() + options.max_time.total_seconds()
        self._next_beat_at = self._started_at
        self._hand = Hand(ledger)
        self._keeper = Keeper(self._hand, self._driver, beat=self._beat)
        self._clock = StoreClock(self._started_at)
        self._seconds_per_job = 1.0
        self._connections = Connections()
        self._restart_count: int | None = None
        self._ticker = Ticker()
        self._meter = Meter()
        self._reporter = Reporter(options.report, worker=self.name)
        self._housekeeper = Housekeeper()
        self._pauses = PauseWatch(worker=self.name, queues=options.queues, driver=self._driver)
        self._served = ServedQueues(options.queues, self._driver)
        self._is_stopping = self._is_resting = False
        #: Why it ended; what ``worker_stopping`` says.
        self.stop_reason = ""
        self._waiter = Waiter(self._driver.listen(options.queues))

    def run(self) -> int:
        """Work until stopped; return how many tries were made. Signals are heard in the main thread only."""
        self._log = _log.bind(worker=self.name)
        self._log.info("worker_started", queues=list(self._options.queues) or "every", connection=self._driver.name)
        self._reporter.start(connection=self._driver.name, queues=self._options.queues)
        worker_starting.announce(WorkerStarting(worker=self.name, queues=self._options.queues))
        self._patiently(lambda: remove_dead_heartbeats(now=timezone.now()))
        self._restart_count = self._patiently(get_restart_count)
        with self._keeper.keeping() if self._options.has_keeper else nullcontext():
            tries, reason = self._work_until_told()
        self.stop_reason = reason
        self._waiter.close()
        self._meter.write(at_once=True)
        self._leave()
        self._log.info("worker_stopped", tries=tries, reason=reason)
        self._reporter.stop(tries=tries, reason=reason)
        worker_stopping.announce(WorkerStopping(worker=self.name, reason=reason))
        return tries

    def _work_until_told(self) -> tuple[int, str]:
        """Return how many tries were made, and why there are no more."""
        looping = WorkerLooping(worker=self.name, queues=self._options.queues)
        tries = 0
        while not (reason := self._find_reason_to_stop(tries)):
            self._ticker.tick()
            is_resting = self._is_resting or not worker_looping.allows(looping)
            claim = None if is_resting else self._begin(tries)
            if not self._keeper.is_running and (claim is not None or timezone.now() >= self._next_beat_at):
                self._beat()
            if claim is not None:
                self._waiter.stop_listening()
                self._work(claim)
                tries += 1
                self._keep_house(pause=self._options.rest)
                self._waiter.pause(self._options.rest)
            elif self._options.stop_when_empty and not is_resting:
                return tries, "empty"
            else:
                self._keep_house(pause=self._options.sleep)
                self._idle(is_resting=is_resting)
        return tries, reason

    def stop(self) -> None:
        """End after the job in hand; from any thread or a signal handler."""
        self._is_stopping = True
        self._waiter.wake()

    def rest(self) -> None:
        """Take no job until ``go_on``; from any thread or a signal handler."""
        self._is_resting = True
        worker_pausing.announce(WorkerPausing(worker=self.name))

    def go_on(self) -> None:
        """Take jobs again; from any thread or a signal handler."""
        self._is_resting = False
        self._waiter.wake()
        worker_resuming.announce(WorkerResuming(worker=self.name))

    @contextmanager
    def listen_to_signals(self) -> Iterator[None]:
        """Within the block stop on SIGTERM, SIGINT and SIGQUIT, rest on SIGUSR2 and go on on SIGCONT.

        Only in the main thread.
        """

        def on_stop(number: int, _frame: FrameType | None) -> None:
            self.stop()
            self._interrupt(number)

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

    def _interrupt(self, number: int) -> None:
        """Tell the job in hand that its worker is to end; what it raises is its own."""
        job = get_running_job()
        if job is None:
            return
        worker_interrupting.announce(
            WorkerInterrupting(
                worker=self.name, job_id=job.job_id, job_class=get_job_name(type(job)), signal_number=number
            )
        )
        job.interrupted(number)

    def _find_reason_to_stop(self, tries: int) -> str:
        """Return why the worker ends now; empty where it goes on."""
        if self._is_stopping:
            return self.stop_reason or "signal"
        if tries == self._options.max_jobs:
            return "max_jobs"
        if self._ends_at is not None and time.monotonic() >= self._ends_at:
            return "max_time"
        if self._options.memory_mb is not None and _get_peak_mb() > self._options.memory_mb:
            return "memory"
        return ""

    def _begin(self, tries: int) -> Claim | None:
        """Return the job whose turn it is; more are claimed where none waits."""
        if (claim := self._hand.begin()) is not None:
            return claim
        self._patiently(lambda: self._exchange(self._get_count(tries)), even=(Exception,))
        return self._hand.begin()

    def _get_count(self, tries: int) -> int:
        """Return how many jobs to claim at once: as many as will be done in a moment, by how long they took of late."""
        if not self._keeper.is_running or self._options.rest:
            return 1
        count = min(_MAX_AHEAD, max(1, int(_AHEAD_SECONDS / self._seconds_per_job)))
        return count if self._options.max_jobs is None else min(count, self._options.max_jobs - tries)

    def _exchange(self, count: int) -> None:
        if job_claiming.is_heard:
            job_claiming.announce(JobClaiming(worker=self.name, queues=self._options.queues))
        self._pauses.look()
        done, until = self._hand.take_done(), time.monotonic() + get_job_settings().lease.total_seconds()
        try:
            lost, claims = self._served.exchange(done, worker=self.name, count=count)
        except BaseException:
            self._hand.put_back(done)
            raise
        self._hand.forget(done)
        if lost:
            self._log.warning("leases_lost", count=lost)
        if claims:
            self._clock.set(claims[0].claimed_at)
            count = count_together(claims)
            self._hand.take(claims[:count], until=until)
            self._driver.give_back(claims[count:])

    def _work(self, claim: Claim) -> None:
        started = time.perf_counter()
        copy_context().run(self._try, claim)  # what it says of the job to the log ends with it
        self._hand.end()
        took = time.perf_counter() - started
        self._seconds_per_job += _WEIGHT * (took - self._seconds_per_job)
        if not self._keeper.is_running:
            self._next_beat_at = timezone.now()  # if there is no next job, say so without delay

    def _try(self, claim: Claim) -> None:
        structlog.contextvars.bind_contextvars(
            job_id=str(claim.job_id), job_class=claim.job_class, queue=claim.queue, attempt=claim.attempts
        )
        try:
            outcome = attempt(claim, now=self._clock.get(), worker_options=self._options.job_options)
        except Exception as error:  # noqa: BLE001 - one job that can't be begun must not stop all others
            self._log.error("job_not_begun", error=type(error).__qualname__)
            self._connections.renew()
            self._put_back(claim)
        else:
            self._connections.renew()
            self._settle(claim, outcome)

    def _put_back(self, claim: Claim) -> None:
        """Let a job be tried again soon; where the store can't be told, when the lease has run out."""
        driver = get_driver(claim.connection)
        try:
            driver.release(claim, available_at=driver.get_now() + _NEXT_BEGIN)
        except Exception as error:  # noqa: BLE001 - as above
            self._log.warning("job_not_put_back", error=type(error).__qualname__)

    def _settle(self, claim: Claim, outcome: Outcome) -> None:
        finish = self._hand.finish if self._keeper.is_running else None

        def end() -> datetime | None:
            now = self._clock.get()
            return now if settle(claim, outcome, now=now, finish=finish) else None

        try:
            ended_at = self._patiently(end)
        except Exception as error:  # noqa: BLE001 - one record that can't be written must not stop all others
            self._log.error("job_not_settled", error=type(error).__qualname__)
        else:
            if ended_at is not None and (summary := summarize(outcome)) is not None:
                self._meter.note(claim, summary, ended_at=ended_at)
                self._reporter.note(claim, summary, ended_at=ended_at)

    def _beat(self) -> None:
        """Report that the worker is alive, and hear whether all are to end."""
        now, running = timezone.now(), self._hand.get_running()
        try:
            record_heartbeat(
                name=self.name,
                queues=self._options.queues,
                started_at=self._started_at,
                now=now,
                alive_until=now + HEARTBEAT_LIFE,
                current_job_id=running.job_id if running else None,
            )
            if self._restart_count not in {None, get_restart_count()}:
                self.stop_reason = "restart"
                self.stop()
        except self._outage_errors as error:
            # The job in hand matters more than the report about it.
            self._log.warning("heartbeat_not_written", error=type(error).__qualname__)
        self._next_beat_at = now + BEAT_PERIOD

    def _keep_house(self, *, pause: timedelta) -> None:
        """Write figures and delete what has expired, where it is time to, or won't be before the next look."""
        self._meter.write(at_once=pause > WRITE_PERIOD)
        self._housekeeper.tick()
        if pause:
            self._connections.renew()

    def _leave(self) -> None:
        try:
            remove_heartbeat(name=self.name)
        except self._outage_errors as error:
            self._log.warning("heartbeat_left_behind", error=type(error).__qualname__)

    def _patiently[T](self, operation: Callable[[], T], *, even: tuple[type[Exception], ...] = ()) -> T | None:
        """Return what the operation returns; while a store is away, wait ever longer and try again.

        Gives up, with None, when the worker is told to stop. ``even``: what is borne as well.
        """
        pause = _FIRST_PAUSE
        is_away = False
        while True:
            try:
                result = operation()
            except (*self._outage_errors, *even) as error:
                is_away = True
                # What else goes wrong may tell the content of a row in any form.
                reason = get_reason(error) if isinstance(error, self._outage_errors) else ""
                self._log.warning(
                    "store_unavailable",
                    error=type(error).__qualname__,
                    reason=reason,
                    retry_in_seconds=pause.total_seconds(),
                )
            else:
                if is_away:
                    self._log.info("store_available_again")
                return result
            if self._is_stopping:
                return None
            self._connections.renew()
            self._waiter.pause(pause)
            pause = min(pause * 2, _LONGEST_PAUSE)

    def _idle(self, *, is_resting: bool) -> None:
        """Wait for a job; but where listening has only begun now, what came just before must be looked for first."""
        if not is_resting and self._waiter.listen():
            return
        worker_idle.announce(WorkerIdle(worker=self.name))
        if is_resting:
            self._waiter.pause(self._options.sleep)
        else:
            self._waiter.wait(self._options.sleep)


def _get_peak_mb() -> float:
    """Return the most memory that the process has had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024 if sys.platform != "darwin" else 1024**2)
