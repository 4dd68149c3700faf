"""The processors that a process may use."""

import subprocess
import sys
from pathlib import Path

import pytest

from project.processors import count_processors, find_quota, list_processors
from tests.jobs.steps import worker_environment
from tests.processes import ROOT


@pytest.mark.skipif(not list_processors(), reason="only Linux tells a process where it may run")
def test_those_count_that_this_process_may_use() -> None:
    last = list_processors()[-1]
    code = (
        f"import os, django; os.sched_setaffinity(0, {{{last}}}); django.setup(); "
        "from jobs.management.arguments import process_count; from project.processors import *; "
        "print(count_processors(), *list_processors(), process_count('auto'))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=worker_environment(), cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["1", str(last), "1"]
    assert 1 <= count_processors() <= len(list_processors())  # a container may be granted less


def make_process(folder: Path, *, groups: str, mounts: str) -> Path:
    """Return where Linux would tell so of a process; control groups are mounted in the folder."""
    process = folder / "proc"
    process.mkdir()
    (process / "cgroup").write_text(groups)
    (process / "mountinfo").write_text(mounts.replace("PLACE", str(folder)))
    return process


def make_group(group: Path, **files: str) -> None:
    group.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (group / name.replace("cpu_", "cpu.", 1)).write_text(f"{text}\n")


SECOND = "31 23 0:28 / PLACE/sys rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n"
FIRST = """24 23 0:27 / PLACE/mem rw - cgroup cgroup rw,memory
32 31 0:29 ROOT PLACE/cpu rw shared:9 - cgroup none rw,cpu,cpuacct
"""


@pytest.mark.parametrize(
    ("text", "quota"), [("max 100000", None), ("150000 100000", 1.5), ("5000 100000", 0.05), ("x", None)]
)
def test_the_second_version_says_it_in_one_file(tmp_path: Path, text: str, quota: float | None) -> None:
    make_group(tmp_path / "sys", cpu_max=text)
    assert find_quota(make_process(tmp_path, groups="0::/\n", mounts=SECOND)) == quota


def test_the_least_of_all_groups_around_a_process_counts(tmp_path: Path) -> None:
    process = make_process(tmp_path, groups="0::/a/b/c\n", mounts=SECOND)
    make_group(tmp_path / "sys" / "a" / "b" / "c", cpu_max="400000 100000")
    make_group(tmp_path / "sys" / "a", cpu_max="200000 100000")
    make_group(tmp_path / "sys" / "other", cpu_max="100000 100000")
    assert find_quota(process) == 2.0


@pytest.mark.parametrize(("quota", "found"), [("-1", None), ("250000", 2.5)])
def test_the_first_version_says_it_in_two_files(tmp_path: Path, quota: str, found: float | None) -> None:
    groups = "9:memory:/elsewhere\n2:cpu,cpuacct:/docker/x\n0::/\n"
    process = make_process(tmp_path, groups=groups, mounts=FIRST.replace("ROOT", "/"))
    make_group(tmp_path / "cpu" / "docker" / "x", cpu_cfs_quota_us=quota, cpu_cfs_period_us="100000")
    assert find_quota(process) == found


@pytest.mark.parametrize("root", ["/docker/x", "/.."])
def test_a_container_that_sees_its_own_group_alone_finds_it_where_the_mount_begins(tmp_path: Path, root: str) -> None:
    process = make_process(tmp_path, groups="2:cpu,cpuacct:/docker/x\n", mounts=FIRST.replace("ROOT", root))
    make_group(tmp_path / "cpu", cpu_cfs_quota_us="50000", cpu_cfs_period_us="100000")
    assert find_quota(process) == 0.5


def test_where_nothing_is_told_there_is_no_limit(tmp_path: Path) -> None:
    assert find_quota(tmp_path / "none") is None
    assert find_quota(make_process(tmp_path, groups="", mounts="")) is None
