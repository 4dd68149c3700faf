"""How a worker waits: for a while, for a job, or until it is told to go on."""

import os
import selectors
import time
import weakref
from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta
from typing import Final

import structlog

from jobs.drivers.listening import Listener

#: A connection that hears nothing may have died silently; it is opened anew after so many seconds.
_CONNECTION_LIFE: Final = 60.0
_FIRST_PAUSE: Final = 1.0
_LONGEST_PAUSE: Final = 60.0
#: What was heard of and not found is looked for once more after so many seconds: what is due is told by clocks that
#: differ a little from host to host.
_SECOND_LOOK: Final = 0.1
_ENOUGH: Final = 4096
_log = structlog.get_logger("gatehouse.worker")


class Waiter:
    """Waits in the worker's thread; ``wake`` may be called in any thread and in signal handlers."""

    def __init__(self, listeners: Sequence[Listener] = ()) -> None:
        """Take what hears of jobs; nothing is opened yet but a pipe to oneself."""
        self._ears = [_Ear(listener) for listener in listeners]
        self._has_heard = False
        #: A byte that is written here ends a wait, or the next one. Never blocks.
        self._read_fd, self.wake_fd = os.pipe()
        for descriptor in (self._read_fd, self.wake_fd):
            os.set_blocking(descriptor, False)
            weakref.finalize(self, os.close, descriptor)

    def wake(self) -> None:
        """End the wait that is going on, or else the next one."""
        with suppress(BlockingIOError):  # the pipe is full of such calls
            os.write(self.wake_fd, b"\0")

    def pause(self, duration: timedelta) -> None:
        """Wait so long, or until woken."""
        if duration:
            self._select([], duration.total_seconds())

    def listen(self) -> bool:
        """Listen for jobs where that isn't done yet; True where it was begun: what came before must be looked for."""
        return sum(ear.start() for ear in self._ears) > 0  # each, not up to the first that says yes

    def wait(self, duration: timedelta) -> None:
        """Wait so long, until woken, until a job is heard of, or until it is time to try again to listen."""
        seconds = duration.total_seconds()
        if self._has_heard:
            seconds = min(seconds, _SECOND_LOOK)
        self._has_heard = False
        ends_at = time.monotonic() + seconds
        while True:
            # Something may have been taken in already, together with an answer of the server.
            if any(ear.hear() for ear in self._ears):
                self._has_heard = True
                return
            descriptors = [found for ear in self._ears if (found := ear.find_descriptor()) is not None]
            until = min([ends_at, *(ear.starts_at for ear in self._ears if not ear.is_open)])
            left = until - time.monotonic()
            if left <= 0 or self._select(descriptors, left):
                return

    def stop_listening(self) -> None:
        """Hear of no job while there is one in hand."""
        self._has_heard = False
        for ear in self._ears:
            ear.stop()

    def close(self) -> None:
        """Let go of all connections."""
        for ear in self._ears:
            ear.close()

    def _select(self, descriptors: Sequence[int], seconds: float) -> bool:
        """Wait until there is something to read; True where that is a call to wake up."""
        with selectors.DefaultSelector() as selector:
            for descriptor in (self._read_fd, *descriptors):
                selector.register(descriptor, selectors.EVENT_READ)
            ready = [key.fd for key, _ in selector.select(seconds)]
        if self._read_fd not in ready:
            return False
        with suppress(BlockingIOError):
            while len(os.read(self._read_fd, _ENOUGH)) == _ENOUGH:
                pass
        return True


class _Ear:
    """A listener that may be lost at any time: that is logged, and tried again after a while that grows."""

    def __init__(self, listener: Listener) -> None:
        self.listener = listener
        self.is_open = False
        #: Not started before this moment, by the monotonic clock.
        self.starts_at = 0.0
        self._connected_at: float | None = None
        self._pause = _FIRST_PAUSE

    def start(self) -> bool:
        """Listen, where that isn't done and may be tried; True where it was begun."""
        now = time.monotonic()
        if self._connected_at is not None and now - self._connected_at >= _CONNECTION_LIFE:
            self.close()
            self._pause = _FIRST_PAUSE
        if self.is_open or now < self.starts_at:
            return False
        try:
            self.listener.start()
        except Exception as error:  # noqa: BLE001 - a speed-up must not stop work, whatever its server says
            self._lose(error)
            return False
        self.is_open = True
        self._connected_at = self._connected_at or now
        return True

    def hear(self) -> bool:
        try:
            return self.is_open and self.listener.hear()
        except Exception as error:  # noqa: BLE001 - as above
            self._lose(error)
            return False

    def find_descriptor(self) -> int | None:
        try:
            return self.listener.fileno() if self.is_open else None
        except Exception as error:  # noqa: BLE001 - as above
            self._lose(error)
            return None

    def stop(self) -> None:
        if not self.is_open:
            return
        self.is_open = False
        try:
            self.listener.stop()
        except Exception as error:  # noqa: BLE001 - as above
            self._lose(error)

    def close(self) -> None:
        self.is_open = False
        self._connected_at = None
        with suppress(Exception):  # as above
            self.listener.close()

    def _lose(self, error: Exception) -> None:
        _log.warning("listening_failed", error=type(error).__qualname__, retry_in_seconds=self._pause)
        self.close()
        self.starts_at = time.monotonic() + self._pause
        self._pause = min(self._pause * 2, _LONGEST_PAUSE)
