"""What a worker bears: stores that are away in the middle of a job, errors of a driver, and clocks that differ."""

import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar, override

import pytest
import structlog
from django.contrib.auth import get_user_model
from django.db import OperationalError, connection
from django.db.models import Model
from pytest_django import Settings

from accounts.models import User
from jobs.batch import batch
from jobs.clock import StoreClock
from jobs.coordination.database import DatabaseCoordinator
from jobs.drivers.base import Claim, Message
from jobs.drivers.database import DatabaseDriver
from jobs.job import Job, dispatch
from jobs.models import BatchMember, FailedJob, Slot, WorkerHeartbeat
from jobs.signals import job_failed
from jobs.worker.executor import Executor
from jobs.worker.loop import Worker, WorkerOptions
from jobs.worker.metering import Meter
from jobs.worker.reporting import Reporter
from tests.jobs.sample_jobs import FailingJob, MemberJob, NoteJob, TellingJob, append_line, read_lines
from tests.jobs.steps import claim_one, drain, heard, run_next, soon, stored, stored_one

# Within a transaction of the test, a query that fails would take all later ones along.
pytestmark = pytest.mark.django_db(transaction=True)


@contextmanager
def away(model: type[Model], *, times: int = 1) -> Iterator[None]:
    """Let the database not answer the next queries of a table."""
    left = [times]

    def refuse(execute: Callable[..., object], sql: str, *arguments: object) -> object:
        if f'"{model._meta.db_table}"' in sql and left[0]:
            left[0] -= 1
            message = "the server closed the connection"
            raise OperationalError(message)
        return execute(sql, *arguments)

    with connection.execute_wrapper(refuse):
        yield
    assert left == [0]


def _work() -> int:
    return Worker(WorkerOptions(sleep=timedelta(seconds=0.01), stop_when_empty=True)).run()


class StartUniqueJob(NoteJob):
    """Gives its lock back before it runs."""

    unique_for = 60
    unique_until = "start"


class UserJob(Job):
    """Is given a row."""

    def __init__(self, path: str, user: User) -> None:
        self.path = path
        self.user = user

    @override
    def handle(self) -> None:
        append_line(self.path, self.user.email)


def test_a_database_that_does_not_take_a_heartbeat_ends_no_worker(tmp_path: Path, job_connection: str) -> None:
    NoteJob.dispatch(str(tmp_path / "notes"), "done")
    with away(WorkerHeartbeat):
        _work()
    assert read_lines(tmp_path / "notes") == ["done"]


def test_a_job_that_could_not_be_begun_is_put_back_and_the_next_one_runs(
    tmp_path: Path, job_connection: str, settings: Settings
) -> None:
    settings.JOBS = {**settings.JOBS, "COORDINATION": "database"}
    StartUniqueJob.dispatch(str(tmp_path / "notes"), "later")
    NoteJob.dispatch(str(tmp_path / "notes"), "next")
    with away(Slot):
        assert _work() == 2
    assert read_lines(tmp_path / "notes") == ["next"]
    assert (stored_one().state, stored_one().attempts) == ("delayed", 0)
    drain(now=soon())
    assert read_lines(tmp_path / "notes") == ["next", "later"]


class OnceUserJob(UserJob):
    """May be tried once, and signs that."""

    tries = 1
    signs_attempts = True


@pytest.mark.parametrize("job_class", [UserJob, OnceUserJob])
def test_tries_that_were_never_begun_do_not_count(
    job_class: type[UserJob], tmp_path: Path, job_connection: str
) -> None:
    user = get_user_model().objects.create_user(email="ada@example.com")
    dispatch(job_class(str(tmp_path / "notes"), user))
    for _ in range(4):
        claim = claim_one(now=soon())
        with away(User):
            Executor(
                clock=StoreClock(soon()), meter=Meter(), reporter=Reporter(None, worker="w"), job_options=None,
                finish=None, pause=lambda _duration: None, is_stopping=lambda: False, log=structlog.get_logger(),
            ).run(claim)  # fmt: skip
    assert not FailedJob.objects.exists()
    run_next(now=soon())
    assert read_lines(tmp_path / "notes") == ["ada@example.com"]


