"""Queues: definitions, room, rest."""

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from django.db import connections, transaction
from pytest_django import Settings

from jobs.drivers.base import QueueDriver, get_driver
from jobs.exceptions import JobOptionError, QueueFull, UnknownConnectionError, UnknownQueueError
from jobs.limits import RateLimit
from jobs.middleware import Middleware
from jobs.queues import (
    check_queue_is_known,
    define_queue,
    forget_queue,
    get_queue,
    is_paused,
    list_pauses,
    list_queue_names,
    monitor_queues,
    pause_queue,
    resume_queue,
)
from jobs.services import clear_queue
from jobs.signals import QueueBusy, QueuePaused, QueueResumed, queue_busy, queue_paused, queue_resumed
from permissions import audit
from tests.jobs.sample_jobs import FailingJob, NoteJob
from tests.jobs.steps import claim_next, claim_one, drain, heard, soon, stored, stored_one
from tests.waiting import wait_until


@pytest.fixture(autouse=True)
def own_queue() -> Iterator[None]:
    yield
    forget_queue("notes")
    forget_queue("extra")


# --- Definitions


def test_a_queue_says_what_it_was_defined_with() -> None:
    define_queue(
        "extra", connection="database", max_jobs=5, rate_limit_enabled=True, rate_limit_max_attempts=2, tries=4
    )
    found = get_queue("extra")
    assert (found.connection, found.max_jobs, found.tries, found.timeout) == ("database", 5, 4, None)
    assert found.rate_limit == RateLimit(2, 3600)


def test_a_queue_without_a_definition_says_nothing() -> None:
    found = get_queue("nobody-defined-it")
    assert (found.connection, found.max_jobs, found.rate_limit, found.tries) == (None, None, None, None)


def test_the_settings_define_queues_too_and_code_comes_first(settings: Settings) -> None:
    settings.JOBS = {**settings.JOBS, "QUEUES": {"extra": {"tries": 2}}}
    assert get_queue("extra").tries == 2
    define_queue("extra", tries=3)
    assert get_queue("extra").tries == 3
    forget_queue("extra")
    assert get_queue("extra").tries == 2


def test_a_limit_that_is_not_enabled_holds_nobody_up() -> None:
    assert define_queue("extra", rate_limit_max_attempts=1).rate_limit is None


@pytest.mark.parametrize(
    "words",
    [
        {"max_jobs": 0}, {"max_running": 0}, {"isolate": 1}, {"tries": -1}, {"timeout": -1}, {"backoff": "x"},
        {"rate_limit_enabled": True, "rate_limit_max_attempts": -1},
        {"rate_limit_enabled": True, "rate_limit_per_seconds": 0},
        {"max_jobs": "5"}, {"max_jobs": 1.5}, {"max_jobs": True}, {"max_running": "3"},
        {"wait_for_room_seconds": -1}, {"wait_for_room_seconds": "x"}, {"wait_for_room_seconds": float("nan")},
        {"rate_limit_max_attempts": "a"}, {"rate_limit_max_attempts": 1.5}, {"rate_limit_per_seconds": "a"},
        {"middleware": [3]}, {"middleware": 3}, {"middleware": [Middleware]},
    ],
    ids=repr,
)  # fmt: skip
def test_a_definition_out_of_range_is_refused_by_the_name_of_the_queue(words: Any) -> None:  # Any: wrong on purpose
    with pytest.raises(JobOptionError, match="queue extra: "):
        define_queue("extra", **words)
    assert "extra" not in list_queue_names()


def test_a_definition_with_an_unknown_connection_is_refused() -> None:
    with pytest.raises(UnknownConnectionError):
        define_queue("extra", connection="nowhere")


def test_queues_of_definitions_settings_and_classes_are_known() -> None:
    define_queue("extra")
    assert {"extra", "emails", "notes", "default"} <= set(list_queue_names())
    check_queue_is_known("notes")
    forget_queue("extra")
    with pytest.raises(UnknownQueueError, match="no queue 'extra'"):
        check_queue_is_known("extra")


# --- Room


