"""`manage.py run`: the whole house from one command, as a person at a terminal meets it."""

import json
import os
import pty
import signal
import socket
import stat
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.error import HTTPError, URLError

import pytest

from tests.processes import ROOT
from tests.waiting import wait_until

pytestmark = [pytest.mark.house, pytest.mark.process, pytest.mark.timeout(180), pytest.mark.xdist_group("house")]


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
        return _descendants(self.process.pid)


def _descendants(pid: int) -> set[int]:
    found: set[int] = set()
    for entry in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            parent = int(entry.read_text().rpartition(")")[2].split()[1])
            if parent == pid:
                child = int(entry.parent.name)
                found |= {child} | _descendants(child)
    return found


def _is_alive(pid: int) -> bool:
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


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """One house for the tests that only look at it."""
    with running_house(tmp_path_factory.mktemp("house")) as house:
        yield house


def test_it_is_ready_when_it_says_so(house: House) -> None:
    assert house.status("/readyz") == 200


def test_it_prints_the_address_the_users_the_clients_and_a_curl_line(house: House) -> None:
    for text in (house.url, "admin@example.com", "editor@example.com", "user@example.com", "client_id", "curl "):
        assert text in house.output


def test_it_seals_the_audit_log_within_seconds(house: House) -> None:
    def count_unsealed() -> int:
        command = [sys.executable, str(ROOT / "manage.py"), "audit_verify", "--json"]
        answer = subprocess.run(command, env=environment(house.folder, 1), capture_output=True, text=True, check=True)
        return int(json.loads(answer.stdout)["unsealed_count"])

    wait_until(lambda: count_unsealed() == 0)


def test_the_printed_curl_line_answers(house: House) -> None:
    line = next(line for line in house.output.splitlines() if line.strip().startswith("curl "))
    answer = subprocess.run(["sh", "-c", f"{line} -s"], capture_output=True, text=True, check=True)  # noqa: S607 - as the person would
    assert json.loads(answer.stdout)["token_type"] == "Bearer"


def test_the_credentials_file_has_its_shape_and_is_for_its_owner_only(house: House) -> None:
    path = house.folder / "credentials.json"
    stored = json.loads(path.read_text())
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [set(user) for user in stored["users"]] == [{"email", "password", "roles"}] * 3
    assert [client["client_secret"] is None for client in stored["clients"]] == [True, False]
    keys = {"name", "client_id", "client_secret", "redirect_uris", "grant_types", "scopes"}
    assert all(set(client) == keys for client in stored["clients"])


def test_a_second_start_in_the_same_folder_says_that_one_is_running(house: House) -> None:
    refused = run_once(house.folder, free_port())
    assert refused.returncode == 1
    assert "already running from this folder" in refused.stderr
    assert house.url in refused.stderr


def test_a_port_that_is_taken_is_named(house: House, tmp_path: Path) -> None:
    port = int(house.url.rpartition(":")[2])
    refused = run_once(tmp_path, port)
    assert refused.returncode == 1
    assert f"Port {port} on 127.0.0.1 cannot be used" in refused.stderr
    assert f"PORT={port + 1}" in refused.stderr


def test_a_folder_that_cannot_be_written_is_named() -> None:
    refused = run_once(Path("/proc/gatehouse"), free_port())
    assert refused.returncode == 1
    assert "/proc/gatehouse cannot be written" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_a_second_start_keeps_the_data_and_the_passwords(tmp_path: Path) -> None:
    port = free_port()
    with running_house(tmp_path, port):
        first = (tmp_path / "credentials.json").read_text()
    with running_house(tmp_path, port) as again:
        assert (tmp_path / "credentials.json").read_text() == first
        assert json.loads(first)["users"][0]["password"] in again.output


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_stop_signal_leaves_no_process_behind(tmp_path: Path, number: signal.Signals) -> None:
    with running_house(tmp_path) as house:
        children = wait_until(house.descendants)
        house.process.send_signal(number)
        assert house.process.wait(30) == 0
        wait_until(lambda: not any(_is_alive(pid) for pid in children))
        assert house.output.rstrip().endswith("Stopped.")


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells children that their parent was killed")
def test_killing_the_parent_outright_leaves_no_process_behind(tmp_path: Path) -> None:
    with running_house(tmp_path) as house:
        children = wait_until(house.descendants)
        house.process.kill()
        wait_until(lambda: not any(_is_alive(pid) for pid in children))


def test_closing_the_terminal_of_make_run_leaves_no_process_behind(tmp_path: Path) -> None:
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(ROOT)
        os.execvpe("make", ["make", "run"], environment(tmp_path, free_port()) | {"PYTHON": sys.executable})  # noqa: S606, S607 - as the person would
    seen = b""
    while b"Ctrl-C stops everything." not in seen:
        seen += os.read(terminal, 4096)
    children = _descendants(pid)
    assert len(children) >= 3
    os.close(terminal)
    os.waitpid(pid, 0)
    wait_until(lambda: not any(_is_alive(child) for child in children))
