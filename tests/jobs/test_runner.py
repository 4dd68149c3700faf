"""Running one claimed job and writing down how it ended."""

from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any, ClassVar, override

import pytest
import structlog
from django.db import OperationalError
from pytest_django import Settings

from jobs.exceptions import MaxAttemptsExceededError, PermanentJobError, PoisonPillError, RetryDeadlineError
from jobs.job import Job
from jobs.models import Counter, FailedJob
from jobs.services import retry_failed_job
from jobs.signals import (
    JobProcessing,
    job_attempted,
    job_claimed,
    job_exception_occurred,
    job_failed,
    job_processed,
    job_processing,
    job_released,
    job_timed_out,
)
from jobs.worker.runner import Failed, Lost, Processed, Released, attempt, settle
from tests.jobs.sample_jobs import (
    BrokenHookJob,
    ExitJob,
    FailingJob,
    HopelessJob,
    NoteJob,
    SelfishJob,
    TellingJob,
    read_lines,
)
from tests.jobs.steps import claim_one, heard, run_next, soon, stored, stored_one

pytestmark = pytest.mark.usefixtures("job_connection")


@pytest.fixture(autouse=True)
def nothing_done() -> None:
    TellingJob.done.clear()


def _run_all(times: int, *, first: float = 0.1) -> Any:  # Any: the last outcome
    return [run_next(now=soon(first + number * 2)) for number in range(times)][-1]


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


def raise_instead(_attempt: int, _error: Exception | None) -> float:
    """Go wrong."""
    raise LookupError


def wait_for_no_number(_attempt: int, _error: Exception | None) -> float:
    """Say nothing that could be waited."""
    return float("nan")


@pytest.mark.parametrize("backoff", [raise_instead, wait_for_no_number])
def test_a_back_off_that_goes_wrong_gives_way_to_that_of_the_settings(backoff: Any, settings: Settings) -> None:
    settings.JOBS = {**settings.JOBS, "BACKOFF": [30]}
    TellingJob(["raise"]).with_backoff(backoff).dispatch()
    now = soon(0.1)
    run_next(now=now)
    assert stored_one().available_at == now + timedelta(seconds=30)


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


def test_tries_whose_worker_died_are_counted_apart_and_use_up_none_of_the_jobs_own() -> None:
    TellingJob(["raise"]).with_tries(2).dispatch()
    for number in range(3):
        claim = claim_one(now=soon(number * 2))
        assert (claim.attempts, claim.crashes) == (number + 1, number)
    assert isinstance(run_next(now=soon(6)), Released)
    outcome = run_next(now=soon(8))
    assert isinstance(outcome, Failed)
    assert isinstance(outcome.error, ValueError)
    assert TellingJob.done == ["raise", "raise", "failed: ValueError"]
    assert FailedJob.objects.get().attempts == 5


def test_a_job_whose_workers_die_again_and_again_fails_and_is_told_so(tmp_path: Path) -> None:
    FailingJob.dispatch(str(tmp_path / "hook"))
    for number in range(4):
        claim_one(now=soon(number * 2))
    outcome = run_next(now=soon(8))
    assert isinstance(outcome, Failed)
    assert isinstance(outcome.error, PoisonPillError)
    assert read_lines(tmp_path / "hook")[0].startswith("PoisonPillError: 4 workers died")
    assert FailedJob.objects.get().attempts == 4


class OnceBegunJob(TellingJob):
    """May not be begun again when its worker died."""

    max_crashes = 0


def test_a_job_that_bears_no_crash_fails_after_the_first_but_not_where_it_went_wrong_by_itself() -> None:
    OnceBegunJob.dispatch(["raise", "end well"])
    assert isinstance(run_next(now=soon(0.1)), Released)
    claim_one(now=soon(1))
    outcome = run_next(now=soon(2))
    assert isinstance(outcome, Failed)
    assert isinstance(outcome.error, PoisonPillError)
    assert TellingJob.done == ["raise", "failed: PoisonPillError"]


def test_a_job_that_may_be_tried_until_a_moment_bears_no_more_crashes_than_any_other() -> None:
    OnceBegunJob(["end well"]).with_retry_until(timedelta(days=2)).dispatch()
    claim_one(now=soon(0.1))
    outcome = run_next(now=soon(1))
    assert isinstance(outcome, Failed)
    assert isinstance(outcome.error, PoisonPillError)


def test_the_settings_say_how_many_crashes_a_job_bears_that_says_nothing(settings: Settings) -> None:
    settings.JOBS = {**settings.JOBS, "MAX_CRASHES": 1}
    TellingJob.dispatch(["end well"])
    claim_one(now=soon(0.1))
    claim_one(now=soon(1))
    outcome = run_next(now=soon(2))
    assert isinstance(outcome, Failed)
    assert isinstance(outcome.error, PoisonPillError)


def test_crashes_are_forgotten_when_a_failed_job_is_retried() -> None:
    job_id = OnceBegunJob.dispatch(["end well"])
    claim_one(now=soon(0.1))
    run_next(now=soon(1))
    retry_failed_job(job_id=job_id)
    claim = claim_one(now=soon(2))
    assert (claim.attempts, claim.crashes) == (1, 0)


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


