"""What every coordinator does: places, windows, numbers, by the clock of the store."""

import threading
from bisect import bisect_right
from collections.abc import Callable
from datetime import timedelta
from uuid import uuid4

import pytest
from django.db import connections
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jobs.coordination import Coordinator, Window, get_coordinator
from jobs.coordination.database import DatabaseCoordinator
from tests.jobs.steps import NOON

SECOND = timedelta(seconds=1)
MICROSECOND = timedelta(microseconds=1)
MINUTE = timedelta(minutes=1)
STRANGE_KEYS = pytest.mark.parametrize("key", ["k", "a:b c", "ключ", "x" * 500, "nul \x00", "surrogate \ud800"])


@pytest.fixture
def coordinator(job_connection: str) -> Coordinator:
    return get_coordinator()


# --- Places ----------------------------------------------------------------------------------------------------------


@STRANGE_KEYS
def test_a_lock_has_one_owner_until_it_gives_it_back(coordinator: Coordinator, key: str) -> None:
    assert coordinator.acquire(key, owner="a", lifetime=MINUTE)
    assert not coordinator.acquire(key, owner="b", lifetime=MINUTE)
    assert coordinator.list_owners(key) == ["a"]
    assert coordinator.release(key, owner="a")
    assert coordinator.acquire(key, owner="b", lifetime=MINUTE)


def test_only_the_owner_gives_a_lock_back(coordinator: Coordinator) -> None:
    coordinator.acquire("k", owner="a", lifetime=MINUTE)
    assert not coordinator.release("k", owner="b")
    assert coordinator.list_owners("k") == ["a"]
    assert [coordinator.release("k", owner="a"), coordinator.release("k", owner="a")] == [True, False]


def test_a_lock_is_free_at_the_end_of_its_life(coordinator: Coordinator) -> None:
    coordinator.acquire("k", owner="a", lifetime=MINUTE, now=NOON)
    end = NOON + MINUTE
    assert not coordinator.acquire("k", owner="b", lifetime=MINUTE, now=end - MICROSECOND)
    assert coordinator.list_owners("k", now=end - MICROSECOND) == ["a"]
    assert coordinator.list_owners("k", now=end) == []
    assert coordinator.acquire("k", owner="b", lifetime=MINUTE, now=end)


def test_a_lock_without_a_lifetime_holds_for_ever(coordinator: Coordinator) -> None:
    coordinator.acquire("k", owner="a", lifetime=None, now=NOON)
    assert not coordinator.acquire("k", owner="b", lifetime=MINUTE, now=NOON + timedelta(days=3650))


def test_an_owner_that_asks_again_lives_anew(coordinator: Coordinator) -> None:
    coordinator.acquire("k", owner="a", lifetime=MINUTE, now=NOON)
    assert coordinator.acquire("k", owner="a", lifetime=MINUTE, now=NOON + 30 * SECOND)
    assert not coordinator.acquire("k", owner="b", lifetime=MINUTE, now=NOON + 80 * SECOND)


def test_there_are_as_many_owners_as_places(coordinator: Coordinator) -> None:
    taken = [coordinator.acquire("k", owner=str(one), lifetime=MINUTE, places=2) for one in range(3)]
    assert taken == [True, True, False]
    assert coordinator.acquire("k", owner="0", lifetime=MINUTE, places=2)
    coordinator.release("k", owner="0")
    assert coordinator.acquire("k", owner="2", lifetime=MINUTE, places=2)
    assert sorted(coordinator.list_owners("k")) == ["1", "2"]


def test_a_place_that_lapsed_is_taken_by_another(coordinator: Coordinator) -> None:
    coordinator.acquire("k", owner="short", lifetime=SECOND, places=2, now=NOON)
    coordinator.acquire("k", owner="long", lifetime=MINUTE, places=2, now=NOON)
    assert coordinator.acquire("k", owner="new", lifetime=MINUTE, places=2, now=NOON + SECOND)
    assert sorted(coordinator.list_owners("k", now=NOON + SECOND)) == ["long", "new"]


def test_one_owner_can_take_the_place_of_all(coordinator: Coordinator) -> None:
    coordinator.acquire("k", owner="a", lifetime=None)
    coordinator.replace("k", owner="b", lifetime=MINUTE)
    assert coordinator.list_owners("k") == ["b"]
    assert not coordinator.release("k", owner="a")


# --- Windows ---------------------------------------------------------------------------------------------------------


@STRANGE_KEYS
def test_a_full_window_tells_when_it_has_room(coordinator: Coordinator, key: str) -> None:
    for number in range(2):
        assert not coordinator.hit(key, limit=2, window=MINUTE, now=NOON + number * SECOND)
    assert coordinator.hit(key, limit=2, window=MINUTE, now=NOON + 2 * SECOND) == 58 * SECOND
    assert coordinator.hit(key, limit=2, window=MINUTE, now=NOON + MINUTE - MICROSECOND) == MICROSECOND
    assert not coordinator.hit(key, limit=2, window=MINUTE, now=NOON + MINUTE)
    assert coordinator.count_hits(key, window=MINUTE, now=NOON + MINUTE) == 2


def test_a_refused_event_is_not_counted(coordinator: Coordinator) -> None:
    coordinator.hit("k", limit=1, window=MINUTE, now=NOON)
    coordinator.hit("k", limit=1, window=MINUTE, now=NOON + SECOND)
    assert coordinator.count_hits("k", window=MINUTE, now=NOON + SECOND) == 1


def test_a_limit_of_nothing_never_has_room(coordinator: Coordinator) -> None:
    assert coordinator.hit("k", limit=0, window=MINUTE, now=NOON) == MINUTE