def test_a_row_that_can_not_be_read_now_does_not_make_its_job_fail(tmp_path: Path, job_connection: str) -> None:
    user = get_user_model().objects.create_user(email="ada@example.com")
    UserJob.dispatch(str(tmp_path / "notes"), user)
    with away(User):
        _work()
    assert not FailedJob.objects.exists()
    run_next(now=soon())
    assert read_lines(tmp_path / "notes") == ["ada@example.com"]


def test_a_database_that_is_away_when_a_batch_is_counted_costs_no_second_run(
    tmp_path: Path, job_connection: str
) -> None:
    sent = batch([MemberJob(str(tmp_path / "notes"), "once")]).dispatch()
    with away(BatchMember, times=2):
        assert _work() == 1
    assert read_lines(tmp_path / "notes") == ["once"]
    fresh = sent.fresh()
    assert fresh is not None
    assert fresh.has_ended


class AwayCoordinator(DatabaseCoordinator):
    """A coordinator that can't be reached."""

    outage_errors: ClassVar[tuple[type[Exception], ...]] = (ConnectionError,)

    @override
    def increment(self, key: str, *, lifetime: timedelta, now: datetime | None = None) -> int:
        raise ConnectionError


def test_a_coordinator_that_can_not_count_an_exception_leaves_the_end_of_the_try_as_it_is(
    job_connection: str, settings: Settings
) -> None:
    path = f"{__name__}.AwayCoordinator"
    elsewhere = {**settings.JOBS["CONNECTIONS"]["database"], "COORDINATOR": path}
    connections = {**settings.JOBS["CONNECTIONS"], "elsewhere": elsewhere}
    settings.JOBS = {**settings.JOBS, "CONNECTIONS": connections, "COORDINATION": "elsewhere"}
    TellingJob(["raise"]).with_max_exceptions(1).with_backoff(3600).dispatch()
    _work()
    assert stored_one().available_at > soon(0.9)


class ForgetfulDriver(DatabaseDriver):
    """A driver whose connection is lost, once, when a burial is committed and nobody has been told."""

    has_told: ClassVar[list[bool]] = []

    @override
    def bury(self, *arguments: Any, **options: Any) -> bool:  # Any: as of the base
        told = super().bury(*arguments, **options)
        self.has_told.append(told)
        if len(self.has_told) == 1:
            raise OperationalError
        return told


def test_a_failure_whose_commit_was_not_heard_of_is_told_all_the_same(settings: Settings) -> None:
    connections = {**settings.JOBS["CONNECTIONS"], "forgetful": {"DRIVER": f"{__name__}.ForgetfulDriver"}}
    settings.JOBS = {**settings.JOBS, "CONNECTIONS": connections, "CONNECTION": "forgetful"}
    ForgetfulDriver.has_told.clear()
    TellingJob.done.clear()
    TellingJob(["raise"]).with_tries(1).dispatch()
    with heard(job_failed) as facts:
        _work()
    assert ForgetfulDriver.has_told == [True, True]
    assert len(facts) == FailedJob.objects.count() == 1
    assert [line for line in TellingJob.done if line.startswith("failed")] == TellingJob.done[-1:]


class OddDriver(DatabaseDriver):
    """A driver that understands its store only at the third look, and whose store has a clock of its own."""

    looks: ClassVar[list[str]] = []

    @override
    def claim(self, *, worker: str, **arguments: Any) -> Sequence[Claim]:  # Any: as of the base
        self.looks.append(worker)
        if len(self.looks) < 3:
            message = "badly formed row"
            raise ValueError(message)
        return super().claim(worker=worker, **arguments)

    @override
    def get_now(self) -> datetime:
        return soon(24)


@pytest.fixture
def odd(settings: Settings, db: None) -> Iterator[None]:
    """Keep jobs in such a store."""
    connections = {**settings.JOBS["CONNECTIONS"], "odd": {"DRIVER": f"{__name__}.OddDriver"}}
    settings.JOBS = {**settings.JOBS, "CONNECTIONS": connections, "CONNECTION": "odd"}
    yield
    OddDriver.looks.clear()


def test_a_driver_that_does_not_understand_its_store_ends_no_worker(tmp_path: Path, odd: None) -> None:
    NoteJob.dispatch(str(tmp_path / "notes"), "found")
    assert _work() == 1
    assert read_lines(tmp_path / "notes") == ["found"]


