"""What a job meets while it runs: time, context, transactions; and running it without a worker."""

import asyncio
import threading
from contextvars import ContextVar
from datetime import timedelta
from pathlib import Path
from typing import ClassVar, override

import pytest
import structlog
from django.db import transaction
from django.utils import translation

from jobs.exceptions import JobTimeoutError
from jobs.job import Job
from jobs.models import FailedJob
from jobs.signals import (
    job_timed_out,
)
from jobs.worker.runner import Failed, Processed, Released, attempt
from tests.jobs.sample_jobs import (
    EndlessJob,
    NoteJob,
    TellingJob,
    read_lines,
)
from tests.jobs.steps import claim_next, claim_one, heard, run_next, soon, stored

pytestmark = pytest.mark.usefixtures("job_connection")


@pytest.fixture(autouse=True)
def nothing_done() -> None:
    TellingJob.done.clear()


# --- Timeouts


def test_a_job_over_its_timeout_is_stopped_even_if_it_catches_exceptions() -> None:
    EndlessJob.dispatch()
    with heard(job_timed_out) as seen:
        outcome = run_next()
    assert isinstance(outcome, Failed)
    assert isinstance(outcome.error, JobTimeoutError)
    assert outcome.duration < timedelta(seconds=5)
    assert [facts["attempt"] for _, facts in seen] == [1]


class SlowJob(EndlessJob):
    """Has more tries."""

    tries = 3
    timeout = 0.05  # type: ignore[assignment]  # of a sample that says whole seconds


def test_a_timeout_is_a_try_like_any_other() -> None:
    SlowJob.dispatch()
    assert isinstance(run_next(), Released)


def test_or_the_last_one_where_the_job_says_so() -> None:
    job = SlowJob()
    job.options.is_failed_on_timeout = True
    job.dispatch()
    assert isinstance(run_next(), Failed)


class TransactionJob(Job):
    """Takes too long inside of a transaction."""

    timeout = 0.05
    tries = 1

    @override
    def handle(self) -> None:
        with transaction.atomic(), transaction.atomic():
            FailedJob.objects.count()
            threading.Event().wait(20)


@pytest.mark.django_db(transaction=True)
def test_a_timeout_inside_of_nested_transactions_is_written_down() -> None:
    TransactionJob.dispatch()
    run_next(now=soon(0.1))
    assert "JobTimeoutError" in FailedJob.objects.get().exception


class ShortLeaseJob(NoteJob):
    """Its class got a longer timeout after it was sent."""


def test_a_job_that_may_take_longer_now_than_when_it_was_sent_is_held_as_long(tmp_path: Path) -> None:
    ShortLeaseJob.dispatch(str(tmp_path / "notes"), "x")
    now = soon(0.1)
    claim = claim_one(now=now)
    ShortLeaseJob.timeout = 5 * 3600
    try:
        attempt(claim)
    finally:
        ShortLeaseJob.timeout = None
    assert [job.state for job in stored()] == ["running"]
    assert claim_next(now=now + timedelta(hours=4)) is None


# --- How it is run


class AsyncJob(Job):
    """Does its work in a coroutine."""

    seen: ClassVar[list[str]] = []

    @override
    async def handle(self) -> None:
        await asyncio.sleep(0)
        self.seen.append("handled")


def test_a_coroutine_is_run_to_its_end() -> None:
    AsyncJob.seen.clear()
    AsyncJob.dispatch()
    assert isinstance(run_next(), Processed)
    assert AsyncJob.seen == ["handled"]


class SlowAsyncJob(Job):
    """Takes too long in a coroutine."""

    timeout = 0.05
    tries = 1

    @override
    async def handle(self) -> None:
        await asyncio.sleep(20)


def test_a_coroutine_over_its_timeout_is_stopped() -> None:
    SlowAsyncJob.dispatch()
    run_next()
    assert "JobTimeoutError" in FailedJob.objects.get().exception


_mark: ContextVar[str] = ContextVar("_mark", default="clean")


class LeakyJob(Job):
    """Sets what belongs to the thread."""

    @override
    def handle(self) -> None:
        _mark.set("dirty")
        translation.activate("de")
        structlog.contextvars.bind_contextvars(left_behind=True)


def test_what_a_job_sets_in_its_context_ends_with_it() -> None:
    LeakyJob.dispatch()
    run_next()
    assert _mark.get() == "clean"
    assert "left_behind" not in structlog.contextvars.get_contextvars()


def test_dispatch_now_runs_at_once_returns_what_the_job_returned_and_stores_nothing() -> None:
    assert TellingJob.dispatch_now(["end well"]) == "end well"
    assert TellingJob(["x"]).on_queue("low").dispatch_now() == "x"
    assert stored() == []


def test_what_a_job_raises_that_runs_now_is_raised_after_its_hook() -> None:
    with pytest.raises(ValueError, match="raise"):
        TellingJob.dispatch_now(["raise"])
    assert TellingJob.done == ["raise", "failed: ValueError"]
    assert not FailedJob.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_on_the_connection_sync_a_job_runs_where_it_is_dispatched() -> None:
    job_id = TellingJob(["end well"]).on_connection("sync").dispatch()
    assert TellingJob.done == ["end well"]
    assert stored() == []
    assert job_id.version == 4
    with pytest.raises(ValueError, match="raise"):
        TellingJob(["raise"]).on_connection("sync").dispatch()


@pytest.mark.django_db(transaction=True)
def test_on_the_connection_sync_a_job_of_a_rolled_back_transaction_does_not_run() -> None:
    def dispatch_and_fail() -> None:
        with transaction.atomic():
            TellingJob(["end well"]).on_connection("sync").dispatch()
            raise LookupError

    with pytest.raises(LookupError):
        dispatch_and_fail()
    assert TellingJob.done == []


def test_outside_the_main_thread_a_job_runs_without_alarm(tmp_path: Path) -> None:
    NoteJob.dispatch(str(tmp_path / "notes"), "hello")
    claim = claim_one()
    thread = threading.Thread(target=attempt, args=(claim,))
    thread.start()
    thread.join()
    assert read_lines(tmp_path / "notes") == ["hello"]


@pytest.mark.django_db(transaction=True)
def test_a_job_dispatched_by_a_job_that_rolls_back_is_not_queued() -> None:
    class ParentJob(NoteJob):
        def handle(self) -> None:
            with transaction.atomic():
                NoteJob.dispatch("notes.txt", "child")
                raise ValueError

    ParentJob.dispatch("notes.txt", "parent")
    run_next()
    assert [row.job_class for row in stored()] == ["tests.ParentJob"]
