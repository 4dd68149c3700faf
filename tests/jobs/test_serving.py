"""Workers that serve queues by patterns of their names, and how they learn which there are."""

import fnmatch
import re
from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import override

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from hypothesis import given
from hypothesis import strategies as st

from jobs.drivers.base import QueueDriver
from jobs.drivers.database import DatabaseDriver
from jobs.options import is_queue_pattern, matches_queue
from jobs.queues import define_queue, forget_queue, pause_queue, resume_queue
from jobs.signals import job_processed
from jobs.worker.loop import Worker, WorkerOptions
from jobs.worker.serving import ServedQueues
from tests.jobs.messages import make, push
from tests.jobs.sample_jobs import NoteJob, read_lines
from tests.jobs.steps import heard
from tests.jobs.test_waiting import idle_worker
from tests.waiting import wait_until

QUEUES = ("reports-daily", "reports-weekly", "default", "other")


@pytest.fixture(autouse=True)
def _defined() -> Iterator[None]:
    for name in QUEUES:
        define_queue(name)
    yield
    for name in QUEUES:
        forget_queue(name)


# --- Patterns


@given(
    pattern=st.text("ab*", min_size=1, max_size=8),
    name=st.text("ab", min_size=1, max_size=8),
)
def test_a_star_stands_for_any_characters(pattern: str, name: str) -> None:
    assert matches_queue(pattern, name) == (re.fullmatch(fnmatch.translate(pattern), name) is not None)


@pytest.mark.parametrize("pattern", ["a?", "[ab]", "a.c"])
def test_nothing_but_a_star_is_special(pattern: str) -> None:
    assert matches_queue(pattern, pattern)
    assert not matches_queue(pattern, "ab")
    assert not matches_queue(pattern, "abc")


@pytest.mark.parametrize(
    ("pattern", "is_one"), [("*", True), ("a-*-b*", True), ("a b*", False), ("", False), ("a,*", False)]
)
def test_a_pattern_is_a_name_with_stars(pattern: str, is_one: bool) -> None:
    assert is_queue_pattern(pattern) is is_one


# --- What there is


def test_a_driver_lists_the_queues_that_hold_a_job(driver: QueueDriver) -> None:
    assert list(driver.list_queues()) == []
    for queue in ("b", "a", "b", "c"):
        push(queue=queue)
    push(queue="late", at=driver.get_now() + timedelta(days=1))
    (claim,) = driver.claim(queues=["c"], worker="w")
    assert list(driver.list_queues()) == ["a", "b", "c", "late"]
    driver.finish(claim)
    driver.clear(queue="b")
    assert list(driver.list_queues()) == ["a", "late"]


@pytest.mark.django_db
def test_the_names_are_found_in_one_statement_that_steps_over_the_jobs() -> None:
    DatabaseDriver("database", {}).push([make(queue=f"q{number % 3}") for number in range(300)])
    with CaptureQueriesContext(connection) as queries:
        assert list(DatabaseDriver("database", {}).list_queues()) == ["q0", "q1", "q2"]
    (statement,) = queries.captured_queries
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN {'QUERY PLAN ' if connection.vendor == 'sqlite' else ''}{statement['sql']}")
        plan = "\n".join(str(row) for row in cursor.fetchall())
    if connection.vendor == "sqlite":  # PostgreSQL reads so small a table at once, whatever its indexes
        assert "SEARCH jobs USING COVERING INDEX" in plan


class ListedDriver(DatabaseDriver):
    """A driver that counts how often it is asked for queues."""

    def __init__(self) -> None:
        super().__init__("database", {})
        self.names: list[str] = ["a-1", "a-2", "b", "c"]
        self.asked = 0

    @override
    def list_queues(self) -> Sequence[str]:
        self.asked += 1
        return self.names


def test_the_order_is_that_of_the_patterns_and_within_one_they_take_turns() -> None:
    served = ServedQueues(["c", "a-*", "*"], ListedDriver())
    first, second = served.choose(), served.choose()
    assert first is not None
    assert second is not None
    for names in (first, second):
        assert names[0] == "c"
        assert set(names[1:3]) == {"a-1", "a-2"}
        assert list(names[3:]) == ["b"]
    assert first[1] == second[2]


def test_names_alone_are_never_asked_for() -> None:
    driver = ListedDriver()
    assert ServedQueues(["b", "a"], driver).choose() == ("b", "a")
    assert ServedQueues([], driver).choose() == ()
    assert driver.asked == 0


def test_a_busy_worker_asks_once_for_many_claims_and_an_idle_one_at_each_look() -> None:
    driver = ListedDriver()
    served = ServedQueues(["a-*"], driver)
    for _ in range(100):
        served.choose()
    assert driver.asked <= 2  # a second may have passed
    idle = ListedDriver()
    idle.names = []
    served = ServedQueues(["a-*"], idle)
    for _ in range(5):
        assert served.exchange([], worker="w", count=1) == (0, ())
    assert idle.asked == 5


# --- At work


def _work(*queues: str) -> list[str]:
    with heard(job_processed) as seen:
        Worker(WorkerOptions(queues=queues, sleep=timedelta(seconds=0.02), stop_when_empty=True)).run()
    return [fact.queue for _, fact in seen]


def test_a_worker_serves_what_its_patterns_mean_in_their_order(tmp_path: Path, job_connection: str) -> None:
    for queue in QUEUES:
        NoteJob(str(tmp_path / "notes"), queue).on_queue(queue).dispatch()
    served = _work("reports-*", "default")
    assert sorted(served[:2]) == ["reports-daily", "reports-weekly"]
    assert served[2:] == ["default"]


def test_a_pattern_that_means_nothing_serves_nothing(tmp_path: Path, job_connection: str) -> None:
    NoteJob(str(tmp_path / "notes"), "x").on_queue("default").dispatch()
    assert _work("reports-*") == []


def test_a_queue_that_rests_is_passed_over_by_patterns_too(tmp_path: Path, job_connection: str) -> None:
    for queue in ("reports-daily", "reports-weekly"):
        NoteJob(str(tmp_path / "notes"), queue).on_queue(queue).dispatch()
    pause_queue("reports-daily")
    assert _work("reports-*") == ["reports-weekly"]
    resume_queue("reports-daily")
    assert _work("reports-*") == ["reports-daily"]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("sleep", [0.02, 300], ids=["that looks", "that is told"])
def test_an_idle_worker_takes_from_a_queue_that_was_not_there_before(
    tmp_path: Path, job_connection: str, sleep: float
) -> None:
    if connection.vendor == "sqlite" and sleep > 1:
        pytest.skip("SQLite has nobody who could tell")
    with idle_worker("reports-*", sleep=timedelta(seconds=sleep)):
        NoteJob(str(tmp_path / "notes"), "new").on_queue("reports-daily").dispatch()
        wait_until(lambda: read_lines(tmp_path / "notes"))
