"""`manage.py demo`: the main job, end to end, over real HTTP."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.processes import ROOT
from tests.project.houses import environment, free_port, running_house

pytestmark = [pytest.mark.house, pytest.mark.process, pytest.mark.timeout(180), pytest.mark.xdist_group("house")]


def walk(folder: Path, *arguments: str, port: int | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(ROOT / "manage.py"), "demo", *arguments],
        env=environment(folder, port or free_port()),
        capture_output=True,
        text=True,
        timeout=170,
        check=False,
    )


def test_the_walk_succeeds_on_a_server_of_its_own_and_leaves_no_file(tmp_path: Path) -> None:
    finished = walk(tmp_path)
    assert finished.returncode == 0, finished.stdout + finished.stderr
    assert "Everything answered as it should." in finished.stdout
    assert not (tmp_path / "credentials.json").exists()


def test_the_walk_succeeds_twice_against_a_running_server(furnished: Path) -> None:
    with running_house(furnished) as house:
        for _ in range(2):
            finished = walk(furnished, port=int(house.url.rpartition(":")[2]))
            assert finished.returncode == 0, finished.stdout + finished.stderr
            assert house.url in finished.stdout


def test_a_server_that_was_named_but_does_not_answer_is_no_success(tmp_path: Path) -> None:
    finished = walk(tmp_path, "--base-url", f"http://127.0.0.1:{free_port()}")
    assert finished.returncode == 1
    assert "No server answers at" in finished.stderr


def test_the_walk_stops_at_the_first_wrong_answer_with_a_non_zero_exit(furnished: Path) -> None:
    with running_house(furnished) as house:
        credentials = furnished / "credentials.json"
        credentials.write_text(credentials.read_text().replace('"client_secret": "', '"client_secret": "wrong-'))
        finished = walk(furnished, port=int(house.url.rpartition(":")[2]))
    assert finished.returncode == 1
    assert "Wrong answer: expected 200, got 401" in finished.stderr
    assert "Everything answered as it should." not in finished.stdout
