"""Records that can't be trusted or read: set apart with the reason, kept, never run."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection
from django.utils import timezone

from jobs.drivers.base import get_driver
from jobs.models import FailedJob, QueuedJob
from jobs.selectors import get_queue_health, get_queue_statistics, list_connection_states
from jobs.services import clear_queue, retry_failed_job
from jobs.signals import job_failed, job_quarantined
from jobs.worker.loop import Worker, WorkerOptions
from jobs.worker.runner import Failed, Quarantined
from tests.jobs.sample_jobs import FailingJob, NoteJob, read_lines
from tests.jobs.steps import NOON, claim_one, drain, heard, push_record, run_next, soon, stored, stored_one


def _change_record(**changes: Any) -> str:  # Any: JSON
    """Change the one stored record behind the back of the house; return it."""
    record = json.loads(QueuedJob.objects.get().payload)
    payload = json.dumps(record | changes)
    QueuedJob.objects.update(payload=payload)
    return payload


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        ("", "not JSON"),
        ("\x01", "not JSON"),
        ("[]", "not a JSON object"),
        ('["os.system", null, ["id"], {}]', "not a JSON object"),
        ('{"job_class": "tests.NoteJob", "arguments": {}}', "signature"),
    ],
)
def test_garbage_is_set_apart_with_the_reason_and_the_record_kept(payload: str, reason: str) -> None:
    job_id = uuid4()
    QueuedJob.objects.create(
        job_id=job_id, queue="q", job_class="tests.NoteJob", payload=payload, available_at=NOON, created_at=NOON
    )
    with heard(job_quarantined, job_failed) as seen:
        assert isinstance(run_next(), Quarantined)
    failed = FailedJob.objects.get()
    assert (failed.job_id, failed.payload, failed.attempts, failed.is_quarantined) == (job_id, payload, 1, True)
    assert reason in failed.exception
    assert [(signal, fact.job_id) for signal, fact in seen] == [(job_quarantined, job_id), (job_failed, job_id)]


@pytest.mark.django_db
@pytest.mark.skipif("connection.vendor != 'sqlite'", reason="PostgreSQL stores no bytes in a text column")
def test_bytes_in_place_of_the_record_are_set_apart() -> None:
    NoteJob.dispatch("notes.txt", "hello")
    with connection.cursor() as cursor:
        cursor.execute("UPDATE jobs SET payload = x'80044b012eff'")
    run_next()
    assert "not JSON" in FailedJob.objects.get().exception


@pytest.mark.django_db
@pytest.mark.parametrize(
    "change",
    [
        {"arguments": {"path": "notes.txt", "text": "evil"}},
        {"options": {"tries": 99}},
        {"chain": {"links": [], "catch": [{"function": "os:abort"}]}},
        {"actor_id": "1"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_a_changed_record_is_set_apart_and_not_run(change: dict[str, Any]) -> None:  # Any: JSON
    NoteJob.dispatch("notes.txt", "hello")
    _change_record(**change)
    assert isinstance(run_next(), Quarantined)
    assert "signature" in FailedJob.objects.get().exception


@pytest.mark.django_db
@pytest.mark.parametrize(
    "change",
    [{"job_class": "tests.FailingJob"}, {"queue": "other"}, {"job_id": uuid4()}],
    ids=lambda change: next(iter(change)),
)
def test_a_record_moved_to_another_row_is_set_apart(change: dict[str, str]) -> None:
    NoteJob.dispatch("notes.txt", "hello")
    QueuedJob.objects.update(**change)
    run_next()
    assert "not the one that was signed" in FailedJob.objects.get().exception


@pytest.mark.django_db
def test_a_record_that_is_refused_is_refused_again_when_it_is_retried() -> None:
    job_id = NoteJob.dispatch("notes.txt", "hello")
    payload = _change_record(arguments={"path": "notes.txt", "text": "evil"})
    run_next()
    retry_failed_job(job_id=job_id)
    assert stored_one().payload == payload
    assert isinstance(run_next(now=soon(0.1)), Quarantined)
    failed = FailedJob.objects.get()
    assert (failed.state, failed.payload, failed.retry_count) == ("failed", payload, 1)


def test_a_record_of_an_unknown_class_is_set_apart(job_connection: str) -> None:
    push_record(job_class="tests.GoneJob")
    assert isinstance(run_next(), Quarantined)
    assert "No registered job class is called tests.GoneJob" in FailedJob.objects.get().exception


def test_a_record_whose_options_make_no_sense_is_set_apart(job_connection: str) -> None:
    push_record(options={"tries": "many"})
    assert isinstance(run_next(), Quarantined)


def test_a_record_that_no_longer_fits_its_class_fails(job_connection: str) -> None:
    push_record(queue="notes", arguments={"path": "notes.txt", "body": "old name"})
    assert isinstance(run_next(), Failed)
    assert "JobArgumentError" in FailedJob.objects.get().exception


def test_after_a_record_that_is_set_apart_the_next_job_runs(job_connection: str, tmp_path: Path) -> None:
    push_record(job_class="tests.GoneJob")
    NoteJob.dispatch(str(tmp_path / "notes"), "still here")
    assert drain(now=soon(0.1)) == 2
    assert stored() == []


# --- Nonsense beside the record ---------------------------------------------------------------------------------------

ON_SQLITE = pytest.mark.skipif("connection.vendor != 'sqlite'", reason="PostgreSQL keeps the types of its columns")
ON_POSTGRESQL = pytest.mark.skipif("connection.vendor != 'postgresql'", reason="SQLite has none of these")


def _run_all() -> int:
    """Let a worker run what is due; return how many tries that were."""
    return Worker(WorkerOptions(sleep=timedelta(seconds=0.01), stop_when_empty=True)).run()


def _write_row(assignment: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"UPDATE jobs SET {assignment}")  # noqa: S608 - written in this module


def _check_was_set_apart(path: Path, field: str) -> None:
    """Dispatch another job, and make sure that it alone runs."""
    NoteJob.dispatch(str(path), "next")
    assert _run_all() == 2
    failed = FailedJob.objects.get()
    assert failed.is_quarantined
    assert f"The field {field} holds" in failed.exception
    assert read_lines(path) == ["next"]
    assert stored() == []


@ON_SQLITE
@pytest.mark.django_db
@pytest.mark.parametrize(
    ("assignment", "field"),
    [
        ("crashes = 1e300", "crashes"),
        ("crashes = 'many'", "crashes"),
        ("crashes = 99999999999", "crashes"),
        ("attempts = 'many'", "attempts"),
        ("attempts = 99999999999", "attempts"),
        ("priority = 'high'", "priority"),
        ("job_id = 'zz'", "job_id"),
        ("queue = x'ff'", "queue"),
        ("job_class = CAST(x'ff' AS TEXT)", "job_class"),
    ],
)
def test_a_row_with_nonsense_is_set_apart_and_the_next_job_runs(assignment: str, field: str, tmp_path: Path) -> None:
    NoteJob.dispatch(str(tmp_path / "notes"), "bad")
    _write_row(assignment)
    _check_was_set_apart(tmp_path / "notes", field)


@pytest.mark.django_db
@ON_POSTGRESQL
def test_counts_that_fill_their_columns_on_postgresql_are_set_apart_and_the_next_job_runs(tmp_path: Path) -> None:
    NoteJob.dispatch(str(tmp_path / "notes"), "bad")
    _write_row(
        "attempts = 2147483647, crashes = 32767, lease_id = gen_random_uuid(), lease_expires_at = '2020-01-01 00:00Z'"
    )
    _check_was_set_apart(tmp_path / "notes", "crashes")


#: Rows that can be told from good ones only by what they hold; the field that is wrong, and whether its due time is.
NONSENSE = [
    ("crashes = 'many'", "crashes", False),
    ("attempts = 'many'", "attempts", False),
    ("priority = 'high'", "priority", False),
    ("job_id = 'zz'", "job_id", False),
    ("queue = x'ff'", "queue", False),
    ("queue = CAST(x'ff' AS TEXT)", "queue", False),
    ("payload = CAST(x'ff' AS TEXT)", "", False),
    ("created_at = 'never'", "created_at", False),
    ("created_at = x'ff'", "created_at", False),
    ("available_at = 'zzz'", "available_at", True),
    ("available_at = ''", "available_at", True),
    ("available_at = 7", "available_at", True),
    ("available_at = 1e300", "available_at", True),
    ("available_at = x'ff'", "available_at", True),
    ("available_at = CAST(x'ff' AS TEXT)", "available_at", True),
    ("available_at = '9999-99-99 99:99:99'", "available_at", True),
    ("available_at = '2100-02-31 00:00:00'", "available_at", True),
    ("available_at = '2100-01-01 00:00:00 and so on'", "available_at", True),
    ("available_at = '0000-01-01 00:00:00'", "available_at", True),
    ("available_at = 'now'", "available_at", True),
    ("available_at = '2020-01-01 00:00:00' || char(0) || 'x'", "available_at", False),
]
#: What PostgreSQL takes as a moment and Python doesn't.
UNHEARD_OF = ["infinity", "-infinity", "20000-01-01 00:00:00+00", "0044-03-15 12:00:00+00 BC"]


def _check_is_shown_and_set_apart(path: Path, field: str, *, has_unreadable_time: bool) -> None:
    """Read a store that holds one row of nonsense in each way that there is; then let a worker come."""
    now = timezone.now()
    (job,) = get_driver().list_jobs(now=now)
    assert f"The field {field} holds" in job.fault if field else not job.fault
    assert job.state == "waiting"
    (figures,) = get_driver().measure(now=now).values()
    assert (figures.waiting, figures.delayed, figures.running) == (1, 0, 0)
    assert figures.unreadable == has_unreadable_time
    assert get_queue_health(now=now).waiting_count == 1
    (statistics,) = get_queue_statistics(list_connection_states(now=now))
    assert statistics.unreadable_count == has_unreadable_time
    NoteJob.dispatch(str(path), "next")
    assert len(get_driver().list_jobs(now=timezone.now())) == 2
    assert _run_all() == 2
    assert FailedJob.objects.get().is_quarantined
    assert read_lines(path) == ["next"]


@ON_SQLITE
@pytest.mark.django_db
@pytest.mark.parametrize(("assignment", "field", "has_unreadable_time"), NONSENSE)
def test_a_row_with_nonsense_is_shown_and_set_apart(
    assignment: str, field: str, has_unreadable_time: bool, tmp_path: Path
) -> None:
    NoteJob.dispatch(str(tmp_path / "notes"), "bad")
    _write_row(assignment)
    _check_is_shown_and_set_apart(tmp_path / "notes", field, has_unreadable_time=has_unreadable_time)


@pytest.mark.django_db
@ON_POSTGRESQL
@pytest.mark.parametrize("value", UNHEARD_OF)
@pytest.mark.parametrize("field", ["available_at", "created_at"])
def test_a_moment_that_nobody_has_heard_of_is_shown_and_set_apart(field: str, value: str, tmp_path: Path) -> None:
    NoteJob.dispatch(str(tmp_path / "notes"), "bad")
    _write_row(f"{field} = '{value}'")
    _check_is_shown_and_set_apart(tmp_path / "notes", field, has_unreadable_time=field == "available_at")


@pytest.mark.django_db
@ON_POSTGRESQL
@pytest.mark.parametrize("value", UNHEARD_OF)
def test_a_hold_that_ends_when_nobody_has_heard_of_has_lapsed_on_postgresql(value: str) -> None:
    _check_hold_has_lapsed(f"lease_expires_at = '{value}'")


@ON_SQLITE
@pytest.mark.django_db
@pytest.mark.parametrize("value", ["'zzz'", "''", "7", "x'ff'", "'9999-99-99 99:99:99'"])
def test_a_hold_that_ends_when_nobody_has_heard_of_has_lapsed_on_sqlite(value: str) -> None:
    _check_hold_has_lapsed(f"lease_expires_at = {value}")


def _check_hold_has_lapsed(assignment: str) -> None:
    NoteJob.dispatch("notes.txt", "held")
    claim_one()
    _write_row(assignment)
    now = timezone.now()
    (figures,) = get_driver().measure(now=now).values()
    assert (figures.waiting, figures.running, figures.unreadable, figures.oldest_due_at) == (1, 0, 1, None)
    assert stored_one().state == "waiting"
    assert claim_one().attempts == 2


@ON_SQLITE
@pytest.mark.django_db
@pytest.mark.parametrize("assignment", [row[0] for row in NONSENSE])
def test_a_queue_with_rows_of_nonsense_can_be_cleared(assignment: str) -> None:
    NoteJob.dispatch("notes.txt", "bad")
    _write_row(assignment)
    assert clear_queue() == 1
    assert stored() == []


@ON_SQLITE
@pytest.mark.django_db
def test_a_row_with_nonsense_stays_so_when_its_worker_dies() -> None:
    NoteJob.dispatch("notes.txt", "bad")
    _write_row("attempts = 'many'")
    first = claim_one()
    again = claim_one(now=first.lease_expires_at)
    assert first.fault == again.fault == "The field attempts holds b'many'."


class SignedTriesJob(FailingJob):
    """Signs how often it was tried."""

    backoff = (0, 0)
    signs_attempts = True


@pytest.mark.django_db
def test_a_count_of_tries_that_was_set_back_is_noticed() -> None:
    SignedTriesJob.dispatch()
    run_next(now=soon(0.1))
    assert stored_one().attempts == 1
    QueuedJob.objects.update(attempts=0)
    assert isinstance(run_next(now=soon(0.2)), Quarantined)


def test_a_job_that_signs_its_tries_uses_them_up_as_any_other(job_connection: str) -> None:
    SignedTriesJob.dispatch()
    assert drain(now=soon(0.1)) == 3
    assert FailedJob.objects.get().attempts == 3
