"""Commands that do the same again and again until they are told to end."""

import queue
import signal
from collections.abc import Callable
from datetime import timedelta
from types import FrameType

from django.db import close_old_connections


def go_round(step: Callable[[], object], *, pause: timedelta) -> None:
    """Call a function, then wait, again and again until SIGTERM or Ctrl-C; only in the main thread."""
    # SimpleQueue.put may be called in a signal handler while get waits.
    wake_up: queue.SimpleQueue[None] = queue.SimpleQueue()

    def stop(_number: int, _frame: FrameType | None) -> None:
        wake_up.put(None)

    numbers = (signal.SIGTERM, signal.SIGINT)
    previous = {number: signal.signal(number, stop) for number in numbers}
    try:
        while True:
            step()
            try:
                wake_up.get(timeout=pause.total_seconds())
                break
            except queue.Empty:
                close_old_connections()
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
