"""Running one claimed job and writing down how it ended."""

import json
import threading
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pytest
import structlog
from django.db import connection, transaction

from jobs.exceptions import JobTimeoutError
from jobs.models import FailedJob, QueuedJob
from jobs.services import queue_job
from jobs.signals import job_failed, job_processed, job_released
from jobs.worker.runner import Failed, Processed, Released, attempt, settle
from tests.jobs.sample_jobs import (
    BrokenHookJob,
    EndlessJob,
    ExitJob,
    FailingJob,
    HopelessJob,
    NoteJob,
    SelfishJob,
    read_lines,
)
from tests.jobs.steps import LATER, NOON, claim_one, run_next

pytestmark = pytest.mark.django_db


def _make_due() -> None:
    QueuedJob.objects.update(available_at=NOON)


def test_a_job_that_ends_well_is_gone(tmp_path: Path) -> None:
    NoteJob.dispatch(str(tmp_path / "notes"), "hello")
    assert isinstance(run_next(), Processed)
    assert read_lines(tmp_path / "notes") == ["hello"]
    assert not QueuedJob.objects.exists()
    assert not FailedJob.objects.exists()


def test_a_job_that_goes_wrong_waits_its_back_off_before_the_next_try() -> None:
    FailingJob.dispatch()
    _make_due()
    assert isinstance(run_next(now=NOON), Released)
    assert QueuedJob.objects.get().available_at == NOON + timedelta(seconds=10)
    _make_due()
    run_next(now=NOON)
    assert QueuedJob.objects.get().available_at == NOON + timedelta(seconds=60)


def test_after_its_last_try_a_job_is_among_the_failed_with_text_and_traceback() -> None:
    job_id = FailingJob.dispatch()
    for _ in range(3):
        _make_due()
        run_next(now=NOON)
    failed = FailedJob.objects.get()
    assert (failed.job_id, failed.attempts, failed.exception) == (job_id, 3, "ValueError: no luck")
    assert "raise ValueError(self.text)" in failed.traceback
    assert not QueuedJob.objects.exists()


def test_the_failed_hook_is_called_once_with_the_error(tmp_path: Path) -> None:
    FailingJob.dispatch(str(tmp_path / "hook"))
    for _ in range(3):
        _make_due()
        run_next(now=NOON)
    assert read_lines(tmp_path / "hook") == ["ValueError: no luck"]


def test_a_hook_that_goes_wrong_changes_nothing() -> None:
    BrokenHookJob.dispatch()
    run_next()
    assert FailedJob.objects.count() == 1


def test_fail_sends_a_job_to_the_failed_ones_at_its_first_try() -> None:
    HopelessJob.dispatch()
    run_next()
    failed = FailedJob.objects.get()
    assert failed.attempts == 1
    assert failed.summary == "jobs.exceptions.PermanentJobError: the account is closed"
    assert "LookupError" in failed.traceback


def test_a_job_that_calls_exit_fails_and_does_not_end_the_worker() -> None:
    ExitJob.dispatch()
    run_next()
    assert "JobInterruptedError" in FailedJob.objects.get().exception


def test_a_job_over_its_timeout_is_stopped_even_if_it_catches_exceptions() -> None:
    EndlessJob.dispatch()
    outcome = run_next()
    assert isinstance(outcome, Failed)
    assert isinstance(outcome.error, JobTimeoutError)
    assert outcome.duration < timedelta(seconds=5)


def test_an_exception_with_text_that_no_database_takes_is_stored_escaped() -> None:
    SelfishJob.dispatch()
    run_next()
    assert FailedJob.objects.get().exception == r"ValueError: nul \x00 and surrogate \ud800"


def test_a_job_whose_workers_died_in_every_try_fails_without_running_again(tmp_path: Path) -> None:
    FailingJob.dispatch(str(tmp_path / "hook"))
    _make_due()
    for number in range(3):
        claim_one(now=NOON + number * LATER)
    run_next(now=NOON + 3 * LATER)
    failed = FailedJob.objects.get()
    assert failed.attempts == 3
    assert "WorkerDiedError" in failed.exception
    assert read_lines(tmp_path / "hook")[0].startswith("WorkerDiedError")


def test_a_worker_that_lost_its_lease_neither_finishes_nor_fails_the_job(tmp_path: Path) -> None:
    BrokenHookJob.dispatch()
    late = claim_one()
    outcome = attempt(late)
    claim_one(now=late.lease_expires_at)
    with structlog.testing.capture_logs() as lines:
        settle(late, outcome, now=NOON)
    assert [line["event"] for line in lines] == ["job_lease_lost"]
    assert not FailedJob.objects.exists()


