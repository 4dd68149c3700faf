"""The commands, as a person and as a script call them."""

import io
import json
import os
import pty
import subprocess
import sys
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from django.core.management import CommandError, call_command
from pytest_django import Settings

from jobs.drivers.base import get_driver
from jobs.models import FailedJob, QueuedJob
from jobs.services import record_heartbeat
from tests.jobs.messages import count_all, make
from tests.jobs.outbox_store import Server
from tests.jobs.outbox_store import server_fixture as _server  # noqa: F401 - a fixture
from tests.jobs.sample_jobs import FailingJob, HopelessJob, NoteJob, read_lines
from tests.jobs.steps import NOON, run_next, worker_environment
from tests.processes import ROOT

pytestmark = pytest.mark.django_db
#: A thread of the worker looks after its leases, and sees what is committed only.
IN_PROCESS = pytest.mark.django_db(transaction=True)


def _call(*arguments: str) -> str:
    output = io.StringIO()
    call_command(*arguments, stdout=output, skip_checks=True)
    return output.getvalue()


def _fail_one() -> UUID:
    job_id = HopelessJob.dispatch()
    run_next()
    return job_id


@IN_PROCESS
def test_queue_work_says_what_it_serves_and_what_it_did(tmp_path: Path) -> None:
    NoteJob.dispatch(str(tmp_path / "notes"), "x")
    output = _call("queue_work", "--stop-when-empty", "--name", "w1")
    assert "Worker w1:" in output
    assert "serves every queue" in output
    assert "ended after 1 try." in output


@IN_PROCESS
def test_queue_work_once_runs_one_job_and_does_not_wait_for_one(tmp_path: Path) -> None:
    for text in ("a", "b"):
        NoteJob.dispatch(str(tmp_path / "notes"), text)
    _call("queue_work", "--once")
    assert read_lines(tmp_path / "notes") == ["a"]
    _call("queue_work", "--once")
    assert "after 0 tries" in _call("queue_work", "--once")


@IN_PROCESS
def test_queue_work_serves_the_named_queues_only() -> None:
    FailingJob.dispatch()
    output = _call("queue_work", "--queue", "notes, emails,notes", "--stop-when-empty")
    assert "serves the queues notes, emails." in output
    assert "after 0 tries" in output


@IN_PROCESS
@pytest.mark.parametrize("queue", ["emails", "notifications"])
def test_a_worker_of_one_queue_leaves_all_others_and_has_the_same_options(queue: str, tmp_path: Path) -> None:
    FailingJob.dispatch()
    NoteJob(str(tmp_path / "notes"), "x").on_queue(queue).dispatch()
    output = _call(f"queue_work_{queue}", "--stop-when-empty", "--name", "w1")
    assert "Worker w1:" in output
    assert f"serves the queues {queue}." in output
    assert "ended after 1 try." in output
    assert read_lines(tmp_path / "notes") == ["x"]


@pytest.mark.parametrize(
    "arguments",
    [
        ("--queue", ""),
        ("--queue", "a,,b"),
        ("--queue", "a b"),
        ("--queue", "x" * 101),
        ("--max-jobs", "0"),
        ("--max-jobs", "many"),
        ("--sleep", "0"),
        ("--sleep", "-1"),
        ("--sleep", "nan"),
        ("--sleep", "soon"),
        ("--name", "a,b"),
        ("--connection", "nowhere"),
        ("--connection", ""),
        ("--max-time", "0"),
        ("--memory", "-1"),
        ("--rest", "long"),
    ],
    ids=" ".join,
)
def test_queue_work_refuses_what_makes_no_sense(arguments: tuple[str, ...]) -> None:
    with pytest.raises(CommandError, match=arguments[0]):
        _call("queue_work", *arguments)


@IN_PROCESS
def test_queue_work_serves_the_named_connection(settings: Settings) -> None:
    other = {"DRIVER": "jobs.drivers.database.DatabaseDriver"}
    settings.JOBS = {**settings.JOBS, "CONNECTIONS": {**settings.JOBS["CONNECTIONS"], "other": other}}
    HopelessJob.dispatch()
    _call("queue_work", "--connection", "other", "--stop-when-empty")
    assert FailedJob.objects.get().connection == "other"


@IN_PROCESS
def test_queue_work_ends_with_its_own_exit_code_when_it_takes_too_much_memory() -> None:
    NoteJob.dispatch("notes.txt", "x")
    with pytest.raises(SystemExit) as ended:
        _call("queue_work", "--memory", "1")
    assert ended.value.code == 12
    assert QueuedJob.objects.exists()


def test_queue_stats_prints_figures_and_workers() -> None:
    _fail_one()
    NoteJob.dispatch("notes.txt", "x")
    record_heartbeat(name="w1", queues=[], started_at=NOON, now=NOON, alive_until=NOON, current_job_id=None)
    output = _call("queue_stats")
    figures = {line.split()[0]: line.split()[1:5] for line in output.splitlines() if line}
    assert figures["notes"] == ["1", "0", "0", "0"]
    assert figures["default"] == ["0", "0", "0", "1"]
    assert "w1  every queue  dead, last seen" in output
    assert "queue_failed" in output


def test_queue_stats_of_an_empty_house_says_what_to_do() -> None:
    output = _call("queue_stats")
    assert "No queue holds a job." in output
    assert "queue_work" in output


