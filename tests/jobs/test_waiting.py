"""How a worker waits: it hears of jobs, of whoever tells it to go on, and bears that it hears nothing."""

import os
import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import ClassVar, override

import pytest
import structlog
from django.db import connection, connections, transaction
from pytest_django import Settings

from jobs.drivers.database import DatabaseDriver
from jobs.drivers.listening import Listener
from jobs.signals import job_claiming, worker_idle
from jobs.worker.loop import Worker, WorkerOptions
from jobs.worker.waiting import Waiter
from tests.jobs.sample_jobs import HopelessJob, NoteJob, read_lines
from tests.jobs.steps import heard
from tests.waiting import wait_until

pytestmark = pytest.mark.django_db(transaction=True)
needs_servers = pytest.mark.skipif("connection.vendor != 'postgresql'", reason="SQLite has nobody who could tell")
#: Longer than any test waits.
LONG = timedelta(minutes=5)


@contextmanager
def idle_worker(*queues: str, sleep: timedelta = LONG) -> Iterator[Worker]:
    """Yield a worker in a thread of its own, once it waits; it is stopped at the end."""
    worker = Worker(WorkerOptions(queues=queues, sleep=sleep))
    failures: list[BaseException] = []

    def run() -> None:
        try:
            worker.run()
        except BaseException as error:
            failures.append(error)
            raise
        finally:
            connections.close_all()

    thread = threading.Thread(target=run)
    with heard(worker_idle) as seen:
        thread.start()
        wait_until(lambda: seen or failures)
    try:
        yield worker
    finally:
        worker.stop()
        thread.join(timeout=20)
    assert not thread.is_alive()
    assert not failures


@needs_servers
def test_an_idle_worker_hears_of_each_job_at_once(tmp_path: Path, job_connection: str) -> None:
    with idle_worker():
        for number in range(3):
            NoteJob.dispatch(str(tmp_path / "notes"), str(number))
            wait_until(lambda: len(read_lines(tmp_path / "notes")) > number)  # noqa: B023 - called before the next


@needs_servers
def test_an_idle_worker_does_not_look_for_jobs_of_other_queues(tmp_path: Path, job_connection: str) -> None:
    with idle_worker("notes"), heard(job_claiming) as looks:
        for _ in range(10):
            HopelessJob.dispatch()
        NoteJob.dispatch(str(tmp_path / "notes"), "x")
        wait_until(lambda: read_lines(tmp_path / "notes"))
        assert len(looks) < 5


@needs_servers
def test_a_job_that_is_not_committed_does_not_end_the_wait(tmp_path: Path, job_connection: str) -> None:
    with idle_worker(), heard(job_claiming) as looks:
        with transaction.atomic():
            NoteJob.dispatch(str(tmp_path / "notes"), "x")
            assert not looks
        wait_until(lambda: read_lines(tmp_path / "notes"))


@needs_servers
def test_a_worker_whose_ears_are_cut_off_goes_on_and_hears_again(tmp_path: Path, settings: Settings) -> None:
    settings.JOBS = {**settings.JOBS, "CONNECTION": "database"}
    with structlog.testing.capture_logs() as lines, idle_worker():
        _cut_off_listeners()
        NoteJob.dispatch(str(tmp_path / "notes"), "while it heard nothing")
        wait_until(lambda: len(read_lines(tmp_path / "notes")) == 1)
        assert "listening_failed" in [line["event"] for line in lines]
        wait_until(_count_listeners)
        NoteJob.dispatch(str(tmp_path / "notes"), "heard")
        wait_until(lambda: len(read_lines(tmp_path / "notes")) == 2)


def _count_listeners() -> int:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'LISTEN%'"
        )
        count: int = cursor.fetchone()[0]
    return count


def _cut_off_listeners() -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND query LIKE 'LISTEN%'"
        )
        assert cursor.fetchall() == [(True,)]


@needs_servers
def test_a_worker_that_has_ended_leaves_no_connection_behind(job_connection: str) -> None:
    with idle_worker():
        pass
    wait_until(lambda: not _count_listeners())


class DeafListener(Listener):
    """A listener whose server never lets it listen."""

    tries: ClassVar[list[str]] = []

    @override
    def start(self) -> None:
        self.tries.append("start")
        raise OSError

    @override
    def fileno(self) -> int:
        raise OSError

    @override
    def hear(self) -> bool:
        raise OSError

    @override
    def stop(self) -> None:
        raise OSError

    @override
    def close(self) -> None:
        raise OSError


class DeafDriver(DatabaseDriver):
    """A driver of whose store nobody hears."""

    @override
    def listen(self, queues: Sequence[str]) -> Sequence[Listener]:
        return [DeafListener(queues)]


def test_a_worker_that_can_not_listen_finds_jobs_by_looking(tmp_path: Path, settings: Settings) -> None:
    deaf = {"DRIVER": f"{__name__}.DeafDriver"}
    settings.JOBS = {**settings.JOBS, "CONNECTION": "deaf", "CONNECTIONS": {"deaf": deaf}, "COORDINATION": "deaf"}
    with idle_worker(sleep=timedelta(seconds=0.02)):
        NoteJob.dispatch(str(tmp_path / "notes"), "found")
        wait_until(lambda: read_lines(tmp_path / "notes"))


def test_what_can_not_listen_is_not_tried_again_at_each_look() -> None:
    DeafListener.tries.clear()
    waiter = Waiter([DeafListener([])])
    assert [waiter.listen() for _ in range(100)] == [False] * 100
    assert DeafListener.tries == ["start"]


class EagerListener(Listener):
    """A listener that has always something to tell, and counts how often it is asked."""

    def __init__(self) -> None:
        super().__init__([])
        self.calls: list[str] = []

    @override
    def start(self) -> None:
        self.calls.append("start")

    @override
    def fileno(self) -> int:
        raise AssertionError

    @override
    def hear(self) -> bool:
        self.calls.append("hear")
        return True

    @override
    def stop(self) -> None:
        self.calls.append("stop")

    @override
    def close(self) -> None:
        self.calls.append("close")


def test_listening_is_begun_once_and_again_after_each_job() -> None:
    listener = EagerListener()
    waiter = Waiter([listener])
    assert [waiter.listen(), waiter.listen()] == [True, False]
    waiter.wait(LONG)  # ends by what is heard
    waiter.stop_listening()
    waiter.stop_listening()
    assert waiter.listen()
    waiter.close()
    assert listener.calls == ["start", "hear", "stop", "start", "close"]


def test_a_call_to_wake_up_ends_the_next_wait_and_no_other() -> None:
    waiter = Waiter()
    for _ in range(100_000):  # more than a pipe holds
        waiter.wake()
    waiter.wait(LONG)
    threading.Timer(0.05, waiter.wake).start()
    waiter.pause(LONG)


def test_a_signal_ends_the_wait_of_a_worker(job_connection: str) -> None:
    before = signal.set_wakeup_fd(-1)
    signal.set_wakeup_fd(before)
    worker = Worker(WorkerOptions(sleep=LONG))

    def stop_when_idle(**_facts: object) -> None:
        os.kill(os.getpid(), signal.SIGTERM)

    worker_idle.connect(stop_when_idle)
    try:
        with worker.listen_to_signals():
            assert worker.run() == 0
    finally:
        worker_idle.disconnect(stop_when_idle)
    assert worker.stop_reason == "signal"
    assert signal.set_wakeup_fd(before) == before