def test_settling_a_second_time_changes_nothing(tmp_path: Path) -> None:
    NoteJob.dispatch(str(tmp_path / "notes"), "hello")
    claim = claim_one()
    outcome = attempt(claim)
    for _ in range(2):
        settle(claim, outcome, now=NOON)
    assert not QueuedJob.objects.exists()


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        ("", "not JSON"),
        ("\x80\x04K\x01.", "not JSON"),
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
    run_next()
    failed = FailedJob.objects.get()
    assert (failed.job_id, failed.payload, failed.attempts) == (job_id, payload, 1)
    assert reason in failed.exception


@pytest.mark.skipif("connection.vendor != 'sqlite'", reason="PostgreSQL stores no bytes in a text column")
def test_bytes_in_place_of_the_record_are_set_apart() -> None:
    NoteJob.dispatch("notes.txt", "hello")
    with connection.cursor() as cursor:
        cursor.execute("UPDATE jobs SET payload = x'80044b012eff'")
    run_next()
    assert "not JSON" in FailedJob.objects.get().exception


def test_a_record_with_changed_arguments_is_set_apart_and_not_run(tmp_path: Path) -> None:
    NoteJob.dispatch(str(tmp_path / "notes"), "hello")
    row = QueuedJob.objects.get()
    record = json.loads(row.payload)
    record["arguments"]["text"] = "evil"
    QueuedJob.objects.update(payload=json.dumps(record))
    run_next()
    assert "signature" in FailedJob.objects.get().exception
    assert not (tmp_path / "notes").exists()


@pytest.mark.parametrize("change", [{"job_class": "tests.FailingJob"}, {"queue": "other"}, {"job_id": uuid4()}])
def test_a_record_moved_to_another_row_is_set_apart(tmp_path: Path, change: dict[str, str]) -> None:
    NoteJob.dispatch(str(tmp_path / "notes"), "hello")
    QueuedJob.objects.update(**change)
    run_next()
    assert "not the one that was signed" in FailedJob.objects.get().exception
    assert not (tmp_path / "notes").exists()


def test_a_record_of_an_unknown_class_is_set_apart() -> None:
    queue_job(job_class="tests.GoneJob", queue="default", arguments={})
    run_next()
    assert "No registered job class is called tests.GoneJob" in FailedJob.objects.get().exception


def test_a_record_that_no_longer_fits_its_class_is_set_apart() -> None:
    queue_job(job_class="tests.NoteJob", queue="notes", arguments={"path": "notes.txt", "body": "old name"})
    run_next()
    assert "JobArgumentError" in FailedJob.objects.get().exception


def test_signals_tell_each_end_of_a_try(tmp_path: Path) -> None:
    seen: list[tuple[object, object]] = []

    def note(**facts: object) -> None:
        seen.append((facts["signal"], facts["job_class"]))

    for signal in (job_processed, job_released, job_failed):
        signal.connect(note)
    NoteJob.dispatch(str(tmp_path / "notes"), "hello")
    run_next()
    FailingJob.dispatch()
    run_next()
    HopelessJob.dispatch()
    run_next()
    for signal in (job_processed, job_released, job_failed):
        signal.disconnect(note)
    assert seen == [
        (job_processed, "tests.NoteJob"),
        (job_released, "tests.FailingJob"),
        (job_failed, "tests.HopelessJob"),
    ]


def test_log_lines_hold_neither_arguments_nor_the_text_of_the_error() -> None:
    FailingJob.dispatch("", "secret-argument")
    with structlog.testing.capture_logs() as lines:
        run_next()
    assert lines[0]["event"] == "job_released"
    assert lines[0]["error"] == "ValueError"
    assert lines[0]["duration_ms"] >= 0
    assert "secret-argument" not in str(lines)


def test_what_a_job_binds_to_the_log_ends_with_it(tmp_path: Path) -> None:
    class BindingJob(NoteJob):
        def handle(self) -> None:
            structlog.contextvars.bind_contextvars(left_behind=True)

    BindingJob.dispatch("notes.txt", "hello")
    run_next()
    assert "left_behind" not in structlog.contextvars.get_contextvars()


def test_a_job_dispatched_by_a_job_that_rolls_back_is_not_queued() -> None:
    class ParentJob(NoteJob):
        def handle(self) -> None:
            with transaction.atomic():
                NoteJob.dispatch("notes.txt", "child")
                raise ValueError

    ParentJob.dispatch("notes.txt", "parent")
    run_next()
    assert [row.job_class for row in QueuedJob.objects.all()] == ["tests.ParentJob"]


def test_outside_the_main_thread_a_job_runs_without_alarm(tmp_path: Path) -> None:
    NoteJob.dispatch(str(tmp_path / "notes"), "hello")
    claim = claim_one()
    thread = threading.Thread(target=attempt, args=(claim,))
    thread.start()
    thread.join()
    assert read_lines(tmp_path / "notes") == ["hello"]
