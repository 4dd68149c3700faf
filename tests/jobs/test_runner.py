"""Running one claimed job and writing down how it ended."""

import asyncio
import threading
from contextvars import ContextVar
from datetime import timedelta
from pathlib import Path
from typing import Any, ClassVar, override

import pytest
import structlog
from django.db import transaction
from django.utils import translation

from jobs.exceptions import JobTimeoutError, MaxAttemptsExceededError, RetryDeadlineError
from jobs.job import Job
from jobs.models import Counter, FailedJob
from jobs.signals import (
    job_attempted,
    job_claimed,
    job_exception_occurred,
    job_failed,
    job_processed,
    job_processing,
    job_released,
    job_timed_out,
)
from jobs.worker.runner import Failed, Processed, Released, attempt, settle
from tests.jobs.sample_jobs import (
    BrokenHookJob,
    EndlessJob,
    ExitJob,
    FailingJob,
    HopelessJob,
    NoteJob,
    SelfishJob,
    read_lines,
)
from tests.jobs.steps import claim_next, claim_one, heard, run_next, soon, stored, stored_one

pytestmark = pytest.mark.usefixtures("job_connection")


class TellingJob(Job):
    """Does, in each try, the next of what it is told."""

    tries = 5
    backoff = 0
    done: ClassVar[list[str]] = []

    def __init__(self, does: list[str]) -> None:
        self.does = does

    @override
    def handle(self) -> object:  # type: ignore[override]  # what it returns is passed on
        word = self.does[min(self.attempts, len(self.does)) - 1]
        self.done.append(word)
        match word:
            case "raise":
                raise ValueError(word)
            case "release":
                self.release(timedelta(hours=1))
            case "release and raise":
                self.release(0)
                raise ValueError(word)
            case "delete":
                self.delete()
            case "delete and raise":
                self.delete()
                raise ValueError(word)
            case "fail":
                self.fail("no use")
        return word

    @override
    def failed(self, error: Exception) -> None:
        self.done.append(f"failed: {type(error).__name__}")


@pytest.fixture(autouse=True)
def nothing_done() -> None:
    TellingJob.done.clear()


def _run_all(times: int, *, first: float = 0.1) -> Any:  # Any: the last outcome
    for number in range(times):
        outcome = run_next(now=soon(first + number * 2))
    return outcome


def test_a_job_that_ends_well_is_gone(tmp_path: Path) -> None:
    NoteJob.dispatch(str(tmp_path / "notes"), "hello")
    assert isinstance(run_next(), Processed)
    assert read_lines(tmp_path / "notes") == ["hello"]
    assert stored() == []
    assert not FailedJob.objects.exists()


def test_a_job_that_goes_wrong_waits_its_back_off_before_the_next_try() -> None:
    FailingJob.dispatch()
    for hours, seconds in ((0.1, 10), (0.2, 60)):
        now = soon(hours)
        assert isinstance(run_next(now=now), Released)
        assert stored_one().available_at == now + timedelta(seconds=seconds)


def wait_by_error(attempt: int, error: Exception | None) -> float:
    """Wait longer after some errors."""
    return attempt * (100 if isinstance(error, ValueError) else 1)


@pytest.mark.parametrize(("backoff", "seconds"), [(7, 7), ((1, 2), 1), (wait_by_error, 100)])
def test_the_back_off_of_one_job_holds(backoff: Any, seconds: int) -> None:  # Any: of several types
    TellingJob(["raise"]).with_backoff(backoff).dispatch()
    now = soon(0.1)
    run_next(now=now)
    assert stored_one().available_at == now + timedelta(seconds=seconds)


def test_after_its_last_try_a_job_is_among_the_failed_with_text_and_traceback() -> None:
    job_id = FailingJob.dispatch()
    _run_all(3)
    failed = FailedJob.objects.get()
    assert (failed.job_id, failed.attempts, failed.exception) == (job_id, 3, "ValueError: no luck")
    assert "raise ValueError(self.text)" in failed.traceback
    assert stored() == []


def test_the_failed_hook_is_called_once_with_the_error() -> None:
    TellingJob(["raise"]).with_tries(2).dispatch()
    _run_all(2)
    assert TellingJob.done == ["raise", "raise", "failed: ValueError"]


