"""Failed jobs: retried, forgotten; queues cleared; heartbeats."""

import threading
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from django.db import connections

from jobs.exceptions import FailedJobNotFoundError
from jobs.models import FailedJob, QueuedJob, WorkerHeartbeat
from jobs.selectors import list_failed_jobs
from jobs.services import (
    clear_queue,
    forget_failed_job,
    forget_failed_jobs,
    queue_job,
    record_heartbeat,
    remove_dead_heartbeats,
    remove_heartbeat,
    retry_failed_job,
    retry_failed_jobs,
)
from tests.jobs.sample_jobs import HopelessJob, NoteJob
from tests.jobs.steps import NOON, claim_one, run_next


def _fail_one() -> UUID:
    job_id = HopelessJob.dispatch()
    run_next()
    return job_id


@pytest.mark.django_db
def test_a_retried_job_waits_again_as_it_was_with_no_try_used() -> None:
    job_id = _fail_one()
    payload = FailedJob.objects.get().payload
    retry_failed_job(job_id=job_id, now=NOON)
    row = QueuedJob.objects.get()
    assert (row.job_id, row.payload, row.attempts, row.available_at) == (job_id, payload, 0, NOON)
    assert not FailedJob.objects.exists()


@pytest.mark.django_db
def test_a_retried_job_runs_and_may_fail_again() -> None:
    job_id = _fail_one()
    retry_failed_job(job_id=job_id)
    run_next()
    assert FailedJob.objects.get().job_id == job_id


@pytest.mark.django_db
def test_retrying_what_is_no_failed_job_is_refused() -> None:
    with pytest.raises(FailedJobNotFoundError):
        retry_failed_job(job_id=uuid4())


@pytest.mark.django_db(transaction=True)
def test_of_many_retries_at_once_one_pushes_the_job() -> None:
    job_id = _fail_one()
    retried: list[UUID] = []
    threads = [threading.Thread(target=_retry_into, args=(retried, job_id)) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert retried == [job_id]
    assert QueuedJob.objects.count() == 1


def _retry_into(retried: list[UUID], job_id: UUID) -> None:
    try:
        retried.extend(retry_failed_jobs(job_ids=[job_id]))
    finally:
        connections.close_all()


@pytest.mark.django_db
def test_all_failed_jobs_are_retried_where_no_ids_are_given() -> None:
    ids = [_fail_one() for _ in range(3)]
    assert retry_failed_jobs() == ids
    assert QueuedJob.objects.count() == 3


@pytest.mark.django_db
def test_retrying_leaves_out_what_is_not_there() -> None:
    job_id = _fail_one()
    assert retry_failed_jobs(job_ids=[uuid4(), job_id]) == [job_id]


@pytest.mark.django_db
def test_a_forgotten_job_is_gone() -> None:
    job_id = _fail_one()
    forget_failed_job(job_id=job_id)
    assert not list_failed_jobs().exists()
    with pytest.raises(FailedJobNotFoundError):
        forget_failed_job(job_id=job_id)


@pytest.mark.django_db
def test_forgetting_several_counts_those_that_were_there() -> None:
    ids = [_fail_one(), _fail_one()]
    assert forget_failed_jobs(job_ids=[ids[0], uuid4()]) == 1
    assert forget_failed_jobs() == 1


@pytest.mark.django_db
def test_clearing_deletes_waiting_and_delayed_jobs_and_spares_running_and_failed_ones(tmp_path: Path) -> None:
    _fail_one()
    NoteJob.dispatch("notes.txt", "running")
    claim_one()
    NoteJob.dispatch("notes.txt", "waiting")
    assert clear_queue(queue="elsewhere") == 0
    assert clear_queue(queue="notes") == 1
    assert QueuedJob.objects.count() == 1
    assert FailedJob.objects.count() == 1


@pytest.mark.django_db
def test_a_delay_is_an_instant_before_which_nothing_runs() -> None:
    queue_job(job_class="tests.NoteJob", queue="notes", arguments={}, available_at=NOON + timedelta(days=1), now=NOON)
    assert QueuedJob.objects.get().available_at - QueuedJob.objects.get().created_at == timedelta(days=1)


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
