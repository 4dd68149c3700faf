"""What batches call: when, in which order, how often, and with what."""

from uuid import UUID

import pytest
from django.db import transaction
from django.utils import timezone

from jobs.batch import Batch, PendingBatch, batch, encode_callback
from jobs.chain import chain
from jobs.drivers.base import get_driver
from jobs.exceptions import JobDefinitionError
from jobs.models import Batch as BatchRow
from jobs.models import FailedJob
from jobs.queues import define_queue, forget_queue
from jobs.services import CALLBACK_JOB, describe_failure, retry_failed_job
from jobs.services.batches import record_failure, record_success
from jobs.worker.runner import Failed, Outcome, Processed, attempt, settle
from tests.jobs.batch_jobs import (
    BROKEN,
    NOTES,
    SkippingJob,
    StepJob,
    add_more,
    on_before,
    on_catch,
    on_failure,
    on_finally,
    on_progress,
    on_then,
    raise_here,
    read_batch,
    read_counts,
)
from tests.jobs.batch_jobs import notes as _notes  # noqa: F401 - a fixture
from tests.jobs.steps import claim_one, drain, run_next

pytestmark = pytest.mark.usefixtures("job_connection")


def _make(*names: str) -> PendingBatch:
    return (
        batch([StepJob(name) for name in names])
        .name("Import")
        .progress(on_progress)
        .then(on_then)
        .catch(on_catch)
        .finally_(on_finally)
    )


def _list_waiting() -> list[str]:
    return sorted(job.job_class for job in get_driver().list_jobs())


# --- When


def test_a_batch_that_goes_well_calls_progress_each_time_then_then_and_finally() -> None:
    _make("a", "b").dispatch()
    drain()
    assert NOTES == ["a", "progress 1/2", "b", "progress 2/2", "then 2/2", "finally 0/0"]


def test_a_batch_that_must_not_fail_calls_catch_once_and_finally() -> None:
    _make("broken a", "broken b").dispatch()
    drain()
    assert NOTES == ["catch broken a 1", "finally 2/2"]


def test_a_batch_that_may_fail_calls_progress_at_failures_too() -> None:
    _make("broken a", "b", "broken c").allow_failures(on_failure).dispatch()
    drain()
    assert NOTES == [
        "progress 0/3",
        "failure ValueError broken a 1",
        "catch broken a 1",
        "b",
        "progress 1/3",
        "progress 1/3",
        "failure ValueError broken c 2",
        "finally 2/2",
    ]


def test_progress_and_failure_are_not_called_for_a_failure_that_cancels() -> None:
    _make("broken a", "broken b").allow_failures(1).dispatch()
    drain()
    assert NOTES == ["progress 0/2", "catch broken a 1", "finally 2/2"]


def test_finally_is_called_for_a_cancelled_batch_when_its_jobs_have_ended() -> None:
    found = batch([SkippingJob("a"), StepJob("b")]).finally_(on_finally).dispatch()
    found.cancel()
    drain()
    assert NOTES == ["b", "finally 0/0"]


def test_finally_comes_for_a_batch_with_a_broken_chain() -> None:
    batch([[StepJob("broken"), StepJob("b")], StepJob("c")]).finally_(on_finally).dispatch()
    drain()
    assert NOTES == ["c", "finally 1/1"]


@pytest.mark.parametrize("again", [False, True], ids=["success", "failure"])
def test_a_retry_calls_progress_and_then_but_what_was_called_once_stays_so(again: bool) -> None:
    BROKEN.add("b")
    _make("a", "b").allow_failures().dispatch()
    drain()
    NOTES.clear()
    if not again:
        BROKEN.clear()
    retry_failed_job(job_id=FailedJob.objects.get().job_id)
    drain()
    assert (["progress 1/2"] if again else ["b", "progress 2/2", "then 2/2"]) == NOTES


def test_catch_is_called_at_the_first_failure_alone_even_if_that_was_mended() -> None:
    BROKEN.add("a")
    found = batch([StepJob("a")]).allow_failures().catch(on_catch).dispatch()
    drain()
    BROKEN.clear()
    retry_failed_job(job_id=FailedJob.objects.get().job_id)
    found.add([StepJob("broken")])
    drain()
    assert NOTES == ["catch a 1", "a"]


def test_a_callback_may_add_jobs_and_is_called_again_when_these_have_ended() -> None:
    found = batch([StepJob("a")]).then(add_more).dispatch()
    drain()
    assert NOTES == ["a", "then", "more", "then"]
    assert read_counts(found.id) == (2, 0, 0)


# --- Before


def test_before_is_called_where_the_batch_is_sent_and_before_its_jobs() -> None:
    _make("a").before(on_before).dispatch()
    assert NOTES == ["before 0/1"]
    drain()
    assert NOTES[:2] == ["before 0/1", "a"]


