"""The types of dispatch, as mypy sees them."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.processes import ROOT

SNIPPET = """
from uuid import UUID
from jobs.job import Job

class SendJob(Job):
    queue = "emails"; tries = 5; backoff = (10, 60, 300); timeout = 30
    def __init__(self, to: str, copies: int = 1) -> None: ...
    def handle(self) -> None: ...

class PlainJob(Job):
    backoff = 5
    def handle(self) -> None: ...

job_id: UUID = SendJob.dispatch("a@example.com", copies=2)  # right
PlainJob.dispatch()  # right
SendJob.dispatch(1, 2)  # wrong: arg-type
SendJob.dispatch("a", "b")  # wrong: arg-type
SendJob.dispatch()  # wrong: call-arg
SendJob.dispatch("a", to_email="b")  # wrong: call-arg
PlainJob.dispatch("a")  # wrong: call-arg

class WrongJob(Job):
    tries = "5"  # wrong: assignment
    def handle(self) -> None: ...
"""


@pytest.mark.process
@pytest.mark.timeout(180)
def test_mypy_accepts_fitting_arguments_and_refuses_all_others(tmp_path: Path) -> None:
    snippet = tmp_path / "snippet.py"
    snippet.write_text(SNIPPET)
    command = [sys.executable, "-m", "mypy", "--config-file=", "--follow-imports=silent", "--no-error-summary"]
    cache = f"--cache-dir={ROOT / '.mypy_cache' / 'snippets'}"
    result = subprocess.run([*command, cache, str(snippet)], cwd=ROOT, capture_output=True, text=True, check=False)
    errors = [line for line in result.stdout.splitlines() if ": error: " in line]
    found = {int(line.split(":")[1]): line.rpartition("[")[2].rstrip("]") for line in errors}
    expected = {
        number: line.partition("# wrong: ")[2]
        for number, line in enumerate(SNIPPET.splitlines(), start=1)
        if "# wrong: " in line
    }
    assert found == expected, result.stdout + result.stderr
