"""How much of the processors' time a container, or another control group of Linux, lets this process use."""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import Final

#: Where Linux tells a process of itself.
_PROCESS: Final = Path("/proc/self")


def find_quota(process: Path = _PROCESS) -> float | None:
    """Return to how many processors that amounts; None where there is no limit, or the system doesn't tell.

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
