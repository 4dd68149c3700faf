"""What a worker tells of queues that rest while it serves them, and turns that somebody else lets it rest."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest

from jobs.queues import pause_queue, resume_queue
from jobs.signals import (
    WorkerIdle,
    WorkerLooping,
    WorkerQueuePaused,
    WorkerQueueResumed,
    job_claiming,
    worker_idle,
    worker_looping,
    worker_queue_paused,
    worker_queue_resumed,
)
from jobs.worker.loop import Worker, WorkerOptions
from tests.jobs.sample_jobs import HopelessJob
from tests.jobs.steps import heard, stored

SHORT = timedelta(seconds=0.02)
pytestmark = pytest.mark.usefixtures("job_connection")


def _worker(**options: Any) -> Worker:  # Any: of WorkerOptions
    return Worker(WorkerOptions(**{"sleep": SHORT, "stop_when_empty": True, **options}))


@contextmanager
def _at_each_idle_turn(worker: Worker, *steps: Any) -> Iterator[None]:  # Any: what is called, whatever it returns
    """Within the block take one step whenever the worker has found nothing to do, and stop it after the last."""
    left = iter(steps)

    def take_step(_fact: WorkerIdle) -> None:
        step = next(left, worker.stop)
        step()

    worker_idle.listen(take_step)
    try:
        yield
    finally:
        worker_idle.unlisten(take_step)


# --- Queues that rest


def _run(worker: Worker, *steps: Any) -> list[object]:  # Any: as above
    with heard(worker_queue_paused, worker_queue_resumed) as seen, _at_each_idle_turn(worker, *steps):
        worker.run()
    return [fact for _, fact in seen]


def test_a_worker_tells_once_that_a_queue_which_it_serves_rests_and_once_that_it_goes_on(job_connection: str) -> None:
    worker = _worker(queues=("default", "notes"), stop_when_empty=False)
    pause_queue("notes")
    pause_queue("of-others")
    seen = _run(worker, _nothing, lambda: resume_queue("notes"), _nothing, lambda: pause_queue("notes"), _nothing)
    about = {"worker": worker.name, "queue": "notes", "connection": job_connection}
    assert seen == [WorkerQueuePaused(**about), WorkerQueueResumed(**about), WorkerQueuePaused(**about)]


def test_where_each_queue_rests_each_that_a_worker_serves_is_told() -> None:
    worker = _worker(queues=("default", "notes"), stop_when_empty=False)
    pause_queue("notes")
    seen = _run(worker, pause_queue, resume_queue, lambda: resume_queue("notes"))
    assert [(type(fact), fact.queue) for fact in seen] == [  # type: ignore[attr-defined]  # each of them has one
        (WorkerQueuePaused, "notes"),
        (WorkerQueuePaused, "default"),
        (WorkerQueueResumed, "default"),
        (WorkerQueueResumed, "notes"),
    ]


def test_a_worker_of_all_queues_tells_of_each_that_rests_and_of_all_as_one() -> None:
    worker = _worker(stop_when_empty=False)
    seen = _run(worker, lambda: pause_queue("notes"), pause_queue, resume_queue)
    assert [(type(fact), fact.queue) for fact in seen] == [  # type: ignore[attr-defined]  # each of them has one
        (WorkerQueuePaused, "notes"),
        (WorkerQueuePaused, "*"),
        (WorkerQueueResumed, "*"),
    ]


def test_a_rest_that_ends_by_the_clock_is_noticed() -> None:
    worker = _worker(stop_when_empty=False)
    pause_queue("notes", until=timedelta(seconds=0.5))

    def stop(_fact: object) -> None:
        worker.stop()

    worker_queue_resumed.listen(stop)
    try:
        with heard(worker_queue_paused, worker_queue_resumed) as told:
            worker.run()
    finally:
        worker_queue_resumed.unlisten(stop)
    assert [signal for signal, _ in told] == [worker_queue_paused, worker_queue_resumed]


def _nothing() -> None:
    pass


# --- Turns


def test_before_each_turn_a_worker_tells_what_it_serves() -> None:
    HopelessJob.dispatch()
    worker = _worker(queues=("default",))
    with heard(worker_looping, job_claiming) as seen:
        assert worker.run() == 1
    assert [signal for signal, _ in seen] == [worker_looping, job_claiming] * 2
    assert seen[0][1] == WorkerLooping(worker=worker.name, queues=("default",))


def test_a_listener_that_says_no_lets_a_worker_rest_for_that_turn() -> None:
    HopelessJob.dispatch()
    answers = iter([False, False, True])
    held: list[int] = []

    def decide(_fact: WorkerLooping) -> bool:
        held.append(len(stored()))
        return next(answers, True)

    worker_looping.listen(decide)
    try:
        with heard(job_claiming, worker_idle) as seen:
            assert _worker().run() == 1
    finally:
        worker_looping.unlisten(decide)
    assert held == [1, 1, 1, 0]
    assert [signal for signal, _ in seen] == [worker_idle, worker_idle, job_claiming, job_claiming]


def test_a_worker_that_rests_asks_nobody() -> None:
    worker = _worker(stop_when_empty=False)
    worker.rest()
    with heard(worker_looping) as seen, _at_each_idle_turn(worker):
        worker.run()
    assert seen == []


def test_a_listener_that_raises_keeps_no_worker_from_its_work() -> None:
    HopelessJob.dispatch()

    def explode(_fact: WorkerLooping) -> bool:
        raise LookupError

    worker_looping.listen(explode)
    try:
        assert _worker().run() == 1
    finally:
        worker_looping.unlisten(explode)
