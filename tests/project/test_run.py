"""`manage.py run`: the whole house from one command, as a person at a terminal meets it."""

import json
import os
import pty
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.processes import ROOT
from tests.project.conftest import FirstStart
from tests.project.houses import House, environment, free_port, is_alive, list_descendants, run_once, running_house
from tests.waiting import wait_until

pytestmark = [pytest.mark.house, pytest.mark.process, pytest.mark.timeout(180), pytest.mark.xdist_group("house")]


@pytest.fixture(scope="module")
def house(first_start: FirstStart, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """One house for the tests that only look at it."""
    port = int(first_start.url.rpartition(":")[2])  # of which the clients' redirect URIs are made
    with running_house(first_start.copy_to(tmp_path_factory.mktemp("house")), port) as house:
        yield house


def test_it_is_ready_when_it_says_so(house: House) -> None:
    assert house.status("/readyz") == 200


def test_it_prints_the_address_the_users_the_clients_and_a_curl_line(house: House, first_start: FirstStart) -> None:
    for url, output in ((first_start.url, first_start.output), (house.url, house.output)):
        for text in (url, "admin@example.com", "editor@example.com", "user@example.com", "client_id", "curl "):
            assert text in output


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


def test_a_second_start_keeps_the_data_and_the_passwords(house: House, first_start: FirstStart) -> None:
    first = (first_start.folder / "credentials.json").read_text()
    assert (house.folder / "credentials.json").read_text() == first
    password = json.loads(first)["users"][0]["password"]
    assert password in first_start.output
    assert password in house.output


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_stop_signal_leaves_no_process_behind(furnished: Path, number: signal.Signals) -> None:
    with running_house(furnished) as house:
        children = wait_until(house.descendants)
        house.process.send_signal(number)
        assert house.process.wait(30) == 0
        wait_until(lambda: not any(is_alive(pid) for pid in children))
        assert house.output.rstrip().endswith("Stopped.")


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells children that their parent was killed")
def test_killing_the_parent_outright_leaves_no_process_behind(furnished: Path) -> None:
    with running_house(furnished) as house:
        children = wait_until(house.descendants)
        house.process.kill()
        wait_until(lambda: not any(is_alive(pid) for pid in children))


def test_closing_the_terminal_of_make_run_leaves_no_process_behind(furnished: Path) -> None:
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(ROOT)
        os.execvpe("make", ["make", "run"], environment(furnished, free_port()) | {"PYTHON": sys.executable})  # noqa: S606, S607 - as the person would
    seen = b""
    while b"Ctrl-C stops everything." not in seen:
        seen += os.read(terminal, 4096)
    children = list_descendants(pid)
    assert len(children) >= 3
    os.close(terminal)
    os.waitpid(pid, 0)
    wait_until(lambda: not any(is_alive(child) for child in children))