def test_a_clock_that_is_set_back_opens_no_window(coordinator: Coordinator) -> None:
    coordinator.hit("k", limit=2, window=MINUTE, now=NOON)
    coordinator.hit("k", limit=2, window=MINUTE, now=NOON - 10 * MINUTE)
    assert coordinator.hit("k", limit=2, window=MINUTE, now=NOON - 10 * MINUTE) > MINUTE
    assert coordinator.hit("k", limit=2, window=MINUTE, now=NOON + SECOND) == 59 * SECOND


def test_an_event_counts_in_all_windows_or_in_none(coordinator: Coordinator) -> None:
    wide, narrow = Window("wide", 5, MINUTE), Window("narrow", 1, MINUTE)
    assert not coordinator.hit_all([wide, narrow], now=NOON)
    assert coordinator.hit_all([wide, narrow], now=NOON) == MINUTE
    assert coordinator.count_hits("wide", window=MINUTE, now=NOON) == 1


def test_asking_for_the_wait_counts_nothing(coordinator: Coordinator) -> None:
    window = Window("k", 1, MINUTE)
    assert not coordinator.get_wait(window, now=NOON)
    coordinator.hit_all([window], now=NOON)
    assert coordinator.get_wait(window, now=NOON + SECOND) == 59 * SECOND
    assert coordinator.count_hits("k", window=MINUTE, now=NOON) == 1


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    limit=st.integers(1, 4),
    steps=st.lists(st.integers(-5_000_000, 5_000_000), min_size=1, max_size=25),
    window=st.integers(1, 10_000_000),
)
def test_no_window_ever_holds_more_than_its_limit(
    coordinator: Coordinator, limit: int, steps: list[int], window: int
) -> None:
    key, length, now, latest = uuid4().hex, window * MICROSECOND, NOON, NOON
    counted: list[int] = []
    for step in steps:
        now += step * MICROSECOND
        wait = coordinator.hit(key, limit=limit, window=length, now=now)
        if not wait:
            latest = max(now, latest) if counted else now
            counted.append((latest - NOON) // MICROSECOND)
        else:
            assert not coordinator.get_wait(Window(key, limit, length), now=now + wait)
    for start in counted:
        assert bisect_right(counted, start + window - 1) - counted.index(start) <= limit


# --- Numbers and forgetting ------------------------------------------------------------------------------------------


@STRANGE_KEYS
def test_a_number_is_zero_again_after_its_life(coordinator: Coordinator, key: str) -> None:
    assert [coordinator.increment(key, lifetime=MINUTE, now=NOON) for _ in range(3)] == [1, 2, 3]
    assert coordinator.increment(key, lifetime=MINUTE, now=NOON + 59 * SECOND) == 4
    assert coordinator.increment(key, lifetime=MINUTE, now=NOON + 118 * SECOND) == 5
    assert coordinator.increment(key, lifetime=MINUTE, now=NOON + 178 * SECOND) == 1


@STRANGE_KEYS
def test_forgetting_a_key_drops_all_about_it_alone(coordinator: Coordinator, key: str) -> None:
    for one in (key, "other"):
        coordinator.acquire(one, owner="a", lifetime=None)
        coordinator.hit(one, limit=1, window=MINUTE)
        coordinator.increment(one, lifetime=MINUTE)
    coordinator.forget(key)
    assert coordinator.list_owners(key) == []
    assert coordinator.count_hits(key, window=MINUTE) == 0
    assert coordinator.increment(key, lifetime=MINUTE) == 1
    assert coordinator.list_owners("other") == ["a"]
    assert coordinator.increment("other", lifetime=MINUTE) == 2


def test_without_a_time_the_clock_of_the_store_holds(coordinator: Coordinator) -> None:
    coordinator.acquire("k", owner="a", lifetime=MINUTE)
    coordinator.hit("k", limit=1, window=MINUTE)
    assert coordinator.list_owners("k") == ["a"]
    assert timedelta(0) < coordinator.hit("k", limit=1, window=MINUTE) <= MINUTE


# --- Many at once ----------------------------------------------------------------------------------------------------


def in_threads(number: int, target: Callable[[int], None]) -> None:
    def run(one: int) -> None:
        try:
            target(one)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run, args=(one,)) for one in range(number)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


@pytest.mark.django_db(transaction=True)
def test_threads_never_hold_more_places_than_there_are(coordinator: Coordinator) -> None:
    most: list[int] = []
    inside: set[int] = set()
    guard = threading.Lock()

    def work(one: int) -> None:
        for _ in range(5):
            if not coordinator.acquire("k", owner=str(one), lifetime=MINUTE, places=3):
                continue
            with guard:
                inside.add(one)
                most.append(len(inside))
            with guard:
                inside.discard(one)
            coordinator.release("k", owner=str(one))

    in_threads(16, work)
    assert 1 <= max(most) <= 3
    assert coordinator.list_owners("k") == []


@pytest.mark.django_db(transaction=True)
def test_threads_never_count_more_events_than_a_window_may_hold(coordinator: Coordinator) -> None:
    counted: list[int] = []

    def work(one: int) -> None:
        counted.extend(one for _ in range(4) if not coordinator.hit("k", limit=10, window=MINUTE))

    in_threads(16, work)
    assert len(counted) == 10


@pytest.mark.django_db(transaction=True)
def test_threads_that_count_miss_no_number(coordinator: Coordinator) -> None:
    numbers: list[int] = []
    in_threads(8, lambda _one: numbers.extend(coordinator.increment("k", lifetime=MINUTE) for _ in range(5)))
    assert sorted(numbers) == list(range(1, 41))


def test_only_the_database_takes_part_in_transactions(coordinator: Coordinator) -> None:
    assert coordinator.is_transactional is isinstance(coordinator, DatabaseCoordinator)
