"""The fakes that tests of an app use."""

import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, override
from unittest import mock

import pytest
from django.db import transaction
from django.tasks import TaskResultStatus
from django.utils import timezone

from jobs.batch import Batch, BatchableJob, Failure, batch, find_batch
from jobs.chain import chain
from jobs.drivers.base import get_driver
from jobs.exceptions import JobArgumentError, PermanentJobError, QueueFull
from jobs.job import Job
from jobs.middleware import Middleware, Skip, ThrottleMiddleware
from jobs.models import FailedJob, QueuedJob
from jobs.queues import define_queue, forget_queue
from jobs.services import retry_failed_job
from jobs.signals import JobProcessed, JobQueued, job_processed, job_queued
from jobs.tasks import TaskJob
from jobs.testing import (
    JobsFake,
    assert_has_chain,
    assert_has_no_chain,
    fake_jobs,
    fake_queue,
    has_jobs,
    like,
    like_batch,
)
from tests.jobs.foreign_tasks import double

DAWN = datetime(2026, 6, 1, 6, tzinfo=UTC)
ran: list[object] = []


class TakenJob(Job):
    queue = "fakes"

    @override
    def handle(self) -> None:
        ran.append("plain")


class UrgentTakenJob(TakenJob):
    priority = 9

    @override
    def handle(self) -> None:
        ran.append("urgent")


@dataclass
class NumberJob(BatchableJob):
    number: int = 0
    tries = 3
    backoff = (10, 60)

    @override
    def handle(self) -> None:
        ran.append(self.number)


class ThirdJob(BatchableJob):
    @override
    def handle(self) -> None:
        ran.append("third")


class BrokenNumberJob(NumberJob):
    @override
    def handle(self) -> None:
        ran.append(self.number)
        raise ValueError(self.number)


class MarkedJob(Job):
    """Changes what travels, so that one sees that it did."""

    def __init__(self, value: str) -> None:
        self.value = value

    @override
    def handle(self) -> None:
        """Do nothing."""

    @override
    @classmethod
    def deserialize(cls, payload: Any) -> "MarkedJob":
        return cls(f"{super().deserialize(payload).value}-restored")


class AloneJob(Job):
    unique_for = 60

    @override
    def handle(self) -> None:
        ran.append("alone")


class SendingJob(Job):
    @override
    def handle(self) -> None:
        NumberJob.dispatch(1)
        NumberJob(2).delay_until(60).dispatch()


class GuardedNumberJob(NumberJob):
    @override
    def middleware(self) -> list[Middleware]:
        return [Skip.when(self.number == 0)]


class ThrottledNumberJob(NumberJob):
    tries = 0

    @override
    def middleware(self) -> list[Middleware]:
        return [ThrottleMiddleware(1, 60)]


class UndecidedJob(Job):
    """Says to its queue what it is told."""

    def __init__(self, word: str = "", delay: float = 0) -> None:
        self.word = word
        self.wait = delay

    @override
    def handle(self) -> None:
        match self.word:
            case "release":
                self.release(self.wait)
            case "delete":
                self.delete()
            case "fail":
                self.fail(LookupError("gone"))
            case "fail quietly" | "fail and delete" | "fail and raise":
                with suppress(PermanentJobError):
                    self.fail(LookupError("gone"))
                if self.word == "fail and delete":
                    self.delete()
                if self.word == "fail and raise":
                    raise ValueError(self.word)
            case "raise":
                raise ValueError(self.attempts)
            case _:
                return


def note_batch(found: Batch) -> None:
    ran.append(found.name)


def note_failure(failure: Failure) -> None:
    ran.append(failure.message)


@pytest.fixture(autouse=True)
def forget_runs() -> None:
    ran.clear()


@pytest.fixture
def at() -> Iterator[Callable[[datetime], None]]:
    """Set the clock, as libraries that freeze time do."""
    with mock.patch("django.utils.timezone.now", return_value=DAWN) as now:
        yield lambda moment: setattr(now, "return_value", moment)


