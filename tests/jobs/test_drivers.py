"""The database driver: order, leases, fences, figures, and many workers at once."""

import threading
from collections import Counter
from datetime import datetime, timedelta
from uuid import uuid4

import pytest
from django.db import connection, connections
from django.test.utils import CaptureQueriesContext
from pytest_django import DjangoAssertNumQueries

from jobs.drivers.base import Claim, Message, QueueDriver, get_driver
from jobs.models import FailedJob, QueuedJob
from tests.jobs.steps import NOON, claim_next, claim_one

SECOND = timedelta(seconds=1)


@pytest.fixture
def driver() -> QueueDriver:
    return get_driver()


def _push(name: str, *, queue: str = "default", priority: int = 0, at: datetime = NOON) -> None:
    message = Message(
        job_id=uuid4(),
        queue=queue,
        job_class=name,
        payload="{}",
        priority=priority,
        available_at=at,
        created_at=NOON,
    )
    get_driver().push([message])


def _drain(*queues: str, now: datetime = NOON) -> list[str]:
    names = []
    while (claim := claim_next(*queues, now=now)) is not None:
        names.append(claim.job_class)
        get_driver().finish(claim)
    return names


@pytest.mark.django_db
def test_the_highest_priority_then_the_longest_due_then_the_first_to_come_goes_first() -> None:
    _push("second", priority=5, at=NOON - SECOND)
    _push("fifth")
    _push("first", priority=9)
    _push("fourth", at=NOON - SECOND)
    _push("third", priority=5)
    assert _drain() == ["first", "second", "third", "fourth", "fifth"]


@pytest.mark.django_db
def test_queues_are_served_in_the_order_given_whatever_the_priorities() -> None:
    _push("b1", queue="b", priority=255)
    _push("a1", queue="a")
    _push("c1", queue="c")
    _push("a2", queue="a")
    assert _drain("a", "b") == ["a1", "a2", "b1"]


@pytest.mark.django_db
def test_without_queues_all_are_served_as_one() -> None:
    _push("low", queue="a")
    _push("high", queue="b", priority=1)
    assert _drain() == ["high", "low"]


@pytest.mark.django_db
def test_a_delayed_job_is_claimed_from_its_instant_on() -> None:
    _push("later", at=NOON + SECOND)
    assert claim_next(now=NOON) is None
    assert claim_one(now=NOON + SECOND).job_class == "later"


@pytest.mark.django_db
def test_the_try_is_counted_at_the_claim() -> None:
    _push("job")
    assert claim_one(now=NOON).attempts == 1
    assert QueuedJob.objects.get().attempts == 1


@pytest.mark.django_db
def test_a_held_job_is_not_claimed_again_before_its_lease_ends() -> None:
    _push("job")
    claim = claim_one(now=NOON)
    assert claim_next(now=claim.lease_expires_at - SECOND) is None
    assert claim_one(now=claim.lease_expires_at).attempts == 2


@pytest.mark.django_db
def test_a_released_job_comes_back_at_its_instant_with_its_tries_counted(driver: QueueDriver) -> None:
    _push("job")
    assert driver.release(claim_one(now=NOON), available_at=NOON + SECOND)
    assert claim_next(now=NOON) is None
    assert claim_one(now=NOON + SECOND).attempts == 2


def _lose(claim: Claim) -> Claim:
    """Let another worker take the job over, and return that worker's claim."""
    return claim_one(now=claim.lease_expires_at)


@pytest.mark.django_db
def test_a_worker_that_lost_its_lease_changes_nothing(driver: QueueDriver) -> None:
    _push("job")
    late = claim_one(now=NOON)
    holder = _lose(late)
    before = QueuedJob.objects.values().get()
    assert not driver.finish(late)
    assert not driver.release(late, available_at=NOON)
    assert not driver.bury(late, attempts=1, exception="x", traceback="", now=NOON)
    assert QueuedJob.objects.values().get() == before
    assert not FailedJob.objects.exists()
    assert driver.finish(holder)


