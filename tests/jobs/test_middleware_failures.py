"""What an exception of a job means: circuit breakers, and failing at once."""

from collections.abc import Callable
from datetime import timedelta
from typing import override

import pytest
from structlog.testing import capture_logs

from jobs.coordination import get_coordinator
from jobs.drivers.base import QueueDriver
from jobs.job import Job
from jobs.middleware import FailOnException, Middleware, Proceed, ThrottlesExceptions
from jobs.models import FailedJob
from jobs.signals import job_exception_occurred
from jobs.worker.runner import Failed, Processed, Released
from tests.jobs.layered import LayeredJob, OtherLayeredJob, ago, get_wait, layers
from tests.jobs.steps import drain, heard, run_next, stored

CIRCUIT = "circuit:tests.LayeredJob"
LIFE = timedelta(minutes=1)


# --- Circuit breakers


@pytest.mark.usefixtures("job_connection")
def test_the_circuit_opens_after_so_many_exceptions_and_jobs_are_put_back_unrun() -> None:
    with layers(ThrottlesExceptions(2, 600), errors=[ValueError(), ValueError()]) as ran:
        LayeredJob.dispatch()
        waits = [get_wait(run_next()) for _ in range(3)]
    assert len(ran) == 2
    assert waits[:2] == [0, 0]
    assert 590 < waits[2] <= 600


@pytest.mark.usefixtures("job_connection")
def test_a_job_that_meets_an_open_circuit_waits_as_long_as_it_stays_open(driver: QueueDriver) -> None:
    for seconds in (300, 200):
        get_coordinator().hit(CIRCUIT, limit=2, window=timedelta(seconds=600), now=ago(driver.get_now(), seconds))
    with layers(ThrottlesExceptions(2, 600)) as ran:
        LayeredJob.dispatch()
        assert 290 < get_wait(run_next()) <= 300
    assert ran == []


@pytest.mark.usefixtures("job_connection")
def test_the_circuit_closes_when_exceptions_are_old_enough(driver: QueueDriver) -> None:
    for seconds in (601, 200):
        get_coordinator().hit(CIRCUIT, limit=2, window=timedelta(seconds=600), now=ago(driver.get_now(), seconds))
    with layers(ThrottlesExceptions(2, 600)) as ran:
        LayeredJob.dispatch("x")
        run_next()
    assert ran == ["x"]


@pytest.mark.usefixtures("job_connection")
def test_a_success_forgets_the_exceptions_before_it() -> None:
    with layers(ThrottlesExceptions(2, 600), errors=[ValueError(), None, ValueError(), ValueError()]) as ran:
        LayeredJob.dispatch()
        assert drain() == 2
        LayeredJob.dispatch()
        waits = [get_wait(run_next()) for _ in range(3)]
    assert len(ran) == 4
    assert waits[:2] == [0, 0]
    assert waits[2] > 590


class EverySecond(Middleware):
    """Puts every second try back."""

    tries = 0

    @override
    def handle(self, job: Job, proceed: Proceed) -> object:
        self.tries += 1
        if self.tries % 2 == 0:
            job.release()
            return None
        return proceed()


@pytest.mark.usefixtures("job_connection")
def test_a_job_that_was_put_back_has_not_succeeded() -> None:
    with layers(ThrottlesExceptions(2, 600), EverySecond(), errors=[ValueError(), ValueError()]):
        LayeredJob.dispatch()
        waits = [get_wait(run_next()) for _ in range(4)]
    assert waits[:3] == [0, 0, 0]
    assert waits[3] > 590


@pytest.mark.usefixtures("job_connection")
def test_by_default_ten_exceptions_within_ten_minutes_open_the_circuit() -> None:
    with layers(ThrottlesExceptions(), errors=[ValueError()] * 10) as ran:
        LayeredJob().with_tries(0).dispatch()
        waits = [get_wait(run_next()) for _ in range(11)]
    assert len(ran) == 10
    assert 590 < waits[-1] <= 600


@pytest.mark.parametrize(
    ("backoff", "seconds"),
    [(5, 5), (lambda error: 10 * len(str(error)), 30), (0.5, 0.5)],
    ids=["fixed", "asked", "part"],
)
@pytest.mark.usefixtures("job_connection")
def test_an_exception_puts_the_job_back_after_the_back_off(
    backoff: float | Callable[[Exception], float], seconds: float
) -> None:
    with layers(ThrottlesExceptions(backoff=backoff), errors=[ValueError("abc")]):
        LayeredJob.dispatch()
        assert get_wait(run_next()) == seconds


