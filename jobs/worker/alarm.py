"""Stopping what takes too long."""

import signal
import time
from collections.abc import Callable
from threading import get_ident, main_thread
from types import FrameType
from typing import Final, Self

#: What swallows the alarm hears it again, so often.
_AGAIN_SECONDS: Final = 1.0
_AT_ONCE: Final = 0.001


class TimeIsUp(BaseException):
    """Raised by the alarm; no ``Exception``, so that a job's own ``except Exception`` doesn't swallow it."""


class Alarm:
    """Raises ``TimeIsUp`` in the main thread after a while, and again and again, in what it is told to call.

    It begins at once, and is stopped at the end of the block. One that was set before goes on afterwards.
    """

    def __init__(self, seconds: float) -> None:
        """Start, unless there is no limit (0); signals reach the main thread only."""
        self.has_rung = self._is_calling = False
        self._is_set = seconds > 0 and get_ident() == main_thread().ident
        if not self._is_set:
            return
        # Where nobody else listens ours stays: that costs less than to change it twice for each job.
        handler = signal.getsignal(signal.SIGALRM)
        if handler is not _ring:
            signal.signal(signal.SIGALRM, _ring)
        self._handler_before = None if handler is _ring or handler is signal.SIG_DFL else handler
        _set.append(self)
        self._left_before, self._interval_before = signal.setitimer(signal.ITIMER_REAL, seconds, _AGAIN_SECONDS)
        self._started = time.monotonic() if self._left_before else 0.0

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_raised: object) -> None:
        """Ring no more, and let the alarm that was set before go on."""
        if not self._is_set:
            return
        signal.setitimer(signal.ITIMER_REAL, 0)
        _set.remove(self)
        if self._handler_before is not None:
            signal.signal(signal.SIGALRM, self._handler_before)
        if self._left_before:
            left = max(self._left_before - (time.monotonic() - self._started), _AT_ONCE)
            signal.setitimer(signal.ITIMER_REAL, left, self._interval_before)

    def call[T](self, function: Callable[[], T]) -> T:
        """Return what a function returns; between two calls it doesn't ring.

        Raises:
            TimeIsUp: The time was over before the function was done, whatever that made of it.
        """
        self._check()
        try:
            self._is_calling = True
            try:
                result = function()
            finally:
                self._is_calling = False
        except BaseException as error:
            self._is_calling = False  # it may have rung in the middle of the first time
            if self.has_rung and not isinstance(error, TimeIsUp):
                raise TimeIsUp from error
            raise
        self._check()
        return result

    def _check(self) -> None:
        if self.has_rung:
            raise TimeIsUp

    def ring(self) -> None:
        """Stop what goes on.

        Raises:
            TimeIsUp: Always, while something is called.
        """
        self.has_rung = True
        if self._is_calling:
            raise TimeIsUp


def call_within[T](seconds: float, function: Callable[[], T]) -> T:
    """Return what a function returns, unless it takes longer (0: never).

    Raises:
        TimeIsUp: It took longer, whatever it made of the alarm.
    """
    with Alarm(seconds) as alarm:
        return alarm.call(function)


#: Those that run, the innermost last; of the main thread alone.
_set: Final[list[Alarm]] = []


def _ring(_number: int, _frame: FrameType | None) -> None:
    if _set:
        _set[-1].ring()
