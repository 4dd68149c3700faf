"""Many threads that do one thing at the same moment."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from django.db import connections


def race[T](action: Callable[[], T], *, threads: int = 16) -> list[T]:
    """Call the action in each thread at once, each with database connections of its own; return what came back."""
    barrier = threading.Barrier(threads)

    def run() -> T:
        barrier.wait(timeout=20)
        try:
            return action()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(threads) as pool:
        return [future.result() for future in [pool.submit(run) for _ in range(threads)]]
