"""How a figure is made: repeated runs, the median, and the machine beside it."""

import os
import platform
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field

_RUNS = 5
_SECONDS_PER_RUN = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One measured number."""

    name: str
    value: float
    unit: str
    #: The same thing measured with other programs in the same run.
    peers: dict[str, float] = field(default_factory=dict)
    #: What it should reach; None where no goal was set.
    goal: float | None = None

    @property
    def is_met(self) -> bool | None:
        """Whether the goal is reached; None without one."""
        return None if self.goal is None else self.value >= self.goal


def rate(action: Callable[[], object]) -> float:
    """Return how often a second the action runs: the median of five runs of half a second, after one to warm up."""
    action()
    return round(statistics.median(_rate_once(action) for _ in range(_RUNS)), 1)


def _rate_once(action: Callable[[], object]) -> float:
    count, started = 0, time.perf_counter()
    while (elapsed := time.perf_counter() - started) < _SECONDS_PER_RUN:
        action()
        count += 1
    return count / elapsed


def machine() -> dict[str, object]:
    """Return what a reader needs to know about where the figures come from."""
    return {"cpus": os.cpu_count(), "processor": platform.machine(), "python": platform.python_version()}