def test_queue_stats_prints_json() -> None:
    NoteJob.dispatch("notes.txt", "x")
    body = json.loads(_call("queue_stats", "--json"))
    assert body["workers"] == []
    shown = body["queues"][0]
    assert {name: value for name, value in shown.items() if not isinstance(value, dict)} | {
        "oldest_wait_seconds": 0
    } == {
        "queue": "notes",
        "waiting_count": 1,
        "delayed_count": 0,
        "running_count": 0,
        "failed_count": 0,
        "unreadable_count": 0,
        "oldest_wait_seconds": 0,
    }


def test_queue_failed_lists_what_failed_and_how_to_go_on() -> None:
    job_id = _fail_one()
    output = _call("queue_failed")
    assert f"{job_id}  tests.HopelessJob  default  tries: 1" in output
    assert "the account is closed" in output
    assert "queue_retry_failed" in output


def test_queue_failed_says_when_it_shows_only_a_part() -> None:
    for _ in range(3):
        _fail_one()
    assert "These are 2 of 3" in _call("queue_failed", "--limit", "2")
    assert "No job has failed." in _call("queue_failed", "--queue", "elsewhere")
    assert "No job has failed." in _call("queue_failed", "--connection", "sync")
    with pytest.raises(CommandError, match="There is no connection 'nowhere'"):
        _call("queue_failed", "--connection", "nowhere")


def test_queue_failed_prints_json() -> None:
    job_id = _fail_one()
    (row,) = json.loads(_call("queue_failed", "--json"))
    assert (row["job_id"], row["job_class"], row["queue"], row["attempts"]) == (
        str(job_id),
        "tests.HopelessJob",
        "default",
        1,
    )


def test_queue_retry_failed_puts_the_named_jobs_back() -> None:
    job_id = _fail_one()
    _fail_one()
    assert "1 job was put back" in _call("queue_retry_failed", str(job_id))
    assert QueuedJob.objects.get().job_id == job_id


def test_queue_retry_failed_puts_all_back() -> None:
    _fail_one()
    _fail_one()
    assert "2 jobs were put back" in _call("queue_retry_failed", "--all")
    assert "No job was put back." in _call("queue_retry_failed", "--all")


def test_queue_retry_failed_names_what_is_not_there_and_retries_the_rest() -> None:
    job_id, missing = _fail_one(), uuid4()
    with pytest.raises(CommandError, match=str(missing)):
        _call("queue_retry_failed", str(missing), str(job_id))
    assert FailedJob.objects.get().state == "retrying"


@pytest.mark.parametrize("arguments", [(), ("--all", str(uuid4())), ("not-an-id",)], ids=["none", "both", "nonsense"])
def test_queue_retry_failed_wants_ids_or_all(arguments: tuple[str, ...]) -> None:
    _fail_one()
    with pytest.raises(CommandError):
        _call("queue_retry_failed", *arguments)
    assert FailedJob.objects.exists()


def test_queue_clear_deletes_without_asking_when_told_so() -> None:
    NoteJob.dispatch("notes.txt", "x")
    FailingJob.dispatch()
    one = _call("queue_clear", "--queue", "notes", "--no-input")
    assert "1 waiting job was deleted from the queue notes of the connection database." in one
    every = _call("queue_clear", "--no-input")
    assert "1 waiting job was deleted from every queue of the connection database." in every


def test_queue_clear_clears_the_named_connection_alone(server: Server) -> None:
    for name in ("database", "outbox"):
        get_driver(name).push([make(queue="notes")])
    body = json.loads(_call("queue_clear", "--connection", "database", "--no-input", "--json"))
    assert body == {"connection": "database", "deleted_count": 1}
    assert [count_all(get_driver(name)) for name in ("database", "outbox")] == [0, 1]
    body = json.loads(_call("queue_clear", "--no-input", "--json"))
    assert body == {"connection": "outbox", "deleted_count": 1}
    with pytest.raises(CommandError, match="There is no connection 'nowhere'"):
        _call("queue_clear", "--connection", "nowhere")


def test_queue_clear_refuses_to_guess_where_nobody_can_be_asked() -> None:
    NoteJob.dispatch("notes.txt", "x")
    with pytest.raises(CommandError, match="Say --no-input"):
        _call("queue_clear")
    assert QueuedJob.objects.exists()


@pytest.mark.process
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("answer", "code", "left"), [("yes\n", 0, 0), ("no\n", 1, 1), ("\x04", 1, 1)])
def test_queue_clear_asks_at_a_terminal_and_deletes_only_on_yes(answer: str, code: int, left: int) -> None:
    NoteJob.dispatch("notes.txt", "x")
    ours, theirs = pty.openpty()
    os.write(ours, answer.encode())  # the last one is Ctrl-D
    command = [sys.executable, str(ROOT / "manage.py"), "queue_clear", "--json"]
    process = subprocess.run(
        command, stdin=theirs, env=worker_environment(), capture_output=True, text=True, check=False
    )
    os.close(ours)
    os.close(theirs)
    assert "This deletes all waiting jobs of every queue of the connection database" in process.stderr
    assert process.stdout == (
        "" if left else '{"connection": "database", "deleted_count": 1}\n'
    )  # what is asked is no part of the answer
    assert (process.returncode, "Traceback" in process.stderr) == (code, False)
    assert QueuedJob.objects.count() == left


@pytest.mark.parametrize("command", ["queue_work", "queue_stats", "queue_failed", "queue_retry_failed", "queue_clear"])
def test_every_command_explains_itself_and_its_exit_codes(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        call_command(command, "--help")
    assert "Exit code: 0" in capsys.readouterr().out.replace("\n", " ").replace("  ", " ")


def test_one_job_is_not_a_matter_of_several_processes() -> None:
    with pytest.raises(CommandError, match="not allowed with argument"):
        call_command("queue_work", "--once", "--processes", "2")
