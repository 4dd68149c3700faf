"""Alarms for threads, which no signal reaches: another thread raises ``TimeIsUp`` in them.

A thread that waits in the operating system, or in code that isn't Python, hears it when it comes back.
"""

import ctypes
import math
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, Protocol

from jobs.worker.alarm import AGAIN_SECONDS, Alarm, TimeIsUp

_LIBRARY: Final = ctypes.pythonapi


class Watched(Protocol):
    """What rings when it is due."""

    #: By the monotonic clock.
    rings_at: float

    def ring(self) -> None:
        """Ring, and be due again later; in the thread of the watchdog."""


class Watchdog:
    """Looks after any number of alarms, in a thread that wakes when the next one is due."""

    def __init__(self) -> None:
        """Watch nothing yet."""
        self._alarms: set[Watched] = set()
        self._has_news = threading.Event()
        self._wakes_at = math.inf
        self._is_over = False

    def make_bell(self, alarm: Alarm, seconds: float) -> "ThreadBell":
        """Ring for an alarm of the calling thread after so many seconds, and again and again."""
        bell = ThreadBell(self, alarm, seconds)
        self.watch(bell)
        return bell

    def watch(self, alarm: Watched) -> None:
        """Let an alarm ring when it is due."""
        self._alarms.add(alarm)
        if alarm.rings_at < self._wakes_at:
            self._has_news.set()

    def forget(self, alarm: Watched) -> None:
        """Let an alarm alone from now on."""
        self._alarms.discard(alarm)

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Run the thread within the block."""
        thread = threading.Thread(target=self._run, name="watchdog", daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._is_over = True
            self._has_news.set()
            thread.join()

    def _run(self) -> None:
        while not self._is_over:
            self._has_news.clear()
            self._wakes_at = math.inf  # whoever comes while the next moment is looked for makes that known
            now = time.monotonic()
            for alarm in list(self._alarms):
                if alarm.rings_at <= now:
                    alarm.ring()
            self._wakes_at = min((alarm.rings_at for alarm in list(self._alarms)), default=math.inf)
            self._has_news.wait(None if self._wakes_at == math.inf else max(self._wakes_at - time.monotonic(), 0))


class ThreadBell:
    """Rings for one alarm. It is heard between two steps of Python code, and never once ``hush`` has returned."""

    def __init__(self, watchdog: Watchdog, alarm: Alarm, seconds: float) -> None:
        """Take how long the calling thread has."""
        self.rings_at = time.monotonic() + seconds
        self._watchdog = watchdog
        self._alarm = alarm
        self._thread_id = threading.get_ident()
        #: Held while it rings, and by the thread that takes it back. That may be interrupted right then, and does it
        #: once more: so it must be able to take again what it holds, after which the bell is silent for good.
        self._lock = threading.RLock()

    def stop(self) -> None:
        """Ring no more."""
        self._watchdog.forget(self)

    def hush(self) -> None:
        """Take back what the thread hasn't heard yet; its alarm calls nothing any more."""
        with self._lock:
            if self._alarm.has_rung:
                raise_in_thread(self._thread_id, None)

    def ring(self) -> None:
        """Ring, and be due again in a while; what calls nothing hears of it later."""
        self.rings_at = time.monotonic() + AGAIN_SECONDS
        if not self._lock.acquire(blocking=False):
            return
        try:
            self._alarm.has_rung = True
            if self._alarm.is_calling:
                raise_in_thread(self._thread_id, TimeIsUp)
        finally:
            self._lock.release()


def raise_in_thread(thread_id: int, error: type[BaseException] | None) -> None:
    """Let a thread raise an exception between two steps of its code; None takes back one that it hasn't raised yet."""
    _LIBRARY.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread_id), None if error is None else ctypes.py_object(error))
