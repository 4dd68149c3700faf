"""Stopping what takes too long."""

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import get_ident, local, main_thread
from types import FrameType
from typing import Final, Protocol, Self

#: What swallows the alarm hears it again, so often.
AGAIN_SECONDS: Final = 1.0
_AT_ONCE: Final = 0.001


class TimeIsUp(BaseException):
    """Raised by the alarm; no ``Exception``, so that a job's own ``except Exception`` doesn't swallow it."""


class Bell(Protocol):
    """Rings in a thread that no signal reaches."""

    #: When it does so next, by the monotonic clock.
    rings_at: float

    def stop(self) -> None:
        """Ring no more."""

    def hush(self) -> None:
        """Take back what the thread hasn't heard yet."""


class _Thread(local):
    """Who rings in a thread, and for which alarm, the innermost one."""

    make_bell: "Callable[[Alarm, float], Bell] | None" = None
    innermost: "Alarm | None" = None

    def __init__(self) -> None:
        self.is_main = get_ident() == main_thread().ident


_thread: Final = _Thread()


@contextmanager
def alarms_set_by(make_bell: "Callable[[Alarm, float], Bell]") -> Iterator[None]:
    """Let somebody ring the alarms of this thread within the block."""
    _thread.make_bell = make_bell
    try:
        yield
    finally:
        _thread.make_bell = None


class Alarm:
    """Raises ``TimeIsUp`` in its thread after a while, and again and again, in what it is told to call.

    It begins at once, and is stopped at the end of the block. One that was set before goes on afterwards.
    """

    def __init__(self, seconds: float) -> None:
        """Start, unless there is no limit (0); signals reach the main thread only, and bells where somebody rings."""
        self.has_rung = self._is_calling = False
        self._bell: Bell | None = None
        self._outer = _thread.innermost
        self._is_set = seconds > 0 and _thread.is_main
        if self._is_set or (seconds > 0 and _thread.make_bell is not None):
            _thread.innermost = self
        if not self._is_set:
            if seconds > 0 and _thread.make_bell is not None:
                self._bell = _thread.make_bell(self, seconds)
            return
        # Where nobody else listens ours stays: that costs less than to change it twice for each job.
        handler = signal.getsignal(signal.SIGALRM)
        if handler is not _ring:
            signal.signal(signal.SIGALRM, _ring)
        self._handler_before = None if handler is _ring or handler is signal.SIG_DFL else handler
        _set.append(self)
        self._left_before, self._interval_before = signal.setitimer(signal.ITIMER_REAL, seconds, AGAIN_SECONDS)
        self._started = time.monotonic() if self._left_before else 0.0

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_raised: object) -> None:
        """Ring no more, and let the alarm that was set before go on."""
        _thread.innermost = self._outer
        if self._bell is not None:
            self._bell.stop()
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
                self._end_call()
        except BaseException as error:
            self._end_call()  # it may have rung in the middle of the first time
            if self.has_rung and not isinstance(error, TimeIsUp):
                raise TimeIsUp from error
            raise
        self._check()
        return result

    @property
    def is_calling(self) -> bool:
        """Whether something is called, which is to be stopped."""
        return self._is_calling

    def get_left(self) -> float:
        """Return how many seconds are left, of the innermost alarm."""
        if self._bell is not None:
            return max(self._bell.rings_at - time.monotonic(), 0)
        return signal.getitimer(signal.ITIMER_REAL)[0]

    def _end_call(self) -> None:
        self._is_calling = False
        if self._bell is not None:
            self._bell.hush()

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


@contextmanager
def time_spent_elsewhere() -> Iterator[float | None]:
    """Within the block let this thread do other things, with alarms of their own: what has the alarm goes on elsewhere.

    Yields how many seconds that may take, None where there is no limit. Whoever sees to that raises ``TimeIsUp`` when
    it took longer; it counts for the alarm, whatever is made of it.
    """
    alarm = _thread.innermost
    if alarm is None:
        yield None
        return
    _thread.innermost = None
    started, set_before, left = time.monotonic(), list(_set), alarm.get_left()
    try:
        if set_before:
            signal.setitimer(signal.ITIMER_REAL, 0)
            _set.clear()
        yield left
        left -= time.monotonic() - started
    except TimeIsUp:
        alarm.has_rung, left = True, AGAIN_SECONDS
        raise
    finally:
        _thread.innermost = alarm
        if set_before:
            _set[:] = set_before
            signal.setitimer(signal.ITIMER_REAL, max(left, _AT_ONCE), AGAIN_SECONDS)


#: Those that run, the innermost last; of the main thread alone.
_set: Final[list[Alarm]] = []


def _ring(_number: int, _frame: FrameType | None) -> None:
    if _set:
        _set[-1].ring()
