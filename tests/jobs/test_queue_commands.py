"""The commands that let queues rest and go on, restart workers, prune, and write jobs."""

import json
import os
import shutil
import subprocess
import sys
from datetime import timedelta
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from jobs.models import Batch, FailedJob
from jobs.queues import is_paused, list_pauses
from tests.jobs.sample_jobs import NoteJob
from tests.jobs.steps import claim_next
from tests.processes import ROOT, child_environment


def call(*words: str) -> str:
    out = StringIO()
    call_command(*words, stdout=out)
    return out.getvalue()


def test_a_queue_that_rests_gives_no_job_until_it_goes_on(job_connection: str) -> None:
    NoteJob.dispatch("path", "text")
    assert "notes rests until queue_resume" in call("queue_pause", "notes")
    assert claim_next() is None
    assert "Workers take jobs again from: notes" in call("queue_resume", "notes")
    assert claim_next() is not None


def test_all_queues_can_rest_for_a_while(job_connection: str) -> None:
    shown = json.loads(call("queue_pause", "--all", "--for", "60", "--json"))
    assert list(shown["paused"]) == ["*"]
    assert is_paused("notes")
    assert json.loads(call("queue_resume", "--all", "--json")) == {"resumed": ["*"]}
    assert not list_pauses()


def test_resuming_one_queue_while_all_rest_says_that_they_still_do(job_connection: str) -> None:
    call("queue_pause", "--all")
    call("queue_pause", "notes")
    assert "All queues still rest" in call("queue_resume", "notes")


def test_resuming_what_does_not_rest_says_so(job_connection: str) -> None:
    assert call("queue_resume", "notes") == "Nothing rested.\n"


@pytest.mark.django_db
@pytest.mark.parametrize("command", ["queue_pause", "queue_resume"])
def test_an_unknown_connection_is_named(command: str) -> None:
    with pytest.raises(CommandError, match="There is no connection 'nowhere'"):
        call(command, "notes", "--connection", "nowhere")


@pytest.mark.django_db
def test_pruning_deletes_what_is_old_alone() -> None:
    now = timezone.now()
    for hours in (1, 30):
        FailedJob.objects.create(
            job_id=f"00000000-0000-4000-8000-0000000000{hours:02}",
            queue="q",
            job_class="c",
            payload="",
            attempts=1,
            failed_at=now - timedelta(hours=hours),
        )
        Batch.objects.create(options="", created_at=now, finished_at=now - timedelta(hours=hours))
        Batch.objects.create(options="", created_at=now - timedelta(hours=hours))
    assert json.loads(call("queue_prune", "--json")) == {
        "failed_jobs": 1,
        "batches": 1,
        "schedule_runs": 0,
        "results": 0,
        "metrics": 0,
        "expired": 0,
    }
    assert (
        call("queue_prune", "--hours", "24", "--unfinished", "24")
        == "Deleted 0 failed jobs, 1 batches, 0 runs of schedules, 0 results of tasks, 0 rows of figures, and 0 other "
        "rows that had expired.\n"
    )


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the house, in which a command may write."""
    leave_out = shutil.ignore_patterns(".*", "var", "__pycache__", "docs", "requirements")
    shutil.copytree(ROOT, tmp_path / "house", ignore=leave_out)
    return tmp_path / "house"


def run(copy: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environment = child_environment(PYTHONPATH=str(copy))
    command = [sys.executable, str(copy / "manage.py"), *words]
    return subprocess.run(command, cwd=copy, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.process
@pytest.mark.django_db(transaction=True)
@pytest.mark.timeout(180)
def test_make_job_writes_a_job_and_a_test_that_passes_and_is_typed(copy: Path) -> None:
    done = run(copy, "make_job", "accounts.SendReport", "--queue", "emails")
    assert done.returncode == 0, done.stderr
    assert "Wrote SendReportJob to accounts/jobs.py" in done.stdout
    assert 'queue = "emails"' in (copy / "accounts" / "jobs.py").read_text()
    # A run of its own, on stores of its own.
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("TEST_", "PYTEST_"))}
    environment["PYTHONPATH"] = str(copy)
    test = ["tests/accounts/test_send_report_job.py", "-q", "-p", "no:randomly", "-n", "0"]
    passed = subprocess.run(
        [sys.executable, "-m", "pytest", *test], cwd=copy, env=environment, capture_output=True, text=True, check=False
    )
    assert passed.returncode == 0, passed.stdout + passed.stderr
    lint = [
        sys.executable,
        "-m",
        "ruff",
        "check",
        "--config",
        str(ROOT / "pyproject.toml"),
        "accounts/jobs.py",
        test[0],
    ]
    linted = subprocess.run(lint, cwd=copy, capture_output=True, text=True, check=False)
    assert linted.returncode == 0, linted.stdout
    again = run(copy, "make_job", "accounts.SendReport")
    assert again.returncode == 1
    assert "There is a job accounts.SendReportJob already" in again.stderr


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["make_job", "send report"], "is no name of a job"),
        (["make_job", "SendReportJob"], "Say which app"),
        (["make_job", "nothing.SendReportJob"], "There is no app 'nothing'"),
        (["make_job", "accounts.SendEmailJob"], "There is a job accounts.SendEmailJob already"),
    ],
)
def test_make_job_says_what_is_wrong(words: list[str], problem: str) -> None:
    with pytest.raises(CommandError, match=problem):
        call(*words)
