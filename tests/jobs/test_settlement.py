"""Ends of jobs that are written down once more, or too late: whatever is repeated happens once."""

from datetime import datetime, timedelta
from typing import Any, ClassVar, override

import pytest
from django.db import OperationalError
from django.utils import timezone
from pytest_django import Settings

from jobs.batch import batch
from jobs.chain import chain
from jobs.coordination import get_coordinator
from jobs.coordination.database import DatabaseCoordinator
from jobs.drivers.base import Claim, get_driver
from jobs.job import Job
from jobs.models import Slot
from jobs.services import retry_failed_job
from jobs.worker.runner import attempt, settle
from tests.jobs.batch_jobs import BROKEN, NOTES, LastStepJob, StepJob, UniqueStepJob, on_then, read_batch
from tests.jobs.batch_jobs import notes as _notes  # noqa: F401 - a fixture
from tests.jobs.far_store import far_fixture as _far  # noqa: F401 - a fixture
from tests.jobs.steps import claim_one, drain, soon, stored


class ForgetfulCoordinator(DatabaseCoordinator):
    """Doesn't answer the next time that something is given back."""

    is_away: ClassVar[bool] = False

    @override
    def release(self, key: str, *, owner: str) -> bool:
        if self.is_away:
            type(self).is_away = False
            raise OperationalError
        return super().release(key, owner=owner)


class AddingUniqueJob(StepJob):
    """Adds a unique job to what follows it."""

    @override
    def handle(self) -> None:
        super().handle()
        self.append_to_chain(UniqueStepJob("second").on_queue("low"))


class LockedJob(Job):
    """Takes a lock, and says what became of it."""

    unique_for = 3600
    tries = 1
    told: ClassVar[list[str]] = []

    def __init__(self, is_bad: bool) -> None:
        self.is_bad = is_bad

    @override
    def handle(self) -> None:
        if self.is_bad:
            raise ValueError

    @override
    def failed(self, error: Exception) -> None:
        self.told.append("failed")


@pytest.fixture
def forgetful(settings: Settings, job_connection: str) -> str:
    """The connection, with locks in a coordinator that is away when the test says so."""
    LockedJob.told.clear()
    options = {
        "DRIVER": "jobs.drivers.database.DatabaseDriver",
        "COORDINATOR": "tests.jobs.test_settlement.ForgetfulCoordinator",
    }
    connections = {**settings.JOBS["CONNECTIONS"], "forgetful": options}
    settings.JOBS = {**settings.JOBS, "CONNECTIONS": connections, "COORDINATION": "forgetful"}
    return job_connection


@pytest.mark.parametrize("is_bad", [False, True])
def test_an_end_whose_lock_could_not_be_given_back_is_written_down_again_whole(is_bad: bool, forgetful: str) -> None:
    LockedJob.dispatch(is_bad)
    claim = claim_one(now=soon(0.1))
    outcome = attempt(claim)
    ForgetfulCoordinator.is_away = True
    with pytest.raises(OperationalError):
        settle(claim, outcome, now=timezone.now())
    assert settle(claim, outcome, now=timezone.now())
    assert stored() == []
    assert not Slot.objects.exists()
    assert LockedJob.told == ["failed"] * is_bad


def test_a_worker_that_comes_too_late_takes_no_lock_for_what_would_have_followed(job_connection: str) -> None:
    chain([StepJob("first"), UniqueStepJob("second")]).dispatch()
    late = claim_one(now=soon(0.1))
    outcome = attempt(late)
    now = late.lease_expires_at + timedelta(seconds=1)
    claim = claim_one(now=now)
    BROKEN.add("first")
    assert not settle(late, outcome, now=now)
    assert settle(claim, attempt(claim, now=now), now=now)
    assert get_coordinator().list_owners("unique:tests.UniqueStepJob:second") == []
    UniqueStepJob.dispatch("second")
    assert len(stored()) == 1


def test_what_replaced_a_debounced_job_lets_the_links_behind_it_leave_their_batch(job_connection: str) -> None:
    found = batch([[LastStepJob("index"), StepJob("after")]]).dispatch()
    LastStepJob.dispatch("index")
    drain(now=soon())
    assert NOTES == ["index"]
    ended = read_batch(found.id)
    assert (ended.total_jobs, ended.pending_jobs, ended.is_finished) == (1, 0, True)


# --- Followers in other stores


def _claim(connection: str, queue: str, now: datetime) -> Claim | None:
    return next(iter(get_driver(connection).claim(queues=[queue], worker="test", now=now)), None)


def _run(connection: str, queue: str, now: datetime) -> None:
    while (claim := _claim(connection, queue, now)) is not None:
        settle(claim, attempt(claim, now=now), now=now)


def _die_before_the_end(away: set[str], now: datetime) -> None:
    """Run the job of the far store, up to its end, which doesn't come about."""
    claim = _claim("far", "high", now)
    assert claim is not None
    outcome = attempt(claim, now=now)
    away.add("finish")
    with pytest.raises(OperationalError):
        settle(claim, outcome, now=now)
    away.clear()


