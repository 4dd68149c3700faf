"""The thread of a worker that looks after what it holds while the other one runs a job.

It renews the leases, and the places that jobs hold while they run, so that a job may take any time and what a dead
worker held is free within seconds; tells the store of jobs that are done, where the next exchange is too far away;
gives jobs back that wait behind a slow one; and says now and then that the worker is alive.

What is for the database has a thread of its own where jobs are kept elsewhere: the database may stand still for longer
than their leases last.
"""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

import structlog
from django.db import connections

from jobs.clock import get_uptime
from jobs.conf import get_job_settings
from jobs.coordination import get_coordinator
from jobs.coordination.holding import held_places
from jobs.drivers.base import QueueDriver
from jobs.worker.hand import Hand
from jobs.worker.outages import list_outage_errors
from jobs.worker.patience import LAST_SECONDS

#: A job that is done is told to the store after this long at the latest: so much work may be done twice by a crash.
TELL_WITHIN: Final = 0.01
#: Jobs that wait behind one which takes longer than this go back to the store, for others.
SLOW: Final = 0.1
#: Between two signs of life.
BEAT_PERIOD: Final = timedelta(seconds=5)
#: The lease is renewed so many times within its life.
_RENEWALS: Final = 4
#: Pause after the store didn't answer.
_PAUSE: Final = 0.5
_log = structlog.get_logger("gatehouse.worker")


class Keeper:
    """Keeps the hand of one worker."""

    def __init__(self, hand: Hand, driver: QueueDriver, *, beat: Callable[[], object]) -> None:
        """Take what is held, where it comes from, and how to say that the worker is alive."""
        self._hand = hand
        self._driver = driver
        self._beat = beat
        self._is_over = threading.Event()
        self._threads: list[threading.Thread] = []

    @property
    def is_running(self) -> bool:
        """Whether its threads run."""
        return bool(self._threads)

    @contextmanager
    def keeping(self) -> Iterator[None]:
        """Run the threads within the block. At its end everything is told and given back that can be."""
        next_renewal = time.monotonic() + _get_renewal_period()
        leases = _Duty(self._renew, _get_renewal_period, next_renewal)
        places = _Duty(held_places.renew, _get_renewal_period, next_renewal)
        beats = _Duty(self._beat, BEAT_PERIOD.total_seconds)
        if self._driver.is_transactional:
            here, apart = [leases, places, beats], []
        elif get_coordinator().is_transactional:
            here, apart = [leases], [places, beats]
        else:
            here, apart = [leases, places], [beats]
        self._threads = [threading.Thread(target=self._run, args=[here], name="keeper", daemon=True)]
        if apart:
            self._threads.append(threading.Thread(target=self._run_apart, args=[apart], name="beats", daemon=True))
        for thread in self._threads:
            thread.start()
        try:
            with held_places.kept():
                yield
        finally:
            self._is_over.set()
            self._hand.is_pressing.set()
            for thread in self._threads:
                thread.join()
            self._threads = []

    def give_back(self, *, behind: float = SLOW) -> None:
        """Give back what is to go, and what has waited for so many seconds; in any thread."""
        unbegun = self._hand.take_unbegun(behind=behind)
        try:
            self._driver.give_back(unbegun)
        except BaseException:
            self._hand.take_back(unbegun)
            raise
        self._hand.forget(unbegun)

    def _run(self, duties: Sequence["_Duty"]) -> None:
        try:
            while not self._is_over.is_set():
                until_next = _get_wait(duties)
                if self._hand.is_pressing.wait(until_next):
                    time.sleep(min(TELL_WITHIN, until_next))
                for operation in (*(duty.tick for duty in duties), self._look):
                    self._try(operation)
            gives_up_at = time.monotonic() + LAST_SECONDS
            while not self._try(self._leave) and time.monotonic() < gives_up_at:
                pass
        finally:
            connections.close_all()

    def _run_apart(self, duties: Sequence["_Duty"]) -> None:
        try:
            while not self._is_over.wait(_get_wait(duties)):
                for duty in duties:
                    self._try(duty.tick)
        finally:
            connections.close_all()

    def _look(self) -> None:
        self._tell(older_than=TELL_WITHIN)
        self.give_back()
        self._hand.rest()

    def _renew(self) -> None:
        now = get_uptime()
        held = self._hand.list_held()
        lost = self._driver.renew_all(held)
        if not lost:
            self._hand.extend(now + get_job_settings().lease.total_seconds())
            return
        still_held = self._hand.list_held()
        # What has ended meanwhile isn't there any more either.
        if (count := lost - sum(claim not in still_held for claim in held)) > 0:
            _log.warning("leases_lost", count=count)

    def _leave(self) -> None:
        self._tell(older_than=0.0)
        self.give_back(behind=0.0)

    def _tell(self, *, older_than: float) -> None:
        done = self._hand.take_done(older_than=older_than)
        if not done:
            return
        try:
            lost = self._driver.finish_all(done)
        except BaseException:
            self._hand.put_back(done)
            raise
        self._hand.forget(done)
        if lost:
            _log.warning("leases_lost", count=lost)

    def _try(self, operation: Callable[[], object]) -> bool:
        """Do something; where a store doesn't answer, return False after a pause: it is to be tried again."""
        try:
            operation()
        except Exception as error:  # noqa: BLE001 - the thread must live as long as the worker
            is_outage = isinstance(error, list_outage_errors())
            _log.warning("keeper_interrupted", error=type(error).__qualname__, is_outage=is_outage)
            connections.close_all()
            time.sleep(_PAUSE)
            return False
        return True


@dataclass(slots=True)
class _Duty:
    """Something that is done again and again; what went wrong is done again at the next look."""

    operation: Callable[[], object]
    get_period: Callable[[], float]
    next_at: float = 0.0

    def tick(self) -> None:
        """Do it, if it is time to."""
        now = time.monotonic()
        if now >= self.next_at:
            self.operation()
            self.next_at = now + self.get_period()


def _get_wait(duties: Sequence[_Duty]) -> float:
    return max(min(duty.next_at for duty in duties) - time.monotonic(), 0.0)


def _get_renewal_period() -> float:
    return get_job_settings().lease.total_seconds() / _RENEWALS
