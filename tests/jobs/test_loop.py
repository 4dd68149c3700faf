"""The worker's loop, in this process."""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextvars import copy_context
from datetime import timedelta
from pathlib import Path
from typing import Any, ClassVar, override

import pytest
import structlog
from django.db import OperationalError, connections
from django.utils import timezone
from pytest_django import Settings

from jobs.drivers.base import Claim, Message
from jobs.drivers.database import DatabaseDriver
from jobs.job import Job
from jobs.models import QueuedJob, WorkerHeartbeat
from jobs.queues import pause_queue
from jobs.services import request_restart
from jobs.signals import (
    JobProcessed,
    WorkerIdle,
    WorkerPausing,
    WorkerResuming,
    job_claiming,
    job_processed,
    worker_idle,
    worker_interrupting,
    worker_pausing,
    worker_resuming,
    worker_starting,
    worker_stopping,
)
from jobs.worker.current import begin_job, end_job
from jobs.worker.interrupting import interrupt_jobs
from jobs.worker.loop import Worker, WorkerOptions
from jobs.worker.restarts import Restarts
from tests.jobs.sample_jobs import FailingJob, HopelessJob, NoteJob, PatientWaitJob, UrgentJob, read_lines
from tests.jobs.steps import heard, stored, worker_environment
from tests.processes import manage
from tests.waiting import wait_until

SHORT = timedelta(seconds=0.02)
_AWAY = "couldn't reach the store 'it's a secret' value' that isn't there"


class ShakyDriver(DatabaseDriver):
    """A driver whose store is away for the next few calls."""

    failures_left: ClassVar[dict[str, int]] = {"claim": 0, "finish": 0}

    @override
    def claim(self, **arguments: Any) -> Sequence[Claim]:  # Any: as of the base
        self._maybe_fail("claim")
        return super().claim(**arguments)

    @override
    def finish(self, claim: Claim, *, followers: Sequence[Message] = ()) -> bool:
        self._maybe_fail("finish")
        return super().finish(claim, followers=followers)

    def _maybe_fail(self, operation: str) -> None:
        if self.failures_left[operation]:
            self.failures_left[operation] -= 1
            raise OperationalError(_AWAY)


@pytest.fixture
def shaky(settings: Settings) -> Iterator[None]:
    """Keep jobs in a store that may be away."""
    connections = {**settings.JOBS["CONNECTIONS"], "shaky": {"DRIVER": f"{__name__}.ShakyDriver"}}
    settings.JOBS = {**settings.JOBS, "CONNECTIONS": connections, "CONNECTION": "shaky"}
    yield
    ShakyDriver.failures_left.update(claim=0, finish=0)


def _worker(**options: Any) -> Worker:  # Any: of WorkerOptions
    return Worker(WorkerOptions(**{"sleep": SHORT, "stop_when_empty": True, **options}))


def test_a_worker_runs_what_is_due_and_ends_when_told_to_at_an_empty_queue(tmp_path: Path, job_connection: str) -> None:
    for number in range(3):
        NoteJob.dispatch(str(tmp_path / "notes"), str(number))
    assert _worker().run() == 3
    assert read_lines(tmp_path / "notes") == ["0", "1", "2"]


def test_a_worker_ends_after_as_many_tries_as_asked_for(job_connection: str) -> None:
    for _ in range(3):
        HopelessJob.dispatch()
    assert _worker(max_jobs=2).run() == 2
    assert len(stored()) == 1


def test_a_worker_leaves_other_queues_alone(job_connection: str) -> None:
    NoteJob.dispatch("notes.txt", "x")
    assert _worker(queues=("emails",)).run() == 0


@pytest.mark.django_db
def test_after_a_job_that_goes_wrong_the_next_one_runs(tmp_path: Path) -> None:
    FailingJob.dispatch()
    QueuedJob.objects.create(
        job_class="x", queue="q", payload="\x01", available_at=timezone.now(), created_at=timezone.now()
    )
    NoteJob.dispatch(str(tmp_path / "notes"), "still here")
    _worker().run()
    assert read_lines(tmp_path / "notes") == ["still here"]


@pytest.mark.django_db
def test_a_worker_says_which_job_it_runs_and_for_how_long_it_may_be_believed(tmp_path: Path) -> None:
    seen: list[WorkerHeartbeat] = []

    def look(_fact: JobProcessed) -> None:
        seen.append(WorkerHeartbeat.objects.get())

    job_processed.listen(look)
    job_id = NoteJob.dispatch(str(tmp_path / "notes"), "x")
    _worker(name="mine").run()
    job_processed.unlisten(look)
    assert seen[0].current_job_id == job_id
    assert seen[0].name.startswith("mine:")
    assert seen[0].alive_until - seen[0].beat_at == timedelta(seconds=15)


def test_a_worker_that_ends_takes_its_heartbeat_along(job_connection: str) -> None:
    _worker().run()
    assert not WorkerHeartbeat.objects.exists()


