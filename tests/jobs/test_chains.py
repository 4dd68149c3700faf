"""Chains: each link when the one before has ended well; with batches in them, and within batches."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import transaction
from django.utils import timezone

from jobs.batch import Members, PendingBatch, batch
from jobs.chain import Links, PendingChain, chain
from jobs.drivers.base import get_driver
from jobs.exceptions import JobDefinitionError, JobOptionError
from jobs.job import dispatch
from jobs.models import Batch, FailedJob
from jobs.queues import define_queue, forget_queue
from jobs.services import cancel_batch, retry_failed_job
from jobs.signals import job_queued, job_queueing
from tests.jobs.batch_jobs import (
    BROKEN,
    NOTES,
    AddingJob,
    Change,
    ChangingJob,
    DecidingJob,
    Decision,
    StepJob,
    UniqueStepJob,
    on_broken_chain,
    on_catch,
    on_then,
    read_counts,
)
from tests.jobs.batch_jobs import notes as _notes  # noqa: F401 - a fixture
from tests.jobs.steps import LATER, drain, heard, run_next

pytestmark = pytest.mark.usefixtures("job_connection")


def _steps(*names: str) -> list[StepJob]:
    return [StepJob(name) for name in names]


def test_links_run_one_after_the_other() -> None:
    chain(_steps("a", "b", "c")).dispatch()
    assert drain() == 3
    assert NOTES == ["a", "b", "c"]


def test_jobs_can_be_chained_to_a_job() -> None:
    dispatch(StepJob("a").chain(_steps("b", "c")))
    drain()
    assert NOTES == ["a", "b", "c"]


def test_a_link_is_not_there_before_its_turn() -> None:
    chain(_steps("a", "b")).dispatch()
    assert len(get_driver().list_jobs()) == 1
    run_next()
    assert NOTES == ["a"]
    assert len(get_driver().list_jobs()) == 1


@pytest.mark.parametrize("how", ["fail", "release"])
def test_a_link_that_failed_or_was_put_back_is_not_followed(how: Decision) -> None:
    chain([DecidingJob(how), StepJob("b")]).dispatch()
    drain()
    assert [how] == NOTES


@pytest.mark.parametrize("how", ["delete", "delete and raise"])
def test_a_link_that_deleted_itself_is_followed(how: Decision) -> None:
    chain([DecidingJob(how), StepJob("b")]).dispatch()
    drain()
    assert [how, "b"] == NOTES


@pytest.mark.django_db(transaction=True)
def test_a_link_is_announced_as_what_is_dispatched_is() -> None:
    chain(_steps("a", "b")).dispatch()
    with heard(job_queueing, job_queued) as seen:
        run_next()
    (link,) = get_driver().list_jobs()
    assert [(signal, fact.job_id) for signal, fact in seen] == [(job_queueing, link.job_id), (job_queued, link.job_id)]


def test_the_third_link_does_not_follow_when_the_second_fails() -> None:
    chain(_steps("a", "broken", "c")).dispatch()
    drain()
    assert NOTES == ["a"]


@pytest.mark.parametrize("position", [0, 1, 2])
def test_a_chain_tells_the_failure_of_any_link_once(position: int) -> None:
    links = _steps("a", "b", "c")
    links[position] = StepJob("broken")
    chain(links).catch(on_broken_chain).dispatch()
    drain()
    assert NOTES[position:] == ["chain tests.StepJob broken"]


def test_a_chain_that_went_well_tells_no_failure() -> None:
    chain(_steps("a", "b")).catch(on_broken_chain).dispatch()
    drain()
    assert NOTES == ["a", "b"]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("queue", ["", "elsewhere"])
def test_the_callback_of_a_chain_takes_the_connection_of_its_own_queue(queue: str) -> None:
    define_queue("elsewhere", connection="sync")
    try:
        with pytest.raises(ValueError, match="broken"):  # what runs in place raises in place
            chain([StepJob("broken").on_queue("elsewhere")]).on_queue(queue).catch(on_broken_chain).dispatch()
        assert len(NOTES) == (queue == "elsewhere")
    finally:
        forget_queue("elsewhere")
    drain()
    assert NOTES == ["chain tests.StepJob broken"]


def test_a_job_can_stand_for_the_callback_of_a_chain() -> None:
    chain(_steps("broken")).catch(StepJob("clean up")).dispatch()
    drain()
    assert NOTES == ["clean up"]


def test_a_failed_link_that_is_retried_with_success_goes_on() -> None:
    BROKEN.add("b")
    chain(_steps("a", "b", "c")).dispatch()
    drain()
    BROKEN.clear()
    retry_failed_job(job_id=FailedJob.objects.get().job_id)
    drain()
    assert NOTES == ["a", "b", "c"]


def test_all_links_use_queue_and_connection_of_the_chain(job_connection: str) -> None:
    chain(_steps("a", "b")).on_queue("high").on_connection(job_connection).dispatch()
    assert [job.queue for job in get_driver().list_jobs()] == ["high"]
    run_next()
    assert [job.queue for job in get_driver().list_jobs()] == ["high"]


def test_a_link_keeps_its_own_queue_and_those_after_it_that_of_the_chain() -> None:
    chain([StepJob("a"), StepJob("b").on_queue("low"), StepJob("c")]).on_queue("high").dispatch()
    queues = []
    while jobs := get_driver().list_jobs():
        queues += [job.queue for job in jobs]
        run_next()
    assert queues == ["high", "low", "high"]


def test_what_is_chained_to_a_job_does_not_take_its_queue_unless_all_shall() -> None:
    StepJob("a").on_queue("high").chain(_steps("b")).dispatch()
    run_next()
    assert [job.queue for job in get_driver().list_jobs()] == ["default"]
    drain()
    StepJob("a").all_on_queue("high").chain(_steps("b")).dispatch()
    run_next()
    assert [job.queue for job in get_driver().list_jobs()] == ["high"]


def test_what_is_added_at_run_time_takes_the_queue_of_the_chain() -> None:
    chain([ChangingJob("append")]).on_queue("high").dispatch()
    run_next()
    assert [job.queue for job in get_driver().list_jobs()] == ["high"]


def test_a_link_can_run_elsewhere(job_connection: str) -> None:
    chain([StepJob("a"), StepJob("here").on_connection("sync"), StepJob("c")]).dispatch()
    drain()
    assert NOTES == ["a", "here", "c"]


def test_what_is_empty_is_left_out() -> None:
    assert len(chain([StepJob("a"), None]).append(StepJob("b"), None).prepend(None).links) == 2
    assert len(StepJob("a").chain([StepJob("b"), None]).get_job().get_links()) == 1


def test_what_is_no_job_is_refused() -> None:
    with pytest.raises(JobDefinitionError, match="str"):
        chain(["a"])  # type: ignore[list-item] # what a caller without types might write


def test_a_chain_without_links_is_not_sent() -> None:
    with pytest.raises(JobOptionError, match="needs a job"):
        chain().dispatch()


def test_links_are_appended_and_prepended_before_dispatch() -> None:
    chain(_steps("c")).append(StepJob("d")).prepend(*_steps("a", "b")).dispatch()
    drain()
    assert NOTES == ["a", "b", "c", "d"]


@pytest.mark.parametrize(
    ("what", "expected"),
    [
        ("append", ["changing", "next", "added"]),
        ("prepend", ["changing", "added", "added too", "next"]),
        ("append batch", ["changing", "next", "b1", "b2"]),
        ("prepend batch", ["changing", "b1", "b2", "next"]),
    ],
)
def test_a_running_link_changes_what_follows_it(what: Change, expected: list[str]) -> None:
    chain([ChangingJob(what), StepJob("next")]).dispatch()
    drain()
    assert expected == NOTES


@pytest.mark.parametrize("what", ["append", "prepend"])
def test_a_job_that_had_no_chain_begins_one(what: Change) -> None:
    ChangingJob.dispatch(what)
    drain()
    assert NOTES[:2] == ["changing", "added"]


def test_a_batch_is_a_link() -> None:
    chain([*_steps("c1", "c2"), batch(_steps("b1", "b2", "b3")), StepJob("c3")]).dispatch()
    drain()
    assert NOTES == ["c1", "c2", "b1", "b2", "b3", "c3"]


def test_a_chain_can_begin_with_a_batch_and_have_several() -> None:
    batch_id = chain([batch(_steps("a")), batch(_steps("b")), StepJob("c")]).dispatch()
    assert Batch.objects.filter(pk=batch_id).exists()
    drain()
    assert NOTES == ["a", "b", "c"]


@pytest.mark.parametrize("empty", [[batch([])], [batch([]), batch([])]], ids=["one", "two"])
def test_an_empty_batch_does_not_hold_a_chain_up(empty: list[PendingBatch]) -> None:
    chain([StepJob("a"), *empty, StepJob("b")]).dispatch()
    drain()
    assert NOTES == ["a", "b"]
    chain([*empty, StepJob("c")]).dispatch()
    drain()
    assert NOTES == ["a", "b", "c"]


def test_a_batch_in_a_chain_takes_the_queue_of_the_chain() -> None:
    chain([StepJob("a"), batch(_steps("b")), StepJob("c")]).on_queue("high").dispatch()
    assert drain("high") == 3
    assert NOTES == ["a", "b", "c"]


def test_jobs_that_a_batch_is_given_while_it_runs_are_waited_for() -> None:
    links: Links = [*_steps("c1"), batch([StepJob("b1"), AddingJob("b2", 2), StepJob("b3")]), StepJob("c2")]
    chain(links).dispatch()
    drain()
    assert NOTES == ["c1", "b1", "b2", "b3", "b2-0", "b2-1", "c2"]


def test_chain_in_batch_in_chain() -> None:
    inner = batch([_steps("bc1", "bc2"), StepJob("b1"), AddingJob("b2", 2), StepJob("b3")])
    chain([StepJob("c1"), inner, StepJob("c2")]).dispatch()
    drain()
    assert NOTES == ["c1", "bc1", "b1", "b2", "b3", "bc2", "b2-0", "b2-1", "c2"]


def test_batch_in_chain_in_batch_in_chain() -> None:
    line: Members = [*_steps("bc1", "bc2"), batch(_steps("bb1", "bb2"))]
    inner = batch([line, StepJob("b1"), AddingJob("b2", 2), StepJob("b3")])
    chain([StepJob("c1"), inner, StepJob("c2")]).dispatch()
    drain()
    assert NOTES == ["c1", "bc1", "b1", "b2", "b3", "bc2", "b2-0", "b2-1", "bb1", "bb2", "c2"]


def test_a_batch_that_must_not_fail_breaks_the_chain_and_both_tell_it() -> None:
    inner = batch(_steps("b1", "broken", "b3")).catch(on_catch)
    chain([StepJob("c1"), inner, StepJob("c2")]).catch(on_broken_chain).dispatch()
    drain()
    assert NOTES == ["c1", "b1", "catch broken 1", "chain tests.StepJob broken", "b3"]


def test_a_batch_that_may_fail_does_not_break_the_chain() -> None:
    inner = batch(_steps("b1", "broken", "b3")).allow_failures().catch(on_catch)
    chain([StepJob("c1"), inner, StepJob("c2")]).catch(on_broken_chain).dispatch()
    drain()
    assert NOTES == ["c1", "b1", "catch broken 1", "b3", "c2"]


def test_a_chain_goes_on_once_however_often_its_batch_ends() -> None:
    BROKEN.add("b")
    chain([batch(_steps("a", "b")).allow_failures(), StepJob("c")]).dispatch()
    drain()
    BROKEN.clear()
    retry_failed_job(job_id=FailedJob.objects.get().job_id)
    drain()
    assert NOTES == ["a", "c", "b"]


def test_a_chain_goes_on_when_what_broke_its_batch_was_retried_with_success() -> None:
    BROKEN.update("ab")
    chain([batch(_steps("a", "b")), batch(_steps("c")), StepJob("d")]).catch(on_broken_chain).dispatch()
    drain()
    BROKEN.remove("a")
    for expected in (["a"], ["a", "b", "c", "d"]):
        for failed in FailedJob.objects.filter(recovered_at=None):
            retry_failed_job(job_id=failed.job_id)
        drain()
        assert NOTES[1:] == expected
        BROKEN.clear()
    assert NOTES[0] == "chain tests.StepJob a"


def test_links_come_back_into_their_batch_when_the_batch_before_them_was_mended() -> None:
    BROKEN.add("b")
    line: Members = [StepJob("a"), batch(_steps("b")), StepJob("c"), StepJob("d")]
    outer = batch([line]).then(on_then).dispatch()
    drain()
    assert NOTES == ["a", "then 1/1"]
    BROKEN.clear()
    retry_failed_job(job_id=FailedJob.objects.get().job_id)
    drain()
    assert NOTES == ["a", "then 1/1", "b", "c", "d", "then 3/3"]
    assert read_counts(outer.id) == (3, 0, 0)


def test_a_chain_does_not_go_on_behind_a_batch_that_somebody_cancelled() -> None:
    batch_id = chain([batch(_steps("a", "b")), StepJob("c")]).catch(on_broken_chain).dispatch()
    cancel_batch(batch_id=batch_id)
    drain()
    assert NOTES == ["a", "b"]


def test_the_first_link_waits_as_long_as_was_said() -> None:
    chain(_steps("a", "b")).delay_until(timedelta(hours=1)).dispatch()
    assert drain() == 0
    assert drain(now=timezone.now() + LATER) == 2


def test_a_chain_in_a_transaction_that_is_rolled_back_leaves_nothing() -> None:
    def roll_back() -> None:
        with transaction.atomic():
            chain([batch(_steps("a")), StepJob("b")]).dispatch()
            chain(_steps("c")).dispatch()
            raise LookupError

    with pytest.raises(LookupError):
        roll_back()
    assert drain() == 0
    assert not Batch.objects.exists()


def test_conditions_decide_what_is_said_and_whether_it_is_sent() -> None:
    def use_high(pending: PendingChain) -> None:
        pending.on_queue("high")

    chain(_steps("a")).when(True, use_high).dispatch()
    chain(_steps("b")).when(lambda: False, use_high).dispatch()
    chain(_steps("c")).unless(False, use_high).dispatch()
    assert drain("high") == 2
    drain()
    NOTES.clear()
    assert chain(_steps("a")).dispatch_if(False) is None
    assert chain(_steps("b")).dispatch_unless(lambda: True) is None
    assert StepJob("c").chain(_steps("d")).dispatch_if(False) is None
    assert chain(_steps("e")).dispatch_if(True) is not None
    assert StepJob("f").chain(_steps("g")).dispatch_unless(False) is not None
    drain()
    assert NOTES == ["e", "f", "g"]


def test_a_unique_link_of_which_another_one_waits_ends_the_chain() -> None:
    UniqueStepJob("one").on_queue("low").dispatch()
    chain([StepJob("a"), UniqueStepJob("one"), StepJob("c")]).dispatch()
    drain("default")
    assert NOTES == ["a"]


def test_links_of_one_unique_key_follow_each_other() -> None:
    chain([UniqueStepJob("one"), UniqueStepJob("one"), StepJob("c")]).dispatch()
    drain()
    assert NOTES == ["one", "one", "c"]
    UniqueStepJob.dispatch("one")
    assert drain() == 1


def test_the_record_of_a_link_shrinks_as_the_chain_goes_on() -> None:
    chain(_steps(*"abcdefgh")).dispatch()
    sizes = []
    while jobs := get_driver().list_jobs():
        sizes.append(len(jobs[0].payload))
        run_next()
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[-1] < sizes[0] / 2  # with the ids of those before


def test_what_can_not_be_the_name_or_the_queue_of_a_chain_is_refused_at_once() -> None:
    nonsense: Any = object()  # Any: wrong on purpose
    with pytest.raises(JobOptionError, match="chain: name must be a text"):
        chain([]).name(nonsense)
    with pytest.raises(JobOptionError, match="chain: queue must be"):
        chain([]).on_queue(nonsense)


def test_the_name_of_a_chain_is_kept_with_a_link_that_failed() -> None:
    chain(_steps("broken", "b")).name("ETL").dispatch()
    drain()
    assert FailedJob.objects.get().context["chain"] == {"name": "ETL", "links_left": 1}
