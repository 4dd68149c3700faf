"""What every driver does with several claims in one step: finish and claim, give back, renew; and how crashes count."""

from collections.abc import Sequence
from datetime import timedelta

import pytest
from django.db import connection
from pytest_django import Settings

from jobs.drivers.base import Burial, Claim, QueueDriver, get_driver
from jobs.testing.memory import MemoryDriver
from tests.jobs.messages import make, names_of
from tests.jobs.steps import NOON

SECOND = timedelta(seconds=1)
LEASE = timedelta(seconds=20)


@pytest.fixture(params=["itself", "through failover", "memory"])
def store(request: pytest.FixtureRequest, job_connection: str, settings: Settings) -> QueueDriver:
    """Each driver that there is."""
    match request.param:
        case "memory":
            return MemoryDriver("memory", clock=lambda: NOON, on_push=lambda _message: None)
        case "itself":
            return get_driver(job_connection)
        case _:
            failover = {"DRIVER": "jobs.drivers.failover.FailoverDriver", "CONNECTIONS": [job_connection]}
            connections = {**settings.JOBS["CONNECTIONS"], "failover": failover}
            settings.JOBS = {**settings.JOBS, "CONNECTIONS": connections}
            return get_driver("failover")


def _push(store: QueueDriver, names: str, *, priority: int = 0) -> None:
    for name in names:
        store.push([make(name, priority=priority)])


def _claim(store: QueueDriver, count: int = 1, *, after: timedelta = timedelta(0)) -> Sequence[Claim]:
    return store.claim(queues=["default"], worker="w", count=count, now=NOON + after)


def _show(store: QueueDriver, *, after: timedelta = timedelta(0)) -> list[tuple[str, str, int]]:
    return [(job.job_class, job.state, job.attempts) for job in store.list_jobs(now=NOON + after)]


# --- Finishing and claiming ------------------------------------------------------------------------------------------


def test_what_is_done_goes_and_the_next_ones_come_in_one_step(store: QueueDriver) -> None:
    _push(store, "abcde")
    a, b = _claim(store, 2)
    lost, claims = store.exchange([a], queues=["default"], worker="w", count=2, now=NOON)
    assert (lost, names_of(claims)) == (0, ["c", "d"])
    assert _show(store) == [("b", "running", 1), ("c", "running", 1), ("d", "running", 1), ("e", "waiting", 0)]
    lost, claims = store.exchange([b, *claims], queues=[], worker="w", count=9, now=NOON)
    assert (lost, names_of(claims)) == (0, ["e"])
    assert _show(store) == [("e", "running", 1)]


@pytest.mark.parametrize("is_paused", [False, True])
def test_what_is_done_goes_also_where_nothing_may_be_claimed(is_paused: bool, store: QueueDriver) -> None:
    _push(store, "ab" if is_paused else "a")
    claims = _claim(store)
    if is_paused:
        store.pause("*")
    assert store.exchange(claims, queues=["default"], worker="w", count=1, now=NOON) == (0, [])
    assert _show(store) == ([("b", "waiting", 0)] if is_paused else [])


def test_what_others_have_by_now_is_counted_and_stays_theirs(store: QueueDriver) -> None:
    _push(store, "abcd")
    a, b, c = _claim(store, 3)
    (mine,) = _claim(store, after=LEASE)  # a, whose lease is over; b and c are nobody else's yet
    lost, claims = store.exchange([a, b], queues=["other"], worker="w", count=1, now=NOON + LEASE)
    assert (lost, list(claims)) == (1, [])
    assert store.finish_all([a, b, c]) == 2
    assert _show(store, after=LEASE) == [("a", "running", 2), ("d", "waiting", 0)]
    assert store.finish_all([mine]) == 0
    assert [name for name, _, _ in _show(store)] == ["d"]


def test_nothing_is_finished_given_back_and_renewed_without_a_claim(store: QueueDriver) -> None:
    _push(store, "a")
    assert (store.finish_all([]), store.renew_all([], now=NOON)) == (0, 0)
    store.give_back([])
    assert _show(store) == [("a", "waiting", 0)]


# --- Giving back -----------------------------------------------------------------------------------------------------


def test_what_was_never_begun_goes_back_as_if_it_had_not_been_claimed(store: QueueDriver) -> None:
    _push(store, "abc")
    _push(store, "u", priority=3)
    urgent, a, *unbegun = _claim(store, 4)
    store.give_back([*reversed(unbegun), urgent])
    _push(store, "d")
    assert _show(store) == [("u", "waiting", 0), ("a", "running", 1), *((name, "waiting", 0) for name in "bcd")]
    again = _claim(store, 9)
    assert names_of(again) == ["u", "b", "c", "d"]
    assert {(claim.attempts, claim.crashes) for claim in again} == {(1, 0)}
    assert store.finish_all([a, *again]) == 0


def test_what_others_have_by_now_is_not_given_back(store: QueueDriver) -> None:
    _push(store, "ab")
    a, b = _claim(store, 2)
    (mine,) = _claim(store, after=LEASE)
    before = _show(store, after=LEASE)
    store.give_back([a])
    assert _show(store, after=LEASE) == before
    assert store.finish(mine)
    store.finish(b)
    store.give_back([b])
    assert _show(store) == []


