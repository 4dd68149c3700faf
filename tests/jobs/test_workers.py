"""Heartbeats of workers, and telling them to end."""

import os
import socket
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import pytest
from django.utils import timezone

from jobs.exceptions import WorkerNotFoundError
from jobs.models import WorkerHeartbeat
from jobs.selectors import list_workers
from jobs.services import (
    Wish,
    get_restart_count,
    record_heartbeat,
    remove_dead_heartbeats,
    remove_heartbeat,
    request_restart,
    tell_worker,
)
from jobs.signals import worker_pausing
from jobs.worker.loop import Worker, WorkerOptions
from permissions import audit
from tests.jobs.sample_jobs import NoteJob, read_lines
from tests.jobs.steps import NOON, heard, soon
from tests.jobs.test_waiting import idle_worker
from tests.waiting import wait_until


def _beat(name: str, *, minutes: int = 0, queues: Sequence[str] = ("a", "b")) -> None:
    now = NOON + timedelta(minutes=minutes)
    record_heartbeat(
        name=name,
        queues=queues,
        started_at=NOON,
        now=now,
        alive_until=now + timedelta(seconds=15),
        current_job_id=None,
    )


@pytest.mark.django_db
def test_a_worker_has_one_heartbeat_that_moves() -> None:
    _beat("w")
    _beat("w", minutes=1)
    beat = WorkerHeartbeat.objects.get()
    assert (beat.queues, beat.started_at, beat.beat_at) == ("a,b", NOON, NOON + timedelta(minutes=1))


@pytest.mark.django_db
def test_a_worker_may_serve_many_queues_with_long_names() -> None:
    names = [f"{number:02}-{'x' * 97}" for number in range(20)]
    _beat("w", queues=names)
    assert WorkerHeartbeat.objects.get().queues.split(",") == names


@pytest.mark.django_db
def test_workers_long_dead_are_swept_and_fresh_ones_stay() -> None:
    _beat("old")
    _beat("fresh", minutes=59)
    assert remove_dead_heartbeats(now=NOON + timedelta(minutes=90)) == 1
    remove_heartbeat(name="fresh")
    assert not WorkerHeartbeat.objects.exists()


@pytest.mark.django_db
def test_each_request_for_a_restart_is_counted() -> None:
    assert get_restart_count() == 0
    request_restart()
    request_restart()
    assert get_restart_count() == 2
    events = [(one.event, one.subject_label) for one in audit.list_events()]
    assert events == [("worker.told_to_restart", "*")] * 2


# --- What a worker says of itself, and is told


def _told(worker: Worker, wish: str) -> None:
    WorkerHeartbeat.objects.create(
        name=worker.name, queues="", started_at=NOON, beat_at=NOON, alive_until=soon(), wish=wish
    )


@pytest.mark.django_db
def test_a_worker_that_is_told_to_stop_ends() -> None:
    worker = Worker(WorkerOptions(sleep=timedelta(minutes=5)))
    _told(worker, "stop")
    assert worker.run() == 0
    assert worker.stop_reason == "told"


@pytest.mark.django_db(transaction=True)
def test_a_worker_that_is_told_to_rest_takes_no_job_until_it_is_told_to_go_on(tmp_path: Path) -> None:
    with heard(worker_pausing) as seen, idle_worker(sleep=timedelta(seconds=0.05)) as worker:
        tell_worker(name=worker.name, wish=Wish.REST)
        wait_until(lambda: seen)
        NoteJob.dispatch(str(tmp_path / "notes"), "x")
        wait_until(lambda: list_workers(now=timezone.now())[0].state == "resting")
        assert read_lines(tmp_path / "notes") == []
        tell_worker(name=worker.name, wish=Wish.GO_ON)
        wait_until(lambda: read_lines(tmp_path / "notes") == ["x"])


@pytest.mark.django_db
def test_nobody_can_be_told_anything_who_is_not_there() -> None:
    with pytest.raises(WorkerNotFoundError):
        tell_worker(name="nobody", wish=Wish.STOP)


@pytest.mark.django_db(transaction=True)
def test_a_worker_says_where_it_runs_and_what_it_takes(tmp_path: Path) -> None:
    with idle_worker("notes"):
        (status,) = list_workers(now=timezone.now())
    assert (status.host, status.pid, status.queues) == (socket.gethostname(), os.getpid(), ["notes"])
    assert status.memory_mb is not None
    assert status.memory_mb > 10
    assert (status.state, status.try_count, status.running_count) == ("idle", 0, 0)
    assert status.serves("notes", status.connection)
    assert not status.serves("other", status.connection)
    assert not status.serves("notes", "elsewhere")


@pytest.mark.django_db
def test_what_a_worker_is_told_is_recorded_with_who_told_it() -> None:
    worker = Worker(WorkerOptions(sleep=timedelta(minutes=5)))
    _told(worker, "")
    tell_worker(name=worker.name, wish=Wish.REST)
    (event,) = audit.list_events()
    assert (event.event, event.subject_label) == ("worker.told_to_rest", worker.name)