def test_a_hook_that_goes_wrong_changes_nothing() -> None:
    BrokenHookJob.dispatch()
    run_next()
    assert FailedJob.objects.count() == 1


def test_fail_sends_a_job_to_the_failed_ones_at_its_first_try() -> None:
    HopelessJob.dispatch()
    run_next()
    failed = FailedJob.objects.get()
    assert failed.attempts == 1
    assert failed.summary == "jobs.exceptions.PermanentJobError: the account is closed"
    assert "LookupError" in failed.traceback


def test_a_job_that_calls_exit_fails_and_does_not_end_the_worker() -> None:
    ExitJob.dispatch()
    run_next()
    assert "JobInterruptedError" in FailedJob.objects.get().exception


# --- Tries


def test_each_claim_counts_as_a_try_also_one_whose_worker_died() -> None:
    FailingJob.dispatch()
    for number in range(3):
        assert claim_one(now=soon(number * 2)).attempts == number + 1
    outcome = run_next(now=soon(8))
    assert isinstance(outcome, Failed)
    assert isinstance(outcome.error, MaxAttemptsExceededError)
    assert FailedJob.objects.get().attempts == 3


def test_a_job_whose_workers_died_in_every_try_is_told_so(tmp_path: Path) -> None:
    FailingJob.dispatch(str(tmp_path / "hook"))
    for number in range(3):
        claim_one(now=soon(number * 2))
    run_next(now=soon(8))
    assert read_lines(tmp_path / "hook")[0].startswith("MaxAttemptsExceededError")


def test_no_limit_of_tries_means_without_end() -> None:
    TellingJob(["raise"]).with_tries(0).dispatch()
    assert isinstance(_run_all(12), Released)
    assert stored_one().attempts == 12


def test_a_job_that_may_be_tried_until_a_moment_is_tried_however_often() -> None:
    TellingJob(["raise"]).with_tries(1).with_retry_until(timedelta(days=2)).dispatch()
    assert isinstance(_run_all(6), Released)


def test_after_that_moment_it_fails_unrun() -> None:
    TellingJob(["raise"]).with_retry_until(timedelta(hours=1)).dispatch()
    outcome = run_next(now=soon(1.1))
    assert isinstance(outcome, Failed)
    assert isinstance(outcome.error, RetryDeadlineError)
    assert TellingJob.done == ["failed: RetryDeadlineError"]


def test_a_job_that_raised_too_often_fails_however_many_tries_are_left() -> None:
    TellingJob(["raise", "release", "raise"]).with_tries(9).with_max_exceptions(2).dispatch()
    assert isinstance(_run_all(3), Failed)
    assert TellingJob.done == ["raise", "release", "raise", "failed: ValueError"]


class ThriceJob(TellingJob):
    """May raise twice."""

    max_exceptions = 2


@pytest.mark.parametrize("does", [["raise", "raise"], ["raise", "end well"]])
def test_what_was_counted_is_forgotten_when_the_job_ends(does: list[str]) -> None:
    ThriceJob.dispatch(does)
    _run_all(2)
    assert stored() == []
    assert not Counter.objects.filter(key__startswith="exceptions:").exists()


# --- What a job decides itself


def test_a_released_job_comes_back_after_its_wait_and_the_try_counts() -> None:
    TellingJob.dispatch(["release", "end well"])
    now = soon(0.1)
    assert isinstance(run_next(now=now), Released)
    assert (stored_one().available_at, stored_one().attempts) == (now + timedelta(hours=1), 1)
    assert isinstance(run_next(now=soon(2)), Processed)


def test_releases_use_up_the_tries() -> None:
    TellingJob(["release"]).with_tries(2).dispatch()
    _run_all(2)
    outcome = run_next(now=soon(6))
    assert isinstance(outcome, Failed)
    assert isinstance(outcome.error, MaxAttemptsExceededError)


def test_a_job_that_raises_after_its_release_has_gone_wrong() -> None:
    TellingJob.dispatch(["release and raise"])
    outcome = run_next(now=soon(0.1))
    assert isinstance(outcome, Released)
    assert isinstance(outcome.error, ValueError)


