"""The processors that worker processes run on."""

import math
import os
import sys
from collections import Counter
from collections.abc import Iterable, Sequence

from jobs.worker.quota import find_quota


def list_processors() -> Sequence[int]:
    """Return the numbers of the processors that this process may run on; empty where the system can't tell."""
    return sorted(os.sched_getaffinity(0)) if sys.platform == "linux" else []


def count_processors() -> int:
    """Return how many there are for this process: no more than it may run on, nor than it may use up, as in containers.

    Part of one counts as one.
    """
    count = len(list_processors()) or os.cpu_count() or 1
    quota = find_quota()
    return count if quota is None else min(count, max(math.ceil(quota), 1))


def choose_processor(taken: Iterable[int | None]) -> int | None:
    """Return the processor of which least is taken, given one number for each that keeps to it; None as above."""
    counts = Counter(taken)
    return min(list_processors(), key=counts.__getitem__, default=None)


def keep_to(processor: int) -> None:
    """Let this process, and what it starts, run on that processor alone."""
    if sys.platform == "linux":
        os.sched_setaffinity(0, {processor})
