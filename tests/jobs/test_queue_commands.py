"""The commands that let queues rest and go on, watch them, drop failed jobs, prune, and write jobs."""

import json
import os
import shutil
import subprocess
import sys
from datetime import timedelta
from io import StringIO
from pathlib import Path
from typing import override
from uuid import UUID

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone
from pytest_django import Settings

from jobs.job import Job
from jobs.models import Batch, FailedJob
from jobs.queues import is_paused, list_pauses
from jobs.signals import QueueBusy, queue_busy
from tests.jobs.sample_jobs import FailingJob, HopelessJob, NoteJob
from tests.jobs.steps import claim_next, drain, heard, stored_one
from tests.processes import ROOT, child_environment


class StumblingJob(Job):
    """Always go wrong, and leave all else to others."""

    @override
    def handle(self) -> None:
        raise ValueError("no luck")


class UnboundedJob(Job):
    """Never come to an end."""

    @override
    def handle(self) -> None:
        while True:
            pass


def call(*words: str) -> str:
    out = StringIO()
    call_command(*words, stdout=out)
    return out.getvalue()


def test_where_no_jobs_are_kept_nothing_rests_and_that_is_said() -> None:
    with pytest.raises(CommandError, match="sync keeps no jobs"):
        call("queue_pause", "notes", "--connection", "sync")


def test_a_queue_that_rests_gives_no_job_until_it_goes_on(job_connection: str) -> None:
    NoteJob.dispatch("path", "text")
    assert "notes rests until queue_resume" in call("queue_pause", "notes")
    assert claim_next() is None
    assert "Workers take jobs again from: notes" in call("queue_resume", "notes")
    assert claim_next() is not None


@pytest.mark.django_db(transaction=True)  # a worker has connections of its own
def test_who_names_a_queue_to_which_no_job_goes_is_told_so(job_connection: str) -> None:
    told = call("queue_pause", "notes,nosuch")
    assert "No job goes to nosuch; known are " in told
    assert "nosuch, notes" not in told
    assert is_paused("nosuch")
    told = call("queue_work", "--once", "--queue", "notes,nosuch,no-*")
    assert "No job goes to nosuch; known are " in told
    assert "No job" not in call("queue_work", "--once", "--queue", "notes")


@pytest.mark.django_db
@pytest.mark.parametrize(
    "words",
    [["queue_work", "--once", "--grace", "3"], ["queue_schedule", "--json"], ["queue_relay", "--json"]],
    ids=" ".join,
)
def test_an_option_that_would_do_nothing_is_refused(words: list[str]) -> None:
    with pytest.raises(CommandError, match=f"{'--grace' if '--grace' in words else '--json'} needs") as caught:
        call(*words)
    assert caught.value.returncode == 2


def test_who_lets_queues_rest_is_told_of_the_connections_that_go_on(job_connection: str, settings: Settings) -> None:
    other = {"DRIVER": "jobs.drivers.database.DatabaseDriver"}
    settings.JOBS = {**settings.JOBS, "CONNECTIONS": {**settings.JOBS["CONNECTIONS"], "other": other}}
    told = call("queue_pause", "--all")
    assert f"on {job_connection} alone" in told
    assert "other" in told


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


def make_failed(number: int, *, queue: str = "q", hours: float = 0) -> UUID:
    job_id = UUID(int=number)
    failed_at = timezone.now() - timedelta(hours=hours)
    FailedJob.objects.create(
        job_id=job_id, queue=queue, job_class="c", payload="", attempts=1, failed_at=failed_at, connection="database"
    )
    return job_id


@pytest.mark.django_db
def test_forgetting_deletes_the_named_jobs_alone() -> None:
    first, second, third = (make_failed(number) for number in (1, 2, 3))
    assert call("queue_forget", str(first), str(first)) == "1 failed job was deleted.\n"
    assert json.loads(call("queue_forget", str(second), "--json")) == {
        "deleted_count": 1,
        "skipped_count": 0,
        "missing": [],
    }
    assert FailedJob.objects.get().job_id == third


@pytest.mark.django_db
def test_forgetting_names_what_is_not_there_and_deletes_the_rest() -> None:
    job_id, missing = make_failed(1), UUID(int=2)
    with pytest.raises(CommandError, match=f"{missing}: Not among the failed jobs"):
        call("queue_forget", str(missing), str(job_id))
    assert not FailedJob.objects.exists()


@pytest.mark.django_db
@pytest.mark.parametrize("words", [["queue_forget"], ["queue_forget", "x"]], ids=["none", "nonsense"])
def test_forgetting_wants_ids(words: list[str]) -> None:
    make_failed(1)
    with pytest.raises(CommandError):
        call(*words)
    assert FailedJob.objects.exists()


@pytest.mark.django_db
def test_flushing_deletes_all_failed_jobs_or_the_old_ones() -> None:
    make_failed(1, hours=1)
    make_failed(2, hours=30)
    make_failed(3, hours=30)
    assert call("queue_flush", "--hours", "24", "--no-input") == "2 failed jobs were deleted.\n"
    assert json.loads(call("queue_flush", "--no-input", "--json")) == {"deleted_count": 1}
    assert not FailedJob.objects.exists()


