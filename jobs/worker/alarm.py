"""Stopping what takes too long."""

import signal
import threading
import time
from collections.abc import Callable
from types import FrameType
from typing import Final

#: What swallows the alarm hears it again, so often.
_AGAIN_SECONDS: Final = 1.0
_AT_ONCE: Final = 0.001


class TimeIsUp(BaseException):
    """Raised by the alarm; no ``Exception``, so that a job's own ``except Exception`` doesn't swallow it."""


def call_within[T](seconds: float, function: Callable[[], T]) -> T:
    """Return what a function returns, unless it takes longer (0: never); signals reach the main thread only.

    An alarm that was set before goes on afterwards.

    Raises:
        TimeIsUp: It took longer, whatever it made of the alarm.
    """
    if seconds == 0 or threading.current_thread() is not threading.main_thread():
        return function()
    alarm = _Alarm(seconds)
    try:
        try:
            result = function()
        finally:
            alarm.stop()
    except BaseException as error:
        alarm.stop()  # it may have rung in the middle of the first time
        if alarm.has_rung and not isinstance(error, TimeIsUp):
            raise TimeIsUp from error
        raise
    if alarm.has_rung:
        raise TimeIsUp
    return result


class _Alarm:
    """Raises ``TimeIsUp`` in the main thread after a while, and again and again until it is stopped."""

    def __init__(self, seconds: float) -> None:
        """Start."""
        self.has_rung = self._is_over = False
        self._started = time.monotonic()
        handler = signal.getsignal(signal.SIGALRM)
        if handler is not _ring:
            signal.signal(signal.SIGALRM, _ring)
        # Where nobody else listens ours stays: that costs less than to change it twice for each job.
        self._handler_before = None if handler in {_ring, signal.SIG_DFL} else handler
        _set.append(self)
        self._left_before, self._interval_before = signal.setitimer(signal.ITIMER_REAL, seconds, _AGAIN_SECONDS)

    def stop(self) -> None:
        """Ring no more, and let the alarm that was set before go on; a second time changes nothing."""
        if self._is_over:
            return
        signal.setitimer(signal.ITIMER_REAL, 0)
        self._is_over = True
        _set.remove(self)
        if self._handler_before is not None:
            signal.signal(signal.SIGALRM, self._handler_before)
        if self._left_before:
            left = max(self._left_before - (time.monotonic() - self._started), _AT_ONCE)
            signal.setitimer(signal.ITIMER_REAL, left, self._interval_before)

    def ring(self) -> None:
        """Stop what goes on.

        Raises:
            TimeIsUp: Always, until it is stopped.
        """
        if not self._is_over:
            self.has_rung = True
            raise TimeIsUp


#: Those that run, the innermost last; of the main thread alone.
_set: Final[list[_Alarm]] = []


def _ring(_number: int, _frame: FrameType | None) -> None:
    if _set:
        _set[-1].ring()
