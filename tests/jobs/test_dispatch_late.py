"""Sending jobs to a store that takes no part in transactions, and may be away when they are committed."""

from pathlib import Path
from typing import override

import pytest
from django.conf import settings as django_settings
from django.db import OperationalError, transaction
from pytest_django import Settings

from jobs.batch import batch
from jobs.coordination import get_coordinator
from jobs.exceptions import JobOptionError
from jobs.job import Job
from jobs.models import Batch, Slot
from jobs.signals import job_queued
from tests.jobs.batch_jobs import StepJob
from tests.jobs.conftest import empty
from tests.jobs.far_store import far_fixture as _far  # noqa: F401 - a fixture
from tests.jobs.sample_jobs import NoteJob, read_lines
from tests.jobs.steps import heard, stored, stored_one


class SilentLockedJob(Job):
    """Takes a lock, without arguments."""

    unique_for = 60

    @override
    def handle(self) -> None: ...


class OtherLockedNoteJob(NoteJob):
    """Takes a lock of its own."""

    unique_for = 60


@transaction.atomic
def _dispatch_several() -> None:
    SilentLockedJob.dispatch()
    batch([StepJob("two")]).dispatch()
    OtherLockedNoteJob("notes.txt", "three").on_connection("near").dispatch()
    NoteJob.dispatch("notes.txt", "four")


def test_all_that_a_transaction_sent_is_undone_where_its_store_is_away_after_the_commit(far: set[str]) -> None:
    far.add("push")
    with heard(job_queued) as seen, pytest.raises(OperationalError, match="far is away"):
        _dispatch_several()
    far.clear()
    assert [fact.connection for _, fact in seen] == ["near"]
    assert not Batch.objects.exists()
    assert [job.job_class for job in stored()] == ["tests.OtherLockedNoteJob"]
    assert [slot.key for slot in Slot.objects.all()] == ["unique:tests.OtherLockedNoteJob:"]


@transaction.atomic
def _dispatch_and_fail() -> None:
    SilentLockedJob.dispatch()
    raise LookupError


def test_a_savepoint_that_is_rolled_back_takes_its_jobs_with_it_and_no_others(far: set[str]) -> None:
    with transaction.atomic():
        with pytest.raises(LookupError):
            _dispatch_and_fail()
        job_id = NoteJob.dispatch("notes.txt", "stays")
        with pytest.raises(LookupError):
            _dispatch_and_fail()
    assert stored_one().job_id == job_id


class LastNoteJob(NoteJob):
    """Only the last one runs."""

    debounce_for = 60


@pytest.mark.parametrize("job_class", [OtherLockedNoteJob, LastNoteJob])
def test_what_is_sent_at_once_is_refused_a_lock_that_a_rollback_would_take_from_it(
    job_class: type[NoteJob], far: set[str]
) -> None:
    job = job_class("notes.txt", "x").before_commit()
    with transaction.atomic(), pytest.raises(JobOptionError, match=r"before_commit.*JOBS\['COORDINATION'\]"):
        job.dispatch()
    assert stored() == []
    assert not Slot.objects.exists()
    job.dispatch()
    assert len(stored()) == 1


def test_what_runs_in_place_may_take_its_lock_in_the_transaction(far: set[str], tmp_path: Path) -> None:
    with transaction.atomic():
        OtherLockedNoteJob(str(tmp_path / "notes"), "x").on_connection("sync").before_commit().dispatch()
    assert read_lines(tmp_path / "notes") == ["x"]
    assert not Slot.objects.exists()


@pytest.mark.django_db(transaction=True)
@pytest.mark.skipif(not django_settings.REDIS_URL, reason="needs Redis")
def test_a_lock_that_is_kept_apart_from_the_transaction_outlives_its_rollback_with_the_job(
    settings: Settings,
) -> None:
    settings.JOBS = {**settings.JOBS, "CONNECTION": "redis"}
    empty("redis")
    with transaction.atomic():
        job_id = OtherLockedNoteJob("notes.txt", "x").before_commit().dispatch()
        transaction.set_rollback(True)
    OtherLockedNoteJob.dispatch("notes.txt", "y")
    assert stored_one().job_id == job_id
    assert get_coordinator().list_owners("unique:tests.OtherLockedNoteJob:") == [str(job_id)]
    empty("redis")
