"""Failed jobs: what is kept of them, retried, forgotten, pruned."""

import threading
from typing import ClassVar, override
from uuid import UUID, uuid4

import pytest
from django.db import OperationalError, connections
from django.utils import timezone

from jobs.batch import batch
from jobs.drivers.base import Burial, get_driver
from jobs.drivers.failures import store_failure
from jobs.exceptions import FailedJobNotFoundError
from jobs.job import Job
from jobs.models import FailedJob, Slot
from jobs.selectors import list_failed_jobs
from jobs.services import (
    forget_failed_jobs,
    forget_one,
    retry_failed_job,
    retry_failed_jobs,
)
from jobs.signals import job_queued, job_retry_requested
from jobs.worker.runner import Processed
from tests.jobs.batch_jobs import BROKEN, StepJob, UniqueStepJob, read_batch, read_counts
from tests.jobs.batch_jobs import notes as _notes  # noqa: F401 - a fixture
from tests.jobs.far_store import far_fixture as _far  # noqa: F401 - a fixture
from tests.jobs.sample_jobs import HopelessJob
from tests.jobs.steps import claim_one, drain, heard, run_next, soon, stored, stored_one

pytestmark = pytest.mark.usefixtures("job_connection")


class SulkyJob(Job):
    """Fails while its mood is bad."""

    tries = 1
    is_bad: ClassVar[bool] = True

    def __init__(self, secret: str = "hunter2") -> None:  # noqa: S107 - to be hidden
        self.secret = secret

    @override
    def handle(self) -> None:
        if self.is_bad:
            message = f"can't log in with {self.secret}"
            raise ValueError(message)

    @override
    def redact(self, text: str) -> str:
        return text.replace(self.secret, "[hidden]")


@pytest.fixture(autouse=True)
def bad_mood() -> None:
    SulkyJob.is_bad = True


def _fail_one() -> UUID:
    job_id = HopelessJob.dispatch()
    run_next(now=soon(0.1))
    return job_id


def _state() -> str:
    return FailedJob.objects.get().state


# --- What is kept


def test_a_failed_job_tells_where_and_as_part_of_what_it_ran(job_connection: str) -> None:
    SulkyJob().with_tags("login").with_priority(7).dispatch()
    run_next(now=soon(0.1))
    failed = FailedJob.objects.get()
    assert (failed.connection, failed.queue, failed.priority, failed.attempts) == (job_connection, "default", 7, 1)
    assert (failed.context["worker"], failed.context["tags"]) == ("test", ["login"])
    assert not failed.is_quarantined


def test_what_a_job_hides_stands_neither_in_text_nor_in_traceback() -> None:
    SulkyJob.dispatch()
    run_next(now=soon(0.1))
    failed = FailedJob.objects.get()
    assert failed.exception == "ValueError: can't log in with [hidden]"
    assert "hunter2" not in failed.traceback


# --- Retried


def test_a_retried_job_waits_again_as_it_was_with_no_try_used() -> None:
    job_id = SulkyJob().with_priority(9).dispatch()
    run_next(now=soon(0.1))
    now = timezone.now()
    retry_failed_job(job_id=job_id, now=now)
    job = stored_one()
    assert (job.job_id, job.attempts, job.available_at, job.priority) == (job_id, 0, now, 9)


def test_what_became_of_a_retry_is_seen_at_the_failed_job() -> None:
    job_id = SulkyJob.dispatch()
    run_next(now=soon(0.1))
    assert _state() == "failed"
    retry_failed_job(job_id=job_id)
    assert _state() == "retrying"
    assert not list_failed_jobs().exists()
    SulkyJob.is_bad = False
    assert isinstance(run_next(now=soon(0.2)), Processed)
    failed = FailedJob.objects.get()
    assert (failed.state, failed.retry_count) == ("recovered", 1)


def test_a_job_that_fails_again_is_a_failed_one_again_and_counts_its_retries() -> None:
    job_id = SulkyJob.dispatch()
    run_next(now=soon(0.1))
    for count in (1, 2):
        retry_failed_job(job_id=job_id)
        run_next(now=soon(count))
        failed = FailedJob.objects.get()
        assert (failed.state, failed.retry_count) == ("failed", count)
    assert list_failed_jobs().count() == 1


