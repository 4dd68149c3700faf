"""What a process can say of itself: its memory, and the processor time that it takes."""

import os
import resource
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

#: Where Linux tells, in pages, what a process has in memory.
_STATM: Final = Path("/proc/self/statm")
_MB: Final = 1024 * 1024


def get_peak_mb() -> float:
    """Return the most memory that the process has had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024 if sys.platform != "darwin" else _MB)


def get_memory_mb() -> float:
    """Return the memory that the process has now; where the system doesn't tell, the most that it has had."""
    try:
        return int(_STATM.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / _MB
    except OSError:
        return get_peak_mb()


@dataclass(frozen=True, slots=True, kw_only=True)
class Vitals:
    """What a process took of its host."""

    memory_mb: float
    #: In percent of one core, since the last look; None at the first one.
    cpu_percent: float | None


class VitalsMonitor:
    """Looks now and then, in any thread."""

    def __init__(self) -> None:
        """Begin to count."""
        self._last: tuple[float, float] | None = None

    def look(self) -> Vitals:
        """Return what the process has taken since the last look."""
        now, spent = time.monotonic(), time.process_time()
        last, self._last = self._last, (now, spent)
        percent = None if last is None or now <= last[0] else (spent - last[1]) / (now - last[0]) * 100
        return Vitals(memory_mb=get_memory_mb(), cpu_percent=percent)
