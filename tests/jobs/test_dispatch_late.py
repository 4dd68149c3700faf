"""Sending jobs to a store that takes no part in transactions, and may be away when they are committed."""

from typing import override

import pytest
from django.db import OperationalError, transaction

from jobs.batch import batch
from jobs.job import Job
from jobs.models import Batch, Slot
from jobs.signals import job_queued
from tests.jobs.batch_jobs import StepJob
from tests.jobs.far_store import far_fixture as _far  # noqa: F401 - a fixture
from tests.jobs.sample_jobs import NoteJob
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