def test_dispatch_beyond_the_room_of_a_queue_is_refused_with_the_figures(job_connection: str) -> None:
    define_queue("notes", max_jobs=2)
    for text in "ab":
        NoteJob.dispatch("notes.txt", text)
    with pytest.raises(QueueFull, match="The queue notes holds 2 jobs, and may hold 2"):
        NoteJob.dispatch("notes.txt", "c")
    assert len(stored()) == 2


def test_delayed_and_running_jobs_take_room_too(job_connection: str) -> None:
    define_queue("notes", max_jobs=2)
    NoteJob.dispatch("notes.txt", "runs")
    claim_one(now=soon(0.001))
    NoteJob("notes.txt", "waits").delay_until(3600).dispatch()
    with pytest.raises(QueueFull):
        NoteJob.dispatch("notes.txt", "c")


def test_a_full_queue_holds_up_no_other(job_connection: str) -> None:
    define_queue("notes", max_jobs=1)
    NoteJob.dispatch("notes.txt", "a")
    FailingJob.dispatch()
    assert len(stored()) == 2


def test_a_job_that_has_ended_makes_room(job_connection: str) -> None:
    define_queue("notes", max_jobs=1)
    NoteJob.dispatch("/dev/null", "a")
    drain(now=soon())
    NoteJob.dispatch("/dev/null", "b")
    assert len(stored()) == 1


@pytest.mark.django_db(transaction=True)
def test_dispatch_waits_for_room_where_the_queue_says_so(job_connection: str) -> None:
    define_queue("notes", max_jobs=1, wait_for_room_seconds=30)
    first = NoteJob.dispatch("notes.txt", "a")

    def dispatch() -> None:
        try:
            NoteJob.dispatch("notes.txt", "b")
        finally:
            connections.close_all()

    thread = threading.Thread(target=dispatch)
    thread.start()
    get_driver().remove([first])
    wait_until(lambda: len(stored()) == 1)
    thread.join()
    assert stored_one().job_id != first


@pytest.mark.django_db(transaction=True)
def test_and_gives_up_when_that_time_is_over(job_connection: str) -> None:
    define_queue("notes", max_jobs=1, wait_for_room_seconds=0.1)
    NoteJob.dispatch("notes.txt", "a")
    with pytest.raises(QueueFull):
        NoteJob.dispatch("notes.txt", "b")


@pytest.mark.django_db(transaction=True)
def test_dispatch_does_not_wait_while_it_holds_a_transaction(job_connection: str) -> None:
    define_queue("notes", max_jobs=1, wait_for_room_seconds=600)
    NoteJob.dispatch("notes.txt", "a")
    with pytest.raises(QueueFull), transaction.atomic():
        NoteJob.dispatch("notes.txt", "b")


@pytest.mark.django_db(transaction=True)
def test_of_many_that_dispatch_at_once_as_many_as_fit_come_in(job_connection: str) -> None:
    define_queue("notes", max_jobs=5)
    refused: list[Exception] = []

    def dispatch_three() -> None:
        for _ in range(3):
            try:
                NoteJob.dispatch("notes.txt", "x")
            except QueueFull as error:
                refused.append(error)
        connections.close_all()

    threads = [threading.Thread(target=dispatch_three) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(stored()), len(refused)) == (5, 7)


# --- Rest


def test_nothing_is_claimed_from_a_queue_that_rests(job_connection: str) -> None:
    NoteJob.dispatch("notes.txt", "x")
    FailingJob.dispatch()
    pause_queue("notes")
    assert claim_one(now=soon(0.001)).queue == "default"
    assert claim_next(now=soon(0.001)) is None
    assert resume_queue("notes")
    assert claim_one(now=soon(0.001)).queue == "notes"


def test_while_all_queues_rest_nothing_is_claimed(job_connection: str) -> None:
    NoteJob.dispatch("notes.txt", "x")
    pause_queue()
    assert is_paused("notes")
    assert claim_next("notes", now=soon(0.001)) is None
    assert not resume_queue("notes")
    assert resume_queue()
    assert not is_paused("notes")


def test_a_rest_ends_by_itself_at_its_time(job_connection: str) -> None:
    NoteJob.dispatch("notes.txt", "x")
    pause_queue("notes", until=timedelta(hours=1))
    assert claim_next(now=soon(0.5)) is None
    assert claim_one(now=soon(1.5)).queue == "notes"