@pytest.mark.django_db
@pytest.mark.parametrize("operation", ["claim", "finish"])
def test_a_store_that_is_away_for_a_while_costs_no_job_and_no_second_run(
    operation: str, tmp_path: Path, shaky: None
) -> None:
    NoteJob.dispatch(str(tmp_path / "notes"), "once")
    ShakyDriver.failures_left[operation] = 2
    with structlog.testing.capture_logs() as lines:
        assert _worker().run() == 1
    assert read_lines(tmp_path / "notes") == ["once"]
    assert not QueuedJob.objects.exists()
    assert "couldn't reach the store '…' that isn't there" in [line.get("reason") for line in lines]
    events = [line["event"] for line in lines]
    assert (events.count("store_unavailable"), events.count("store_available_again")) == (2, 1)


def _in_thread(work: Callable[[], object]) -> threading.Thread:
    def run() -> None:
        try:
            work()
        finally:
            connections.close_all()

    thread = threading.Thread(target=run)
    thread.start()
    return thread


@pytest.mark.django_db(transaction=True)
def test_an_idle_worker_reports_itself_and_stops_at_once_when_told_to() -> None:
    worker = Worker(WorkerOptions(sleep=timedelta(seconds=30)))
    thread = _in_thread(worker.run)
    wait_until(WorkerHeartbeat.objects.exists)
    beat = WorkerHeartbeat.objects.get()
    assert beat.current_job_id is None
    assert beat.alive_until - beat.beat_at == timedelta(seconds=15)
    asked_at = time.monotonic()
    worker.stop()
    thread.join()
    assert time.monotonic() - asked_at < 5


@pytest.mark.django_db(transaction=True)
def test_an_idle_worker_takes_up_what_comes_in(tmp_path: Path) -> None:
    worker = Worker(WorkerOptions(sleep=SHORT))
    thread = _in_thread(worker.run)
    NoteJob.dispatch(str(tmp_path / "notes"), "new")
    wait_until(lambda: read_lines(tmp_path / "notes"))
    worker.stop()
    thread.join()
    assert not QueuedJob.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_a_worker_told_to_stop_while_the_store_is_away_stops(shaky: None) -> None:
    ShakyDriver.failures_left["claim"] = 1_000_000
    worker = Worker(WorkerOptions(sleep=SHORT))
    thread = _in_thread(worker.run)
    wait_until(lambda: ShakyDriver.failures_left["claim"] < 1_000_000)
    worker.stop()
    thread.join()


# --- Why it ends


def test_a_worker_tells_its_start_each_look_and_why_it_ended(job_connection: str) -> None:
    HopelessJob.dispatch()
    with heard(worker_starting, job_claiming, worker_idle, worker_stopping) as seen:
        _worker(queues=("default",), name="mine").run()
    assert [signal for signal, _ in seen] == [worker_starting, job_claiming, job_claiming, worker_stopping]
    assert {fact.worker.startswith("mine:") for _, fact in seen} == {True}
    assert seen[0][1].queues == seen[1][1].queues == ("default",)
    assert seen[-1][1].reason == "empty"


@pytest.mark.parametrize(
    ("options", "reason", "tries"),
    [
        ({"max_jobs": 1}, "max_jobs", 1),
        ({"max_time": timedelta(0)}, "max_time", 0),
        ({"memory_mb": 1}, "memory", 0),
        ({}, "empty", 2),
    ],
    ids=str,
)
def test_a_worker_ends_by_itself_and_says_why(
    options: dict[str, Any], reason: str, tries: int, job_connection: str
) -> None:
    HopelessJob.dispatch()
    HopelessJob.dispatch()
    worker = _worker(**options)
    assert worker.run() == tries
    assert worker.stop_reason == reason
    assert len(stored()) == 2 - tries


class RestartingJob(Job):
    """Ask for a restart of all workers."""

    @override
    def handle(self) -> None:
        request_restart()


def test_a_worker_ends_after_the_job_in_hand_when_a_restart_is_asked_for(job_connection: str) -> None:
    RestartingJob.dispatch()
    HopelessJob.dispatch()
    HopelessJob.dispatch()
    worker = _worker()
    assert worker.run() < 3
    assert worker.stop_reason == "restart"


def test_a_process_ends_at_once_where_a_restart_was_asked_for_since_the_first_one_of_its_parent_began(
    job_connection: str,
) -> None:
    restarts, options = Restarts(), WorkerOptions(sleep=SHORT, max_jobs=1)
    HopelessJob.dispatch()
    HopelessJob.dispatch()
    assert Worker(options, restarts=restarts).run() == 1
    request_restart()
    second = Worker(options, restarts=restarts)
    assert second.run() == 0
    assert second.stop_reason == "restart"


def test_a_restart_that_was_asked_for_before_its_start_does_not_end_a_worker(job_connection: str) -> None:
    request_restart()
    HopelessJob.dispatch()
    assert _worker().run() == 1


# --- What it takes


def test_a_worker_takes_the_highest_priority_of_all_queues_first(tmp_path: Path, job_connection: str) -> None:
    NoteJob.dispatch(str(tmp_path / "notes"), "second")
    UrgentJob.dispatch(str(tmp_path / "notes"), "first")
    _worker().run()
    assert read_lines(tmp_path / "notes") == ["first", "second"]