def test_the_back_off_is_counted_by_the_clock_of_the_store(odd: None) -> None:
    FailingJob.dispatch()
    _work()
    assert stored_one().available_at > soon(23)


def test_whether_a_job_may_still_be_tried_is_asked_by_the_clock_of_the_store(odd: None) -> None:
    TellingJob.done.clear()
    TellingJob(["end well"]).with_retry_until(soon(1)).dispatch()
    _work()
    assert TellingJob.done == ["failed: RetryDeadlineError"]


# --- Away while the worker is told to stop


class AwayDriver(DatabaseDriver):
    """A driver whose store takes nothing for a while."""

    back_at: ClassVar[float] = 0.0
    refused: ClassVar[int] = 0

    @override
    def finish(self, claim: Claim, *, followers: Sequence[Message] = ()) -> bool:
        self._reach()
        return super().finish(claim, followers=followers)

    @override
    def finish_all(self, claims: Sequence[Claim]) -> int:
        if claims:
            self._reach()
        return super().finish_all(claims)

    @override
    def give_back(self, claims: Sequence[Claim]) -> None:
        if claims:
            self._reach()
        super().give_back(claims)

    def _reach(self) -> None:
        if time.monotonic() < AwayDriver.back_at:
            AwayDriver.refused += 1
            raise OperationalError


class LastJob(Job):
    """Let its store be away from now on, and its worker be told to end."""

    queue = "notes"

    def __init__(self, path: str, away_seconds: float) -> None:
        self.path = path
        self.away_seconds = away_seconds

    @override
    def handle(self) -> None:
        AwayDriver.back_at = time.monotonic() + self.away_seconds
        append_line(self.path, "ran")
        os.kill(os.getpid(), signal.SIGTERM)


@pytest.fixture
def away_store(settings: Settings) -> Iterator[None]:
    connections = {**settings.JOBS["CONNECTIONS"], "away": {"DRIVER": f"{__name__}.AwayDriver"}}
    settings.JOBS = {**settings.JOBS, "CONNECTIONS": connections, "CONNECTION": "away"}
    AwayDriver.refused = 0
    yield
    AwayDriver.back_at = 0.0


def _work_until_told(**options: Any) -> None:  # Any: of WorkerOptions
    worker = Worker(WorkerOptions(sleep=timedelta(seconds=0.01), **options))
    with worker.listen_to_signals():
        worker.run()


@pytest.mark.parametrize("options", [{}, {"has_keeper": True}, {"has_keeper": True, "threads": 1}], ids=str)
@pytest.mark.parametrize("has_locks", [False, True])  # one that has some isn't told together with others
def test_a_job_that_has_ended_is_told_to_a_store_that_is_back_soon_though_the_worker_must_end(
    has_locks: bool, options: dict[str, Any], tmp_path: Path, away_store: None
) -> None:
    job = LastJob(str(tmp_path / "notes"), 1.0)
    (job.with_max_exceptions(3) if has_locks else job).dispatch()
    _work_until_told(**options)
    assert stored() == []
    assert read_lines(tmp_path / "notes") == ["ran"]
    assert AwayDriver.refused < 10  # it waits between two tries, though it was woken


@pytest.mark.parametrize("has_keeper", [False, True])
def test_a_worker_that_must_end_waits_for_its_store_a_few_seconds_only(
    has_keeper: bool, tmp_path: Path, away_store: None
) -> None:
    LastJob(str(tmp_path / "notes"), 600.0).dispatch()
    started = time.monotonic()
    _work_until_told(has_keeper=has_keeper)
    assert 4 < time.monotonic() - started < 12
    assert stored_one().state == "running"


def test_what_was_not_begun_goes_back_to_a_store_that_is_back_soon_though_the_worker_must_end(
    tmp_path: Path, away_store: None
) -> None:
    for _ in range(40):
        NoteJob.dispatch(str(tmp_path / "notes"), "quick")
    LastJob(str(tmp_path / "notes"), 1.0).dispatch()
    for _ in range(40):
        NoteJob.dispatch(str(tmp_path / "notes"), "late")
    _work_until_told(has_keeper=True)
    assert {(job.state, job.attempts) for job in stored()} == {("waiting", 0)}
    assert "late" not in read_lines(tmp_path / "notes")
