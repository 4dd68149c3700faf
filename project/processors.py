"""The processors that this process may use: where it may run, and how much of their time its container grants it."""

import math
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import Final

#: Where Linux tells a process of itself.
_PROCESS: Final = Path("/proc/self")


def list_processors() -> Sequence[int]:
    """Return the numbers of the processors that this process may run on; empty where the system can't tell."""
    return sorted(os.sched_getaffinity(0)) if sys.platform == "linux" else []


def count_processors() -> int:
    """Return how many there are for this process: no more than it may run on, nor than its quota grants.

    Part of one counts as one.
    """
    count = len(list_processors()) or os.cpu_count() or 1
    quota = find_quota()
    return count if quota is None else min(count, max(math.ceil(quota), 1))


def find_quota(process: Path = _PROCESS) -> float | None:
    """Return to how many processors the time amounts that a container, or another control group of Linux, grants.

    None where there is no limit, or the system doesn't tell.

    The least counts of all groups that this process is within, whichever version they are of: ``cpu.max`` in the
    second, the CFS bandwidth in the first.
    """
    try:
        groups, mounts = (process / "cgroup").read_text(), (process / "mountinfo").read_text()
    except OSError:
        return None
    return min(_list_quotas(dict(_read_groups(groups)), mounts), default=None)


def _read_groups(text: str) -> Iterator[tuple[bool, str]]:
    """Yield the paths of the groups, and whether they are of the second version, from ``number:controllers:path``."""
    for line in text.splitlines():
        _, controllers, path = line.split(":", 2)
        if not controllers or "cpu" in controllers.split(","):
            yield not controllers, path


def _list_quotas(groups: Mapping[bool, str], mounts: str) -> Iterator[float]:
    """Yield those of all groups that have one; proc_pid_mountinfo(5) tells what stands in ``mounts``."""
    for line in mounts.splitlines():
        mount, _, file_system = line.partition(" - ")
        root, place = mount.split()[3:5]
        kind, *_, features = file_system.split()
        is_second = kind == "cgroup2"
        path = groups.get(is_second)
        if path is None or not (is_second or (kind == "cgroup" and "cpu" in features.split(","))):
            continue
        # A container may know the name of its group outside, and see the group itself where the mount begins.
        group = PurePosixPath(path)
        inner = group.relative_to(root) if group.is_relative_to(root) else PurePosixPath()
        read = _read_second if is_second else _read_first
        for part in (inner, *inner.parents):
            with suppress(OSError, ValueError, ZeroDivisionError):  # the outermost group has no such file
                if (quota := read(Path(place) / part)) is not None:
                    yield quota


def _read_second(group: Path) -> float | None:
    quota, period = (group / "cpu.max").read_text().split()
    return None if quota == "max" else int(quota) / int(period)


def _read_first(group: Path) -> float | None:
    quota, period = (int((group / f"cpu.cfs_{name}_us").read_text()) for name in ("quota", "period"))
    return quota / period if quota > 0 else None
