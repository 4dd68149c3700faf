"""What every driver does with many jobs: deleting, figures, lists, pauses, and many workers at once."""

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from django.db import connections, transaction

from jobs.drivers.base import QueueDriver, get_driver
from jobs.exceptions import QueueFull
from jobs.queues import define_queue, forget_queue
from tests.jobs.messages import count_all, make, names_of_all, push
from tests.jobs.sample_jobs import NoteJob
from tests.jobs.steps import NOON, claim_next, claim_one

SECOND = timedelta(seconds=1)


@pytest.fixture
def small_queue() -> Iterator[str]:
    """Name of a queue that may hold two jobs."""
    define_queue("notes", max_jobs=2)
    yield "notes"
    forget_queue("notes")


# --- Deleting --------------------------------------------------------------------------------------------------------


def test_clearing_spares_what_a_worker_holds(driver: QueueDriver) -> None:
    push("held")
    held = claim_one(now=NOON)
    push("waiting")
    push("urgent", priority=7)
    push("delayed", at=driver.get_now() + timedelta(days=1))
    push("elsewhere", queue="other")
    assert driver.clear(queue="default", now=NOON) == 3
    assert driver.clear(queue=None, now=NOON) == 1
    assert driver.clear(queue=None, now=held.lease_expires_at) == 1
    assert count_all(driver) == 0


def test_jobs_are_removed_by_their_ids_unless_a_worker_holds_them(driver: QueueDriver) -> None:
    held = push("held")
    driver.claim(queues=["default"], worker="w")
    waiting, urgent = push("waiting"), push("urgent", priority=1)
    delayed = push("delayed", at=driver.get_now() + timedelta(days=1))
    push("left")
    ids = [one.job_id for one in (held, waiting, urgent, delayed)]
    assert driver.remove([*ids, uuid4()]) == 3
    assert names_of_all() == ["left"]


# --- Looking ---------------------------------------------------------------------------------------------------------


def test_figures_tell_waiting_delayed_and_running_jobs_apart(driver: QueueDriver) -> None:
    push("running")
    claim_one(now=NOON)
    push("waiting", at=NOON - SECOND)
    push("waiting too", priority=4)
    push("delayed", at=NOON + SECOND)
    push("much later", at=driver.get_now() + timedelta(days=1))
    push("elsewhere", queue="other")
    measured = driver.measure(now=NOON)
    figures = measured["default"]
    assert list(measured) == ["default", "other"]
    assert (figures.waiting, figures.delayed, figures.running) == (2, 2, 1)
    assert figures.oldest_due_at == NOON - SECOND


def test_a_lapsed_job_counts_as_waiting_since_the_end_of_its_lease(driver: QueueDriver) -> None:
    push()
    claim = claim_one(now=NOON)
    figures = driver.measure(now=claim.lease_expires_at + SECOND)["default"]
    assert (figures.waiting, figures.running, figures.oldest_due_at) == (1, 0, claim.lease_expires_at)


def test_a_queue_without_jobs_has_no_figures(driver: QueueDriver) -> None:
    push()
    driver.finish(claim_one(now=NOON))
    assert driver.measure(now=NOON) == {}


def test_jobs_are_listed_in_the_order_in_which_they_would_be_claimed(driver: QueueDriver) -> None:
    push("running", at=NOON - SECOND)
    running = claim_one(now=NOON)
    push("second")
    push("third", at=NOON + SECOND)
    push("first", queue="other", priority=5)
    listed = {job.job_class: job for job in driver.list_jobs(now=NOON)}
    assert list(listed) == ["first", "running", "second", "third"]
    assert [job.state for job in listed.values()] == ["waiting", "running", "waiting", "delayed"]
    job = listed["running"]
    assert (job.job_id, job.payload, job.worker) == (running.job_id, running.payload, "test")
    assert (job.available_at, job.created_at) == (NOON - SECOND, NOON)