@pytest.mark.parametrize("how", ["give_back", "finish_all", "renew_all"])
def test_each_job_counts_with_its_own_lease_alone(how: str, store: QueueDriver) -> None:
    _push(store, "xz")
    (x_before,) = _claim(store)
    x, z = _claim(store, 2, after=LEASE)
    assert x.job_id == x_before.job_id
    getattr(store, how)([x_before, z])
    assert store.renew(x, lease_expires_at=NOON + 2 * LEASE)
    assert store.finish(x)


def test_a_job_that_is_given_back_keeps_the_count_of_its_crashes(store: QueueDriver) -> None:
    _push(store, "a")
    _claim(store)
    store.give_back(_claim(store, after=LEASE))
    (claim,) = _claim(store, after=LEASE)
    assert (claim.attempts, claim.crashes) == (2, 1)


@pytest.mark.django_db
@pytest.mark.skipif("connection.vendor != 'sqlite'", reason="PostgreSQL keeps the types of its columns")
def test_a_row_of_nonsense_does_not_keep_others_from_being_given_back() -> None:
    store = get_driver("database")
    _push(store, "abc")
    with connection.cursor() as cursor:
        cursor.execute("UPDATE jobs SET attempts = 'many' WHERE job_class = 'b'")
    claims = _claim(store, 3)
    assert ["attempts" in claim.fault for claim in claims] == [False, True, False]
    store.give_back(claims)
    assert [(job.state, bool(job.fault)) for job in store.list_jobs(now=NOON)] == [
        ("waiting", False), ("waiting", True), ("waiting", False),
    ]  # fmt: skip


# --- Renewing --------------------------------------------------------------------------------------------------------


def test_renewed_jobs_are_held_for_another_lease_from_then_on(store: QueueDriver) -> None:
    _push(store, "ab")
    claims = _claim(store, 2)
    assert store.renew_all(claims, now=NOON + 15 * SECOND) == 0
    assert _claim(store, after=35 * SECOND - timedelta(microseconds=1)) == []
    again = _claim(store, 2, after=35 * SECOND)
    assert [(claim.job_class, claim.attempts, claim.crashes) for claim in again] == [("a", 2, 1), ("b", 2, 1)]


def test_renewing_counts_what_others_have_by_now_and_leaves_it_to_them(store: QueueDriver) -> None:
    _push(store, "abc")
    a, b, c = _claim(store, 3)
    (mine,) = _claim(store, after=LEASE)
    store.finish(c)
    assert store.renew_all([a, b, c], now=NOON + LEASE + 5 * SECOND) == 2
    assert names_of(_claim(store, 9, after=2 * LEASE)) == ["a"]  # b is held for five seconds more
    assert not store.finish(mine)


def test_the_lease_is_that_of_the_settings(store: QueueDriver, settings: Settings) -> None:
    settings.JOBS = {**settings.JOBS, "LEASE_SECONDS": 3}
    _push(store, "a")
    (claim,) = _claim(store)
    assert (claim.claimed_at, claim.lease_expires_at) == (NOON, NOON + 3 * SECOND)
    store.renew_all([claim], now=NOON + SECOND)
    assert _claim(store, after=4 * SECOND - timedelta(microseconds=1)) == []
    assert names_of(_claim(store, after=4 * SECOND)) == ["a"]


# --- Crashes ---------------------------------------------------------------------------------------------------------


def test_a_lease_that_ends_counts_as_a_crash_and_a_job_that_is_put_back_as_none(store: QueueDriver) -> None:
    _push(store, "a")
    counts = []
    for number in range(4):
        (claim,) = _claim(store, after=number * LEASE)
        counts.append((claim.attempts, claim.crashes))
        if number == 1:
            assert store.release(claim, available_at=NOON)
    assert counts == [(1, 0), (2, 1), (3, 1), (4, 2)]


def test_a_claim_that_is_lost_to_somebody_else_counts_no_crash_of_its_own(store: QueueDriver) -> None:
    _push(store, "a")
    (late,) = _claim(store)
    (mine,) = _claim(store, after=LEASE)
    store.renew_all([late], now=NOON + LEASE)
    store.give_back([late])
    store.give_back([mine])
    (claim,) = _claim(store, after=LEASE)
    assert (claim.attempts, claim.crashes) == (2, 1)


@pytest.mark.parametrize("how", ["buried", "finished"])
def test_a_job_that_is_stored_anew_has_crashed_never(how: str, store: QueueDriver) -> None:
    message = make("a")
    store.push([message])
    _claim(store)
    (claim,) = _claim(store, after=LEASE)
    if how == "finished":
        store.finish(claim)
    else:
        store.bury(claim, Burial(attempts=2, exception="x", traceback="", failed_at=NOON))
    store.push([message])
    (anew,) = _claim(store, after=LEASE)
    assert (anew.attempts, anew.crashes) == (1, 0)