def test_a_job_that_was_put_back_is_not_put_back_a_second_time() -> None:
    job_id = _fail_one()
    retry_failed_job(job_id=job_id)
    with pytest.raises(FailedJobNotFoundError):
        retry_failed_job(job_id=job_id)
    assert len(stored()) == 1


@pytest.mark.django_db(transaction=True)
def test_a_job_that_its_worker_is_about_to_bury_is_not_put_back_and_lost() -> None:
    job_id = SulkyJob.dispatch()
    claim, burial = claim_one(), Burial(attempts=1, exception="x", traceback="", failed_at=timezone.now())
    if get_driver().is_transactional:
        get_driver().bury(claim, burial)  # the row and the end of the job are one step
    else:
        store_failure(claim, burial)
        assert retry_failed_jobs() == []
        get_driver().bury(claim, burial)
    assert retry_failed_jobs() == [job_id]
    assert stored_one().job_id == job_id


@pytest.mark.django_db(transaction=True)
def test_a_retry_is_announced() -> None:
    job_id = _fail_one()
    with heard(job_retry_requested, job_queued) as seen:
        retry_failed_job(job_id=job_id)
    assert {signal for signal, _ in seen} == {job_retry_requested, job_queued}
    assert {fact.job_id for _, fact in seen} == {job_id}


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
    assert len(stored()) == 1


def _retry_into(retried: list[UUID], job_id: UUID) -> None:
    try:
        retried.extend(retry_failed_jobs(job_ids=[job_id]))
    finally:
        connections.close_all()


def test_all_failed_jobs_are_retried_where_no_ids_are_given() -> None:
    ids = [_fail_one() for _ in range(3)]
    assert retry_failed_jobs() == ids
    assert len(stored()) == 3


def test_retrying_leaves_out_what_is_not_there() -> None:
    job_id = _fail_one()
    assert retry_failed_jobs(job_ids=[uuid4(), job_id]) == [job_id]


def _fail_in_batch() -> tuple[UUID, UUID]:
    """Let the first of two links fail; return the ids of the batch and of the job."""
    BROKEN.add("first")
    found = batch([[UniqueStepJob("first"), StepJob("second")]]).dispatch()
    run_next(now=soon(0.1))
    BROKEN.clear()
    return found.id, FailedJob.objects.get().job_id


def test_a_retry_that_its_store_did_not_take_leaves_the_job_failed_as_it_was(far: set[str]) -> None:
    batch_id, job_id = _fail_in_batch()
    before = read_counts(batch_id)
    far.add("push")
    with pytest.raises(OperationalError):
        retry_failed_job(job_id=job_id)
    far.clear()
    failed = FailedJob.objects.get()
    assert (failed.state, failed.retry_count) == ("failed", 0)
    assert read_counts(batch_id) == before
    assert not Slot.objects.exists()
    retry_failed_job(job_id=job_id)
    assert drain(now=soon(0.2)) == 2
    assert read_batch(batch_id).is_finished


def test_a_retry_of_which_nothing_was_heard_for_an_hour_can_be_asked_for_again() -> None:
    job_id = _fail_one()
    retry_failed_job(job_id=job_id)
    with pytest.raises(FailedJobNotFoundError):
        retry_failed_job(job_id=job_id, now=soon(0.9))
    get_driver().remove([job_id])
    for _ in range(2):
        retry_failed_job(job_id=job_id, now=soon(1.1))
        FailedJob.objects.update(retried_at=timezone.now())
        assert stored_one().job_id == job_id


# --- Forgotten, pruned


def test_a_forgotten_job_is_gone() -> None:
    job_id = _fail_one()
    forget_one(job_id=job_id)
    assert not FailedJob.objects.exists()
    with pytest.raises(FailedJobNotFoundError):
        forget_one(job_id=job_id)


def test_forgetting_several_counts_those_that_were_there() -> None:
    ids = [_fail_one(), _fail_one()]
    assert forget_failed_jobs(job_ids=[ids[0], uuid4()]) == 1
    assert FailedJob.objects.get().job_id == ids[1]
