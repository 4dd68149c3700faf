"""How a figure is made: repeated runs, the median, and the machine beside it."""

import asyncio
import os
import platform
import statistics
import time
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from timeit import Timer
from typing import Any

_RUNS = 5
_SECONDS_PER_RUN = 0.5

#: Does something so many times and returns how many seconds that took.
type Probe = Callable[[int], float]


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
    #: Whether less is better, which makes the goal a limit.
    is_less_better: bool = False

    @property
    def is_met(self) -> bool | None:
        """Whether the goal is reached; None without one."""
        if self.goal is None:
            return None
        return self.value <= self.goal if self.is_less_better else self.value >= self.goal


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


def statement(code: str, **names: object) -> Probe:
    """Return the probe of a line of code, free of the cost of a call around it."""
    return Timer(code, globals=names).timeit


def action(function: Callable[[], object]) -> Probe:
    """Return the probe of a function."""
    return Timer(function).timeit


def awaited(
    loop: Callable[[int], Coroutine[Any, Any, float]],
) -> Probe:  # Any: what a coroutine exchanges with its loop
    """Return the probe of a coroutine function that is one itself."""
    return lambda count: asyncio.run(loop(count))


def race(probes: Mapping[str, Probe], *, runs: int = 9, seconds: float = 0.1) -> dict[str, float]:
    """Return how many seconds one time takes each: the median of runs that take turns, each of at least ``seconds``."""
    counts = {name: _count_for(probe, seconds) for name, probe in probes.items()}
    taken: dict[str, list[float]] = {name: [] for name in probes}
    for _ in range(runs):
        for name, probe in probes.items():
            taken[name].append(probe(counts[name]) / counts[name])
    return {name: statistics.median(times) for name, times in taken.items()}


def _count_for(probe: Probe, seconds: float) -> int:
    count = 1
    probe(count)  # what only the first time costs
    while (elapsed := probe(count)) < seconds:
        count = max(count * 2, int(count * seconds / elapsed)) if elapsed > seconds / 100 else count * 10
    return count


def machine() -> dict[str, object]:
    """Return what a reader needs to know about where the figures come from."""
    return {"cpus": os.cpu_count(), "processor": platform.machine(), "python": platform.python_version()}