def test_a_queue_that_rests_alone_rests_on_when_all_go_on(job_connection: str, driver: QueueDriver) -> None:
    pause_queue("notes")
    pause_queue(until=driver.get_now() + timedelta(hours=1))
    assert set(list_pauses()) == {"notes", "*"}
    resume_queue()
    assert list_pauses() == {"notes": None}


def test_dispatch_to_a_queue_that_rests_goes_on(job_connection: str) -> None:
    pause_queue("notes")
    NoteJob.dispatch("notes.txt", "x")
    assert len(stored()) == 1


def test_rest_and_its_end_are_told(job_connection: str) -> None:
    with heard(queue_paused, queue_resumed) as seen:
        pause_queue("notes")
        resume_queue("notes")
        resume_queue("notes")
    assert seen == [
        (queue_paused, QueuePaused(connection=job_connection, queue="notes", until=None)),
        (queue_resumed, QueueResumed(connection=job_connection, queue="notes")),
    ]


NAMES = {"NUL": "x\x00", "surrogate": "\ud800", "two": "a b", "none": "", "long": "x" * 101, "star": "a*"}
ENDS = {
    "naive": datetime(2100, 1, 1),  # noqa: DTZ001 - what is refused
    "huge": timedelta.max,
    "before now": -timedelta(hours=1),
    "nothing": timedelta(0),
    "after all years": datetime.max.replace(tzinfo=timezone(-timedelta(hours=5))),
    "no moment": "tomorrow",
}


@pytest.mark.parametrize("case", NAMES)
def test_what_no_queue_can_be_called_does_not_rest(case: str, job_connection: str) -> None:
    with pytest.raises(JobOptionError, match="No queue can be called"):
        pause_queue(NAMES[case])
    assert list_pauses() == {}


def test_what_no_store_can_hold_has_not_rested(job_connection: str) -> None:
    assert not resume_queue("x\x00")


@pytest.mark.parametrize("case", ENDS)
def test_a_rest_that_ends_at_no_moment_is_refused(case: str, job_connection: str) -> None:
    end: Any = ENDS[case]  # Any: of a wrong type too
    with pytest.raises(JobOptionError, match="until must be a moment with a time zone"):
        pause_queue("notes", until=end)
    assert list_pauses() == {}


def test_a_rest_that_is_over_already_is_none(job_connection: str) -> None:
    pause_queue("notes", until=datetime(1960, 1, 1, tzinfo=UTC))
    assert not is_paused("notes")


# --- Clearing


def test_clearing_deletes_waiting_and_delayed_jobs_and_spares_running_ones(job_connection: str) -> None:
    NoteJob.dispatch("notes.txt", "running")
    claim_one(now=soon(0.001))
    NoteJob.dispatch("notes.txt", "waiting")
    NoteJob("notes.txt", "delayed").delay_until(3600).dispatch()
    assert clear_queue(queue="default") == 0
    assert clear_queue(queue="notes") == 2
    assert [job.state for job in stored()] == ["running"]
    (event,) = audit.list_events(event="job.clear_by_hand")
    assert event.data == {"count": 2, "about": {"queue": "notes", "connection": job_connection}}


def test_what_was_cleared_before_a_store_went_away_is_told(job_connection: str) -> None:
    NoteJob.dispatch("notes.txt", "waiting")
    NoteJob("notes.txt", "delayed").delay_until(3600).dispatch()

    def go_away(_count: int) -> None:
        raise OSError("gone")

    with pytest.raises(OSError, match="gone"):
        clear_queue(show=go_away)
    assert [job.state for job in stored()] == ["delayed"]
    (event,) = audit.list_events(event="job.clear_by_hand")
    assert event.data == {"count": 1, "about": {"queue": "", "connection": job_connection}}


# --- Size


def test_each_queue_that_holds_more_than_it_should_is_told_of_once_a_call(job_connection: str) -> None:
    NoteJob.dispatch("notes.txt", "runs")
    claim_one(now=soon(0.001))
    NoteJob("notes.txt", "waits").delay_until(3600).dispatch()
    FailingJob.dispatch()
    with heard(queue_busy) as seen:
        assert monitor_queues(max_size=1) == {"notes": 2}
        assert monitor_queues(max_size=2) == {}
    assert seen == [(queue_busy, QueueBusy(connection=job_connection, queue="notes", size=2))]
