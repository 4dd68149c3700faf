"""Real worker processes that run several jobs at a time: told to end, killed."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from subprocess import Popen

import pytest

from jobs.drivers.base import get_driver
from jobs.models import FailedJob, WorkerHeartbeat
from tests.jobs.lane_jobs import AskingFolderJob, AwaitingFolderJob, FolderJob
from tests.jobs.sample_jobs import NoteJob, read_lines
from tests.jobs.steps import stored
from tests.processes import child_environment, manage
from tests.waiting import wait_until

pytestmark = [pytest.mark.process, pytest.mark.django_db(transaction=True), pytest.mark.timeout(300)]


@contextmanager
def _worker(connection: str, *arguments: str) -> Iterator[Popen[str]]:
    settings = "tests.jobs.pool_settings" if "--processes" in arguments else "tests.jobs.worker_settings"
    environment = child_environment(DJANGO_SETTINGS_MODULE=settings, JOB_CONNECTION=connection)
    with manage("queue_work", *arguments, environment=environment) as process:
        yield process


def _dispatch(folder: Path) -> None:
    for _ in range(3):
        FolderJob.dispatch(str(folder))
        AwaitingFolderJob.dispatch(str(folder))


def test_a_worker_told_to_end_finishes_what_runs_and_tells_each(tmp_path: Path, job_connection: str) -> None:
    _dispatch(tmp_path)
    with _worker(job_connection, "--threads", "4") as worker:
        wait_until(lambda: len(read_lines(tmp_path / "started")) == 6, seconds=90)
        NoteJob.dispatch(str(tmp_path / "notes"), "for another worker")
        worker.terminate()
        wait_until(lambda: len(read_lines(tmp_path / "interrupted")) == 6)
        (tmp_path / "go").touch()
        assert worker.wait(timeout=60) == 0
    assert len(read_lines(tmp_path / "done")) == 6
    assert [job.job_class for job in stored() if job.state == "waiting"] == [job.job_class for job in stored()]
    assert not WorkerHeartbeat.objects.exists()


def test_there_is_a_connection_for_each_thread(tmp_path: Path) -> None:
    for _ in range(12):
        AskingFolderJob.dispatch(str(tmp_path))
    with _worker("database", "--threads", "12", "--stop-when-empty") as worker:
        wait_until(lambda: len(read_lines(tmp_path / "started")) == 12, seconds=90)
        (tmp_path / "go").touch()
        assert worker.wait(timeout=60) == 0
    assert len(read_lines(tmp_path / "done")) == 12


def test_a_killed_process_loses_none_of_those_that_ran_and_each_has_its_crash_counted(
    tmp_path: Path, job_connection: str
) -> None:
    _dispatch(tmp_path)
    with _worker(job_connection, "--processes", "1", "--threads", "4") as pool:
        pids = wait_until(lambda: _read_all(tmp_path / "started", 6), seconds=90)
        assert len(set(pids)) == 1
        os.kill(int(pids[0]), signal.SIGKILL)
        wait_until(lambda: _read_all(tmp_path / "started", 12), seconds=90)
        assert {(job.state, job.attempts) for job in stored()} == {("running", 2)}
        pool.terminate()
        pool.send_signal(signal.SIGINT)  # a second SIGTERM may melt into the first
        assert pool.wait(timeout=60) == 0
    claims = get_driver().claim(queues=["lanes"], worker="other", count=10)
    assert [(claim.attempts, claim.crashes) for claim in claims] == [(3, 2)] * 6
    assert not FailedJob.objects.exists()


def _read_all(path: Path, count: int) -> list[str]:
    """Return the lines of a file as soon as it has so many."""
    lines = read_lines(path)
    return lines if len(lines) == count else []
