"""What every driver does with single jobs: order, storing, leases, fences, followers, failures."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from pytest_django import DjangoAssertNumQueries

from jobs.drivers.base import Burial, Claim, Message, QueueDriver, get_driver
from jobs.exceptions import QueueFull
from jobs.models import FailedJob
from tests.jobs.messages import count_all, make, names_of, names_of_all, push
from tests.jobs.steps import NOON, claim_next, claim_one

SECOND = timedelta(seconds=1)
BURIAL = Burial(attempts=1, exception="ValueError: x", traceback="t", failed_at=NOON)


# --- Order -----------------------------------------------------------------------------------------------------------


def test_the_highest_priority_then_the_longest_due_then_the_first_to_come_goes_first(driver: QueueDriver) -> None:
    push("second", priority=5, at=NOON - SECOND)
    push("fifth")
    push("first", priority=9)
    push("sixth")
    push("fourth", at=NOON - SECOND)
    push("third", priority=5)
    assert names_of_all() == ["first", "second", "third", "fourth", "fifth", "sixth"]


@pytest.mark.parametrize("queues", [("default",), ()])
def test_many_jobs_pushed_in_any_order_are_claimed_by_due_time(driver: QueueDriver, queues: Sequence[str]) -> None:
    for number in (5, 1, 9, 3, 7, 2, 8, 0, 6, 4):
        push(str(number), at=NOON - 20 * SECOND + number * SECOND)
    assert "".join(names_of_all(*queues)) == "0123456789"


def test_a_job_among_very_many_is_claimed_at_its_place(driver: QueueDriver) -> None:
    """Wherever that is: before all, among the first of them, among the last of them."""
    moments = [NOON - timedelta(hours=1) + number * SECOND for number in range(250)]
    driver.push([make(str(number), at=moment) for number, moment in enumerate(moments)])
    push("before all", at=moments[0] - SECOND)
    for place in (1, 100, 148, 149, 150, 151, 152, 200, 248, 249):
        push(f"behind {place}", at=moments[place] + SECOND / 2)
    expected = ["before all"]
    for number in range(250):
        expected += [str(number)] + [f"behind {number}"] * (number in {1, 100, 148, 149, 150, 151, 152, 200, 248, 249})
    assert names_of_all() == expected


def test_queues_are_served_in_the_order_given_whatever_the_priorities(driver: QueueDriver) -> None:
    push("b1", queue="b", priority=255)
    push("a1", queue="a")
    push("c1", queue="c")
    push("a2", queue="a")
    assert names_of_all("a", "b") == ["a1", "a2", "b1"]


def test_without_queues_all_are_served_as_one(driver: QueueDriver) -> None:
    push("third", queue="a")
    push("fourth", queue="b")
    push("fifth", queue="a")
    push("first", queue="b", priority=1)
    push("second", queue="c", at=NOON - SECOND)
    assert names_of_all() == ["first", "second", "third", "fourth", "fifth"]


def test_delayed_jobs_are_claimed_from_their_instant_on_in_the_order_of_their_instants(driver: QueueDriver) -> None:
    push("later", at=NOON + 2 * SECOND)
    push("urgent", at=NOON + 2 * SECOND, priority=1)
    push("soon", at=NOON + SECOND)
    push("now")
    assert names_of_all(now=NOON) == ["now"]
    assert names_of_all(now=NOON + SECOND) == ["soon"]
    assert names_of_all(now=NOON + 2 * SECOND) == ["urgent", "later"]


def test_a_job_is_claimed_as_it_was_pushed(driver: QueueDriver) -> None:
    message = push("job", queue="mail", priority=3)
    claim = claim_one(now=NOON)
    assert (claim.job_id, claim.queue, claim.job_class) == (message.job_id, "mail", "job")
    assert (claim.payload, claim.priority) == (message.payload, 3)
    assert (claim.connection, claim.worker) == (driver.name, "test")


def test_several_jobs_of_one_queue_can_be_claimed_at_once(driver: QueueDriver) -> None:
    for name in "abc":
        push(name, queue="one")
    push("urgent", queue="one", priority=2)
    push("d", queue="two")
    claims = driver.claim(queues=["one", "two"], worker="w", count=3, now=NOON)
    assert names_of(claims) == ["urgent", "a", "b"]
    assert names_of(driver.claim(queues=["one", "two"], worker="w", count=3, now=NOON)) == ["c"]


def test_several_jobs_of_any_queue_can_be_claimed_at_once(driver: QueueDriver) -> None:
    push("a", queue="one")
    push("b", queue="two")
    push("c", queue="one")
    claims = driver.claim(queues=[], worker="w", count=2, now=NOON)
    assert names_of(claims) == ["a", "b"]
    assert driver.finish(claims[1])
    assert driver.finish(claims[0])
    assert count_all(driver) == 1


# --- Storing ---------------------------------------------------------------------------------------------------------


def test_a_job_that_is_stored_already_is_left_as_it_is(driver: QueueDriver) -> None:
    message = push("job")
    claim = claim_one(now=NOON)
    driver.push([message, make("other")])
    assert names_of_all() == ["other"]
    assert driver.finish(claim)
    assert count_all(driver) == 0


def test_a_full_queue_takes_none_of_the_jobs_and_tells_the_figures(driver: QueueDriver) -> None:
    push("running", queue="small")
    claim_one("small", now=NOON)
    push("waiting", queue="small", priority=1)
    push("delayed", queue="small", at=driver.get_now() + timedelta(days=1))
    with pytest.raises(QueueFull, match="small holds 3 jobs, and may hold 4"):
        driver.push([make("x", queue="other"), make("y", queue="small"), make("z", queue="small")], limits={"small": 4})
    assert count_all(driver) == 3
    driver.push([make("y", queue="small")], limits={"small": 4})
    assert count_all(driver) == 4


# --- Leases ----------------------------------------------------------------------------------------------------------


def test_the_try_is_counted_at_the_claim(driver: QueueDriver) -> None:
    push()
    assert claim_one(now=NOON).attempts == 1
    assert driver.list_jobs(now=NOON)[0].attempts == 1


def test_a_held_job_is_not_claimed_again_before_its_lease_ends(driver: QueueDriver) -> None:
    push()
    claim = claim_one(now=NOON)
    assert (claim.claimed_at, claim.lease_expires_at) == (NOON, NOON + timedelta(seconds=20))
    assert claim_next(now=claim.lease_expires_at - SECOND) is None
    again = claim_one(now=claim.lease_expires_at)
    assert (again.attempts, again.crashes, again.payload) == (2, 1, claim.payload)
    assert again.lease_id != claim.lease_id


def test_a_job_that_lapsed_goes_before_what_was_due_later(driver: QueueDriver) -> None:
    push("lapsed", at=NOON - SECOND)
    claim = claim_one(now=NOON)
    push("later")
    assert names_of_all(now=claim.lease_expires_at) == ["lapsed", "later"]


def test_a_released_job_comes_back_at_its_instant_with_its_tries_counted(driver: QueueDriver) -> None:
    push()
    assert driver.release(claim_one(now=NOON), available_at=NOON + SECOND)
    assert claim_next(now=NOON) is None
    assert claim_one(now=NOON + SECOND).attempts == 2


def test_a_released_job_whose_try_was_never_begun_has_that_try_again(driver: QueueDriver) -> None:
    push()
    for _ in range(2):
        claim = claim_one(now=NOON)
        assert claim.attempts == 1
        assert driver.release(claim, available_at=NOON, is_unbegun=True)
    assert driver.list_jobs(now=NOON)[0].attempts == 0


def test_a_renewed_lease_holds_until_its_new_end(driver: QueueDriver) -> None:
    push()
    claim = claim_one(now=NOON)
    end = NOON + timedelta(hours=1, microseconds=1)
    assert driver.renew(claim, lease_expires_at=end)
    assert claim_next(now=end - timedelta(microseconds=1)) is None
    assert claim_one(now=end).attempts == 2


@pytest.mark.parametrize("operation", ["release", "renew"])
def test_another_record_takes_the_place_of_the_first(driver: QueueDriver, operation: str) -> None:
    push()
    claim = claim_one(now=NOON)
    if operation == "release":
        driver.release(claim, available_at=NOON, payload="changed")
    else:
        driver.renew(claim, lease_expires_at=NOON, payload="changed")
    assert claim_one(now=NOON).payload == "changed"


def _finish(driver: QueueDriver, claim: Claim, followers: Sequence[Message]) -> bool:
    return driver.finish(claim, followers=followers)


def _bury(driver: QueueDriver, claim: Claim, followers: Sequence[Message]) -> bool:
    return driver.bury(claim, BURIAL, followers=followers)


def _release(driver: QueueDriver, claim: Claim, followers: Sequence[Message]) -> bool:
    return driver.release(claim, available_at=NOON)


def _renew(driver: QueueDriver, claim: Claim, followers: Sequence[Message]) -> bool:
    return driver.renew(claim, lease_expires_at=NOON)


type Operation = Callable[[QueueDriver, Claim, Sequence[Message]], bool]
END_BY = pytest.mark.parametrize("end", [_finish, _bury])


@pytest.mark.parametrize("operation", [_finish, _bury, _release, _renew])
def test_a_worker_that_lost_its_lease_changes_nothing(driver: QueueDriver, operation: Operation) -> None:
    push()
    late = claim_one(now=NOON)
    holder = claim_one(now=late.lease_expires_at)
    before = driver.list_jobs(now=NOON)
    assert not operation(driver, late, [make("follower")])
    assert driver.list_jobs(now=NOON) == before
    assert not FailedJob.objects.exists()
    assert driver.finish(holder)


@pytest.mark.parametrize("operation", [_finish, _bury, _release, _renew])
def test_a_lapsed_job_that_nobody_took_over_is_still_its_holders(driver: QueueDriver, operation: Operation) -> None:
    push("late")
    push("other")
    claims = driver.claim(queues=["default"], worker="w", count=2, now=NOON)
    assert claim_one(now=claims[0].lease_expires_at).job_class == "late"
    assert operation(driver, claims[1], [])


@pytest.mark.parametrize("operation", [_finish, _bury, _release, _renew])
def test_ending_a_job_twice_changes_nothing_and_another_end_is_denied(
    driver: QueueDriver, operation: Operation
) -> None:
    push()
    claim = claim_one(now=NOON)
    assert driver.finish(claim)
    is_known = operation(driver, claim, [make("follower")])
    assert not is_known or operation is _finish
    assert count_all(driver) == 0
    assert not FailedJob.objects.exists()


@END_BY
def test_what_follows_is_stored_in_the_step_that_ends_the_job(driver: QueueDriver, end: Operation) -> None:
    push()
    assert end(driver, claim_one(now=NOON), [make("a"), make("b", queue="other", priority=1)])
    assert names_of_all() == ["b", "a"]


@END_BY
def test_a_follower_that_is_stored_already_is_left_as_it_is(driver: QueueDriver, end: Operation) -> None:
    push(priority=1)
    claim = claim_one(now=NOON)
    follower = push("follower")
    assert end(driver, claim, [follower])
    assert names_of_all() == ["follower"]


# --- Failed jobs -----------------------------------------------------------------------------------------------------


def test_a_buried_job_moves_to_the_failed_jobs_as_it_was(driver: QueueDriver) -> None:
    message = push("job", queue="mail", priority=3)
    claim = claim_one(now=NOON)
    assert driver.bury(claim, BURIAL)
    failed = FailedJob.objects.get()
    assert (failed.job_id, failed.queue, failed.priority, failed.payload) == (claim.job_id, "mail", 3, message.payload)
    assert failed.connection == driver.name
    assert count_all(driver) == 0
    assert claim_next(now=NOON + timedelta(days=1)) is None


def test_burying_a_job_whose_id_has_failed_before_replaces_that_row(driver: QueueDriver) -> None:
    push()
    claim = claim_one(now=NOON)
    FailedJob.objects.create(job_id=claim.job_id, queue="q", job_class="c", payload="", attempts=9, failed_at=NOON)
    assert driver.bury(claim, BURIAL)
    assert FailedJob.objects.get().attempts == 1


def test_whoever_buries_again_is_told_that_it_is_done_and_nobody_else(driver: QueueDriver) -> None:
    push()
    late = claim_one(now=NOON)
    (claim,) = driver.claim(queues=[], worker="other", now=late.lease_expires_at)
    burial = replace(BURIAL, attempts=2, failed_at=late.lease_expires_at, context={"worker": "other"})
    assert driver.bury(claim, burial)
    assert driver.bury(claim, burial, followers=[make("follower")])
    assert not driver.bury(late, replace(BURIAL, context={"worker": late.worker}))
    assert count_all(driver) == 0
    assert FailedJob.objects.get().attempts == 2


def test_a_buried_job_can_be_pushed_again(driver: QueueDriver) -> None:
    message = push(priority=2)
    driver.bury(claim_one(now=NOON), BURIAL)
    driver.push([message])
    assert claim_one(now=NOON).attempts == 1


# --- What the database is asked ---------------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("queues", ["a", "abcdefgh"])
def test_an_idle_worker_looks_at_all_its_queues_with_one_read_without_the_write_lock(queues: str) -> None:
    claim_next(*queues)
    with CaptureQueriesContext(connection) as queries:
        claim_next(*queues)
    statements = [query["sql"].strip() for query in queries if query["sql"] not in {"BEGIN", "COMMIT"}]
    assert len(statements) == 1
    assert statements[0].startswith("SELECT") or (connection.vendor == "postgresql" and queues == "a")


def test_a_worker_that_was_idle_takes_queues_in_its_order_and_passes_over_those_that_rest(driver: QueueDriver) -> None:
    assert claim_next("c", "b", "a", "d") is None
    for name in "abcd":
        push(name, queue=name)
    driver.pause("c")
    claims = driver.claim(queues=["c", "b", "a", "d"], worker="w", now=NOON)
    assert [claim.queue for claim in claims] == ["b"]


@pytest.mark.django_db
def test_claiming_and_finishing_take_a_fixed_number_of_queries(
    django_assert_num_queries: DjangoAssertNumQueries,
) -> None:
    for number in range(20):
        push(str(number))
    claims_in_one = connection.vendor == "postgresql"
    with django_assert_num_queries(1 if claims_in_one else 5):
        claim = claim_one(now=NOON)
    with django_assert_num_queries(1):
        get_driver().finish(claim)
