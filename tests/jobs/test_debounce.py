"""Jobs of which only the last one sent runs."""

from datetime import timedelta
from typing import ClassVar, override

import pytest
from django.db import transaction
from django.utils import timezone

from jobs.coordination import get_coordinator
from jobs.exceptions import JobArgumentError
from jobs.job import Job
from jobs.services import DEBOUNCE
from jobs.signals import job_debounced
from jobs.worker.runner import Processed, attempt, settle
from tests.jobs.steps import claim_one, drain, heard, run_next, soon, stored, stored_one

pytestmark = pytest.mark.usefixtures("job_connection")
#: Where it is kept since when the jobs of a page are put off.
SINCE = f"{DEBOUNCE}tests.ImpatientIndexJob:a:since"


class IndexJob(Job):
    """Index a page when its editor has come to rest."""

    debounce_for = 30
    tries = 2
    backoff = 0
    indexed: ClassVar[list[str]] = []

    def __init__(self, page: str, text: str) -> None:
        self.page = page
        self.text = text

    @override
    def debounce_key(self) -> str:
        return self.page

    @override
    def handle(self) -> None:
        self.indexed.append(self.text)
        if self.text == "bad":
            raise ValueError


class ImpatientIndexJob(IndexJob):
    """Not put off for ever."""

    debounce_max_wait = 60


@pytest.fixture(autouse=True)
def nothing_indexed() -> None:
    IndexJob.indexed.clear()


def _wait() -> float:
    return max(round((job.available_at - timezone.now()).total_seconds()) for job in stored())


def test_a_debounced_job_waits_for_its_time() -> None:
    IndexJob.dispatch("a", "1")
    assert stored_one().state == "delayed"
    assert _wait() == 30


def test_only_the_last_job_of_a_key_runs_and_the_others_are_said_to_be_dropped() -> None:
    ids = [IndexJob.dispatch("a", text) for text in ("1", "2", "3")]
    with heard(job_debounced) as seen:
        assert drain(now=soon()) == 3
    assert IndexJob.indexed == ["3"]
    assert [fact.job_id for _, fact in seen] == ids[:2]
    assert seen[0][1].key == "tests.IndexJob:a"


def test_jobs_of_other_keys_and_classes_are_not_dropped() -> None:
    IndexJob.dispatch("a", "1")
    IndexJob.dispatch("b", "2")
    ImpatientIndexJob.dispatch("a", "3")
    drain(now=soon())
    assert sorted(IndexJob.indexed) == ["1", "2", "3"]


def test_after_the_last_one_has_run_the_next_one_starts_anew() -> None:
    for text in ("1", "2"):
        IndexJob.dispatch("a", text)
        drain(now=soon())
    assert IndexJob.indexed == ["1", "2"]


def test_a_job_that_failed_once_is_tried_again_unless_a_later_one_came() -> None:
    IndexJob.dispatch("a", "bad")
    run_next(now=soon())
    run_next(now=soon())
    assert IndexJob.indexed == ["bad", "bad"]
    IndexJob.indexed.clear()
    IndexJob.dispatch("a", "bad")
    run_next(now=soon())
    IndexJob.dispatch("a", "good")
    drain(now=soon())
    assert IndexJob.indexed == ["bad", "good"]


def test_a_job_whose_mark_was_lost_runs_all_the_same() -> None:
    IndexJob.dispatch("a", "1")
    get_coordinator().forget(f"{DEBOUNCE}tests.IndexJob:a")
    drain(now=soon())
    assert IndexJob.indexed == ["1"]


def test_a_job_is_put_off_no_longer_than_its_longest_wait() -> None:
    began = timezone.now() - timedelta(seconds=45)
    get_coordinator().acquire(SINCE, owner=began.isoformat(), lifetime=timedelta(days=1))
    ImpatientIndexJob.dispatch("a", "1")
    assert 14 <= _wait() <= 15


def test_a_job_that_was_put_off_long_enough_is_due_at_once() -> None:
    began = timezone.now() - timedelta(seconds=90)
    get_coordinator().acquire(SINCE, owner=began.isoformat(), lifetime=timedelta(days=1))
    ImpatientIndexJob.dispatch("a", "1")
    assert stored_one().state == "waiting"


def test_the_longest_wait_begins_anew_after_a_run() -> None:
    ImpatientIndexJob.dispatch("a", "1")
    drain(now=soon())
    ImpatientIndexJob.dispatch("a", "2")
    assert _wait() == 30
    assert len(get_coordinator().list_owners(SINCE)) == 1


def test_what_is_sent_while_a_job_runs_is_put_off_from_then_on() -> None:
    began = timezone.now() - timedelta(seconds=90)
    get_coordinator().acquire(SINCE, owner=began.isoformat(), lifetime=timedelta(days=1))
    ImpatientIndexJob.dispatch("a", "1")
    claim = claim_one(now=soon())
    outcome = attempt(claim, now=soon())
    ImpatientIndexJob.dispatch("a", "2")
    settle(claim, outcome, now=soon())
    assert _wait() == 30
    assert len(get_coordinator().list_owners(SINCE)) == 1


def test_a_job_that_is_dropped_lets_the_longest_wait_of_the_later_one_go_on() -> None:
    began = timezone.now() - timedelta(seconds=45)
    get_coordinator().acquire(SINCE, owner=began.isoformat(), lifetime=timedelta(days=1))
    for text in ("1", "2"):
        ImpatientIndexJob.dispatch("a", text)
    run_next(now=soon())
    assert get_coordinator().list_owners(SINCE) == [began.isoformat()]


@pytest.mark.django_db(transaction=True)
def test_a_rolled_back_dispatch_begins_no_longest_wait() -> None:
    with transaction.atomic():
        ImpatientIndexJob.dispatch("a", "1")
        transaction.set_rollback(True)
    assert get_coordinator().list_owners(SINCE) == []


def test_a_job_that_cannot_be_stored_leaves_the_one_before_it_alone() -> None:
    IndexJob.dispatch("a", "1")
    with pytest.raises(JobArgumentError):
        IndexJob.dispatch("a", "x" * 10_000_000)
    assert isinstance(run_next(now=soon()), Processed)
    assert IndexJob.indexed == ["1"]


@pytest.mark.django_db(transaction=True)
def test_a_rolled_back_dispatch_leaves_the_one_before_it_alone() -> None:
    def dispatch_and_fail() -> None:
        with transaction.atomic():
            IndexJob.dispatch("a", "2")
            raise LookupError

    IndexJob.dispatch("a", "1")
    with pytest.raises(LookupError):
        dispatch_and_fail()
    drain(now=soon())
    assert IndexJob.indexed == ["1"]
