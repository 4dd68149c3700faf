"""Real worker processes: many at once, stopped, killed."""

import os
import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from subprocess import Popen

import pytest
from django.db import connection

from jobs.coordination import get_coordinator
from jobs.models import FailedJob, QueuedJob, WorkerHeartbeat
from jobs.services import request_restart
from tests.jobs.sample_jobs import (
    AloneWaitJob,
    DeadlyAloneJob,
    DeadlyJob,
    ListeningJob,
    NoteJob,
    PatientWaitJob,
    WaitJob,
    read_lines,
)
from tests.jobs.steps import worker_environment
from tests.processes import manage
from tests.waiting import wait_until

pytestmark = [pytest.mark.process, pytest.mark.django_db(transaction=True)]


@contextmanager
def _worker(*arguments: str) -> Iterator[Popen[str]]:
    with manage("queue_work", *arguments, environment=worker_environment()) as process:
        yield process


@pytest.mark.timeout(120)
def test_worker_processes_run_each_of_many_jobs_once(tmp_path: Path) -> None:
    for number in range(200):
        NoteJob.dispatch(str(tmp_path / "notes"), str(number))
    with ExitStack() as stack:
        workers = [stack.enter_context(_worker("--stop-when-empty")) for _ in range(3)]
        wait_until(lambda: all(worker.poll() is not None for worker in workers), seconds=100)
        assert [worker.returncode for worker in workers] == [0, 0, 0]
    assert sorted(read_lines(tmp_path / "notes"), key=int) == [str(number) for number in range(200)]
    assert not QueuedJob.objects.exists()
    assert not WorkerHeartbeat.objects.exists()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda number: number.name)
def test_a_worker_told_to_end_finishes_the_job_in_hand_and_leaves_the_next(
    number: signal.Signals, tmp_path: Path
) -> None:
    PatientWaitJob.dispatch(str(tmp_path))
    NoteJob.dispatch(str(tmp_path / "notes"), "for another worker")
    with _worker() as worker:
        wait_until(lambda: read_lines(tmp_path / "started"))
        worker.send_signal(number)
        (tmp_path / "go").touch()
        assert worker.wait(timeout=30) == 0
    assert read_lines(tmp_path / "done")
    assert [row.job_class for row in QueuedJob.objects.all()] == ["tests.NoteJob"]
    assert not WorkerHeartbeat.objects.exists()


def test_a_job_in_hand_is_told_when_its_worker_is_to_end(tmp_path: Path) -> None:
    ListeningJob.dispatch(str(tmp_path))
    with _worker() as worker:
        wait_until(lambda: read_lines(tmp_path / "started"))
        worker.terminate()
        assert worker.wait(timeout=30) == 0
    assert read_lines(tmp_path / "done") == [f"interrupted by {signal.SIGTERM.value}"]


def test_a_worker_ends_when_a_restart_is_asked_for() -> None:
    with _worker("--sleep", "0.05") as worker:
        wait_until(WorkerHeartbeat.objects.exists)
        request_restart()
        assert worker.wait(timeout=30) == 0


def test_an_idle_worker_ends_at_once_on_sigterm() -> None:
    with _worker("--sleep", "600") as worker:
        wait_until(WorkerHeartbeat.objects.exists)
        worker.terminate()
        assert worker.wait(timeout=10) == 0


def test_a_job_whose_worker_was_killed_is_run_again_by_another(tmp_path: Path) -> None:
    WaitJob.dispatch(str(tmp_path))
    with _worker() as worker:
        wait_until(lambda: read_lines(tmp_path / "started"))
        os.kill(worker.pid, signal.SIGKILL)
        worker.wait()
    assert QueuedJob.objects.get().attempts == 1
    (tmp_path / "go").touch()
    with _worker():
        wait_until(lambda: read_lines(tmp_path / "done"))
        wait_until(lambda: not QueuedJob.objects.exists())
    assert len(read_lines(tmp_path / "started")) == 2
    assert not FailedJob.objects.exists()


def test_a_job_that_takes_longer_than_its_lease_runs_once(tmp_path: Path) -> None:
    PatientWaitJob.dispatch(str(tmp_path))
    with _worker(), _worker():
        wait_until(lambda: read_lines(tmp_path / "started"))
        first_end = _get_lease_end()
        wait_until(lambda: _get_lease_end() - first_end > timedelta(seconds=4))  # twice what it was claimed for
        (tmp_path / "go").touch()
        wait_until(lambda: not QueuedJob.objects.exists())
    assert len(read_lines(tmp_path / "started")) == len(read_lines(tmp_path / "done")) == 1


