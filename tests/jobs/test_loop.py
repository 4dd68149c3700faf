"""The worker's loop, in this process."""

import threading
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import ClassVar, override

import pytest
import structlog
from django.db import OperationalError, connections
from django.utils import timezone
from pytest_django import Settings

from jobs.drivers.base import Claim
from jobs.drivers.database import DatabaseDriver
from jobs.models import QueuedJob, WorkerHeartbeat
from jobs.signals import job_processed
from jobs.worker.loop import Worker, WorkerOptions
from tests.jobs.sample_jobs import FailingJob, HopelessJob, NoteJob, read_lines
from tests.waiting import wait_until

SHORT = timedelta(seconds=0.02)
_AWAY = "couldn't reach the store 'it's a secret' value' that isn't there"


class ShakyDriver(DatabaseDriver):
    """A driver whose store is away for the next few calls."""

    failures_left: ClassVar[dict[str, int]] = {"claim": 0, "finish": 0}

    @override
    def claim(self, **arguments: object) -> Claim | None:
        self._maybe_fail("claim")
        return super().claim(**arguments)  # type: ignore[arg-type] # as above

    @override
    def finish(self, claim: Claim) -> bool:
        self._maybe_fail("finish")
        return super().finish(claim)

    def _maybe_fail(self, operation: str) -> None:
        if self.failures_left[operation]:
            self.failures_left[operation] -= 1
            raise OperationalError(_AWAY)


def _worker(*, queues: tuple[str, ...] = (), max_jobs: int | None = None, name: str = "") -> Worker:
    return Worker(WorkerOptions(queues=queues, name=name, sleep=SHORT, max_jobs=max_jobs, stop_when_empty=True))


@pytest.mark.django_db
def test_a_worker_runs_what_is_due_and_ends_when_told_to_at_an_empty_queue(tmp_path: Path) -> None:
    for number in range(3):
        NoteJob.dispatch(str(tmp_path / "notes"), str(number))
    assert _worker().run() == 3
    assert read_lines(tmp_path / "notes") == ["0", "1", "2"]


@pytest.mark.django_db
def test_a_worker_ends_after_as_many_tries_as_asked_for() -> None:
    for _ in range(3):
        HopelessJob.dispatch()
    assert _worker(max_jobs=2).run() == 2
    assert QueuedJob.objects.count() == 1


@pytest.mark.django_db
def test_a_worker_leaves_other_queues_alone() -> None:
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
def test_while_a_job_runs_its_worker_counts_as_alive_until_the_end_of_the_lease(tmp_path: Path) -> None:
    seen: list[WorkerHeartbeat] = []

    def look(**_facts: object) -> None:
        seen.append(WorkerHeartbeat.objects.get())

    job_processed.connect(look)
    job_id = NoteJob.dispatch(str(tmp_path / "notes"), "x")
    _worker(name="mine").run()
    job_processed.disconnect(look)
    assert seen[0].current_job_id == job_id
    assert seen[0].name.startswith("mine:")
    assert seen[0].alive_until - seen[0].beat_at > timedelta(seconds=60)


@pytest.mark.django_db
def test_a_worker_that_ends_takes_its_heartbeat_along() -> None:
    _worker().run()
    assert not WorkerHeartbeat.objects.exists()


@pytest.mark.django_db
@pytest.mark.parametrize("operation", ["claim", "finish"])
def test_a_store_that_is_away_for_a_while_costs_no_job_and_no_second_run(
    operation: str, tmp_path: Path, settings: Settings
) -> None:
    settings.JOBS = {**settings.JOBS, "DRIVER": f"{__name__}.ShakyDriver"}
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
def test_a_worker_told_to_stop_while_the_store_is_away_stops(settings: Settings) -> None:
    settings.JOBS = {**settings.JOBS, "DRIVER": f"{__name__}.ShakyDriver"}
    ShakyDriver.failures_left["claim"] = 1_000_000
    worker = Worker(WorkerOptions(sleep=SHORT))
    thread = _in_thread(worker.run)
    wait_until(lambda: ShakyDriver.failures_left["claim"] < 1_000_000)
    worker.stop()
    thread.join()
    ShakyDriver.failures_left["claim"] = 0
