"""What commands, checks and pages tell of the outbox, and the command that empties it."""

import io
import json
import signal
from datetime import timedelta
from pathlib import Path

import pytest
from django.core.checks import run_checks
from django.core.management import call_command
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from accounts.models import User
from jobs.drivers.base import get_driver
from jobs.models import OutboxJob
from tests.jobs.messages import make
from tests.jobs.outbox_store import Server
from tests.jobs.outbox_store import server_fixture as _server  # noqa: F401 - a fixture
from tests.jobs.sample_jobs import NoteJob
from tests.jobs.steps import stored_one, worker_environment
from tests.processes import manage
from tests.waiting import wait_until

HOUR = timedelta(hours=1)
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def waiting(server: Server, tmp_path: Path) -> OutboxJob:
    """A job that has waited for a connection for ten minutes; Redis is dead."""
    server.kill()
    NoteJob.dispatch(str(tmp_path / "notes"), "secret-text")
    OutboxJob.objects.update(created_at=timezone.now() - timedelta(minutes=10))
    return OutboxJob.objects.get()


def _call(*arguments: str) -> tuple[str, int]:
    """Return what a command prints, and its exit code."""
    output = io.StringIO()
    try:
        call_command(*arguments, stdout=output)
    except SystemExit as end:
        return output.getvalue(), int(end.code or 0)
    return output.getvalue(), 0


def test_the_command_sends_what_waits_and_says_what_it_did(waiting: OutboxJob, server: Server) -> None:
    away = {"sent": {"outbox": 0}, "away": ["outbox"], "waiting": {"outbox": 1}}
    output, code = _call("queue_relay", "--once", "--json")
    assert (json.loads(output), code) == (away, 1)
    output, code = _call("queue_relay", "--once")
    assert "outbox: 0 sent, it is away." in output
    assert "1 jobs wait in the outbox for the connection outbox, the oldest for 0:10:0" in output
    server.start()
    output, code = _call("queue_relay", "--once", "--json")
    assert (json.loads(output), code) == ({"sent": {"outbox": 1}, "away": [], "waiting": {}}, 0)
    assert stored_one().job_id == waiting.job_id
    assert _call("queue_relay", "--once") == ("Nothing waits.\n", 0)


def test_the_command_explains_itself_and_its_exit_codes(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        call_command("queue_relay", "--help")
    assert "Exit code: 0" in " ".join(capsys.readouterr().out.split())


@pytest.mark.process
@pytest.mark.parametrize("command", ["queue_relay", "queue_schedule"])
def test_it_is_relayed_until_the_command_is_told_to_stop(command: str, waiting: OutboxJob, server: Server) -> None:
    server.start()
    environment = {**worker_environment(), "REDIS_URL": server.url}
    OutboxJob.objects.update(connection="redis")
    with manage(command, environment=environment) as process:
        wait_until(lambda: not OutboxJob.objects.exists())
        process.send_signal(signal.SIGTERM)
        output, _ = process.communicate(timeout=20)
    assert process.returncode == 0
    assert "left to others" in output
    assert stored_one().job_id == waiting.job_id


def test_statistics_tell_of_it_though_the_store_is_away(waiting: OutboxJob, server: Server) -> None:
    output, code = _call("queue_stats")
    assert "1 jobs wait in the outbox for the connection outbox" in output
    assert code == 1
    server.start()
    (figures,) = json.loads(_call("queue_stats", "--json")[0])["outbox"]
    assert (figures["connection"], figures["count"]) == ("outbox", 1)
    assert figures["oldest_wait_seconds"] > 599


def test_statistics_are_those_of_all_connections_that_answer_and_name_the_others(server: Server) -> None:
    now = timezone.now()
    for name, minutes in {"database": 5, "outbox": 2}.items():
        waiting, delayed = make(queue="q", at=now - timedelta(minutes=minutes)), make(queue="q", at=now + HOUR)
        get_driver(name).push([waiting, delayed])

    def look() -> tuple[int, int, int, list[str], int]:
        text, code = _call("queue_stats", "--json")
        body = json.loads(text)
        (queue,) = body["queues"]
        minutes = int(queue["oldest_wait_seconds"] // 60)
        return queue["waiting_count"], queue["delayed_count"], minutes, body["away"], code

    assert look() == (2, 2, 5, [], 0)
    get_driver("database").clear(queue=None)
    assert look() == (1, 1, 2, [], 0)
    get_driver("database").push([make(queue="q", at=now)])
    server.kill()
    assert look() == (1, 0, 0, ["outbox"], 1)
    text, code = _call("queue_stats")
    assert "The connection outbox does not answer." in text
    assert code == 1


def test_the_monitor_fails_when_a_job_has_waited_in_it_for_too_long(
    waiting: OutboxJob, server: Server, settings: Settings
) -> None:
    server.start()
    output, code = _call("queue_monitor", "default", "--json")
    assert (json.loads(output)["outbox"][0]["count"], code) == (1, 1)
    settings.JOBS = {**settings.JOBS, "MAX_WAIT_SECONDS": 3600}
    assert _call("queue_monitor", "default")[1] == 0


def _list_ids() -> set[str]:
    return {str(message.id) for message in run_checks(databases=["default"])}


def test_a_check_of_the_database_warns_of_what_waits_for_too_long(waiting: OutboxJob, settings: Settings) -> None:
    assert "jobs.W002" in _list_ids()
    settings.JOBS = {**settings.JOBS, "MAX_WAIT_SECONDS": 3600}
    assert "jobs.W002" not in _list_ids()


def test_a_check_warns_of_jobs_for_a_connection_that_is_gone(waiting: OutboxJob) -> None:
    OutboxJob.objects.update(connection="former", created_at=timezone.now())
    assert "jobs.W003" in _list_ids()


def test_the_admin_shows_rows_and_no_arguments(waiting: OutboxJob, client: Client) -> None:
    client.force_login(User.objects.create_superuser(email="root@example.com", name="Root", password="x" * 20))
    page = client.get("/admin/jobs/outboxjob/").content.decode()
    assert "tests.NoteJob" in page
    address = f"/admin/jobs/outboxjob/{waiting.pk}/"
    page = client.get(f"{address}change/").content.decode()
    assert "path, text" in page
    assert "secret-text" not in page
    assert client.post(f"{address}delete/", {"post": "yes"}).status_code == 403
