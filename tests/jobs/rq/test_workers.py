"""Jobs in Redis in the hands of RQ's own workers."""

import threading
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from django.utils import timezone
from redis import Redis
from rq import Queue
from rq.job import Job as RQJob
from rq.registry import FailedJobRegistry
from rq.serializers import JSONSerializer

from jobs.batch import batch
from jobs.chain import chain
from jobs.drivers.base import get_driver
from jobs.drivers.redis import RedisDriver
from jobs.models import Batch, FailedJob, JobMetric
from jobs.models.metrics import MINUTE
from jobs.redis_scripts import OURS
from tests.jobs.rq.steps import STOCK_WORKERS, clean_all, dispatch, note, run, work_off
from tests.jobs.sample_jobs import FailingJob, MemberJob, PatientWaitJob, read_lines
from tests.jobs.steps import claim_next, claim_one
from tests.waiting import wait_until

pytestmark = pytest.mark.django_db(transaction=True)


# --- RQ's workers ----------------------------------------------------------------------------------------------------


@pytest.mark.process
@pytest.mark.timeout(90)
@pytest.mark.parametrize("by", STOCK_WORKERS)
def test_a_worker_of_rqs_runs_a_job(server: Redis, tmp_path: Path, by: str) -> None:
    job_id = dispatch(tmp_path / "notes", "one")
    dispatch(tmp_path / "notes", "two")
    said = work_off(by=by)
    assert read_lines(tmp_path / "notes") == ["one", "two"]
    assert "rror" not in said
    assert get_driver().measure() == {}
    assert not [key for key in server.scan_iter() if str(job_id).encode() in key]


@pytest.mark.process
@pytest.mark.timeout(90)
@pytest.mark.parametrize("by", STOCK_WORKERS)
def test_a_worker_of_rqs_tries_a_job_as_often_as_it_may(server: Redis, tmp_path: Path, by: str) -> None:
    job_id = FailingJob(str(tmp_path / "failed"), "secret").on_queue("default").with_backoff(0).dispatch()
    said = work_off(by=by)
    failed = FailedJob.objects.get()
    assert (failed.job_id, failed.attempts, failed.exception) == (job_id, 3, "ValueError: secret")
    assert read_lines(tmp_path / "failed") == ["ValueError: secret"]
    assert get_driver().measure() == {}
    assert FailedJobRegistry("default", connection=server).get_job_ids() == [str(job_id)]
    assert "secret" not in said


@pytest.mark.process
@pytest.mark.timeout(90)
@pytest.mark.parametrize("by", STOCK_WORKERS)
def test_a_worker_of_rqs_counts_tries_as_ours_do(tmp_path: Path, by: str) -> None:
    dispatch(tmp_path / "notes")
    FailingJob(str(tmp_path / "failed")).on_queue("default").dispatch()
    work_off(by=by)
    rows = (
        JobMetric.objects.filter(period_seconds=MINUTE)
        .order_by("job_class")
        .values_list("connection", "job_class", "processed", "released")
    )
    assert list(rows) == [("redis", "tests.FailingJob", 0, 1), ("redis", "tests.NoteJob", 1, 0)]


@pytest.mark.process
@pytest.mark.timeout(90)
def test_a_worker_of_rqs_puts_a_job_back_for_a_later_try(queue: Queue, tmp_path: Path) -> None:
    job_id = FailingJob(str(tmp_path / "failed")).on_queue("default").dispatch()
    work_off()
    assert queue.scheduled_job_registry.get_job_ids() == [str(job_id)]
    (stored,) = get_driver().list_jobs()
    assert (stored.attempts, stored.state) == (1, "delayed")
    assert timedelta(seconds=1) < stored.available_at - timezone.now() < timedelta(seconds=11)
    assert claim_one("default", now=timezone.now() + timedelta(seconds=12)).attempts == 2


@pytest.mark.process
@pytest.mark.timeout(90)
def test_a_worker_of_rqs_runs_what_follows(tmp_path: Path) -> None:
    path = tmp_path / "notes"
    chain([note(path, "first"), note(path, "second")]).on_queue("default").dispatch()
    members = [MemberJob(str(path), "member") for _ in range(3)]
    batch(members).on_queue("default").then(note(path, "then").on_queue("default").get_job()).dispatch()
    work_off()
    lines = read_lines(path)
    assert sorted(lines) == ["first", "member", "member", "member", "second", "then"]
    assert lines.index("first") < lines.index("second")
    assert Batch.objects.get().finished_at is not None