@pytest.mark.parametrize("kind", ["callback", "link"])
def test_what_was_sent_to_another_store_and_has_ended_there_is_not_sent_again(kind: str, far: set[str]) -> None:
    first = StepJob("first").with_tries(2).on_queue("high").on_connection("far")
    if kind == "callback":
        batch([first]).then(on_then).on_queue("low").on_connection("near").dispatch()
    else:
        chain([first, StepJob("then 1/1").on_queue("low").on_connection("near")]).dispatch()
    now = soon(0.1)
    _die_before_the_end(far, now)
    _run("near", "low", now)
    assert NOTES == ["first", "then 1/1"]
    _run("far", "high", soon())
    _run("near", "low", soon())
    assert NOTES == ["first", "then 1/1", "first"]


def test_a_retry_sends_to_another_store_what_follows_it(far: set[str]) -> None:
    first = StepJob("first").on_queue("high").on_connection("far")
    job_id = chain([first, StepJob("second").on_queue("low").on_connection("near")]).dispatch()
    BROKEN.add("first")
    _run("far", "high", soon(0.1))
    BROKEN.clear()
    retry_failed_job(job_id=job_id)
    _run("far", "high", soon(0.1))
    _run("near", "low", soon(0.1))
    assert NOTES == ["first", "second"]


def test_what_follows_under_failover_is_stored_where_the_job_was_in_the_same_step(far: set[str]) -> None:
    first = StepJob("first").with_tries(2).on_queue("high").on_connection("far")
    chain([first, StepJob("second").on_queue("low").on_connection("either")]).dispatch()
    _die_before_the_end(far, soon(0.1))
    assert [job.queue for job in stored()] == ["high"]
    _run("far", "high", soon())
    _run("far", "low", soon())
    assert NOTES == ["first", "first", "second"]


# --- Locks of followers


def test_a_link_that_was_locked_by_a_worker_that_died_and_is_not_sent_gives_its_lock_back(far: set[str]) -> None:
    chain([StepJob("first").with_tries(1).on_queue("high"), UniqueStepJob("second").on_queue("low")]).dispatch()
    _die_before_the_end(far, soon(0.1))
    assert len(get_coordinator().list_owners("unique:tests.UniqueStepJob:second")) == 1
    BROKEN.add("first")
    _run("far", "high", soon())
    assert get_coordinator().list_owners("unique:tests.UniqueStepJob:second") == []


def test_a_link_that_was_locked_by_a_worker_that_died_is_sent_by_the_next_one(far: set[str]) -> None:
    chain([StepJob("first").with_tries(2).on_queue("high"), UniqueStepJob("second").on_queue("low")]).dispatch()
    _die_before_the_end(far, soon(0.1))
    _run("far", "high", soon())
    _run("far", "low", soon())
    assert NOTES == ["first", "first", "second"]


def test_what_a_job_adds_to_its_chain_in_each_try_is_the_same_job_and_finds_its_own_lock(far: set[str]) -> None:
    AddingUniqueJob("first").with_tries(2).on_queue("high").dispatch()
    _die_before_the_end(far, soon(0.1))
    _run("far", "high", soon())
    _run("far", "low", soon())
    assert NOTES == ["first", "first", "second"]
    assert get_coordinator().list_owners("unique:tests.UniqueStepJob:second") == []


def test_a_lock_that_another_job_took_stays_when_the_link_is_given_up(far: set[str]) -> None:
    chain([StepJob("first").with_tries(2).on_queue("high"), UniqueStepJob("second").on_queue("low")]).dispatch()
    claim = _claim("far", "high", soon(0.1))
    assert claim is not None  # and its worker dies
    other = UniqueStepJob("second").on_queue("default").dispatch()
    BROKEN.add("first")
    _run("far", "high", soon())
    assert get_coordinator().list_owners("unique:tests.UniqueStepJob:second") == [str(other)]


class MarklessCoordinator(DatabaseCoordinator):
    """Doesn't answer the next time that something is to be marked as sent."""

    is_away: ClassVar[bool] = False

    @override
    def acquire(self, key: str, **arguments: Any) -> bool:  # Any: as of the base
        if key.startswith("followed:") and self.is_away:
            type(self).is_away = False
            raise OperationalError
        return super().acquire(key, **arguments)


def test_what_is_sent_to_another_store_and_the_mark_that_it_was_are_one_step_in_the_database(
    far: set[str], settings: Settings
) -> None:
    options = {
        "DRIVER": "jobs.drivers.database.DatabaseDriver",
        "COORDINATOR": "tests.jobs.test_settlement.MarklessCoordinator",
    }
    connections = {**settings.JOBS["CONNECTIONS"], "markless": options}
    settings.JOBS = {**settings.JOBS, "CONNECTIONS": connections, "COORDINATION": "markless"}
    chain([StepJob("first").on_queue("high"), StepJob("second").on_queue("low").on_connection("near")]).dispatch()
    now = soon(0.1)
    claim = _claim("far", "high", now)
    assert claim is not None
    outcome = attempt(claim, now=now)
    MarklessCoordinator.is_away = True
    with pytest.raises(OperationalError):
        settle(claim, outcome, now=now)
    _run("near", "low", now)
    assert settle(claim, outcome, now=now)
    _run("near", "low", now)
    assert NOTES == ["first", "second"]
