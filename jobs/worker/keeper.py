"""The thread of a worker that looks after what it holds while the other one runs a job.

It renews the leases, and the places that jobs hold while they run, so that a job may take any time and what a dead
worker held is free within seconds; tells the store of jobs that are done, where the next exchange is too far away;
gives jobs back that wait behind a slow one; and says now and then that the worker is alive.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Final

import structlog
from django.db import connections

from jobs.conf import get_job_settings
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
        self._next_beat = self._next_renewal = 0.0
        self._is_over = False
        self._thread: threading.Thread | None = None

    @property
    def is_running(self) -> bool:
        """Whether the thread runs."""
        return self._thread is not None

    @contextmanager
    def keeping(self) -> Iterator[None]:
        """Run the thread within the block. At its end everything is told and given back that can be."""
        self._next_renewal = time.monotonic() + self._get_renewal_period()
        self._thread = threading.Thread(target=self._run, name="keeper", daemon=True)
        self._thread.start()
        try:
            with held_places.kept():
                yield
        finally:
            self._is_over = True
            self._hand.is_pressing.set()
            self._thread.join()
            self._thread = None

    def _run(self) -> None:
        try:
            while not self._is_over:
                now = time.monotonic()
                until_next = max(min(self._next_beat, self._next_renewal) - now, 0.0)
                if self._hand.is_pressing.wait(until_next):
                    time.sleep(min(TELL_WITHIN, until_next))
                self._try(self._look)
            gives_up_at = time.monotonic() + LAST_SECONDS
            while not self._try(self._leave) and time.monotonic() < gives_up_at:
                pass
        finally:
            connections.close_all()

    def _look(self) -> None:
        now = time.monotonic()
        self._tell(older_than=TELL_WITHIN)
        self._give_back(behind=SLOW)
        self._hand.rest()
        if now >= self._next_renewal:
            self._next_renewal = now + self._get_renewal_period()
            self._renew(now)
            held_places.renew()
        if now >= self._next_beat:
            self._next_beat = now + BEAT_PERIOD.total_seconds()
            self._beat()

    def _renew(self, now: float) -> None:
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
        self._give_back(behind=0.0)

    def _give_back(self, *, behind: float) -> None:
        unbegun = self._hand.take_unbegun(behind=behind)
        try:
            self._driver.give_back(unbegun)
        except BaseException:
            self._hand.take_back(unbegun)
            raise
        self._hand.forget(unbegun)

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
            self._next_renewal = min(self._next_renewal, time.monotonic() + _PAUSE)
            connections.close_all()
            time.sleep(_PAUSE)
            return False
        return True

    @staticmethod
    def _get_renewal_period() -> float:
        return get_job_settings().lease.total_seconds() / _RENEWALS