def refuse(words: str) -> Any:
    return pytest.raises(AssertionError, match=words)


# --- Dispatched


def test_a_job_is_taken_instead_of_sent_without_any_store(jobs_fake: JobsFake) -> None:
    with refuse("The expected TakenJob was not dispatched"):
        jobs_fake.assert_dispatched(TakenJob)
    job_id = TakenJob.dispatch()
    jobs_fake.assert_dispatched(TakenJob)
    assert [job.job_id for job in jobs_fake.dispatched(TakenJob)] == [job_id]
    assert ran == []


def test_only_the_class_itself_counts(jobs_fake: JobsFake) -> None:
    UrgentTakenJob.dispatch()
    jobs_fake.assert_not_dispatched(TakenJob)


def test_what_is_true_of_a_job_can_be_asked(jobs_fake: JobsFake) -> None:
    NumberJob.dispatch(1)
    NumberJob.dispatch_now(2)
    jobs_fake.assert_dispatched(NumberJob, where=lambda job: job.number == 1)
    jobs_fake.assert_dispatched(NumberJob, where=lambda job: job.number == 2)
    with refuse("was not dispatched"):
        jobs_fake.assert_dispatched(NumberJob, where=lambda job: job.number == 3)


def test_times_are_counted_over_all_ways_of_dispatch(jobs_fake: JobsFake) -> None:
    NumberJob.dispatch(0)
    NumberJob.dispatch_now(1)
    NumberJob(1).on_queue("high").dispatch()
    with refuse("was dispatched 3 times instead of 1 time"):
        jobs_fake.assert_dispatched(NumberJob, times=1)
    jobs_fake.assert_dispatched(NumberJob, times=3)
    jobs_fake.assert_dispatched_times(NumberJob, 3)
    jobs_fake.assert_dispatched_times(NumberJob, 2, where=lambda job: job.number == 1)
    jobs_fake.assert_dispatched_once(NumberJob, where=lambda job: job.number == 0)
    with refuse("1 time instead of 2 times"):
        jobs_fake.assert_dispatched_times(NumberJob, 2, where=lambda job: job.number == 0)
    with refuse("3 times instead of 1 time"):
        jobs_fake.assert_dispatched_once(NumberJob)


def test_zero_times_is_a_count_too(jobs_fake: JobsFake) -> None:
    jobs_fake.assert_dispatched(NumberJob, times=0)


def test_a_job_that_must_not_be_dispatched(jobs_fake: JobsFake) -> None:
    jobs_fake.assert_not_dispatched(NumberJob)
    NumberJob.dispatch(1)
    jobs_fake.assert_not_dispatched(NumberJob, where=lambda job: job.number == 2)
    with refuse("The unexpected NumberJob was dispatched"):
        jobs_fake.assert_not_dispatched(NumberJob)
    with refuse("unexpected"):
        jobs_fake.assert_not_dispatched(NumberJob, where=lambda job: job.number == 1)


@pytest.mark.parametrize("send", [NumberJob.dispatch, NumberJob.dispatch_now, chain([NumberJob(1)]).dispatch])
def test_nothing_dispatched_means_in_no_way(jobs_fake: JobsFake, send: Callable[[], object]) -> None:
    jobs_fake.assert_nothing_dispatched()
    send()
    with refuse("The following jobs were dispatched unexpectedly:\n- NumberJob"):
        jobs_fake.assert_nothing_dispatched()


def test_a_job_that_is_run_now_is_taken_and_not_run(jobs_fake: JobsFake) -> None:
    with refuse("was not dispatched at once"):
        jobs_fake.assert_dispatched_now(NumberJob)
    NumberJob.dispatch(0)
    jobs_fake.assert_not_dispatched_now(NumberJob)
    assert NumberJob.dispatch_now(1) is None
    jobs_fake.assert_dispatched_now(NumberJob, times=1, where=lambda job: job.number == 1)
    with refuse("The unexpected NumberJob was dispatched at once"):
        jobs_fake.assert_not_dispatched_now(NumberJob)
    with refuse("dispatched at once 1 time instead of 2 times"):
        jobs_fake.assert_dispatched_now(NumberJob, times=2)
    assert ran == []