def test_a_job_that_raises_after_its_release_has_gone_wrong_and_keeps_its_wait() -> None:
    TellingJob(["release and raise"]).with_backoff(3000).dispatch()
    now = soon(0.1)
    with heard(job_exception_occurred) as seen:
        outcome = run_next(now=now)
    assert isinstance(outcome, Released)
    assert isinstance(outcome.error, ValueError)
    assert [type(fact.error) for _signal, fact in seen] == [ValueError]
    assert stored_one().available_at == now + timedelta(seconds=5)


def test_a_job_that_raises_after_its_release_in_its_last_try_fails() -> None:
    TellingJob(["release and raise"]).with_tries(1).dispatch()
    assert isinstance(run_next(now=soon(0.1)), Failed)


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


class VainJob(TellingJob):
    """Catches its own ``fail`` before it does what it is told."""

    @override
    def handle(self) -> object:  # type: ignore[override]  # as of the base
        with suppress(PermanentJobError):
            self.fail("no use")
        return super().handle()


@pytest.mark.parametrize("word", ["end well", "release", "raise"])
def test_a_job_that_catches_its_own_fail_fails(word: str) -> None:
    VainJob.dispatch([word])
    assert isinstance(run_next(now=soon(0.1)), Failed)
    assert len(TellingJob.done) == 2


# --- How it is written down


class CountSigningJob(TellingJob):
    """Signs its tries, for which the store is asked before it is begun."""

    signs_attempts = True


def test_a_job_that_signs_its_tries_and_that_somebody_else_holds_by_now_is_not_run() -> None:
    CountSigningJob(["end well"]).dispatch()
    late = claim_one()
    claim_one(now=late.lease_expires_at)
    outcome = attempt(late)
    assert isinstance(outcome, Lost)
    assert not settle(late, outcome, now=soon())
    assert TellingJob.done == []


def test_a_worker_that_lost_its_lease_neither_finishes_nor_fails_the_job() -> None:
    BrokenHookJob.dispatch()
    late = claim_one()
    outcome = attempt(late)
    claim_one(now=late.lease_expires_at)
    with structlog.testing.capture_logs() as lines:
        assert not settle(late, outcome, now=soon())
    assert [line["event"] for line in lines] == ["job_lease_lost"]
    assert not FailedJob.objects.exists()


class UnbuildableJob(Job):
    """Ends whatever builds it."""

    retry_until = timedelta(hours=1)
    is_deadly: ClassVar[bool] = False
    built: ClassVar[int] = 0

    def __init__(self) -> None:
        type(self).built += 1
        if self.is_deadly:
            raise OperationalError  # by which a try is not begun, as if its worker had died

    @override
    def handle(self) -> None: ...


def test_a_job_that_ends_its_workers_when_it_is_built_is_not_built_again_after_its_deadline() -> None:
    UnbuildableJob.is_deadly = False
    job_id = UnbuildableJob.dispatch()
    UnbuildableJob.is_deadly, UnbuildableJob.built = True, 0
    now = soon(2)
    claim = claim_one(now=now)
    with pytest.raises(OperationalError):
        attempt(claim, now=now)
    outcome = run_next(now=claim.lease_expires_at)
    assert UnbuildableJob.built == 1
    assert isinstance(outcome, Failed)
    assert FailedJob.objects.get().exception.startswith("jobs.exceptions.RetryDeadlineError")
    UnbuildableJob.is_deadly = False
    retry_failed_job(job_id=job_id)  # from where its time, and what it is told, begin anew
    assert isinstance(run_next(), Processed)


def test_settling_a_second_time_changes_nothing(tmp_path: Path) -> None:
    NoteJob.dispatch(str(tmp_path / "notes"), "hello")
    claim = claim_one()
    outcome = attempt(claim)
    with heard(job_processed) as seen:
        assert settle(claim, outcome, now=soon())
        # Where the store knows that it was this worker, it says yes: the first answer may have been lost.
        is_known = settle(claim, outcome, now=soon())
    assert stored() == []
    assert len(seen) == 1 + is_known


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
    for _, fact in seen:
        assert (fact.job_id, fact.job_class) == (job_id, "tests.TellingJob")
        assert (fact.queue, fact.connection) == ("default", job_connection)


def test_signals_carry_what_they_promise() -> None:
    TellingJob(["raise"]).with_tries(2).dispatch()
    with heard(*_STEPS) as seen:
        _run_all(2)
    facts = dict(seen)
    assert facts[job_claimed].attempt == facts[job_processing].attempt == 2
    assert facts[job_attempted].duration > timedelta(0)
    assert isinstance(facts[job_exception_occurred].error, ValueError)
    assert (facts[job_failed].attempts, type(facts[job_failed].error)) == (2, ValueError)
    assert (facts[job_released].attempt, type(facts[job_released].error)) == (1, ValueError)


def test_a_receiver_that_raises_stops_nobody(tmp_path: Path) -> None:
    def explode(_fact: JobProcessing) -> None:
        raise ValueError

    job_processing.listen(explode)
    try:
        NoteJob.dispatch(str(tmp_path / "notes"), "hello")
        assert isinstance(run_next(), Processed)
    finally:
        job_processing.unlisten(explode)


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
