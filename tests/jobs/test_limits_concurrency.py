"""Locks and limits under many threads, checked afterwards by what the threads have written down."""

import threading
from collections import defaultdict
from collections.abc import Callable, Sequence
from datetime import timedelta
from itertools import count, pairwise
from os import environ
from time import perf_counter, perf_counter_ns
from typing import ClassVar, override
from uuid import uuid4

import pytest
from django.db import connection, connections, transaction
from pytest_django import Settings

from jobs.batch import batch
from jobs.coordination import Window, get_coordinator
from jobs.drivers.base import get_driver
from jobs.job import Job
from jobs.middleware import Middleware, WithoutOverlapping
from jobs.models import FailedJob
from jobs.signals import unique_job_skipped
from tests.accounts.racing import race
from tests.jobs.batch_jobs import UniqueStepJob
from tests.jobs.messages import make
from tests.jobs.steps import drain, heard, stored
from tests.waiting import wait_until

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(240)]
THREADS = 8
#: How many jobs each key gets; ``make exactness`` gives it 200.
TIMES = int(environ.get("OVERLAP_TIMES", "8"))
KEYS = [f"key {number}" for number in range(20)]
LENGTH = timedelta(milliseconds=150)
#: By how much the clocks of threads may differ that ask a server for the time, in seconds.
CLOCKS = 0.01
needs_servers = pytest.mark.skipif("connection.vendor != 'postgresql'", reason="SQLite's transactions don't overlap")
#: Start and end of each try, by key.
intervals: dict[str, list[tuple[int, int]]] = defaultdict(list)


class _WatchedJob(Job, is_base=True):
    """Write down when it ran."""

    tries = 0
    backoff = 0
    queue = "watched"

    def __init__(self, key: str) -> None:
        self.key = key

    @override
    def handle(self) -> None:
        started = perf_counter_ns()
        threading.Event().wait(0.001)  # let the others have their turn
        intervals[self.key].append((started, perf_counter_ns()))


class ExclusiveJob(_WatchedJob):
    """Never at the same time as another of its key."""

    @override
    def middleware(self) -> Sequence[Middleware]:
        return [WithoutOverlapping(self.key)]

    @override
    def handle(self) -> None:
        super().handle()


class HermitJob(_WatchedJob):
    """Never waiting or running where another of its key does."""

    unique_for: ClassVar[int | None] = 3600

    @override
    def unique_key(self) -> str:
        return self.key

    @override
    def handle(self) -> None:
        super().handle()


def _find_overlaps() -> list[str]:
    """Return the keys of which two jobs ran at the same time."""
    return [key for key, runs in intervals.items() if any(a[1] > b[0] for a, b in pairwise(sorted(runs)))]


@pytest.fixture(autouse=True)
def empty_log() -> None:
    intervals.clear()


@pytest.mark.usefixtures("job_connection")
def test_no_two_jobs_of_a_key_ever_overlap_and_each_runs_once() -> None:
    for _ in range(TIMES):
        for key in KEYS:
            ExclusiveJob.dispatch(key)
    race(drain, threads=THREADS)
    assert stored() == []
    assert {key: len(runs) for key, runs in intervals.items()} == dict.fromkeys(KEYS, TIMES)
    assert _find_overlaps() == []
    assert not FailedJob.objects.exists()


@pytest.mark.usefixtures("job_connection")
def test_of_a_unique_job_never_two_run_or_wait_however_many_are_sent_meanwhile() -> None:
    numbers = count()

    def send_and_work() -> int:
        done = 0
        while (number := next(numbers)) < len(KEYS) * TIMES:
            HermitJob.dispatch(KEYS[number % len(KEYS)])
            done += drain() if number % 7 == 0 else 0
        return done + drain()

    with heard(unique_job_skipped) as skipped:
        ran = sum(race(send_and_work, threads=THREADS))
    assert stored() == []
    assert ran + len(skipped) == len(KEYS) * TIMES
    assert sum(len(runs) for runs in intervals.values()) == ran
    assert _find_overlaps() == []