def test_a_worker_takes_queues_in_its_order_whatever_their_priorities(tmp_path: Path, job_connection: str) -> None:
    UrgentJob.dispatch(str(tmp_path / "notes"), "second")
    NoteJob(str(tmp_path / "notes"), "first").on_queue("low").dispatch()
    _worker(queues=("low", "notes")).run()
    assert read_lines(tmp_path / "notes") == ["first", "second"]


def test_a_worker_takes_nothing_from_a_queue_that_rests(job_connection: str) -> None:
    NoteJob.dispatch("notes.txt", "x")
    HopelessJob.dispatch()
    pause_queue("notes")
    assert _worker().run() == 1
    assert [job.queue for job in stored()] == ["notes"]


def test_a_worker_serves_the_connection_that_it_is_given(job_connection: str) -> None:
    HopelessJob.dispatch()
    assert _worker(connection="sync").run() == 0
    assert _worker(connection=job_connection).run() == 1


# --- Signals


@pytest.mark.django_db
def test_a_worker_that_rests_takes_no_job_until_it_goes_on(tmp_path: Path) -> None:
    NoteJob.dispatch(str(tmp_path / "notes"), "x")
    worker = _worker()
    looks: list[int] = []

    def go_on_at_the_third_look(_fact: WorkerIdle) -> None:
        looks.append(len(read_lines(tmp_path / "notes")))
        if len(looks) == 3:
            os.kill(os.getpid(), signal.SIGCONT)

    worker_idle.listen(go_on_at_the_third_look)
    try:
        with heard(worker_pausing, worker_resuming) as seen, worker.listen_to_signals():
            os.kill(os.getpid(), signal.SIGUSR2)
            assert worker.run() == 1
    finally:
        worker_idle.unlisten(go_on_at_the_third_look)
    assert looks == [0, 0, 0]
    assert seen == [
        (worker_pausing, WorkerPausing(worker=worker.name)),
        (worker_resuming, WorkerResuming(worker=worker.name)),
    ]


class InterruptedJob(Job):
    """Send its own worker a signal, and note what it hears."""

    heard: ClassVar[list[int]] = []

    @override
    def handle(self) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        self.heard.append(0)

    @override
    def interrupted(self, signal_number: int) -> None:
        self.heard.append(signal_number)


def test_a_job_in_hand_hears_the_signal_that_ends_its_worker_and_is_finished(job_connection: str) -> None:
    InterruptedJob.heard.clear()
    job_id = InterruptedJob.dispatch()
    HopelessJob.dispatch()
    worker = _worker()
    with heard(worker_interrupting) as seen, worker.listen_to_signals():
        assert worker.run() == 1
    assert InterruptedJob.heard == [signal.SIGTERM, 0]
    assert (seen[0][1].job_id, seen[0][1].job_class) == (job_id, "tests.InterruptedJob")
    assert seen[0][1].signal_number == signal.SIGTERM
    assert (worker.stop_reason, len(stored())) == ("signal", 1)


def test_what_a_job_raises_when_interrupted_is_its_own(caplog: pytest.LogCaptureFixture) -> None:
    class TouchyJob(InterruptedJob):
        @override
        def interrupted(self, signal_number: int) -> None:
            super().interrupted(signal_number)
            raise LookupError

    InterruptedJob.heard.clear()
    elsewhere, here = TouchyJob(), TouchyJob()
    copy_context().run(begin_job, elsewhere)
    try:
        interrupt_jobs(signal.SIGTERM, worker="w")  # this is the worker's own code
        assert "interrupted_hook_raised" in caplog.text
        begin_job(here)
        try:
            with pytest.raises(LookupError):
                interrupt_jobs(signal.SIGTERM, worker="w")
        finally:
            end_job(here)
    finally:
        end_job(elsewhere)
    assert InterruptedJob.heard == [signal.SIGTERM] * 3


@pytest.mark.process
@pytest.mark.django_db(transaction=True)
def test_a_second_signal_ends_a_worker_at_once_unless_it_is_the_same_one(tmp_path: Path) -> None:
    PatientWaitJob.dispatch(str(tmp_path))
    with manage("queue_work", environment=worker_environment()) as process:
        wait_until(lambda: read_lines(tmp_path / "started"))
        first = time.monotonic()
        process.send_signal(signal.SIGINT)
        process.send_signal(signal.SIGTERM)
        wait_until(lambda: time.monotonic() - first > 1.5)
        assert process.poll() is None

        def has_ended() -> bool:
            process.send_signal(signal.SIGTERM)
            return process.poll() is not None

        wait_until(has_ended)
        assert process.returncode == 128 + signal.SIGTERM
    assert not read_lines(tmp_path / "done")
    assert [job.state for job in stored()] == ["running"]


def test_signals_are_as_before_when_a_worker_has_ended() -> None:
    before = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGUSR2, signal.SIGCONT)]
    with _worker().listen_to_signals():
        assert signal.getsignal(signal.SIGTERM) != before[0]
    assert [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGUSR2, signal.SIGCONT)] == before