@pytest.mark.process
@pytest.mark.timeout(90)
def test_a_worker_of_rqs_takes_high_priorities_from_queues_of_their_own(tmp_path: Path) -> None:
    dispatch(tmp_path / "notes", "low")
    dispatch(tmp_path / "notes", "high", priority=9)
    run(*STOCK_WORKERS["rq worker"], "default:p9", "default")
    assert read_lines(tmp_path / "notes") == ["high", "low"]


@pytest.mark.process
@pytest.mark.timeout(90)
def test_a_record_that_was_changed_is_quarantined_by_a_worker_of_rqs(server: Redis, tmp_path: Path) -> None:
    job_id = dispatch(tmp_path / "notes", "as it was")
    (stored,) = get_driver().list_jobs()
    server.hset(f"rq:job:{job_id}", "payload", stored.payload.replace("as it was", "changed"))
    work_off()
    assert FailedJob.objects.get().is_quarantined
    assert not read_lines(tmp_path / "notes")


def take_as_rq_does(queue: Queue) -> RQJob:
    """Take a job from its list, and mark it, as a worker of RQ does before it calls the job."""
    found = Queue.dequeue_any([queue], None, connection=queue.connection, serializer=JSONSerializer)
    assert found is not None
    with queue.connection.pipeline() as pipeline:
        found[0].prepare_for_execution("theirs", pipeline=pipeline)
        pipeline.execute()
    return found[0]


def test_a_job_whose_rq_worker_died_is_tried_again(
    driver: RedisDriver, queue: Queue, server: Redis, tmp_path: Path
) -> None:
    job_id = dispatch(tmp_path / "n")
    take_as_rq_does(queue)
    held = driver.adopt(job_id, worker="theirs")
    assert held is not None
    assert claim_next("default") is None
    clean_all(server)
    again = claim_one("default", now=held.lease_expires_at)
    assert (again.attempts, again.payload) == (2, held.payload)


def test_a_job_that_its_rq_worker_never_put_back_is_tried_again(
    driver: RedisDriver, queue: Queue, tmp_path: Path
) -> None:
    job_id = dispatch(tmp_path / "n")
    take_as_rq_does(queue)
    held = driver.adopt(job_id, worker="theirs")
    assert held is not None
    assert driver.release(held, available_at=timezone.now())
    assert claim_next("default") is None
    assert claim_one("default", now=timezone.now() + timedelta(minutes=2)).attempts == 2


@pytest.mark.process
@pytest.mark.timeout(90)
@pytest.mark.parametrize("by", STOCK_WORKERS)
def test_a_job_that_takes_longer_than_its_lease_stays_with_its_rq_worker(
    server: Redis, tmp_path: Path, by: str
) -> None:
    job_id = PatientWaitJob(str(tmp_path)).on_queue("default").dispatch()
    worker = threading.Thread(target=work_off, kwargs={"by": by})
    worker.start()
    try:
        wait_until(lambda: read_lines(tmp_path / "started"), seconds=40)
        first_end = server.zscore(f"{OURS}leases:default", str(job_id))
        assert isinstance(first_end, float)
        wait_until(lambda: (server.zscore(f"{OURS}leases:default", str(job_id)) or 0) > first_end + 4)
        assert claim_next("default") is None
    finally:
        (tmp_path / "go").touch()
        worker.join()
    assert len(read_lines(tmp_path / "started")) == len(read_lines(tmp_path / "done")) == 1
    assert get_driver().measure() == {}


def test_a_job_in_somebodys_hands_is_refused_to_a_worker_of_rqs(driver: RedisDriver, tmp_path: Path) -> None:
    job_id = dispatch(tmp_path / "n")
    claim_one("default")
    with pytest.raises(LookupError, match="held by another worker"):
        driver.adopt(job_id, worker="theirs")
    assert driver.adopt(uuid4(), worker="theirs") is None