@pytest.mark.django_db
def test_finishing_twice_says_so(driver: QueueDriver) -> None:
    _push("job")
    claim = claim_one(now=NOON)
    assert [driver.finish(claim), driver.finish(claim)] == [True, False]


@pytest.mark.django_db
def test_a_buried_job_moves_to_the_failed_jobs_as_it_was(driver: QueueDriver) -> None:
    _push("job", queue="mail", priority=3)
    claim = claim_one(now=NOON)
    assert driver.bury(claim, attempts=1, exception="ValueError: x", traceback="t", now=NOON)
    failed = FailedJob.objects.get()
    assert (failed.job_id, failed.queue, failed.priority, failed.payload) == (claim.job_id, "mail", 3, "{}")
    assert not QueuedJob.objects.exists()


@pytest.mark.django_db
def test_burying_a_job_whose_id_has_failed_before_replaces_that_row(driver: QueueDriver) -> None:
    _push("job")
    claim = claim_one(now=NOON)
    FailedJob.objects.create(job_id=claim.job_id, queue="q", job_class="c", payload="", attempts=9, failed_at=NOON)
    assert driver.bury(claim, attempts=1, exception="x", traceback="", now=NOON)
    assert FailedJob.objects.get().attempts == 1


@pytest.mark.django_db
def test_clearing_spares_what_a_worker_holds(driver: QueueDriver) -> None:
    _push("held")
    held = claim_one(now=NOON)
    _push("waiting")
    _push("delayed", at=NOON + SECOND)
    _push("elsewhere", queue="other")
    assert driver.clear(queue="default", now=NOON) == 2
    assert driver.clear(queue=None, now=NOON) == 1
    assert driver.clear(queue=None, now=held.lease_expires_at) == 1


@pytest.mark.django_db
def test_figures_tell_waiting_delayed_and_running_jobs_apart(driver: QueueDriver) -> None:
    _push("running")
    claim_one(now=NOON)
    _push("waiting", at=NOON - SECOND)
    _push("waiting too")
    _push("delayed", at=NOON + SECOND)
    figures = driver.measure(now=NOON)["default"]
    assert (figures.waiting, figures.delayed, figures.running) == (2, 1, 1)
    assert figures.oldest_due_at == NOON - SECOND


@pytest.mark.django_db
def test_a_lapsed_job_counts_as_waiting_since_the_end_of_its_lease(driver: QueueDriver) -> None:
    _push("job")
    claim = claim_one(now=NOON)
    figures = driver.measure(now=claim.lease_expires_at + SECOND)["default"]
    assert (figures.waiting, figures.running, figures.oldest_due_at) == (1, 0, claim.lease_expires_at)


@pytest.mark.django_db(transaction=True)
def test_looking_at_an_empty_queue_is_one_read_without_the_write_lock() -> None:
    with CaptureQueriesContext(connection) as queries:
        claim_next("a", "b")
    statements = [query["sql"] for query in queries if query["sql"] not in {"BEGIN", "COMMIT"}]
    assert all(sql.startswith("SELECT") for sql in statements)
    assert len(statements) == (1 if connection.vendor == "sqlite" else 2)


@pytest.mark.django_db
def test_claiming_and_finishing_take_a_fixed_number_of_queries(
    django_assert_num_queries: DjangoAssertNumQueries, driver: QueueDriver
) -> None:
    for number in range(20):
        _push(str(number))
    savepoints = 2
    look_ahead = 1 if connection.vendor == "sqlite" else 0
    with django_assert_num_queries(look_ahead + savepoints + 2):
        claim = claim_one(now=NOON)
    with django_assert_num_queries(1):
        driver.finish(claim)


@pytest.mark.django_db(transaction=True)
def test_threads_that_claim_at_once_never_get_the_same_job() -> None:
    for number in range(200):
        _push(str(number))
    claimed: list[str] = []
    threads = [threading.Thread(target=_drain_into, args=(claimed,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert Counter(claimed) == Counter(str(number) for number in range(200))


def _drain_into(claimed: list[str]) -> None:
    try:
        claimed.extend(_drain())
    finally:
        connections.close_all()
