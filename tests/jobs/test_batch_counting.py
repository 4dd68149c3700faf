"""How the ends of jobs are counted in their batches: failures, skipped ones, repeats, retries; and what is told."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import timedelta
from io import StringIO
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from jobs import signals
from jobs.batch import batch
from jobs.drivers.base import QueueDriver
from jobs.models import Batch as BatchRow
from jobs.models import FailedJob
from jobs.services import prune_batches, retry_batch, retry_failed_job
from jobs.services.batches import changes
from jobs.signals import BatchFact
from jobs.worker.runner import attempt, settle
from project.signals import FactSignal
from tests.jobs.batch_jobs import (
    BROKEN,
    NOTES,
    ChangingJob,
    LastStepJob,
    StepJob,
    UniqueStepJob,
    on_finally,
    on_then,
    read_batch,
    read_counts,
)
from tests.jobs.batch_jobs import notes as _notes  # noqa: F401 - a fixture
from tests.jobs.steps import LATER, claim_one, drain, run_next

pytestmark = pytest.mark.usefixtures("job_connection")


def _steps(*names: str) -> list[StepJob]:
    return [StepJob(name) for name in names]


type Listen = Callable[[FactSignal[Any]], list[UUID]]  # Any: each carries its own


@pytest.fixture
def listen() -> Iterator[Listen]:
    """What returns the ids of the batches of which a signal tells from now on."""
    with ExitStack() as stack:

        def begin(signal: FactSignal[Any]) -> list[UUID]:  # Any: as above
            heard: list[UUID] = []

            def note(fact: BatchFact) -> None:
                heard.append(fact.batch_id)

            signal.listen(note)
            stack.callback(signal.unlisten, note)
            return heard

        yield begin


# --- Counts that somebody changed


@pytest.mark.parametrize("counts", [{"pending_jobs": 1}, {"pending_jobs": 2, "failed_jobs": 1}], ids=repr)
def test_counts_that_somebody_lowered_end_no_batch_before_its_time(counts: dict[str, int]) -> None:
    found = batch(_steps("a", "b", "c")).then(on_then).finally_(on_finally).dispatch()
    BatchRow.objects.update(**counts)
    run_next()
    assert read_counts(found.id) == (3, 2, 0)
    drain()
    assert NOTES == ["a", "b", "c", "then 3/3", "finally 0/0"]
    assert read_batch(found.id).is_finished


# --- Failure


def test_the_first_failure_cancels_a_batch_that_must_not_fail() -> None:
    found = batch(_steps("broken a", "broken b")).dispatch()
    drain()
    assert read_counts(found.id) == (2, 2, 2)
    fresh = read_batch(found.id)
    assert (fresh.is_cancelled, fresh.is_finished, fresh.has_ended) == (True, True, True)


@pytest.mark.parametrize("allowed", [True, 2], ids=["any", "two"])
def test_failures_that_are_allowed_leave_a_batch_unfinished_and_not_cancelled(allowed: int) -> None:
    found = batch(_steps("broken a", "broken b")).allow_failures(allowed).dispatch()
    drain()
    assert read_counts(found.id) == (2, 2, 2)
    fresh = read_batch(found.id)
    assert (fresh.is_cancelled, fresh.is_finished, fresh.has_ended) == (False, False, True)
    assert len(fresh.list_failed_ids()) == 2


def test_one_failure_more_than_allowed_cancels() -> None:
    found = batch(_steps("broken a", "broken b", "c")).allow_failures(1).dispatch()
    run_next()
    assert not read_batch(found.id).is_cancelled
    run_next()
    assert read_batch(found.id).is_cancelled


def test_a_try_that_is_put_back_is_not_counted() -> None:
    found = batch([StepJob("broken").with_tries(2).with_backoff(60)]).dispatch()
    run_next()
    assert read_counts(found.id) == (1, 1, 0)
    run_next(now=timezone.now() + LATER)
    assert read_counts(found.id) == (1, 1, 1)


def test_links_of_a_broken_chain_leave_the_batch() -> None:
    found = batch([[StepJob("a"), StepJob("broken"), StepJob("c"), StepJob("d")], StepJob("e")]).dispatch()
    drain()
    assert read_counts(found.id) == (3, 1, 1)
    assert read_batch(found.id).has_ended


def test_links_behind_a_batch_that_broke_leave_the_batch_around_it() -> None:
    found = batch([[batch(_steps("broken")), StepJob("never")]]).finally_(on_finally).dispatch()
    drain()
    assert read_counts(found.id) == (1, 0, 0)
    assert NOTES == ["finally 0/0"]


def test_links_behind_a_prepended_job_that_broke_leave_the_batch() -> None:
    found = batch([[ChangingJob("prepend broken"), StepJob("never")]]).finally_(on_finally).dispatch()
    drain()
    assert read_counts(found.id) == (1, 0, 0)
    assert NOTES == ["changing", "finally 0/0"]


def test_a_record_that_was_changed_counts_as_failed(driver: QueueDriver) -> None:
    found = batch(_steps("a")).finally_(on_finally).dispatch()
    claim = claim_one()
    outcome = attempt(claim._replace(payload="{}"))
    settle(claim, outcome, now=timezone.now())
    drain()
    assert read_counts(found.id) == (1, 1, 1)
    assert NOTES == ["finally 1/1"]


# --- Unique and debounced members


def test_a_unique_job_of_which_another_waits_leaves_the_batch_with_what_follows_it() -> None:
    UniqueStepJob("one").on_queue("low").dispatch()
    found = batch([StepJob("a"), [UniqueStepJob("one"), StepJob("never")]]).then(on_then).dispatch()
    assert read_counts(found.id) == (1, 1, 0)
    drain("default")
    assert NOTES == ["a", "then 1/1"]


def test_a_batch_whose_jobs_all_wait_elsewhere_ends_at_once() -> None:
    UniqueStepJob("one").on_queue("low").dispatch()
    found = batch([UniqueStepJob("one")]).then(on_then).finally_(on_finally).dispatch()
    assert found.is_finished
    drain("default")
    assert NOTES == ["then 0/0", "finally 0/0"]


def test_a_unique_link_of_which_another_waits_leaves_the_batch_when_its_turn_comes() -> None:
    UniqueStepJob("one").on_queue("low").dispatch()
    found = batch([[StepJob("a"), UniqueStepJob("one"), StepJob("never")]]).then(on_then).dispatch()
    drain("default")
    assert read_counts(found.id) == (1, 0, 0)
    assert NOTES == ["a", "then 1/1"]


def test_of_two_members_of_one_unique_key_one_is_sent() -> None:
    found = batch([UniqueStepJob("one"), UniqueStepJob("one")]).dispatch()
    drain()
    assert NOTES == ["one"]
    assert read_batch(found.id).is_finished


def test_a_debounced_member_that_a_later_job_replaced_does_not_hold_the_batch_up() -> None:
    found = batch([LastStepJob("one", "first")]).then(on_then).dispatch()
    LastStepJob.dispatch("one", "second")
    drain(now=timezone.now() + LATER)
    assert NOTES.count("one") == 1
    assert read_batch(found.id).is_finished


# --- Repeats: a worker that counted, and died before the job was gone


@pytest.mark.parametrize("name", ["a", "broken"])
def test_a_job_that_is_settled_twice_is_counted_once(name: str) -> None:
    found = batch(_steps(name, "z")).allow_failures().dispatch()
    claim = claim_one()
    outcome = attempt(claim)
    settle(claim, outcome, now=timezone.now())
    settle(claim, outcome, now=timezone.now())
    failed = int(name == "broken")
    assert read_counts(found.id) == (2, 1 + failed, failed)


# --- Retries


def test_a_failed_job_that_is_retried_with_success_is_no_failure_any_more() -> None:
    BROKEN.add("b")
    found = batch(_steps("a", "b")).allow_failures().then(on_then).finally_(on_finally).dispatch()
    drain()
    assert NOTES == ["a", "finally 1/1"]
    BROKEN.clear()
    assert len(found.retry_failed()) == 1
    assert read_counts(found.id) == (2, 1, 1)
    drain()
    assert read_counts(found.id) == (2, 0, 0)
    assert read_batch(found.id).is_finished
    assert NOTES == ["a", "finally 1/1", "b", "then 2/2"]
    assert found.retry_failed() == []


def test_a_failed_job_that_is_retried_and_fails_again_is_counted_once() -> None:
    found = batch(_steps("a", "broken")).dispatch()
    drain()
    retry_batch(batch_id=found.id)
    drain()
    assert read_counts(found.id) == (2, 1, 1)
    assert len(retry_batch(batch_id=found.id)) == 1


def test_links_come_back_with_the_job_before_them() -> None:
    BROKEN.add("a")
    found = batch([[StepJob("a"), StepJob("b")]]).then(on_then).dispatch()
    drain()
    assert read_counts(found.id) == (1, 1, 1)
    BROKEN.clear()
    retry_failed_job(job_id=FailedJob.objects.get().job_id)
    assert read_counts(found.id) == (2, 2, 1)
    drain()
    assert NOTES == ["a", "b", "then 2/2"]


def test_retrying_a_batch_leaves_failed_jobs_of_others_alone() -> None:
    found = batch(_steps("broken")).dispatch()
    batch(_steps("broken")).dispatch()
    drain()
    assert len(retry_batch(batch_id=found.id)) == 1
    assert FailedJob.objects.filter(retried_at=None).count() == 1


def test_the_command_retries_a_batch() -> None:
    found = batch(_steps("broken")).dispatch()
    drain()
    out = StringIO()
    call_command("queue_retry_failed", "--batch", str(found.id), stdout=out)
    assert "1 job was put back" in out.getvalue()
    for arguments in ([], ["--all", "--batch", str(found.id)], ["--batch", str(uuid4())]):
        with pytest.raises(CommandError):
            call_command("queue_retry_failed", *arguments)


# --- Signals


@pytest.mark.django_db(transaction=True)
def test_a_batch_tells_that_it_was_sent_began_and_finished_once_each(listen: Listen) -> None:
    sent, began = listen(signals.batch_dispatched), listen(signals.batch_started)
    finished = listen(signals.batch_finished)
    found = batch(_steps("a", "b")).dispatch()
    assert (sent, began, finished) == ([found.id], [], [])
    run_next()
    assert (began, finished) == ([found.id], [])
    run_next()
    assert (began, finished) == ([found.id], [found.id])


@pytest.mark.django_db(transaction=True)
def test_a_batch_that_begins_with_failures_begins_once_and_does_not_finish(listen: Listen) -> None:
    began, finished = listen(signals.batch_started), listen(signals.batch_finished)
    found = batch(_steps("broken a", "broken b")).allow_failures().dispatch()
    drain()
    assert (began, finished) == ([found.id], [])


@pytest.mark.django_db(transaction=True)
def test_cancelling_twice_is_told_once(listen: Listen) -> None:
    found = batch(_steps("a")).dispatch()
    heard = listen(signals.batch_cancelled)
    found.cancel()
    found.cancel()
    assert heard == [found.id]


# --- Pruning


def _make(name: str, *, age: timedelta, **fields: object) -> None:
    then = timezone.now() - age
    found = batch([]).name(name).dispatch()
    moments = {key: then if value else None for key, value in fields.items()}
    BatchRow.objects.filter(pk=found.id).update(created_at=then, **moments)


@pytest.mark.parametrize(
    ("older", "unfinished", "cancelled", "left"),
    [
        (24, None, None, {"new", "unfinished", "cancelled"}),
        (1, None, None, {"unfinished", "cancelled"}),
        (24, 1, None, {"new", "cancelled"}),
        (24, None, 1, {"new", "unfinished"}),
    ],
)
def test_batches_that_ended_long_ago_are_pruned_and_others_where_that_is_asked_for(
    older: int, unfinished: int | None, cancelled: int | None, left: set[str]
) -> None:
    _make("old", age=timedelta(days=2), finished_at=True)
    _make("new", age=timedelta(hours=2), finished_at=True)
    _make("unfinished", age=timedelta(days=2), finished_at=False)
    _make("cancelled", age=timedelta(days=2), finished_at=True, cancelled_at=True)
    count = prune_batches(
        older_than=timedelta(hours=older),
        unfinished_older_than=None if unfinished is None else timedelta(hours=unfinished),
        cancelled_older_than=None if cancelled is None else timedelta(hours=cancelled),
    )
    assert count == 4 - len(left)
    assert set(BatchRow.objects.values_list("name", flat=True)) == left


def test_a_batch_that_ended_with_failures_is_pruned_when_these_are_old_and_none_is_being_retried() -> None:
    found = batch(_steps("a", "broken")).allow_failures().dispatch()
    drain()
    assert prune_batches() == 0
    then = timezone.now() - timedelta(days=400)
    BatchRow.objects.update(created_at=then)
    assert prune_batches() == 0  # it failed a moment ago
    FailedJob.objects.update(failed_at=then)
    found.retry_failed()
    assert prune_batches() == 0
    drain()
    FailedJob.objects.update(failed_at=then)
    assert prune_batches() == 1


def test_pruning_takes_batches_in_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(changes, "_STEP", 2)
    for name in "abc":
        _make(name, age=timedelta(days=2), finished_at=True)
    assert prune_batches() == 3
    assert not BatchRow.objects.exists()