@pytest.mark.parametrize("is_link", [False, True])
def test_a_batch_that_is_filled_before_it_begins_ends_when_that_has(is_link: bool) -> None:
    filled = batch([]).before(fill).then(on_then).finally_(on_finally)
    if is_link:
        chain([StepJob("a"), filled, StepJob("c")]).dispatch()
    else:
        filled.dispatch()
    drain()
    ends = ["then 2/2", "finally 0/0"]
    assert (["a", "x", "y", *ends, "c"] if is_link else ["x", "y", *ends]) == NOTES


def fill(found: Batch) -> None:
    """Give a batch its jobs."""
    found.add([StepJob("x"), StepJob("y")])


def test_before_is_called_once_for_a_batch_in_a_chain() -> None:
    chain([StepJob("a"), batch([StepJob("b")]).before(on_before, StepJob("ahead"))]).dispatch()
    drain()
    assert NOTES == ["a", "before 0/1", "ahead", "b"]


@pytest.mark.django_db(transaction=True)
def test_a_before_that_raises_stops_nothing() -> None:
    _make("a").before(raise_here, spoil_transaction, on_before).dispatch()
    drain()
    assert NOTES[:2] == ["before 0/1", "a"]


def spoil_transaction(found: Batch) -> None:
    """Make the transaction unusable, as an error of the database does."""
    BatchRow.objects.create(id=found.id, created_at=timezone.now())


# --- How


def test_a_callback_is_a_job_of_its_own_and_all_of_one_end_are_one() -> None:
    _make("a").dispatch()
    run_next()
    assert _list_waiting() == [CALLBACK_JOB]


def test_nothing_is_sent_where_nothing_is_called() -> None:
    batch([StepJob("a")]).dispatch()
    run_next()
    assert _list_waiting() == []


def test_callbacks_use_queue_of_the_batch() -> None:
    _make("a").on_queue("high").dispatch()
    run_next()
    assert [job.queue for job in get_driver().list_jobs()] == ["high"]


def test_callbacks_go_before_the_jobs_of_their_queue() -> None:
    _make("a", "b").dispatch()
    run_next()
    assert [job.job_class for job in get_driver().list_jobs()] == [CALLBACK_JOB, "tests.StepJob"]


@pytest.mark.django_db(transaction=True)
def test_callbacks_of_another_connection_are_sent_there(job_connection: str) -> None:
    _make("a").on_connection("sync").dispatch()
    assert NOTES == ["a", "progress 1/1", "then 1/1", "finally 0/0"]
    NOTES.clear()
    batch([StepJob("b").on_connection(job_connection)]).on_connection("sync").then(on_then).dispatch()
    drain()
    assert NOTES == ["b", "then 1/1"]


@pytest.mark.django_db(transaction=True)
def test_callbacks_take_the_connection_of_their_queue_where_none_was_said() -> None:
    define_queue("elsewhere", connection="sync")
    try:
        batch([StepJob("a")]).on_queue("elsewhere").then(on_then).dispatch()
    finally:
        forget_queue("elsewhere")
    assert NOTES == ["a", "then 1/1"]


def test_a_job_can_stand_for_a_callback_and_is_sent_each_time() -> None:
    batch([StepJob("a"), StepJob("b")]).progress(StepJob("told").on_queue("low")).dispatch()
    drain("default")
    assert [job.queue for job in get_driver().list_jobs()] == ["low", "low"]
    drain()
    assert NOTES == ["a", "b", "told", "told"]


def test_what_is_chained_to_a_job_that_stands_for_a_callback_is_sent_each_time() -> None:
    told = StepJob("told").chain([StepJob("next"), batch([[StepJob("inner"), StepJob("last")]])])
    batch([StepJob("a"), StepJob("b")]).progress(told).dispatch()
    drain()
    assert [NOTES.count(name) for name in ("a", "b", "told", "next", "inner", "last")] == [1, 1, 2, 2, 2, 2]
    assert not FailedJob.objects.exists()
    assert {found.pending_jobs for found in BatchRow.objects.all()} == {0}


@pytest.mark.parametrize("wrong", [lambda _found: None, Batch.fresh, _make], ids=["lambda", "method", "private"])
def test_what_cannot_travel_is_refused_when_it_is_said(wrong: object) -> None:
    if wrong is _make:
        assert encode_callback(_make) == {"function": f"{__name__}:_make"}
        return
    if wrong is Batch.fresh:
        wrong = Batch.fresh.__get__(read_batch(batch([]).dispatch().id))
    with pytest.raises(JobDefinitionError):
        batch([]).then(wrong)  # type: ignore[arg-type] # what may be wrong with it is the question


def test_a_callback_that_raises_fails_alone_and_the_others_are_called() -> None:
    found = batch([StepJob("a")]).name("Import").then(raise_here, on_then).finally_(on_finally).dispatch()
    drain()
    assert NOTES == ["a", "then 1/1", "finally 0/0"]
    failed = FailedJob.objects.get()
    assert failed.job_class == CALLBACK_JOB
    assert "LookupError" in failed.exception
    assert failed.attempts == 1
    assert read_batch(found.id).is_finished


