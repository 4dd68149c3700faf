"""Heartbeats of workers, and telling them to end."""

from collections.abc import Sequence
from datetime import timedelta

import pytest

from jobs.models import WorkerHeartbeat
from jobs.services import (
    get_restart_count,
    record_heartbeat,
    remove_dead_heartbeats,
    remove_heartbeat,
    request_restart,
)
from tests.jobs.steps import NOON


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