@pytest.mark.parametrize("state", ["waiting", "delayed", "running"])
def test_jobs_are_listed_by_state_queue_and_number(driver: QueueDriver, state: str) -> None:
    for queue in ("default", "other"):
        for _ in range(2):
            push("running", queue=queue)
            claim_one(queue, now=NOON)
            push("delayed", queue=queue, at=NOON + SECOND)
        push("waiting", queue=queue)
        push("waiting", queue=queue, priority=1)
    jobs = driver.list_jobs(state=state, now=NOON)  # type: ignore[arg-type]  # the three states
    assert [job.job_class for job in jobs] == [state] * 4
    assert {job.queue for job in driver.list_jobs(queue="other", now=NOON)} == {"other"}
    assert len(driver.list_jobs(queue="other", state=state, limit=1, now=NOON)) == 1  # type: ignore[arg-type]  # as above


# --- Pauses ----------------------------------------------------------------------------------------------------------


def test_nobody_claims_from_a_paused_queue_until_it_is_resumed(driver: QueueDriver) -> None:
    push("resting", queue="a")
    push("other", queue="b")
    driver.pause("a")
    assert driver.list_pauses() == {"a": None}
    assert names_of_all("a", "b") == ["other"]
    assert claim_next(now=NOON) is None
    assert [driver.resume("a"), driver.resume("a")] == [True, False]
    assert names_of_all() == ["resting"]


def test_a_pause_ends_by_itself(driver: QueueDriver) -> None:
    push()
    end = driver.get_now() + timedelta(hours=1)
    driver.pause("default", until=end)
    assert driver.list_pauses() == {"default": end}
    assert claim_next("default", now=end - SECOND) is None
    assert claim_one("default", now=end).job_class == "job"
    assert driver.list_pauses(now=end) == {}


def test_resuming_after_the_end_of_the_pause_says_that_nothing_rested(driver: QueueDriver) -> None:
    driver.pause("default", until=driver.get_now() - SECOND)
    assert not driver.resume("default")


def test_all_queues_can_rest_and_single_ones_rest_on_afterwards(driver: QueueDriver) -> None:
    push("a", queue="a")
    push("b", queue="b")
    driver.pause("a")
    driver.pause("*")
    assert claim_next("b", now=NOON) is None
    assert claim_next(now=NOON) is None
    assert driver.resume("*")
    assert names_of_all() == ["b"]


def test_a_paused_queue_takes_jobs_and_lets_those_in_hand_end(driver: QueueDriver) -> None:
    push()
    claim = claim_one(now=NOON)
    driver.pause("default")
    push("new")
    assert driver.finish(claim)
    assert driver.measure(now=NOON)["default"].waiting == 1


# --- Room within a transaction ---------------------------------------------------------------------------------------


def test_a_transaction_counts_what_it_holds_for_a_queue_already(job_connection: str, small_queue: str) -> None:
    with transaction.atomic():
        NoteJob.dispatch("notes.txt", "a")
        with suppress(ZeroDivisionError), transaction.atomic():
            NoteJob.dispatch("notes.txt", "rolled back")
            raise ZeroDivisionError
        NoteJob.dispatch("notes.txt", "b")
        with pytest.raises(QueueFull, match=f"The queue {small_queue} holds 2 jobs, and may hold 2"):
            NoteJob.dispatch("notes.txt", "c")
    assert count_all(get_driver()) == 2


# --- Many at once ----------------------------------------------------------------------------------------------------


def _in_threads(number: int, target: Callable[[], None]) -> None:
    def run() -> None:
        try:
            target()
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run) for _ in range(number)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


@pytest.mark.django_db(transaction=True)
def test_threads_that_claim_at_once_never_get_the_same_job(driver: QueueDriver) -> None:
    driver.push([make(str(number), priority=number % 3) for number in range(240)])
    claimed: list[str] = []
    _in_threads(8, lambda: claimed.extend(names_of_all()))
    assert Counter(claimed) == Counter(str(number) for number in range(240))


@pytest.mark.django_db(transaction=True)
def test_threads_that_push_at_once_never_fill_a_queue_beyond_its_limit(driver: QueueDriver) -> None:
    refused: list[UUID] = []

    def fill() -> None:
        for _ in range(10):
            message = make()
            try:
                get_driver().push([message], limits={"default": 20})
            except QueueFull:
                refused.append(message.job_id)

    _in_threads(4, fill)
    assert (count_all(driver), len(refused)) == (20, 20)
