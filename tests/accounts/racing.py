"""Many threads that do one thing at the same moment."""

import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from django.db import connections

#: How often a race is run; ``make races`` runs each 50 times.
ROUNDS: Final = int(os.environ.get("RACE_ROUNDS", "3"))


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