def _admit(take: Callable[[], timedelta]) -> list[tuple[float, float]]:
    """Let each thread knock for eight windows; return between which two moments each one was let through that was."""
    admitted: list[tuple[float, float]] = []
    end = perf_counter() + 8 * LENGTH.total_seconds()

    def knock() -> None:
        while (before := perf_counter()) < end:
            if not take():
                admitted.append((before, perf_counter()))

    race(knock, threads=THREADS)
    return admitted


def _count_most(admitted: Sequence[tuple[float, float]], length: timedelta) -> int:
    """Return how many were let through, for certain, within one window of that length, wherever it begins."""
    return max(
        sum(start <= before and after < start + length.total_seconds() - CLOCKS for before, after in admitted)
        for start, _ in admitted
    )


@pytest.mark.usefixtures("job_connection")
def test_no_window_wherever_it_begins_ever_holds_more_than_the_limit() -> None:
    admitted = _admit(lambda: get_coordinator().hit("k", limit=5, window=LENGTH))
    assert _count_most(admitted, LENGTH) <= 5
    assert len(admitted) > 10  # and it isn't kept by letting nobody through


@pytest.mark.usefixtures("job_connection")
def test_of_several_limits_all_hold_and_none_is_used_up_for_nothing() -> None:
    wide, narrow = Window("wide", 12, timedelta(hours=1)), Window("narrow", 4, LENGTH)
    turns = count()

    def take() -> timedelta:
        return get_coordinator().hit_all([wide, narrow] if next(turns) % 2 else [narrow, wide])

    admitted = _admit(take)
    assert _count_most(admitted, LENGTH) <= 4
    assert 4 < len(admitted) <= 12
    # An event is counted where somebody was let through, and nowhere else.
    assert get_coordinator().count_hits("wide", window=wide.length) == len(admitted)


@pytest.mark.usefixtures("job_connection")
def test_never_more_hold_a_place_than_there_are_places() -> None:
    held: list[int] = []
    lock, most = threading.Lock(), 3

    def hold() -> None:
        coordinator, owner = get_coordinator(), str(uuid4())
        for _ in range(25):
            if not coordinator.acquire("k", owner=owner, lifetime=timedelta(minutes=5), places=most):
                continue
            with lock:
                held.append(len(held_now) + 1)
                held_now.add(owner)
            with lock:
                held_now.discard(owner)
            assert coordinator.release("k", owner=owner)

    held_now: set[str] = set()
    race(hold, threads=THREADS)
    assert max(held) <= most
    assert get_coordinator().list_owners("k") == []


def _meet(hold: Callable[[], object], *actions: Callable[[], object]) -> None:
    """Let each action, in its turn, come to wait for what a transaction holds; then end that, and all must go well."""

    started: list[threading.Thread] = []
    errors: list[Exception] = []

    def are_waiting() -> bool:
        with connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")
            return bool(cursor.fetchone() == (len(started),))

    def run(action: Callable[[], object]) -> None:
        try:
            action()
        except Exception as error:  # noqa: BLE001 - told by the main thread
            errors.append(error)
        finally:
            connections.close_all()

    with transaction.atomic():
        hold()
        for action in actions:
            started.append(threading.Thread(target=run, args=[action]))
            started[-1].start()
            wait_until(are_waiting)
        transaction.set_rollback(True)
    for thread in started:
        thread.join()
    assert errors == []


@needs_servers
def test_two_who_send_the_same_unique_jobs_in_different_orders_do_not_stop_each_other(settings: Settings) -> None:
    settings.JOBS = {**settings.JOBS, "CONNECTION": "database", "COORDINATION": "database"}

    def send(*names: str) -> Callable[[], object]:
        return batch([UniqueStepJob(name) for name in names]).dispatch

    _meet(send("a"), send("a", "b"), send("b", "a"))
    assert len(stored()) == 2


@needs_servers
def test_two_who_fill_the_same_queues_in_different_orders_do_not_stop_each_other() -> None:
    def push(*queues: str) -> Callable[[], object]:
        messages, limits = [make(queue=queue) for queue in queues], dict.fromkeys(queues, 10)
        return lambda: get_driver("database").push(messages, limits=limits)

    _meet(push("emails"), push("emails", "imports"), push("imports", "emails"))
    assert len(get_driver("database").list_jobs()) == 4