@pytest.mark.usefixtures("job_connection")
def test_an_exception_that_is_not_meant_is_raised_as_ever_and_does_not_count() -> None:
    with layers(ThrottlesExceptions(1, when=LookupError), errors=[ValueError("x")]):
        LayeredJob.dispatch()
        outcome = run_next()
    assert isinstance(outcome, Released)
    assert isinstance(outcome.error, ValueError)
    assert get_coordinator().count_hits(CIRCUIT, window=LIFE) == 0


@pytest.mark.parametrize("meant", [KeyError, LookupError, [ValueError, KeyError], lambda error: error.args == ("x",)])
@pytest.mark.usefixtures("job_connection")
def test_an_exception_can_end_the_job_as_if_it_had_done_its_work(meant: object) -> None:
    with layers(ThrottlesExceptions(1, delete_when=meant), errors=[KeyError("x")]):  # type: ignore[arg-type] # of many types
        LayeredJob.dispatch()
        assert isinstance(run_next(), Processed)
    assert (stored(), FailedJob.objects.count()) == ([], 0)
    assert get_coordinator().count_hits(CIRCUIT, window=LIFE) == 0


@pytest.mark.usefixtures("job_connection")
def test_an_exception_can_fail_the_job_at_once_and_stays_what_it_was() -> None:
    error = KeyError("x")
    with layers(ThrottlesExceptions(1, fail_when=KeyError), errors=[error]):
        LayeredJob.dispatch()
        assert isinstance(run_next(), Failed)
        assert LayeredJob.seen == [error]
    assert FailedJob.objects.get().exception == "KeyError: 'x'"
    assert get_coordinator().count_hits(CIRCUIT, window=LIFE) == 0


@pytest.mark.parametrize(("report", "count"), [(True, 1), (False, 0), (KeyError, 1), (lambda _error: False, 0)])
@pytest.mark.usefixtures("job_connection")
def test_an_exception_that_is_held_back_is_reported_where_that_is_said(report: bool, count: int) -> None:
    with layers(ThrottlesExceptions(report=report), errors=[KeyError("secret")]):
        LayeredJob.dispatch()
        with heard(job_exception_occurred) as seen, capture_logs() as entries:
            run_next()
    assert len(seen) == count
    assert [entry["error"] for entry in entries if entry["event"] == "job_exception_held_back"] == ["KeyError"] * count
    assert "secret" not in str(entries)


@pytest.mark.usefixtures("job_connection")
def test_a_job_that_fails_itself_is_not_put_back_by_the_circuit_breaker() -> None:
    class Failing(Middleware):
        """Fail the job as its own handle would."""

        @override
        def handle(self, job: Job, proceed: Proceed) -> object:
            job.fail("no use")

    with layers(ThrottlesExceptions(), Failing()):
        LayeredJob.dispatch()
        assert isinstance(run_next(), Failed)


@pytest.mark.parametrize(
    ("options", "other_runs"),
    [({}, False), ({"key": "k"}, False), ({"by_job": True}, True)],
    ids=["class", "key", "job"],
)
@pytest.mark.usefixtures("job_connection")
def test_exceptions_count_by_class_by_key_or_by_job(options: dict[str, object], other_runs: bool) -> None:
    with layers(ThrottlesExceptions(1, **options), errors=[ValueError()]) as ran:  # type: ignore[arg-type] # as above
        LayeredJob.dispatch("first")
        run_next()
        LayeredJob().with_priority(9).dispatch()
        run_next()
    assert (len(ran) == 2) is other_runs


@pytest.mark.usefixtures("job_connection")
def test_classes_share_a_circuit_by_its_key_alone() -> None:
    with layers(ThrottlesExceptions(1), errors=[ValueError()]) as ran:
        LayeredJob.dispatch()
        run_next()
        OtherLayeredJob("other").with_priority(9).dispatch()
        run_next()
    assert ran == ["", "other"]


# --- Failing at once


@pytest.mark.parametrize(
    ("middleware", "is_final"),
    [
        (FailOnException(KeyError), True),
        (FailOnException([OSError, LookupError]), True),
        (FailOnException([OSError]), False),
        (FailOnException(lambda error: "x" in str(error)), True),
        (FailOnException(when_job=lambda _error, job: job.attempts == 1), True),
        (FailOnException(when_job=lambda _error, job: job.attempts == 2), False),
    ],
    ids=["class", "list", "other", "function", "job", "other job"],
)
@pytest.mark.usefixtures("job_connection")
def test_some_exceptions_fail_the_job_at_once_as_they_are(middleware: FailOnException, is_final: bool) -> None:
    error = KeyError("x")
    with layers(middleware, errors=[error]):
        LayeredJob.dispatch()
        outcome = run_next()
    assert isinstance(outcome, Failed if is_final else Released)
    assert isinstance(outcome, Failed | Released)
    assert outcome.error is error
