"""Batches: what they hold, how their jobs are counted, and how they end."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, override
from uuid import uuid4

import pytest
from django.db import OperationalError, connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pytest_django.fixtures import Settings

from jobs.batch import Batch, Members, PendingBatch, batch
from jobs.chain import chain
from jobs.drivers.base import Message, get_driver
from jobs.drivers.sync import SyncDriver
from jobs.exceptions import BatchNotFoundError, JobArgumentError, JobOptionError, NotBatchableError, QueueFull
from jobs.job import PendingDispatch
from jobs.models import Batch as BatchRow
from jobs.models import BatchMember, QueuedJob
from jobs.queues import define_queue, forget_queue
from tests.jobs.batch_jobs import (
    NOTES,
    AddingJob,
    AsyncAddingJob,
    CancellingJob,
    NoBatchJob,
    SkippingJob,
    StepJob,
    UniqueStepJob,
    on_finally,
    on_progress,
    on_then,
    read_batch,
    read_counts,
)
from tests.jobs.batch_jobs import notes as _notes  # noqa: F401 - a fixture
from tests.jobs.far_store import far_fixture as _far  # noqa: F401 - a fixture
from tests.jobs.steps import drain, run_next

pytestmark = pytest.mark.usefixtures("job_connection")


def _steps(*names: str) -> list[StepJob]:
    return [StepJob(name) for name in names]


# --- What a batch holds


def test_a_batch_counts_its_jobs_as_they_succeed() -> None:
    found = batch(_steps("a", "b")).name("Import").dispatch()
    assert (found.name, found.total_jobs, found.pending_jobs, found.failed_jobs) == ("Import", 2, 2, 0)
    run_next()
    assert read_counts(found.id) == (2, 1, 0)
    assert read_batch(found.id).progress == 50
    run_next()
    assert read_counts(found.id) == (2, 0, 0)
    assert read_batch(found.id).is_finished
    assert read_batch(found.id).has_ended


def test_processed_jobs_and_progress_follow_from_the_counts() -> None:
    found = Batch(
        id=uuid4(),
        name="",
        total_jobs=10,
        pending_jobs=4,
        failed_jobs=1,
        allows_failures=True,
        created_at=timezone.now(),
        cancelled_at=None,
        finished_at=None,
    )
    assert (found.processed_jobs, found.progress) == (6, 60)
    assert (found.has_failures, found.is_finished, found.is_cancelled, found.has_ended) == (True, False, False, False)


def test_jobs_come_from_any_iterable_and_what_is_empty_is_left_out() -> None:
    pending = batch(StepJob(name) for name in "ab").add([None, []]).add(StepJob("c")).add([StepJob("d")])
    assert len(pending.jobs) == 4


@pytest.mark.parametrize(
    "jobs",
    [
        lambda: batch([NoBatchJob()]),
        lambda: batch([[StepJob("a"), NoBatchJob()]]),
        lambda: batch([batch([NoBatchJob()])]),
        lambda: batch([StepJob("a").chain([NoBatchJob()])]),
        lambda: batch(["a"]),
        lambda: batch([]).add(NoBatchJob()),
        lambda: batch([]).dispatch().add(NoBatchJob()),
    ],
)
def test_what_is_not_batchable_is_refused(jobs: Callable[[], object]) -> None:
    with pytest.raises(NotBatchableError):
        jobs()


def test_lists_are_chains_and_their_links_are_counted() -> None:
    found = batch([StepJob("x"), [StepJob("a"), [StepJob("b")], StepJob("c")]]).dispatch()
    assert read_counts(found.id) == (4, 4, 0)
    assert drain() == 4
    assert NOTES == ["x", "a", "b", "c"]
    assert read_counts(found.id) == (4, 0, 0)


def test_what_was_chained_to_a_job_is_counted_with_it() -> None:
    found = batch([StepJob("a").chain(_steps("b"))]).dispatch()
    assert read_counts(found.id) == (2, 2, 0)
    drain()
    assert read_batch(found.id).is_finished


def test_a_batch_within_a_batch_counts_as_one_job_that_sends_it() -> None:
    found = batch([StepJob("a"), batch(_steps("b", "c")).name("inner")]).dispatch()
    assert read_counts(found.id) == (2, 2, 0)
    drain()
    assert sorted(NOTES) == ["a", "b", "c"]
    assert read_batch(found.id).is_finished
    assert read_batch(BatchRow.objects.get(name="inner").pk).is_finished


def test_jobs_know_their_batch() -> None:
    found = batch([AddingJob("a", 1)]).dispatch()
    run_next()
    assert read_counts(found.id) == (2, 1, 0)
    assert StepJob("alone").batch is None


def test_jobs_of_a_batch_use_its_queue_unless_they_have_their_own() -> None:
    line: Members = [StepJob("c").on_queue("low"), StepJob("d").on_queue("low"), StepJob("e")]
    batch([StepJob("a"), StepJob("b").on_queue("low"), line]).on_queue("high").dispatch()
    assert sorted(job.queue for job in get_driver().list_jobs()) == ["high", "low", "low"]
    assert drain("low") == 3
    assert drain("high") == 2
    assert NOTES == ["b", "c", "d", "a", "e"]


def test_links_keep_their_queue_where_the_batch_has_none() -> None:
    batch([[StepJob("a").on_queue("high"), StepJob("b").on_queue("high")]]).dispatch()
    assert drain("high") == 2


@pytest.mark.django_db(transaction=True)
def test_jobs_of_a_batch_may_run_elsewhere(job_connection: str) -> None:
    found = batch([StepJob("here").on_connection("sync"), StepJob("there")]).then(on_then).dispatch()
    assert NOTES == ["here"]
    drain()
    assert NOTES == ["here", "there", "then 2/2"]
    assert read_batch(found.id).is_finished


def test_a_batch_keeps_options() -> None:
    found = batch([]).with_option("source", {"path": "a.csv"}).progress(on_progress).dispatch()
    assert found.get_option("source") == {"path": "a.csv"}
    assert found.get_option("other", 1) == 1
    assert (found.has_callbacks("progress"), found.has_callbacks("then")) == (True, False)


def test_a_batch_without_jobs_is_finished_at_once() -> None:
    found = batch([]).then(on_then).finally_(on_finally).dispatch()
    assert found.is_finished
    drain()
    assert NOTES == ["then 0/0", "finally 0/0"]


@pytest.mark.parametrize("value", [object(), float("nan"), {1, 2}], ids=["object", "no number", "set"])
def test_an_option_that_can_not_be_stored_is_refused_at_once_by_its_name(value: object) -> None:
    with pytest.raises(JobArgumentError, match="batch: the option 'source' can't be stored"):
        batch([]).with_option("source", value)


@pytest.mark.parametrize("name", ["x" * 201, "a\x00", object()], ids=["long", "NUL", "object"])
def test_what_can_not_be_a_name_is_refused(name: Any) -> None:  # Any: wrong on purpose
    with pytest.raises(JobOptionError, match="batch: name must be"):
        batch([]).name(name)


def test_a_negative_number_of_failures_and_what_is_no_queue_are_refused() -> None:
    with pytest.raises(JobOptionError, match="batch: queue must be"):
        batch([]).on_queue("a,b")
    with pytest.raises(JobOptionError):
        batch([]).allow_failures(-1)


# --- Dispatch


def test_conditions_decide_whether_a_batch_is_sent_and_how() -> None:
    def use_high(pending: PendingBatch) -> None:
        pending.on_queue("high")

    assert batch(_steps("a")).dispatch_if(lambda: False) is None
    assert batch(_steps("b")).dispatch_unless(True) is None
    assert not BatchRow.objects.exists()
    assert batch(_steps("c")).when(True, use_high).dispatch_if(True) is not None
    assert batch(_steps("d")).unless(True, use_high).dispatch_unless(lambda: False) is not None
    assert drain("high") == 1
    drain()
    assert NOTES == ["c", "d"]


def test_a_batch_in_a_transaction_that_is_rolled_back_leaves_nothing() -> None:
    def roll_back() -> None:
        with transaction.atomic():
            batch(_steps("a")).dispatch()
            raise LookupError

    with pytest.raises(LookupError):
        roll_back()
    assert drain() == 0
    assert not BatchRow.objects.exists()


def test_a_record_that_cannot_be_stored_leaves_no_batch() -> None:
    with pytest.raises(JobArgumentError):
        batch([StepJob("a"), StepJob("x" * 1_100_000)]).dispatch()
    assert not BatchRow.objects.exists()
    assert not BatchMember.objects.exists()
    assert drain() == 0


@pytest.fixture
def small_queue() -> Iterator[str]:
    define_queue("small", max_jobs=2)
    yield "small"
    forget_queue("small")


def test_a_batch_that_finds_no_room_leaves_nothing(small_queue: str) -> None:
    with pytest.raises(QueueFull):
        batch(_steps("a", "b", "c")).on_queue(small_queue).dispatch()
    assert not BatchRow.objects.exists()
    assert drain() == 0


def test_jobs_that_find_no_room_are_not_added(small_queue: str) -> None:
    found = batch(_steps("a")).on_queue(small_queue).dispatch()
    with pytest.raises(QueueFull):
        found.add(_steps("b", "c"))
    assert read_counts(found.id) == (1, 1, 0)


class RefusingDriver(SyncDriver):
    """A store that is away, which is found after the commit."""

    @override
    def push(self, messages: Sequence[Message], *, limits: Mapping[str, int] | None = None) -> None:
        raise ConnectionError


@pytest.fixture
def refusing(settings: Settings) -> str:
    """The name of a connection that takes nothing."""
    known = settings.JOBS["CONNECTIONS"]
    driver = f"{__name__}.RefusingDriver"
    settings.JOBS = {**settings.JOBS, "CONNECTIONS": {**known, "refusing": {"DRIVER": driver}}}
    return "refusing"


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("in_chain", [False, True], ids=["alone", "in a chain"])
def test_a_store_that_is_away_leaves_no_batch_and_no_lock(refusing: str, in_chain: bool) -> None:
    pending = batch([UniqueStepJob("one")]).on_connection(refusing)
    with pytest.raises(ConnectionError):
        chain([pending]).dispatch() if in_chain else pending.dispatch()
    assert not BatchRow.objects.exists()
    UniqueStepJob.dispatch("one")
    assert drain() == 1


@pytest.mark.django_db(transaction=True)
def test_jobs_that_a_store_did_not_take_are_not_added(refusing: str) -> None:
    found = batch(_steps("a")).then(on_then).dispatch()
    drain()
    with pytest.raises(ConnectionError):
        found.add(StepJob("b").on_connection(refusing))
    drain()
    assert read_counts(found.id) == (1, 0, 0)
    assert read_batch(found.id).is_finished
    assert NOTES == ["a", "then 1/1"]


# --- Cancelling


def test_jobs_of_a_cancelled_batch_are_taken_and_skip_themselves_where_they_ask() -> None:
    found = batch([SkippingJob("a"), StepJob("b")]).dispatch()
    found.cancel()
    assert drain() == 2
    assert NOTES == ["b"]
    assert read_counts(found.id) == (2, 0, 0)


def test_a_job_sees_that_its_batch_was_cancelled() -> None:
    batch([CancellingJob(), StepJob("b")]).dispatch()
    run_next()
    assert NOTES == ["True False True"]


def test_a_deleted_batch_is_gone_and_its_jobs_run_as_any_other() -> None:
    found = batch(_steps("a", "broken")).then(on_then).dispatch()
    found.delete()
    assert found.fresh() is None
    drain()
    assert NOTES == ["a"]
    with pytest.raises(BatchNotFoundError):
        found.cancel()


# --- Adding


def test_a_job_adds_to_its_batch() -> None:
    found = batch([AddingJob("a", 3)]).then(on_then).dispatch()
    drain()
    assert NOTES == ["a", "a-0", "a-1", "a-2", "then 4/4"]
    assert read_counts(found.id) == (4, 0, 0)


def test_an_added_list_is_a_chain() -> None:
    found = batch([]).dispatch().add([[StepJob("a"), StepJob("b")], batch(_steps("c"))])
    assert (found.total_jobs, found.is_finished) == (3, False)
    drain()
    assert NOTES == ["a", "b", "c"]


def test_adding_to_a_finished_batch_opens_it_again_and_its_end_is_told_once_more() -> None:
    found = batch(_steps("a")).then(on_then).finally_(on_finally).dispatch()
    drain()
    assert not found.add(StepJob("b")).is_finished
    drain()
    assert NOTES == ["a", "then 1/1", "finally 0/0", "b", "then 2/2", "finally 0/0"]
    assert read_batch(found.id).is_finished


def test_adding_to_a_batch_that_is_gone_raises() -> None:
    found = batch([]).dispatch()
    found.delete()
    with pytest.raises(BatchNotFoundError):
        found.add(StepJob("a"))


@pytest.mark.django_db(transaction=True)
def test_an_asynchronous_job_adds_to_its_batch() -> None:
    found = batch([AsyncAddingJob()]).dispatch()
    drain()
    assert NOTES == ["async 2", "added"]
    assert read_batch(found.id).is_finished


# --- Size


def test_ten_thousand_jobs_are_stored_with_few_statements() -> None:
    def count(jobs: int) -> int:
        pending = batch([StepJob(str(number)) for number in range(jobs)])
        with CaptureQueriesContext(connection) as queries:
            pending.dispatch()
        return len(queries)

    small, large = count(10), count(10_000)
    # Of each thousand: one statement for the members, one for the jobs, one more where these leave the outbox.
    assert large - small <= 3 * (10_000 // 1_000)
    assert small < 15


def test_the_record_of_a_member_does_not_grow_with_its_batch() -> None:
    def measure(jobs: int) -> int:
        batch([StepJob("x") for _ in range(jobs)]).name(f"{jobs}").then(on_then).dispatch()
        return max(len(job.payload) for job in get_driver().list_jobs(limit=jobs))

    assert measure(1) == measure(200)


def test_a_batch_over_two_stores_is_stored_in_both_or_none(far: set[str]) -> None:
    far.add("push")
    with pytest.raises(OperationalError):
        batch([StepJob("a").on_connection("near"), StepJob("b")]).dispatch()
    assert not BatchRow.objects.exists()
    assert not QueuedJob.objects.exists()


def _add_twice(job: StepJob) -> object:
    return batch([StepJob("other")]).dispatch().add([job, job])


@pytest.mark.parametrize(
    "send",
    [lambda job: batch([job, job]).dispatch(), lambda job: batch([job, batch([[job]])]).dispatch(), _add_twice],
    ids=["jobs", "within", "added"],
)
def test_a_job_that_is_in_a_batch_twice_is_refused(send: Callable[[StepJob], object]) -> None:
    with pytest.raises(JobOptionError, match="each job once"):
        send(StepJob("a"))
    assert not BatchMember.objects.filter(batch__total_jobs__gt=1).exists()


@pytest.mark.parametrize(
    "make",
    [
        lambda job: batch([job, [StepJob("b"), StepJob("c")]]),
        lambda job: batch([batch([job])]),
        lambda job: chain([batch([job])]),
        lambda job: chain([job, StepJob("c")]),
        lambda job: job,
    ],
    ids=["batch", "batch within", "chain of a batch", "chain", "job with a link"],
)
def test_what_is_sent_twice_is_sent_as_two(make: Callable[[PendingDispatch], Any]) -> None:  # Any: what can be sent
    pending = make(StepJob("a").chain([StepJob("d")]))
    first, second = pending.dispatch(), pending.dispatch()
    assert first != second
    drain()
    assert (NOTES.count("a"), NOTES.count("d")) == (2, 2)
    assert not BatchRow.objects.exclude(pending_jobs=0).exists()


@pytest.mark.parametrize(
    "send",
    [
        lambda job: batch([job]).dispatch(),
        lambda job: batch([]).dispatch().add(job),
        lambda job: chain([job, StepJob("c")]).dispatch(),
        lambda job: chain([batch([job]), StepJob("c")]).dispatch(),
    ],
    ids=["batch", "added", "chain", "chain of a batch"],
)
def test_a_unique_job_that_was_refused_was_not_sent_and_can_be_sent_later(
    send: Callable[[UniqueStepJob], object],
) -> None:
    UniqueStepJob("one").dispatch()
    job, seen = UniqueStepJob("one"), []
    for _ in range(2):
        send(job)
        seen.append(job.was_sent)
        drain()
    assert seen == [False, True]
    assert NOTES.count("one") == 2


def test_what_is_chained_to_a_job_that_was_refused_was_not_sent() -> None:
    UniqueStepJob("one").dispatch()
    link = StepJob("link")
    UniqueStepJob("one").chain([link]).dispatch()
    assert not link.was_sent


@pytest.mark.parametrize(
    "send",
    [lambda job: batch([job]).dispatch(), lambda job: batch([]).dispatch().add(job)],
    ids=["dispatched", "added"],
)
def test_a_job_that_was_sent_before_can_be_in_another_batch(send: Callable[[StepJob], Batch]) -> None:
    job = StepJob("a")
    sent = [send(job), send(job)]
    job.dispatch()
    drain()
    assert NOTES == ["a"] * 3
    assert [read_batch(found.id).processed_jobs for found in sent] == [1, 1]