@pytest.mark.parametrize("word", ["delete", "delete and raise"])
def test_a_deleted_job_counts_as_done_even_if_it_raises(word: str) -> None:
    TellingJob.dispatch([word])
    assert isinstance(run_next(now=soon(0.1)), Processed)
    assert stored() == []
    assert TellingJob.done == [word]


def test_fail_takes_a_text_too() -> None:
    TellingJob.dispatch(["fail"])
    run_next(now=soon(0.1))
    assert FailedJob.objects.get().summary == "jobs.exceptions.PermanentJobError: no use"
    assert TellingJob.done == ["fail", "failed: PermanentJobError"]


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
    timeout = 0.05


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


# --- How it is written down


def test_a_worker_that_lost_its_lease_neither_finishes_nor_fails_the_job() -> None:
    BrokenHookJob.dispatch()
    late = claim_one()
    outcome = attempt(late)
    claim_one(now=late.lease_expires_at)
    with structlog.testing.capture_logs() as lines:
        assert not settle(late, outcome, now=soon())
    assert [line["event"] for line in lines] == ["job_lease_lost"]
    assert not FailedJob.objects.exists()


def test_settling_a_second_time_changes_nothing(tmp_path: Path) -> None:
    NoteJob.dispatch(str(tmp_path / "notes"), "hello")
    claim = claim_one()
    outcome = attempt(claim)
    with heard(job_processed) as seen:
        assert [settle(claim, outcome, now=soon()) for _ in range(2)] == [True, False]
    assert stored() == []
    assert len(seen) == 1


_STEPS = (
    job_claimed,
    job_processing,
    job_exception_occurred,
    job_attempted,
    job_released,
    job_processed,
    job_failed,
    job_timed_out,
)


@pytest.mark.parametrize(
    ("does", "signals"),
    [
        ("end well", [job_claimed, job_processing, job_attempted, job_processed]),
        ("release", [job_claimed, job_processing, job_attempted, job_released]),
        ("raise", [job_claimed, job_processing, job_exception_occurred, job_attempted, job_released]),
        ("fail", [job_claimed, job_processing, job_exception_occurred, job_attempted, job_failed]),
    ],
)
def test_each_step_of_a_try_is_told_in_its_order(does: str, signals: list[object], job_connection: str) -> None:
    job_id = TellingJob.dispatch([does])
    with heard(*_STEPS) as seen:
        run_next(now=soon(0.1))
    assert [signal for signal, _ in seen] == signals
    for _, facts in seen:
        assert (facts["job_id"], facts["job_class"]) == (job_id, "tests.TellingJob")
        assert (facts["queue"], facts["connection"]) == ("default", job_connection)


def test_signals_carry_what_they_promise() -> None:
    TellingJob(["raise"]).with_tries(2).dispatch()
    with heard(*_STEPS) as seen:
        _run_all(2)
    facts = dict(seen)
    assert facts[job_claimed]["attempt"] == facts[job_processing]["attempt"] == 2
    assert facts[job_attempted]["duration"] > timedelta(0)
    assert isinstance(facts[job_exception_occurred]["error"], ValueError)
    assert (facts[job_failed]["attempts"], type(facts[job_failed]["error"])) == (2, ValueError)
    assert (facts[job_released]["attempt"], type(facts[job_released]["error"])) == (1, ValueError)


def test_a_receiver_that_raises_stops_nobody(tmp_path: Path) -> None:
    def explode(**_facts: object) -> None:
        raise ValueError

    job_processing.connect(explode)
    try:
        NoteJob.dispatch(str(tmp_path / "notes"), "hello")
        assert isinstance(run_next(), Processed)
    finally:
        job_processing.disconnect(explode)


def test_log_lines_hold_neither_arguments_nor_the_text_of_the_error() -> None:
    FailingJob.dispatch("", "secret-argument")
    with structlog.testing.capture_logs() as lines:
        run_next()
    assert lines[0]["event"] == "job_released"
    assert lines[0]["error"] == "ValueError"
    assert lines[0]["duration_ms"] >= 0
    assert "secret-argument" not in str(lines)


def test_an_exception_with_text_that_no_database_takes_is_stored_escaped() -> None:
    SelfishJob.dispatch()
    run_next()
    assert FailedJob.objects.get().exception == r"ValueError: nul \x00 and surrogate \ud800"