def test_callbacks_are_called_by_another_worker_where_the_first_one_died() -> None:
    _make("a").dispatch()
    run_next()
    claim = claim_one()
    assert NOTES == ["a"]
    drain(now=claim.lease_expires_at)
    assert NOTES == ["a", "progress 1/1", "then 1/1", "finally 0/0"]


def test_callbacks_of_a_batch_that_is_gone_are_not_called() -> None:
    found = _make("a").dispatch()
    run_next()
    found.delete()
    drain()
    assert NOTES == ["a"]
    assert not FailedJob.objects.exists()


def test_callbacks_are_named_by_event() -> None:
    pending = batch([]).allow_failures(on_failure, StepJob("x")).then(on_then)
    assert [len(pending.get_callbacks(event)) for event in ("failure", "then", "catch")] == [2, 1, 0]


# --- Repeats: a worker that counted, and died before the job was gone


def _count(outcome: Outcome) -> list[UUID]:
    """Count an end in the batch, and go no further; return what would have been sent."""
    with transaction.atomic():
        match outcome:
            case Processed(record=record):
                followers = record_success(record, now=timezone.now())
            case Failed(record=record, error=error):
                failure = describe_failure(record, error)
                followers = record_failure(record.job_id, record=record, failure=failure, now=timezone.now())
            case _:
                pytest.fail("neither done nor failed")
    return [follower.job_id for follower in followers]


@pytest.mark.parametrize("name", ["a", "broken"])
def test_the_next_worker_sends_the_same_followers_and_counts_nothing(name: str) -> None:
    chain([_make(name).allow_failures(), batch([StepJob("next")]).before(on_before)]).dispatch()
    claim = claim_one()
    outcome = attempt(claim)
    counted = _count(outcome)
    counts = BatchRow.objects.values_list("total_jobs", "pending_jobs", "failed_jobs").order_by("created_at")
    before = list(counts)
    settle(claim, outcome, now=timezone.now())
    assert list(counts) == before
    assert {job.job_id for job in get_driver().list_jobs()} == set(counted)
    drain()
    assert len(counted) == 2
    assert [NOTES.count(note) for note in ("next", "before 0/1")] == [1, 1]
    assert len([note for note in NOTES if note.startswith("finally")]) == 1


def test_a_failure_that_was_counted_is_told_even_if_the_next_try_succeeds() -> None:
    BROKEN.add("a")
    found = _make("a").allow_failures().dispatch()
    claim = claim_one()
    _count(attempt(claim))
    BROKEN.clear()
    settle(claim, attempt(claim), now=timezone.now())
    drain()
    assert read_counts(found.id) == (1, 0, 0)
    assert NOTES == [
        "a",
        "progress 1/1",
        "catch The worker died before it could tell. 0",
        "finally 0/0",
        "progress 1/1",
        "then 1/1",
    ]


def test_a_success_that_was_counted_stays_one_even_if_the_next_try_fails() -> None:
    found = _make("a").dispatch()
    claim = claim_one()
    _count(attempt(claim))
    BROKEN.add("a")
    settle(claim, attempt(claim), now=timezone.now())
    drain()
    assert read_counts(found.id) == (1, 0, 0)
    assert NOTES == ["a", "progress 1/1", "then 1/1", "finally 0/0"]
    BROKEN.clear()
    retry_failed_job(job_id=FailedJob.objects.get().job_id)
    drain()
    assert NOTES[4:] == ["a"]


def test_a_worker_that_lost_its_lease_sends_nothing() -> None:
    found = _make().add(StepJob("a").with_tries(2)).dispatch()
    first = claim_one()
    outcome = attempt(first)
    second = claim_one(now=first.lease_expires_at)
    settle(first, outcome, now=timezone.now())
    assert len(get_driver().list_jobs()) == 1
    settle(second, attempt(second), now=timezone.now())
    drain()
    assert NOTES == ["a", "a", "progress 1/1", "then 1/1", "finally 0/0"]
    assert read_counts(found.id) == (1, 0, 0)


# --- A row that was changed


def test_a_batch_whose_row_was_changed_is_left_alone_and_its_jobs_end(caplog: pytest.LogCaptureFixture) -> None:
    found = _make("a", "broken").dispatch()
    options = BatchRow.objects.get(pk=found.id).options
    BatchRow.objects.filter(pk=found.id).update(options=options.replace("on_then", "raise_here"))
    drain()
    assert NOTES == ["a"]
    assert read_counts(found.id) == (2, 2, 0)
    assert "batch_distrusted" in caplog.text
    assert FailedJob.objects.count() == 1
    assert _list_waiting() == []


def test_callbacks_of_a_row_that_was_changed_after_the_count_are_not_called() -> None:
    found = _make("a").dispatch()
    run_next()
    other = _make("b").dispatch()
    BatchRow.objects.filter(pk=found.id).update(options=BatchRow.objects.get(pk=other.id).options)
    run_next()
    assert NOTES == ["a"]
    assert FailedJob.objects.get().job_class == CALLBACK_JOB
