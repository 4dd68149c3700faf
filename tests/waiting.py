"""Waiting on a condition with a deadline, for tests that watch another thread or process."""

import threading
import time
from collections.abc import Callable

import pytest


def wait_until[T](probe: Callable[[], T], *, seconds: float = 20.0) -> T:
    """Return the first true value of the probe; fail the test when there is none within the deadline."""
    pause = threading.Event()
    deadline = time.monotonic() + seconds
    while not (value := probe()):
        if time.monotonic() > deadline:
            pytest.fail(f"not reached within {seconds} s: {probe.__qualname__}")
        pause.wait(0.02)
    return value
