"""Stopping what takes too long."""

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Final

_AT_ONCE: Final = 0.001


class TimeIsUp(BaseException):
    """Raised by the alarm; no ``Exception``, so that a job's own ``except Exception`` doesn't swallow it."""


@contextmanager
def alarm(seconds: float) -> Iterator[None]:
    """Raise ``TimeIsUp`` in the block when it takes longer (0: never); signals reach the main thread only.

    An alarm that was set before goes on afterwards.
    """
    if seconds == 0 or threading.current_thread() is not threading.main_thread():
        yield
        return

    def ring(_number: int, _frame: FrameType | None) -> None:
        raise TimeIsUp

    started = time.monotonic()
    handler_before = signal.signal(signal.SIGALRM, ring)
    left_before, interval_before = signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, handler_before)
        if left_before:
            left = max(left_before - (time.monotonic() - started), _AT_ONCE)
            signal.setitimer(signal.ITIMER_REAL, left, interval_before)
