"""Jobs of which only one of a key waits or runs: the life of the lock."""

from dataclasses import replace
from datetime import timedelta
from typing import Any, ClassVar, override

import pytest
from django.db import transaction
from django.utils import timezone

from jobs.coordination import get_coordinator
from jobs.exceptions import QueueFull, UniqueJobError
from jobs.job import Job
from jobs.models import FailedJob
from jobs.payload import read_payload
from jobs.queues import define_queue, forget_queue
from jobs.services import UNIQUE, clear_queue, retry_failed_job, retry_failed_jobs, send
from jobs.signals import job_queued, unique_job_skipped
from jobs.worker.runner import Failed, Processed, Quarantined, Released, attempt, settle
from tests.jobs.steps import claim_one, heard, run_next, soon, stored, stored_one


class RefreshJob(Job):
    """Only one for each shop."""

    unique_for = 3600
    tries = 2
    backoff = 0
    seen: ClassVar[list[object]] = []

    def __init__(self, shop: str, does: str = "work") -> None:
        self.shop = shop
        self.does = does

    @override
    def unique_key(self) -> str:
        return self.shop

    @override
    def handle(self) -> None:
        self.seen.append(owners(type(self), self.shop))
        match self.does:
            case "fail":
                raise ValueError
            case "release":
                self.release()
            case "delete":
                self.delete()
            case _:
                pass


class RefreshUntilStartJob(RefreshJob):
    """Another may wait while one runs."""

    unique_until = "start"


class OtherRefreshJob(RefreshJob):
    """The same key of another class."""


class ForeverRefreshJob(RefreshJob):
    """A lock without end."""

    unique_for = 0


def owners(job_class: type[Job], key: str, *, hours: float = 0) -> list[str]:
    """Return the ids of the jobs that hold a lock."""
    now = timezone.now() + timedelta(hours=hours) if hours else None
    return get_coordinator().list_owners(f"{UNIQUE}tests.{job_class.__name__}:{key}", now=now)


pytestmark = pytest.mark.usefixtures("job_connection")


@pytest.fixture(autouse=True)
def nothing_seen() -> None:
    RefreshJob.seen.clear()


def test_a_second_job_of_a_key_is_not_stored_and_said_to_be_skipped() -> None:
    first = RefreshJob.dispatch("a")
    with heard(unique_job_skipped, job_queued) as seen:
        second = RefreshJob.dispatch("a")
    assert stored_one().job_id == first != second
    ((signal, fact),) = seen
    assert (signal, fact.job_id, fact.key) == (unique_job_skipped, second, "tests.RefreshJob:a")


@pytest.mark.parametrize("other", [lambda: RefreshJob.dispatch("b"), lambda: OtherRefreshJob.dispatch("a")])
def test_jobs_of_other_keys_and_classes_go_their_way(other: Any) -> None:  # Any: a form of dispatch
    RefreshJob.dispatch("a")
    other()
    assert len(stored()) == 2


def test_the_job_itself_owns_its_lock() -> None:
    job_id = RefreshJob.dispatch("a")
    assert owners(RefreshJob, "a") == [str(job_id)]


def test_the_lock_holds_while_the_job_runs_and_ends_with_it() -> None:
    job_id = RefreshJob.dispatch("a")
    run_next(now=soon(0.1))
    assert RefreshJob.seen == [[str(job_id)]]
    assert owners(RefreshJob, "a") == []
    RefreshJob.dispatch("a")
    assert len(stored()) == 1


@pytest.mark.parametrize("does", ["fail", "release"])
def test_the_lock_holds_while_the_job_waits_for_another_try(does: str) -> None:
    job_id = RefreshJob.dispatch("a", does)
    assert isinstance(run_next(now=soon(0.1)), Released)
    assert owners(RefreshJob, "a") == [str(job_id)]
    RefreshJob.dispatch("a")
    assert len(stored()) == 1


def test_the_lock_ends_when_the_job_has_failed_for_good() -> None:
    RefreshJob.dispatch("a", "fail")
    run_next(now=soon(0.1))
    assert isinstance(run_next(now=soon(0.2)), Failed)
    assert owners(RefreshJob, "a") == []


def test_the_lock_ends_when_the_job_deletes_itself() -> None:
    RefreshJob.dispatch("a", "delete")
    run_next(now=soon(0.1))
    assert owners(RefreshJob, "a") == []


def test_a_job_that_is_unique_until_it_starts_gives_its_lock_back_before_it_is_handled() -> None:
    RefreshUntilStartJob.dispatch("a")
    run_next(now=soon(0.1))
    assert RefreshJob.seen == [[]]


def test_its_second_try_takes_no_lock_from_the_job_that_waits_by_then() -> None:
    RefreshUntilStartJob.dispatch("a", "fail")
    run_next(now=soon(0.1))
    second = RefreshUntilStartJob("a").delay_until(3600).dispatch()
    run_next(now=soon(0.2))
    assert owners(RefreshUntilStartJob, "a") == [str(second)]


