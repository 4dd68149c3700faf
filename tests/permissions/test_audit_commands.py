"""`audit_seal` and `audit_verify`."""

import json
import signal
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from permissions.models import AuditEvent
from tests.permissions.auditing import execute, record_events, record_sealed
from tests.processes import manage
from tests.waiting import wait_until


def run(*arguments: str) -> tuple[int, str]:
    """Run a command; return its exit code and what it said."""
    output = StringIO()
    try:
        call_command(*arguments, stdout=output)
    except SystemExit as end:
        return int(end.code or 0), output.getvalue()
    return 0, output.getvalue()


@pytest.mark.django_db
def test_sealing_once_says_how_many() -> None:
    record_events(2)
    assert run("audit_seal") == (0, "2 events were sealed.\n")


@pytest.mark.django_db
def test_a_sound_log_is_said_to_be_sound_with_what_waits() -> None:
    record_sealed(3)
    record_events(1)
    code, text = run("audit_verify")
    assert code == 0
    assert "3 sealed events are as they were recorded" in text
    assert "Not yet sealed: 1, the oldest of" in text


@pytest.mark.django_db
def test_a_broken_log_is_an_error_that_names_place_and_kind() -> None:
    record_sealed(3)
    execute("UPDATE {event} SET event = 'other.thing' WHERE position = 2")
    code, text = run("audit_verify")
    assert code == 1
    assert "edited at position 2" in text
    assert "Good up to there: 1." in text


@pytest.mark.django_db
def test_programs_get_one_json_object() -> None:
    record_sealed(2)
    record_events(1)
    code, text = run("audit_verify", "--json")
    head = AuditEvent.objects.get(position=2)
    oldest = AuditEvent.objects.get(position=None).created_at
    assert code == 0
    assert json.loads(text) == {
        "ok": True,
        "fault": None,
        "sealed_count": 2,
        "unsealed_count": 1,
        "oldest_unsealed_at": oldest.isoformat(),
        "head": {"position": 2, "hash": head.hash},
    }


@pytest.mark.django_db
def test_programs_learn_what_is_broken() -> None:
    record_sealed(2)
    execute("DELETE FROM {event} WHERE position = 2")
    code, text = run("audit_verify", "--json")
    message = "truncated at position 2: The end of the log is gone."
    assert code == 1
    assert json.loads(text)["fault"] == {"kind": "truncated", "position": 2, "event_id": None, "message": message}


@pytest.mark.django_db
def test_known_damage_is_left_behind_on_request() -> None:
    record_sealed(3)
    execute("UPDATE {event} SET event = 'other.thing' WHERE position = 2")
    assert run("audit_verify", "--after", "2")[0] == 0


@pytest.mark.parametrize("position", ["-1", "x", "9" * 30, "²"])
def test_what_is_no_position_is_refused(position: str) -> None:
    with pytest.raises(CommandError, match="no position"):
        call_command("audit_verify", f"--after={position}")


@pytest.mark.process
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda number: number.name)
def test_a_sealer_process_seals_within_seconds_and_ends_well(number: signal.Signals) -> None:
    with manage("audit_seal", "--follow") as sealer:
        record_events(1)
        wait_until(lambda: AuditEvent.objects.filter(position=1).exists())
        record_events(1)
        wait_until(lambda: AuditEvent.objects.filter(position=2).exists(), seconds=5)
        sealer.send_signal(number)
        output, _ = sealer.communicate(timeout=10)
    assert sealer.returncode == 0
    assert "2 events were sealed." in output


@pytest.mark.process
@pytest.mark.skipif("connection.vendor != 'postgresql'", reason="SQLite has no server that could go away")
@pytest.mark.django_db(transaction=True)
def test_a_sealer_whose_connections_were_cut_comes_back_by_itself() -> None:
    with manage("audit_seal", "--follow") as sealer:
        record_events(1)
        wait_until(lambda: AuditEvent.objects.filter(position=1).exists())
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        record_events(1)
        wait_until(lambda: AuditEvent.objects.filter(position=2).exists())
        sealer.terminate()
        assert sealer.wait(timeout=10) == 0
