"""A run ends by saying how many tests with clients of others were skipped, and why."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.processes import ROOT

_RUN = """
import pytest

@pytest.mark.house
@pytest.mark.parametrize("number", range({}))
def test_that_runs(number):
    assert number

def test_of_documents():
    pytest.skip("This needs no client.")
"""
_SKIP = """
import pytest

@pytest.fixture(scope="session")
def program():
    pytest.skip("{1} is not here.")

@pytest.mark.house
@pytest.mark.parametrize("number", range({0}))
def test_that_is_skipped(program, number):
    pass
"""


@pytest.mark.process
@pytest.mark.parametrize(
    ("files", "last"),
    [
        ([_RUN.format(3)], "Interop: 3 run, 0 skipped."),
        (
            [_RUN.format(3), _SKIP.format(2, "Apache"), _SKIP.format(3, "Node")],
            "Interop: 3 run, 5 skipped: [3] Node is not here. [2] Apache is not here.",
        ),
        ([_RUN.replace("@pytest.mark.house", "").format(3)], None),
    ],
)
def test_a_run_ends_with_what_it_skipped(tmp_path: Path, files: list[str], last: str | None) -> None:
    folder = tmp_path / "tests" / "interop"
    folder.mkdir(parents=True)
    for number, text in enumerate(files):
        (folder / f"test_{number}.py").write_text(text)
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers = house\n")
    plugins = ["-p", "tests.interop.summary", "-p", "xdist.plugin", "-p", "no:cacheprovider"]
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-ra", "-n", "1", *plugins],
        cwd=tmp_path,
        env={**clean, "PYTHONPATH": str(ROOT), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    said = [line for line in run.stdout.splitlines() if line.startswith("Interop")]
    assert said == ([] if last is None else [last]), run.stdout + run.stderr
    assert last is None or run.stdout.splitlines()[-2] == last
