"""The process that seals, again and again."""

import queue
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from types import FrameType

import structlog
from django.db import InterfaceError, OperationalError, connection

from permissions.audit.sealing import seal

#: An event waits at most about this long.
PAUSE = timedelta(seconds=1)
_LONGEST_PAUSE = timedelta(seconds=10)
_log = structlog.get_logger("gatehouse.audit")


class Sealer:
    """Seals what was recorded, once a second, until told to stop. Any number may run: one of them works at a time."""

    def __init__(self) -> None:
        """Start nothing yet."""
        self._is_stopping = False
        # SimpleQueue.put may be called in a signal handler while get waits; Event.set may dead-lock there.
        self._wake_up: queue.SimpleQueue[None] = queue.SimpleQueue()

    def run(self) -> int:
        """Seal until stopped, also after an outage of the database; return how many events were sealed."""
        sealed, pause = 0, PAUSE
        while not self._is_stopping:
            try:
                sealed += seal()
                pause = PAUSE
            except (OperationalError, InterfaceError) as error:
                pause = min(pause * 2, _LONGEST_PAUSE)
                _log.warning(
                    "store_unavailable", error=type(error).__qualname__, retry_in_seconds=pause.total_seconds()
                )
                connection.close()
            self._pause(pause)
        return sealed

    def stop(self) -> None:
        """End after the batch in hand; from any thread or a signal handler."""
        self._is_stopping = True
        self._wake_up.put(None)

    @contextmanager
    def listen_to_signals(self) -> Iterator[None]:
        """Stop on SIGTERM and SIGINT within the block; only in the main thread."""

        def on_signal(_number: int, _frame: FrameType | None) -> None:
            self.stop()

        numbers = (signal.SIGTERM, signal.SIGINT)
        previous = [signal.signal(number, on_signal) for number in numbers]
        try:
            yield
        finally:
            for number, handler in zip(numbers, previous, strict=True):
                signal.signal(number, handler)

    def _pause(self, duration: timedelta) -> None:
        try:
            self._wake_up.get(timeout=duration.total_seconds())
        except queue.Empty:
            return