def test_the_queue_of_a_job_can_be_asked(jobs_fake: JobsFake) -> None:
    NumberJob(5).on_queue("high").dispatch()
    jobs_fake.assert_dispatched_on("high", NumberJob, where=lambda job: job.number == 5)
    with refuse("was not dispatched on low"):
        jobs_fake.assert_dispatched_on("low", NumberJob)
    assert jobs_fake.dispatched_on("low", NumberJob) == []


def test_conditional_dispatch_is_what_it_is(jobs_fake: JobsFake) -> None:
    NumberJob.dispatch_if(False, 1)
    NumberJob.dispatch_unless(True, 2)
    jobs_fake.assert_count(0)
    NumberJob.dispatch_if(True, 3)
    with refuse("1 job was sent instead of 0"):
        jobs_fake.assert_count(0)


def test_a_wrong_argument_is_refused_as_ever(jobs_fake: JobsFake) -> None:
    with pytest.raises(JobArgumentError):
        NumberJob.dispatch("one")  # type: ignore[arg-type] # the point of the test


def test_the_very_job_is_looked_at(jobs_fake: JobsFake) -> None:
    job = NumberJob(4)
    job.dispatch()
    assert jobs_fake.dispatched(NumberJob)[0] is job


@pytest.mark.parametrize("send", ["dispatch", "dispatch_now"])
def test_a_job_can_be_looked_at_as_a_worker_gets_it(jobs_fake: JobsFake, send: str) -> None:
    getattr(MarkedJob, send)("a")
    assert [job.value for job in jobs_fake.dispatched(MarkedJob)] == ["a"]
    jobs_fake.serialize_and_restore()
    getattr(MarkedJob, send)("b")
    assert [job.value for job in jobs_fake.dispatched(MarkedJob)] == ["a", "b-restored"]


def test_signals_of_dispatch_are_sent(jobs_fake: JobsFake) -> None:
    seen: list[object] = []

    def note(fact: JobQueued) -> None:
        seen.append((fact.job_class, fact.queue))

    job_queued.listen(note)
    TakenJob.dispatch()
    job_queued.unlisten(note)
    assert seen == [("tests.TakenJob", "fakes")]


