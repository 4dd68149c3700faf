"""What a job meets while it runs: time, context, transactions; and running it without a worker."""

import asyncio
import logging
import sys
import threading
import time
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from contextvars import ContextVar
from datetime import timedelta
from pathlib import Path
from typing import Any, ClassVar, override

import pytest
import structlog
from django.db import connection, transaction
from django.utils import translation

from jobs.exceptions import JobTimeoutError
from jobs.job import Job, dispatch
from jobs.models import FailedJob
from jobs.security import SecureJob
from jobs.signals import JobProcessing, job_processing, job_timed_out
from jobs.worker.runner import Failed, Processed, Released, attempt
from jobs.worker.transactions import Connections, get_depths
from project.logging import configure_logging
from tests.jobs.sample_jobs import (
    EndlessJob,
    NoteJob,
    TellingJob,
    append_line,
    read_lines,
)
from tests.jobs.steps import claim_one, heard, run_next, soon, stored

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
    assert [fact.attempt for _, fact in seen] == [1]


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


class StubbornJob(Job):
    """Swallows the alarm, once or in a task of its own, and goes on."""

    timeout = 0.05
    tries = 1

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    @override
    def handle(self) -> Coroutine[Any, Any, None] | None:  # Any: as of the base
        with suppress(BaseException):
            threading.Event().wait(20)
        threading.Event().wait(self.seconds)
        return None


class StubbornAsyncJob(StubbornJob):
    """The same in a coroutine."""

    @override
    async def handle(self) -> None:
        await asyncio.gather(self._block(), return_exceptions=True)
        await asyncio.sleep(self.seconds)

    async def _block(self) -> None:
        threading.Event().wait(20)


@pytest.mark.parametrize("job_class", [StubbornJob, StubbornAsyncJob])
def test_a_job_that_swallows_the_alarm_hears_it_again(job_class: type[StubbornJob]) -> None:
    dispatch(job_class(20))
    begun_at = time.monotonic()
    run_next()
    assert time.monotonic() - begun_at < 10
    assert "JobTimeoutError" in FailedJob.objects.get().exception


def test_a_job_that_ends_well_in_spite_of_the_alarm_has_timed_out_all_the_same() -> None:
    StubbornJob.dispatch(0)
    run_next()
    assert "JobTimeoutError" in FailedJob.objects.get().exception


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


class OpenTransactionJob(Job):
    """Leaves two transactions open."""

    tries = 1

    @override
    def handle(self) -> None:
        transaction.atomic().__enter__()
        transaction.atomic().__enter__()


@pytest.mark.django_db(transaction=True)
def test_a_job_that_leaves_a_transaction_open_fails_and_what_is_written_later_lasts() -> None:
    OpenTransactionJob.dispatch()
    with structlog.testing.capture_logs() as lines:
        run_next(now=soon(0.1))
    assert not connection.in_atomic_block
    assert "TransactionManagementError" in FailedJob.objects.get().exception
    assert "transaction_left_open" in [line["event"] for line in lines]
    assert stored() == []


@pytest.mark.django_db(transaction=True)
def test_a_connection_that_failed_while_it_was_opened_does_not_stay() -> None:
    """Let the first connection of a thread fail when it is there already, as an alarm or a receiver's query may."""

    def fail_and_renew() -> bool:
        get_depths()
        is_automatic = connection.settings_dict.pop("AUTOCOMMIT")
        try:
            with suppress(KeyError):
                connection.ensure_connection()
            assert connection.connection is not None
            Connections().renew()
            return connection.connection is None
        finally:
            connection.settings_dict["AUTOCOMMIT"] = is_automatic
            connection.close()

    with ThreadPoolExecutor() as thread:
        assert thread.submit(fail_and_renew).result()


# --- What it says


class TalkativeJob(SecureJob):
    """Tells its secret when it is built, and when it has failed."""

    tries = 1

    def __init__(self, card: str) -> None:
        self.card = card
        self.set_sensitive_fields(["card"])
        logging.getLogger("a.library").warning("built with %s", card)

    @override
    def handle(self) -> None:
        raise ValueError

    @override
    def failed(self, error: Exception) -> None:
        logging.getLogger("a.library").warning("failed with %s", self.card)


@pytest.mark.usefixtures("own_logging")
def test_what_is_logged_at_the_worker_before_and_after_a_job_runs_holds_no_sensitive_value(
    capsys: pytest.CaptureFixture[str],
) -> None:
    TalkativeJob.dispatch("4111222233334444")
    configure_logging(level="INFO", style="text")
    capsys.readouterr()
    run_next()
    said = capsys.readouterr().err
    assert "built with [redacted]" in said
    assert "failed with [redacted]" in said
    assert "41112222" not in said


# --- How it is built


class PillJob(Job):
    """Ends the process that builds it, once a file is there."""

    tries = 2

    def __init__(self, path: str) -> None:
        if Path(path).exists():
            append_line(path, "built")
            sys.exit(3)

    @override
    def handle(self) -> None:
        """Do nothing."""


def test_a_job_whose_constructor_calls_exit_fails_and_does_not_end_the_worker(tmp_path: Path) -> None:
    PillJob.dispatch(str(tmp_path / "pill"))
    (tmp_path / "pill").touch()
    run_next()
    assert "JobInterruptedError" in FailedJob.objects.get().exception


class SlowToBuildJob(Job):
    """Takes too long to be built, once a file is there."""

    timeout = 0.05

    def __init__(self, path: str) -> None:
        if Path(path).exists():
            threading.Event().wait(20)

    @override
    def handle(self) -> None:
        """Do nothing."""


def test_a_job_whose_constructor_takes_longer_than_its_timeout_fails(tmp_path: Path) -> None:
    SlowToBuildJob.dispatch(str(tmp_path / "pill"))
    (tmp_path / "pill").touch()
    run_next()
    assert "JobTimeoutError" in FailedJob.objects.get().exception


class PromptJob(TellingJob):
    """Must not take long."""

    timeout = 0.05


def test_the_alarm_stops_nothing_but_the_job_and_a_job_whose_time_is_over_by_then_is_not_begun() -> None:
    told: list[str] = []

    def tell_slowly(fact: JobProcessing) -> None:
        threading.Event().wait(0.2)
        told.append(fact.job_class)

    PromptJob(["end well"]).dispatch()
    job_processing.listen(tell_slowly)
    try:
        outcome = run_next()
    finally:
        job_processing.unlisten(tell_slowly)
    assert len(told) == 1
    assert isinstance(outcome, Released)
    assert isinstance(outcome.error, JobTimeoutError)
    assert PromptJob.done == []


def test_a_job_whose_worker_died_even_when_it_was_to_be_told_its_end_is_not_built_again(tmp_path: Path) -> None:
    PillJob.dispatch(str(tmp_path / "pill"))
    (tmp_path / "pill").touch()
    for number in range(5):  # the last one was to tell it
        claim_one(now=soon(number * 2))
    run_next(now=soon(10))
    assert FailedJob.objects.get().summary.startswith("jobs.exceptions.PoisonPillError")
    assert read_lines(tmp_path / "pill") == []


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
    thread = threading.Thread(target=attempt, args=(claim,), kwargs={"now": soon(0)})
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
