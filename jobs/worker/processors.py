"""Worker processes that keep to a processor each."""

import os
import sys
from collections import Counter
from collections.abc import Iterable

from project.processors import list_processors


def choose_processor(taken: Iterable[int | None]) -> int | None:
    """Return the processor of which least is taken, given one number for each that keeps to it.

    None where the system can't tell.
    """
    counts = Counter(taken)
    return min(list_processors(), key=counts.__getitem__, default=None)


def keep_to(processor: int) -> None:
    """Let this process, and what it starts, run on that processor alone."""
    if sys.platform == "linux":
        os.sched_setaffinity(0, {processor})