@pytest.mark.django_db
def test_flushing_refuses_to_guess_where_nobody_can_be_asked() -> None:
    make_failed(1)
    with pytest.raises(CommandError, match="Say --no-input"):
        call("queue_flush")
    assert FailedJob.objects.exists()


@pytest.mark.django_db
@pytest.mark.parametrize("command", ["queue_flush", "queue_prune"])
@pytest.mark.parametrize("hours", ["0", "-1", "soon", "1000000000"])
def test_an_age_that_makes_no_sense_is_refused(command: str, hours: str) -> None:
    with pytest.raises(CommandError, match="1 to 876,000 hours"):
        call(command, "--hours", hours)


def test_monitoring_tells_of_the_named_queues_that_are_too_long(job_connection: str) -> None:
    for text in ("a", "b"):
        NoteJob.dispatch("path", text)
        FailingJob.dispatch()
    with heard(queue_busy) as seen, pytest.raises(SystemExit) as ended:
        call("queue_monitor", "--max", "1", "notes")
    assert ended.value.code == 1
    assert seen == [(queue_busy, QueueBusy(connection=job_connection, queue="notes", size=2))]
    assert call("queue_monitor", "--max", "2", "notes", "default") == (
        "None of these holds more than 2 jobs: notes, default.\n"
    )


@pytest.mark.django_db
def test_monitoring_prints_json(capsys: pytest.CaptureFixture[str]) -> None:
    NoteJob.dispatch("path", "a")
    NoteJob.dispatch("path", "b")
    with pytest.raises(SystemExit):
        call_command("queue_monitor", "notes", "--max", "1", "--json")
    assert json.loads(capsys.readouterr().out) == {"max": 1, "busy": {"notes": 2}, "outbox": []}
    assert json.loads(call("queue_monitor", "notes", "--json")) == {"max": 1000, "busy": {}, "outbox": []}


@pytest.mark.django_db
def test_monitoring_refuses_a_queue_that_nobody_defined() -> None:
    with pytest.raises(CommandError, match="There is no queue 'noets'") as refused:
        call("queue_monitor", "notes", "noets")
    assert refused.value.returncode == 2


def test_failed_jobs_of_one_queue_are_put_back(job_connection: str) -> None:
    HopelessJob().on_queue("notes").dispatch()
    HopelessJob.dispatch()
    drain()
    failed = FailedJob.objects.get(queue="notes").job_id
    told = json.loads(call("queue_retry_failed", "--queue", "notes", "--json"))
    assert told == {"retried_count": 1, "skipped_count": 0, "missing": []}
    assert stored_one().job_id == failed
    assert call("queue_retry_failed", "--queue", "notes") == "No job was put back.\n"
    with pytest.raises(CommandError, match="Say which"):
        call("queue_retry_failed", "--queue", "notes", "--all")


@pytest.mark.django_db(transaction=True)  # the worker's thread sees what is committed only
def test_a_worker_may_say_what_holds_where_jobs_and_queues_say_nothing(job_connection: str) -> None:
    StumblingJob.dispatch()
    call("queue_work", "--once", "--tries", "2", "--backoff", "0", "--timeout", "0")
    assert stored_one().attempts == 1
    call("queue_work", "--once", "--tries", "2", "--backoff", "0")
    assert FailedJob.objects.get().attempts == 2


@pytest.mark.django_db(transaction=True)  # the worker's thread sees what is committed only
def test_a_worker_may_say_how_long_a_job_may_run(job_connection: str) -> None:
    UnboundedJob.dispatch()
    call("queue_work", "--once", "--tries", "1", "--timeout", "0.05")
    assert "longer than its timeout of 0.05 s" in FailedJob.objects.get().exception


@pytest.mark.django_db(transaction=True)  # the worker's thread sees what is committed only
def test_what_a_job_says_holds_before_what_its_worker_says(job_connection: str) -> None:
    StumblingJob().with_tries(2).with_backoff(0).dispatch()
    call("queue_work", "--once", "--tries", "1", "--backoff", "3600")
    assert stored_one().attempts == 1
    call("queue_work", "--once", "--tries", "9")
    assert FailedJob.objects.get().attempts == 2


@pytest.mark.django_db
@pytest.mark.parametrize(
    "words",
    [["--tries", "-1"], ["--tries", "x"], ["--backoff", "1,,2"], ["--backoff", "-1"], ["--timeout", "nan"]],
    ids=" ".join,
)
def test_a_worker_refuses_defaults_that_make_no_sense(words: list[str]) -> None:
    with pytest.raises(CommandError, match=words[0]):
        call("queue_work", "--once", *words)


@pytest.mark.parametrize("command", ["queue_forget", "queue_flush", "queue_monitor"])
def test_commands_explain_themselves_and_their_exit_codes(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        call_command(command, "--help")
    assert "Exit code: 0" in " ".join(capsys.readouterr().out.split())


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