def test_a_lock_ends_by_itself_after_its_time() -> None:
    RefreshJob.dispatch("a")
    assert len(owners(RefreshJob, "a", hours=0.9)) == 1
    assert owners(RefreshJob, "a", hours=1.1) == []


def test_a_lock_without_a_time_lasts_until_the_job_has_ended() -> None:
    ForeverRefreshJob.dispatch("a")
    assert len(owners(ForeverRefreshJob, "a", hours=24 * 365)) == 1
    run_next(now=soon(0.1))
    assert owners(ForeverRefreshJob, "a") == []


def test_a_job_whose_lock_ran_out_leaves_that_of_the_next_one_alone() -> None:
    first = RefreshJob.dispatch("a")
    claim = claim_one(now=soon(0.1))
    get_coordinator().release(f"{UNIQUE}tests.RefreshJob:a", owner=str(first))  # as if its time had passed
    second = RefreshJob.dispatch("a")
    settle(claim, attempt(claim), now=soon(0.1))
    assert owners(RefreshJob, "a") == [str(second)]


def test_the_lock_of_a_job_whose_lease_was_lost_stays_with_whoever_runs_it_now() -> None:
    job_id = RefreshJob.dispatch("a")
    late = claim_one(now=soon(0.1))
    outcome = attempt(late)
    claim_one(now=late.lease_expires_at)
    assert not settle(late, outcome, now=soon(0.2))
    assert owners(RefreshJob, "a") == [str(job_id)]


def test_a_job_that_finds_no_room_takes_no_lock() -> None:
    define_queue("default", max_jobs=1)
    try:
        RefreshJob.dispatch("a")
        with pytest.raises(QueueFull, match="holds 1 jobs, and may hold 1"):
            RefreshJob.dispatch("b")
    finally:
        forget_queue("default")
    assert owners(RefreshJob, "b") == []


def test_a_job_that_runs_here_and_now_asks_for_no_lock() -> None:
    RefreshJob.dispatch("a")
    RefreshJob.dispatch_now("a")
    assert len(RefreshJob.seen) == 1
    assert len(owners(RefreshJob, "a")) == 1


def _dispatch_and_fail() -> None:
    with transaction.atomic():
        RefreshJob.dispatch("a")
        raise LookupError


@pytest.mark.django_db(transaction=True)
def test_a_rolled_back_dispatch_holds_no_lock() -> None:
    with pytest.raises(LookupError):
        _dispatch_and_fail()
    assert owners(RefreshJob, "a") == []


@pytest.mark.django_db(transaction=True)
def test_a_rolled_back_second_dispatch_leaves_the_lock_of_the_first_alone() -> None:
    first = RefreshJob.dispatch("a")
    with pytest.raises(LookupError):
        _dispatch_and_fail()
    assert owners(RefreshJob, "a") == [str(first)]


def _fail_one() -> Any:  # Any: UUID
    job_id = RefreshJob.dispatch("a", "fail")
    for hours in (0.1, 0.2):
        run_next(now=soon(hours))
    return job_id


def test_a_retried_job_takes_its_lock_again() -> None:
    job_id = _fail_one()
    retry_failed_job(job_id=job_id)
    assert owners(RefreshJob, "a") == [str(job_id)]
    RefreshJob.dispatch("a")
    assert stored_one().job_id == job_id


def test_a_retry_is_refused_while_another_job_of_its_key_waits() -> None:
    job_id = _fail_one()
    second = RefreshJob.dispatch("a")
    with pytest.raises(UniqueJobError, match="Another job with the same key"):
        retry_failed_job(job_id=job_id)
    assert retry_failed_jobs() == []
    assert stored_one().job_id == second
    assert FailedJob.objects.get().state == "failed"
    assert isinstance(run_next(now=soon(0.3)), Processed)
    assert retry_failed_jobs() == [job_id]


def test_a_queue_that_is_cleared_gives_the_locks_of_its_jobs_back_but_not_of_those_that_run() -> None:
    RefreshJob.dispatch("runs")
    claim_one(now=soon(0.1))
    RefreshJob.dispatch("waits")
    RefreshJob("is delayed").delay_until(3600).dispatch()
    assert clear_queue() == 2
    assert [bool(owners(RefreshJob, shop)) for shop in ("runs", "waits", "is delayed")] == [True, False, False]


def test_a_job_of_a_class_that_is_unknown_by_now_gives_its_lock_back_in_quarantine() -> None:
    record = replace(RefreshJob("a").make_record(), job_class="tests.GoneJob")
    send([record])
    assert isinstance(run_next(now=soon(0.1)), Quarantined)
    assert owners(RefreshJob, "a") == []


def test_what_holds_for_the_lock_travels_in_the_record() -> None:
    RefreshUntilStartJob.dispatch("a")
    expected = {"key": "tests.RefreshUntilStartJob:a", "seconds": 3600, "until": "start"}
    assert read_payload(stored_one().payload).unique == expected