def test_jobs_of_other_threads_are_taken(jobs_fake: JobsFake) -> None:
    threads = [threading.Thread(target=NumberJob.dispatch, args=(number,)) for number in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(job.number for job in jobs_fake.dispatched(NumberJob)) == [0, 1, 2, 3, 4]


def test_fakes_can_stand_within_each_other(jobs_fake: JobsFake) -> None:
    with JobsFake() as inner:
        TakenJob.dispatch()
    TakenJob.dispatch()
    inner.assert_dispatched_once(TakenJob)
    jobs_fake.assert_dispatched_once(TakenJob)


@pytest.mark.django_db
def test_after_the_block_jobs_go_their_way() -> None:
    with fake_jobs():
        TakenJob.dispatch()
    TakenJob.dispatch()
    assert QueuedJob.objects.count() == 1


# --- Only, except


@pytest.mark.django_db
def test_some_jobs_can_be_taken_alone() -> None:
    with fake_jobs(only=[NumberJob]) as fake:
        NumberJob.dispatch(1)
        NumberJob.dispatch_now(2)
        ThirdJob.dispatch()
        ThirdJob.dispatch_now()
    fake.assert_dispatched_times(NumberJob, 2)
    fake.assert_not_dispatched(ThirdJob)
    assert (QueuedJob.objects.get().job_class, ran) == ("tests.ThirdJob", ["third"])


@pytest.mark.django_db
def test_some_jobs_can_be_left(jobs_fake: JobsFake) -> None:
    jobs_fake.except_(ThirdJob)
    NumberJob.dispatch(1)
    ThirdJob.dispatch()
    ThirdJob.dispatch_now()
    jobs_fake.assert_dispatched_times(NumberJob, 1)
    jobs_fake.assert_not_dispatched(ThirdJob)
    assert (QueuedJob.objects.count(), ran) == (1, ["third"])


@pytest.mark.django_db
def test_what_is_taken_can_depend_on_the_job(jobs_fake: JobsFake) -> None:
    jobs_fake.only(lambda job: isinstance(job, NumberJob) and job.number == 1)
    NumberJob.dispatch(1)
    NumberJob.dispatch(2)
    TakenJob.dispatch()
    assert [job.number for job in jobs_fake.dispatched(NumberJob)] == [1]
    assert QueuedJob.objects.count() == 2


# --- Transactions


def _send_in_vain(fake: JobsFake) -> None:
    with transaction.atomic():
        NumberJob(1).chain([NumberJob(2)]).dispatch()
        fake.assert_dispatched(NumberJob)
        raise LookupError


@pytest.mark.django_db
def test_a_job_counts_at_dispatch_and_not_any_more_when_its_transaction_is_rolled_back(jobs_fake: JobsFake) -> None:
    with pytest.raises(LookupError):
        _send_in_vain(jobs_fake)
    jobs_fake.assert_nothing_placed()
    assert jobs_fake.run_pending() == 0
    with transaction.atomic():
        NumberJob.dispatch(1)
    jobs_fake.assert_dispatched_once(NumberJob)


# --- Chains


def test_a_chain_is_met_by_classes_jobs_and_what_is_true_of_them(jobs_fake: JobsFake) -> None:
    chain([NumberJob(123), NumberJob(456)]).dispatch()
    jobs_fake.assert_chained([NumberJob, NumberJob])
    jobs_fake.assert_chained([NumberJob(123), NumberJob(456)])
    jobs_fake.assert_chained([NumberJob, like(NumberJob, lambda job: job.number == 456)])
    others: list[Any] = [[NumberJob], [NumberJob, ThirdJob], [NumberJob(456), NumberJob(123)]]
    for wrong in others:
        with refuse("The expected chain was not dispatched"):
            jobs_fake.assert_chained(wrong)
    with refuse("The expected chain was not dispatched"):
        jobs_fake.assert_chained([NumberJob, like(TakenJob, lambda _job: True)])
    with refuse("can not be empty"):
        jobs_fake.assert_chained([])


@pytest.mark.django_db
@pytest.mark.parametrize("position", [0, 1, 2])
def test_a_batch_in_a_chain_is_met_by_what_is_true_of_it(jobs_fake: JobsFake, position: int) -> None:
    links: list[Any] = [NumberJob(1), NumberJob(2)]
    links.insert(position, batch([NumberJob(3), NumberJob(4)]))
    chain(links).dispatch()
    expected: list[Any] = [NumberJob, NumberJob]
    expected.insert(position, like_batch(lambda one: len(one.jobs) == 2))
    jobs_fake.assert_chained(expected)
    expected[position] = like_batch(lambda one: len(one.jobs) == 3)
    with refuse("The expected chain was not dispatched"):
        jobs_fake.assert_chained(expected)


def test_no_chain_means_none_in_either_form(jobs_fake: JobsFake) -> None:
    NumberJob.dispatch(1)
    jobs_fake.assert_nothing_chained()
    NumberJob(1).chain([ThirdJob()]).dispatch()
    with refuse("The following chains were dispatched unexpectedly:\n- NumberJob → ThirdJob"):
        jobs_fake.assert_nothing_chained()


def test_the_chain_of_one_job_can_be_asked(jobs_fake: JobsFake) -> None:
    with refuse("The expected NumberJob was not dispatched"):
        jobs_fake.assert_dispatched_with_chain(NumberJob, [])
    NumberJob(1).chain([ThirdJob(), ThirdJob()]).dispatch()
    NumberJob(2).chain([ThirdJob()]).dispatch()
    jobs_fake.assert_dispatched_with_chain(NumberJob, [ThirdJob])
    jobs_fake.assert_dispatched_with_chain(NumberJob, [ThirdJob(), ThirdJob()], where=lambda job: job.number == 1)
    with refuse("can not be empty"):
        jobs_fake.assert_dispatched_with_chain(NumberJob, [])
    with refuse("The expected chain was not dispatched"):
        jobs_fake.assert_dispatched_with_chain(NumberJob, [ThirdJob, ThirdJob], where=lambda job: job.number == 2)
    with refuse("with a chain"):
        jobs_fake.assert_dispatched_without_chain(NumberJob)
    NumberJob.dispatch(3)
    jobs_fake.assert_dispatched_without_chain(NumberJob, where=lambda job: job.number == 3)


def test_the_chain_of_a_job_can_be_asked_without_a_fake() -> None:
    job = NumberJob(1)
    assert_has_no_chain(job)
    job.chain([ThirdJob()])
    assert_has_chain(job, [ThirdJob])
    assert_has_chain(job, [ThirdJob()])
    with refuse("does not have the expected chain"):
        assert_has_chain(job, [ThirdJob, ThirdJob])
    with refuse("can not be empty"):
        assert_has_chain(job, [])
    with refuse("has chained jobs"):
        assert_has_no_chain(job)


# --- Batches


@pytest.mark.django_db
def test_a_batch_is_met_by_its_jobs_in_order(jobs_fake: JobsFake) -> None:
    batch([NumberJob(1), NumberJob(2), [NumberJob(3), ThirdJob()]]).name("Numbers").dispatch()
    jobs_fake.assert_batched([NumberJob(1), NumberJob(2), [NumberJob(3), ThirdJob]])
    jobs_fake.assert_batched([NumberJob, like(NumberJob, lambda job: job.number == 2), [NumberJob, ThirdJob]])
    jobs_fake.assert_batched(lambda one: one.get_name() == "Numbers" and len(one.jobs) == 3)
    jobs_fake.assert_batched(lambda one: has_jobs(one, [NumberJob, NumberJob, [NumberJob, ThirdJob]]))
    rest = [NumberJob(3), ThirdJob()]
    others: list[Any] = [
        [NumberJob(2), NumberJob(1), rest],
        [NumberJob(1), NumberJob(2)],
        [NumberJob(1), ThirdJob, rest],
    ]
    for wrong in others:
        with refuse("The expected batch was not dispatched"):
            jobs_fake.assert_batched(wrong)


@pytest.mark.django_db
def test_members_of_a_batch_are_not_dispatched_by_themselves(jobs_fake: JobsFake) -> None:
    batch([NumberJob(1)]).dispatch()
    jobs_fake.assert_nothing_dispatched()
    assert jobs_fake.size() == 1


@pytest.mark.django_db
def test_no_batch_means_none(jobs_fake: JobsFake) -> None:
    jobs_fake.assert_nothing_batched()
    jobs_fake.assert_batch_count(0)
    batch([NumberJob(1)]).dispatch()
    with refuse("The following batched jobs were dispatched unexpectedly:\n- NumberJob"):
        jobs_fake.assert_nothing_batched()
    with refuse("1 batch was dispatched instead of 2"):
        jobs_fake.assert_batch_count(2)


@pytest.mark.django_db
@pytest.mark.parametrize(
    "send",
    [batch([NumberJob(1)]).dispatch, NumberJob.dispatch, chain([NumberJob(1)]).dispatch, NumberJob.dispatch_now],
)
def test_nothing_placed_means_no_job_no_chain_and_no_batch(jobs_fake: JobsFake, send: Callable[[], object]) -> None:
    jobs_fake.assert_nothing_placed()
    send()
    with refuse("unexpectedly"):
        jobs_fake.assert_nothing_placed()


@pytest.mark.django_db
def test_what_a_batch_returns_is_a_batch(jobs_fake: JobsFake) -> None:
    sent = batch([NumberJob(1), NumberJob(2)]).name("Numbers").dispatch()
    assert (sent.name, sent.total_jobs, sent.pending_jobs, sent.is_cancelled) == ("Numbers", 2, 2, False)
    assert find_batch(sent.id) == sent
    sent.cancel()
    fresh = sent.fresh()
    assert fresh is not None
    assert fresh.is_cancelled


@pytest.mark.django_db
def test_code_that_needs_a_batch_can_be_given_one(jobs_fake: JobsFake) -> None:
    given = jobs_fake.dispatch_fake_batch("empty")
    assert (given.name, given.total_jobs, given.is_finished) == ("empty", 0, True)
    jobs_fake.assert_batch_count(1)
    assert jobs_fake.dispatch_fake_batch().name == ""


# --- What is left to do


def test_what_waits_can_be_asked_by_queue(jobs_fake: JobsFake) -> None:
    TakenJob.dispatch()
    NumberJob(1).delay_until(60).dispatch()
    assert (jobs_fake.size(), jobs_fake.size("fakes"), jobs_fake.size("nowhere")) == (2, 1, 0)
    assert (jobs_fake.size(state="waiting"), jobs_fake.size("default", state="delayed")) == (1, 1)
    waiting = jobs_fake.list_jobs(queue="fakes")
    assert [(job.job_class, job.attempts, job.queue) for job in waiting] == [("tests.TakenJob", 0, "fakes")]
    assert jobs_fake.get_driver().measure()["fakes"].oldest_due_at == waiting[0].available_at


def test_a_claimed_job_is_running(jobs_fake: JobsFake) -> None:
    TakenJob.dispatch()
    jobs_fake.get_driver().claim(queues=["fakes"], worker="me")
    assert [job.worker for job in jobs_fake.list_jobs(state="running")] == ["me"]
    assert jobs_fake.run_pending() == 0


def test_a_full_queue_is_full(jobs_fake: JobsFake) -> None:
    define_queue("small", max_jobs=1)
    TakenJob().on_queue("small").dispatch()
    with pytest.raises(QueueFull):
        TakenJob().on_queue("small").dispatch()
    forget_queue("small")


def test_of_a_unique_job_only_one_is_taken(jobs_fake: JobsFake) -> None:
    first = AloneJob()
    first.dispatch()
    AloneJob.dispatch()
    assert jobs_fake.dispatched(AloneJob) == [first]
    jobs_fake.run_pending()
    AloneJob.dispatch()
    jobs_fake.assert_dispatched_times(AloneJob, 2)


def test_locks_end_with_the_fake(jobs_fake: JobsFake) -> None:
    AloneJob.dispatch()
    with JobsFake() as other:
        AloneJob.dispatch()
        other.assert_dispatched_once(AloneJob)


# --- Running


def test_what_was_taken_runs_as_in_a_worker_and_is_counted(jobs_fake: JobsFake) -> None:
    seen: list[object] = []

    def note(fact: JobProcessed) -> None:
        seen.append(fact.job_class)

    TakenJob.dispatch()
    UrgentTakenJob.dispatch()
    job_processed.listen(note)
    assert jobs_fake.run_pending() == 2
    job_processed.unlisten(note)
    assert (ran, seen) == (["urgent", "plain"], ["tests.UrgentTakenJob", "tests.TakenJob"])
    assert jobs_fake.run_pending() == 0


def test_jobs_run_in_the_order_of_their_due_times(jobs_fake: JobsFake) -> None:
    for number in (30, 10, 20):
        NumberJob(number).delay_until(number).dispatch()
    assert jobs_fake.run_pending(now=timezone.now() + timedelta(minutes=1)) == 3
    assert ran == [10, 20, 30]


def test_what_a_job_sends_runs_too(jobs_fake: JobsFake) -> None:
    SendingJob.dispatch()
    assert jobs_fake.run_pending() == 2
    jobs_fake.assert_dispatched_times(NumberJob, 2)
    assert (ran, jobs_fake.size(state="delayed")) == ([1], 1)


def test_setting_the_clock_makes_a_delayed_job_due(jobs_fake: JobsFake, at: Callable[[datetime], None]) -> None:
    NumberJob(1).delay_until(timedelta(hours=1)).dispatch()
    assert jobs_fake.run_pending() == 0
    at(DAWN + timedelta(minutes=59))
    assert jobs_fake.run_pending() == 0
    at(DAWN + timedelta(hours=1))
    assert jobs_fake.run_pending() == 1


@pytest.mark.django_db
def test_a_job_that_goes_wrong_comes_back_after_its_back_off_and_fails_at_last(
    jobs_fake: JobsFake, at: Callable[[datetime], None]
) -> None:
    BrokenNumberJob.dispatch(1)
    assert [jobs_fake.run_pending(now=DAWN + timedelta(seconds=seconds)) for seconds in (0, 9, 10, 69, 70)] == [
        1, 0, 1, 0, 1,
    ]  # fmt: skip
    failed = FailedJob.objects.get()
    assert (failed.attempts, failed.failed_at, failed.exception) == (3, DAWN + timedelta(seconds=70), "ValueError: 1")
    retry_failed_job(job_id=failed.job_id)
    assert jobs_fake.run_pending() == 1
    jobs_fake.assert_dispatched_once(BrokenNumberJob)


def test_middleware_is_passed(jobs_fake: JobsFake) -> None:
    GuardedNumberJob.dispatch(0)
    GuardedNumberJob.dispatch(1)
    jobs_fake.run_pending()
    assert ran == [1]


def test_limits_follow_the_clock_of_the_fake(jobs_fake: JobsFake, at: Callable[[datetime], None]) -> None:
    ThrottledNumberJob.dispatch(1)
    ThrottledNumberJob.dispatch(2)
    jobs_fake.run_pending()
    assert len(ran) == 1
    at(DAWN + timedelta(seconds=61))
    jobs_fake.run_pending()
    assert sorted(map(str, ran)) == ["1", "2"]


@pytest.mark.django_db
def test_the_links_of_a_chain_follow_each_other(jobs_fake: JobsFake) -> None:
    chain([NumberJob(1), NumberJob(2), batch([NumberJob(3)]).name("b").then(note_batch), ThirdJob()]).dispatch()
    assert [job.number for job in jobs_fake.dispatched(NumberJob)] == [1]
    jobs_fake.run_pending()
    assert (ran[:3], set(ran[3:])) == ([1, 2, 3], {"b", "third"})
    assert [job.number for job in jobs_fake.dispatched(NumberJob)] == [1, 2]


@pytest.mark.django_db
def test_the_catch_of_a_chain_is_called(jobs_fake: JobsFake) -> None:
    chain([BrokenNumberJob(7).with_tries(1), NumberJob(2)]).catch(note_failure).dispatch()
    jobs_fake.run_pending()
    assert ran == [7, "7"]


@pytest.mark.django_db
def test_a_batch_is_counted_and_its_callbacks_are_called(jobs_fake: JobsFake) -> None:
    sent = (
        batch([NumberJob(1), BrokenNumberJob(2).with_tries(1)])
        .name("b")
        .allow_failures()
        .finally_(note_batch)
        .dispatch()
    )
    jobs_fake.run_pending()
    fresh = sent.fresh()
    assert fresh is not None
    assert (fresh.pending_jobs, fresh.failed_jobs, ran[-1]) == (1, 1, "b")


@pytest.mark.django_db
def test_jobs_of_a_batch_that_are_left_go_their_way() -> None:
    with JobsFake(except_=[ThirdJob]) as fake:
        batch([NumberJob(1), ThirdJob()]).dispatch()
        fake.run_pending()
    assert (ran, QueuedJob.objects.get().job_class) == ([1], "tests.ThirdJob")


@pytest.mark.django_db
def test_tasks_are_taken_and_run_too(jobs_fake: JobsFake) -> None:
    result = double.enqueue(21)
    jobs_fake.assert_dispatched(TaskJob, where=lambda job: job.path == double.module_path and job.args == [21])
    jobs_fake.run_pending()
    result.refresh()
    assert (result.status, result.return_value) == (TaskResultStatus.SUCCESSFUL, 42)


def test_a_limit_ends_a_run_that_would_go_on(jobs_fake: JobsFake) -> None:
    for number in range(3):
        NumberJob.dispatch(number)
    assert jobs_fake.run_pending(limit=2) == 2
    assert jobs_fake.size() == 1


def test_a_paused_queue_rests(jobs_fake: JobsFake) -> None:
    driver = get_driver("fake")
    TakenJob.dispatch()
    driver.pause("fakes")
    assert (jobs_fake.run_pending(), list(driver.list_pauses())) == (0, ["fakes"])
    assert driver.resume("fakes")
    assert jobs_fake.run_pending() == 1


# --- One job


@pytest.mark.parametrize("run", ["run", "handle"])
def test_a_job_can_be_asked_what_it_said_to_its_queue(run: str) -> None:
    queue = getattr(fake_queue(UndecidedJob("release", 30)), run)()
    queue.assert_released().assert_released(delay=30).assert_released(delay=timedelta(seconds=30))
    queue.assert_not_deleted().assert_not_failed()
    with refuse("released with a delay of 0:00:30, not of 0:00:10"):
        queue.assert_released(delay=10)
    with refuse("unexpectedly released"):
        queue.assert_not_released()


def test_a_job_that_deletes_itself_can_be_asked() -> None:
    queue = UndecidedJob("delete").with_fake_queue().run()
    queue.assert_deleted().assert_not_released().assert_not_failed()
    with refuse("unexpectedly deleted"):
        queue.assert_not_deleted()


def test_a_job_that_fails_itself_can_be_asked_with_what() -> None:
    queue = fake_queue(UndecidedJob("fail")).run()
    queue.assert_failed().assert_failed_with(LookupError).assert_failed_with("gone").assert_not_deleted()
    for wrong in (KeyError, "here"):
        with refuse("was expected to be failed with"):
            queue.assert_failed_with(wrong)
    with refuse("unexpectedly failed"):
        queue.assert_not_failed()


@pytest.mark.parametrize("run", ["run", "handle"])
def test_a_job_that_fails_itself_and_catches_it_has_failed_all_the_same(run: str) -> None:
    queue = getattr(fake_queue(UndecidedJob("fail quietly")), run)()
    queue.assert_failed().assert_failed_with(LookupError)


def test_what_a_job_raises_after_it_has_failed_itself_is_what_it_fails_with() -> None:
    fake_queue(UndecidedJob("fail and raise")).run().assert_failed_with(ValueError)


def test_a_job_that_is_deleted_has_not_failed_whatever_it_said() -> None:
    fake_queue(UndecidedJob("fail and delete")).run().assert_deleted().assert_not_failed()


def test_a_job_that_says_nothing_has_said_nothing() -> None:
    queue = fake_queue(UndecidedJob()).run()
    queue.assert_not_released().assert_not_deleted().assert_not_failed()
    for require in (queue.assert_released, queue.assert_deleted, queue.assert_failed):
        with refuse("but was not"):
            require()


def test_what_one_job_raises_is_raised_and_it_knows_its_try() -> None:
    with pytest.raises(ValueError, match="3"):
        fake_queue(UndecidedJob("raise"), attempts=3).run()


def test_one_job_passes_its_middleware_unless_told_otherwise() -> None:
    fake_queue(GuardedNumberJob(0)).run().assert_deleted()
    fake_queue(GuardedNumberJob(0)).handle().assert_not_deleted()