def _get_lease_end() -> datetime:
    end = QueuedJob.objects.get().lease_expires_at
    assert end is not None
    return end


@pytest.mark.timeout(240)
def test_all_that_a_killed_worker_had_claimed_is_done_though_it_may_be_tried_once_only(tmp_path: Path) -> None:
    texts = [str(number) for number in range(200)]
    # Where the machine is busy the worker claims few at once, and may have held no other job when it died.
    for folder in (tmp_path / str(number) for number in range(5)):
        folder.mkdir()
        for text in texts:
            NoteJob(str(folder / "notes"), text).with_tries(1).dispatch()
            if text == "100":
                DeadlyJob.dispatch(str(folder))
        with _worker() as worker:
            assert worker.wait(timeout=60) == -signal.SIGKILL
        attempts = list(QueuedJob.objects.filter(lease_id__isnull=False).values_list("attempts", flat=True))
        assert set(attempts) == {1}
        with _worker():
            wait_until(lambda: not QueuedJob.objects.exists(), seconds=40)
        assert set(read_lines(folder / "notes")) == set(texts)
        assert len(read_lines(folder / "deaths")) == 2
        assert not FailedJob.objects.exists()
        if len(attempts) > 1:
            return
    pytest.fail("The worker never held another job than the one that it died of.")


def test_jobs_behind_a_slow_one_are_done_by_another_worker_meanwhile(tmp_path: Path) -> None:
    for number in range(100):
        NoteJob.dispatch(str(tmp_path / "notes"), str(number))
        if number == 60:
            PatientWaitJob.dispatch(str(tmp_path))
    with _worker(), ExitStack() as stack:
        wait_until(lambda: read_lines(tmp_path / "started"))
        stack.enter_context(_worker())
        wait_until(lambda: len(read_lines(tmp_path / "notes")) == 100)
        assert not read_lines(tmp_path / "done")
        (tmp_path / "go").touch()
        wait_until(lambda: not QueuedJob.objects.exists())
    assert sorted(read_lines(tmp_path / "notes"), key=int) == [str(number) for number in range(100)]


def test_a_killed_worker_does_not_hold_up_by_its_lock_the_job_that_it_died_of(tmp_path: Path) -> None:
    DeadlyAloneJob.dispatch(str(tmp_path))
    with _worker() as worker:
        assert worker.wait(timeout=40) == -signal.SIGKILL
    with _worker():
        wait_until(lambda: not QueuedJob.objects.exists())
    assert len(read_lines(tmp_path / "deaths")) == 2
    assert not FailedJob.objects.exists()


def test_the_lock_of_a_killed_worker_is_free_long_before_its_job_could_have_ended(tmp_path: Path) -> None:
    AloneWaitJob.dispatch(str(tmp_path))
    with _worker() as worker:
        wait_until(lambda: read_lines(tmp_path / "started"))
        worker.kill()
        worker.wait()
    assert get_coordinator().list_owners("overlap:tests.AloneWaitJob:")
    wait_until(lambda: not get_coordinator().list_owners("overlap:tests.AloneWaitJob:"))


def test_a_record_that_makes_no_sense_does_not_stop_a_worker_process(tmp_path: Path) -> None:
    NoteJob.dispatch(str(tmp_path / "notes"), "changed")
    QueuedJob.objects.update(payload='["os.system", null, ["touch pwned"], {}]')
    NoteJob.dispatch(str(tmp_path / "notes"), "still here")
    with _worker("--stop-when-empty") as worker:
        output, _ = worker.communicate(timeout=40)
    assert worker.returncode == 0
    assert read_lines(tmp_path / "notes") == ["still here"]
    assert "job_quarantined" in output
    assert "pwned" not in output
    assert FailedJob.objects.count() == 1


@pytest.mark.skipif("connection.vendor != 'postgresql'", reason="SQLite has no server that could go away")
def test_a_worker_whose_connections_were_cut_comes_back_by_itself(tmp_path: Path) -> None:
    with _worker() as worker:
        wait_until(WorkerHeartbeat.objects.exists)
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        NoteJob.dispatch(str(tmp_path / "notes"), "back again")
        wait_until(lambda: read_lines(tmp_path / "notes"))
        worker.terminate()
        assert worker.wait(timeout=30) == 0
