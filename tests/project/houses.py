"""The whole house from one command, started by tests."""

import os
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.error import HTTPError, URLError

from tests.processes import ROOT
from tests.waiting import wait_until


@dataclass(frozen=True, slots=True, kw_only=True)
class House:
    """A running house."""

    process: subprocess.Popen[bytes]
    folder: Path
    url: str

    @property
    def output(self) -> str:
        return (self.folder / "output").read_text()

    def status(self, path: str) -> int:
        try:
            with urllib.request.urlopen(self.url + path, timeout=5) as answer:  # noqa: S310 - our own address
                return int(answer.status)
        except HTTPError as error:
            return error.code
        except URLError:
            return 0

    def descendants(self) -> set[int]:
        """Return the processes below this one, as /proc tells."""
        return list_descendants(self.process.pid)


def list_descendants(pid: int) -> set[int]:
    """Return the processes below one, as /proc tells."""
    found: set[int] = set()
    for entry in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            parent = int(entry.read_text().rpartition(")")[2].split()[1])
            if parent == pid:
                child = int(entry.parent.name)
                found |= {child} | list_descendants(child)
    return found


def is_alive(pid: int) -> bool:
    with suppress(OSError):
        return (Path("/proc") / str(pid) / "stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def environment(folder: Path, port: int) -> dict[str, str]:
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    return kept | {"VAR_DIR": str(folder), "PORT": str(port), "ENV_FILE": os.devnull}


def run_once(folder: Path, port: int) -> subprocess.CompletedProcess[str]:
    """Run to the end: for starts that are refused."""
    return subprocess.run(
        [sys.executable, str(ROOT / "manage.py"), "run"],
        env=environment(folder, port),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@contextmanager
def running_house(folder: Path, port: int | None = None) -> Iterator[House]:
    """Start the house and wait until it says that it is there; end it with the block."""
    port = port or free_port()
    with (folder / "output").open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, str(ROOT / "manage.py"), "run"],
            env=environment(folder, port),
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    house = House(process=process, folder=folder, url=f"http://127.0.0.1:{port}")
    try:
        wait_until(lambda: "Ctrl-C stops everything." in house.output or process.poll() is not None, seconds=90)
        assert process.poll() is None, house.output
        yield house
    finally:
        process.terminate()
        process.wait(30)
