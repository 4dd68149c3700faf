"""What people do by hand to one job, or to all that a search finds."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from django.db import OperationalError, connection
from django.utils import timezone

from jobs.batch import batch
from jobs.drivers.base import get_driver
from jobs.exceptions import (
    ConnectionGoneError,
    FailedJobNotFoundError,
    InvalidCursorError,
    JobNotFoundError,
    JobNotWaitingError,
)
from jobs.models import FailedJob
from jobs.selectors import FailedState, JobQuery, JobStatus, get_job_life, list_jobs
from jobs.services import (
    Steer,
    SteeringPlan,
    cancel_job,
    forget_one,
    open_plan,
    plan_steering,
    retry_failed_job,
    retry_failed_jobs,
    retry_one,
    seal_plan,
    send,
    steer_each,
    steer_some,
)
from permissions import audit
from tests.jobs.batch_jobs import NOTES, StepJob, UniqueStepJob, on_finally, read_batch, read_counts
from tests.jobs.batch_jobs import notes as _notes  # noqa: F401 - a fixture
from tests.jobs.sample_jobs import HopelessJob, NoteJob
from tests.jobs.steps import NOON, claim_one, drain, stored

pytestmark = pytest.mark.usefixtures("job_connection")


def go_through(plan: SteeringPlan) -> Iterator[SteeringPlan]:
    while not plan.is_complete:
        plan = steer_some(plan)
        yield plan


def finish(query: JobQuery, steer: Steer) -> SteeringPlan:
    return list(go_through(plan_steering(query, steer)))[-1]


FAILED = JobQuery(status=JobStatus.FAILED)


def fail(count: int, *tags: str) -> None:
    for _ in range(count):
        HopelessJob().with_tags(*tags).dispatch()
    drain()


def test_all_that_a_search_finds_is_retried_and_nothing_else() -> None:
    fail(3, "green")
    fail(2, "red")
    plan = plan_steering(JobQuery(status=JobStatus.FAILED, tag="green"), Steer.RETRY)
    assert (plan.total, len(stored())) == (3, 0)
    fail(1, "green")
    plan = list(go_through(plan))[-1]
    assert (plan.done, plan.skipped, len(stored())) == (3, 0, 3)
    assert FailedJob.objects.filter(retried_at=None).count() == 3


def test_what_failed_again_after_the_question_is_left_alone() -> None:
    fail(2)
    again, _other = FailedJob.objects.order_by("pk")
    retry_failed_job(job_id=again.job_id)
    plan = plan_steering(FAILED, Steer.DISCARD, now=timezone.now())
    assert plan.total == 1
    drain()
    plan = list(go_through(plan))[-1]
    assert (plan.done, [row.job_id for row in FailedJob.objects.all()]) == (1, [again.job_id])


def test_what_somebody_else_was_quicker_with_is_skipped() -> None:
    fail(2)
    plan = plan_steering(FAILED, Steer.DISCARD)
    FailedJob.objects.order_by("pk")[:1].get().delete()
    plan = list(go_through(plan))[-1]
    assert (plan.done, plan.total, FailedJob.objects.count()) == (1, 2, 0)


def test_a_unique_job_of_which_another_waits_is_left_among_the_failed() -> None:
    UniqueStepJob("broken").dispatch()
    drain()
    assert FailedJob.objects.count() == 1
    UniqueStepJob("broken").dispatch()
    plan = finish(FAILED, Steer.RETRY)
    assert (plan.done, plan.skipped) == (0, 1)


@pytest.mark.parametrize("steer", Steer)
def test_a_few_jobs_take_one_step(steer: Steer) -> None:
    fail(3)
    plan = steer_some(plan_steering(FAILED, steer))
    assert (plan.done, plan.is_complete) == (3, True)


def test_what_failed_in_a_batch_is_found_by_it() -> None:
    batches = [batch([StepJob("broken"), StepJob("a")]).allow_failures().dispatch() for _ in range(2)]
    fail(1)
    drain()
    query = replace(FAILED, batch_id=batches[0].id)
    assert len(list_jobs(query).rows) == 1
    assert finish(query, Steer.RETRY).done == 1
    assert FailedJob.objects.filter(retried_at=None).count() == 2


def test_a_job_whose_connection_is_gone_is_left_among_the_failed() -> None:
    fail(2)
    first = FailedJob.objects.order_by("pk")[:1].get()
    FailedJob.objects.filter(pk=first.pk).update(connection="gone")
    with pytest.raises(ConnectionGoneError):
        retry_one(job_id=first.job_id)
    plan = finish(FAILED, Steer.RETRY)
    assert (plan.done, plan.skipped) == (1, 1)
    assert retry_failed_jobs() == []
    first.refresh_from_db()
    assert first.state == "failed"


@pytest.mark.parametrize("status", [JobStatus.WAITING, JobStatus.DELAYED])
def test_jobs_that_wait_are_cancelled_by_a_search(status: JobStatus, tmp_path: Path) -> None:
    for number in range(7):
        job = NoteJob(str(tmp_path), "x").with_tags("green" if number < 4 else "red")
        (job.delay_until(60) if status is JobStatus.DELAYED else job).dispatch()
    plan = finish(JobQuery(status=status, tag="green"), Steer.DISCARD)
    assert plan.done == 4
    assert len(stored()) == 3
    assert finish(JobQuery(status=status), Steer.DISCARD).done == 3


def test_what_comes_after_the_plan_is_left_alone(tmp_path: Path) -> None:
    query = JobQuery(status=JobStatus.WAITING)
    NoteJob.dispatch(str(tmp_path), "x")
    plan = plan_steering(query, Steer.DISCARD, now=get_driver().get_now())  # by whose clock jobs are sent
    wanted = NoteJob.dispatch(str(tmp_path), "x")
    list(go_through(plan))
    assert [row.job_id for row in list_jobs(query).rows] == [wanted]


def test_a_job_of_a_host_that_is_a_little_ahead_is_among_those_that_wait(tmp_path: Path) -> None:
    record = replace(NoteJob(str(tmp_path), "x").make_record(), delay_seconds=60)
    send([record], now=get_driver().get_now() + timedelta(milliseconds=500))
    assert finish(JobQuery(status=JobStatus.DELAYED), Steer.DISCARD).done == 1


def test_running_jobs_can_not_be_steered() -> None:
    with pytest.raises(ValueError, match="running"):
        plan_steering(JobQuery(status=JobStatus.RUNNING), Steer.DISCARD)
    with pytest.raises(ValueError, match="retry"):
        plan_steering(JobQuery(status=JobStatus.WAITING), Steer.RETRY)


def test_a_job_that_waits_is_cancelled_and_gives_its_lock_back() -> None:
    job = UniqueStepJob("a")
    job.dispatch()
    cancel_job(job_id=job.job_id)
    assert stored() == []
    again = UniqueStepJob("a")
    again.dispatch()
    assert again.was_sent


def test_a_job_that_is_cancelled_leaves_its_batch_which_then_ends() -> None:
    step, other = StepJob("a"), StepJob("b")
    found = batch([step, other]).dispatch()
    cancel_job(job_id=step.job_id)
    drain()
    assert read_batch(found.id).finished_at is not None


def test_a_retry_that_is_cancelled_is_among_the_failed_jobs_again_and_in_its_batch() -> None:
    found = batch([[StepJob("broken"), StepJob("after")]]).allow_failures().finally_(on_finally).dispatch()
    drain()
    before = read_counts(found.id)
    (job_id,) = found.retry_failed()
    cancel_job(job_id=job_id)
    assert get_job_life(job_id).state == "failed"
    assert read_counts(found.id) == before == (1, 1, 1)
    assert NOTES == ["finally 1/1"]
    assert found.retry_failed() == [job_id]


@contextmanager
def refused(words: str, *, after: int = 0) -> Iterator[None]:
    """Let the database go away for statements with these words, once it has taken a few."""
    seen = 0

    def look(execute: Callable[..., object], sql: str, *arguments: object) -> object:
        nonlocal seen
        seen += (is_meant := words in sql.replace('"', ""))
        if is_meant and seen > after:
            raise OperationalError
        return execute(sql, *arguments)

    with connection.execute_wrapper(look):
        yield


@pytest.mark.parametrize("start", ["UPDATE job_batches ", "INSERT INTO jobs ("], ids=["counting", "what follows"])
def test_a_job_whose_batch_can_not_be_told_is_not_cancelled_and_can_be_later(start: str, job_connection: str) -> None:
    step = StepJob("a").on_connection(job_connection)
    found = batch([step]).on_connection("database").finally_(on_finally).dispatch()
    (job,) = stored()
    with pytest.raises(OperationalError), refused(start):
        cancel_job(job_id=job.job_id)
    assert [(one.job_id, one.payload, one.state) for one in stored()] == [(job.job_id, job.payload, "waiting")]
    assert read_batch(found.id).pending_jobs == 1
    assert not audit.list_events(event="job.cancel_by_hand").exists()
    cancel_job(job_id=job.job_id)
    assert read_batch(found.id).finished_at is not None


def test_what_was_cancelled_before_a_store_went_away_is_told_and_the_rest_done_later() -> None:
    found = batch([StepJob(name) for name in "abc"]).dispatch()
    plan = plan_steering(JobQuery(status=JobStatus.WAITING), Steer.DISCARD)
    with refused("UPDATE job_batches ", after=2):
        plan = steer_some(plan)
        assert (plan.done, len(stored()), plan.is_complete) == (2, 1, False)
        with pytest.raises(OperationalError):
            steer_some(plan)
    assert list(go_through(plan))[-1].done == 3
    assert read_batch(found.id).finished_at is not None
    assert audit.list_events(event="job.discard_by_hand").count() == 2


def test_what_was_retried_before_a_store_went_away_is_told() -> None:
    fail(3)
    ids = list(FailedJob.objects.order_by("pk").values_list("job_id", flat=True))
    with pytest.raises(OperationalError), refused("UPDATE failed_jobs ", after=2):
        steer_each(job_ids=ids, steer=Steer.RETRY)
    assert FailedJob.objects.filter(retried_at=None).count() == 1
    (event,) = audit.list_events(event="job.retry_by_hand")
    assert event.data["count"] == 2


def test_only_a_job_that_waits_can_be_cancelled(tmp_path: Path) -> None:
    with pytest.raises(JobNotFoundError):
        cancel_job(job_id=uuid4())
    NoteJob.dispatch(str(tmp_path), "x")
    claim = claim_one(now=timezone.now())
    with pytest.raises(JobNotWaitingError):
        cancel_job(job_id=claim.job_id)


def test_what_is_done_by_hand_is_recorded(tmp_path: Path) -> None:
    fail(2)
    first, second = FailedJob.objects.order_by("pk").values_list("job_id", flat=True)
    retry_one(job_id=first)
    forget_one(job_id=second)
    cancel_job(job_id=first)
    with pytest.raises(FailedJobNotFoundError):
        forget_one(job_id=second)
    fail(1)
    finish(FAILED, Steer.DISCARD)
    events = [(one.event, one.subject_label) for one in audit.list_events().order_by("pk")]
    assert events == [
        ("job.retry_by_hand", str(first)),
        ("job.discard_by_hand", str(second)),
        ("job.cancel_by_hand", str(first)),
        ("job.discard_by_hand", ""),
    ]


@pytest.mark.parametrize("outcome", [FailedState.RETRYING, None])
def test_a_plan_goes_through_other_hands_and_nobody_can_make_one(outcome: FailedState | None) -> None:
    query = JobQuery(status=JobStatus.FAILED, queue="a", tag="é", since=NOON, outcome=outcome, batch_id=uuid4())
    plan = replace(plan_steering(query, Steer.RETRY), done=3, next_key=7)
    sealed = seal_plan(plan)
    assert open_plan(sealed) == plan
    for text in ("", "x", sealed[:-1], sealed + "x", sealed.replace(":", ".", 1)):
        with pytest.raises(InvalidCursorError):
            open_plan(text)
