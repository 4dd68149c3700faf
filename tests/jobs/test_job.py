"""Defining and dispatching jobs."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, override
from uuid import uuid4

import pytest
from django.db import transaction

from jobs.exceptions import JobArgumentError, JobDefinitionError
from jobs.job import Job, build_job, get_job_class, get_lease
from jobs.models import QueuedJob
from jobs.payload import decode_payload
from jobs.signals import job_queued
from tests.jobs.sample_jobs import NoteJob, TypedJob, UrgentJob


@pytest.mark.django_db
def test_dispatch_stores_one_row_and_returns_its_id() -> None:
    job_id = NoteJob.dispatch("notes.txt", text="hello")
    row = QueuedJob.objects.get()
    assert (row.job_id, row.queue, row.job_class, row.attempts) == (job_id, "notes", "tests.NoteJob", 0)


@pytest.mark.django_db
def test_dispatch_takes_the_priority_of_the_class() -> None:
    UrgentJob.dispatch("notes.txt", "hello")
    assert QueuedJob.objects.get().priority == 200


@pytest.mark.django_db
def test_a_job_is_built_anew_from_what_was_stored() -> None:
    job = TypedJob("ä", 2**80, 1.5, True, uuid4(), datetime(2026, 1, 1, tzinfo=UTC), ["a"], {"b": None})
    TypedJob.dispatch(**vars(job))
    row = QueuedJob.objects.get()
    encoded = decode_payload(row.payload, job_id=row.job_id, queue=row.queue, job_class=row.job_class)
    assert build_job(TypedJob, encoded) == job


@pytest.mark.django_db
@pytest.mark.parametrize(
    "arguments", [(), ("notes.txt",), ("notes.txt", 1), ("notes.txt", None), ("notes.txt", "a", "b"), (b"", "a")]
)
def test_wrong_arguments_are_refused_at_dispatch_and_store_nothing(
    arguments: tuple[Any, ...],
) -> None:  # Any: wrong on purpose
    with pytest.raises(JobArgumentError, match="NoteJob"):
        NoteJob.dispatch(*arguments)
    assert not QueuedJob.objects.exists()


@pytest.mark.django_db
def test_an_argument_of_ten_megabytes_is_refused() -> None:
    with pytest.raises(JobArgumentError, match="pass an id instead"):
        NoteJob.dispatch("notes.txt", "x" * 10_000_000)


@pytest.mark.django_db
def test_what_the_constructor_objects_to_is_heard_at_dispatch() -> None:
    class PickyJob(Job):
        def __init__(self, amount: int) -> None:
            if amount < 0:
                raise ValueError("the amount must not be negative")

        @override
        def handle(self) -> None: ...

    with pytest.raises(ValueError, match="must not be negative"):
        PickyJob.dispatch(-1)
    assert not QueuedJob.objects.exists()


@pytest.fixture
def announced() -> Iterator[list[object]]:
    """The ids of the jobs that were announced as queued."""
    ids: list[object] = []

    def note(**facts: object) -> None:
        ids.append(facts["job_id"])

    job_queued.connect(note)
    yield ids
    job_queued.disconnect(note)


def _dispatch_and_fail() -> None:
    with transaction.atomic():
        NoteJob.dispatch("notes.txt", "hello")
        raise LookupError


@pytest.mark.django_db(transaction=True)
def test_a_rolled_back_dispatch_stores_and_announces_nothing(announced: list[object]) -> None:
    with pytest.raises(LookupError):
        _dispatch_and_fail()
    assert not QueuedJob.objects.exists()
    assert announced == []


@pytest.mark.django_db(transaction=True)
def test_a_dispatch_is_announced_after_the_commit(announced: list[object]) -> None:
    with transaction.atomic():
        job_id = NoteJob.dispatch("notes.txt", "hello")
        assert announced == []
    assert announced == [job_id]


def test_a_class_is_registered_by_app_label_and_class_name() -> None:
    assert get_job_class("tests.NoteJob") is NoteJob


def test_a_base_without_handle_is_not_registered() -> None:
    class ReportJob(Job):
        queue = "reports"

    assert get_job_class("tests.ReportJob") is None


def test_a_base_without_handle_cannot_be_dispatched() -> None:
    class ReportJob(Job):
        queue = "reports"

    with pytest.raises(JobDefinitionError, match="ReportJob"):
        ReportJob.dispatch()


def test_a_second_class_of_the_same_name_is_refused() -> None:
    with pytest.raises(JobDefinitionError, match=r"tests\.NoteJob already"):
        type("NoteJob", (NoteJob,), {"__module__": "tests.elsewhere"})


@pytest.mark.parametrize(
    "option",
    [
        {"tries": 0},
        {"tries": True},
        {"timeout": -1},
        {"timeout": 1.5},
        {"priority": 256},
        {"priority": -1},
        {"backoff": -1},
        {"backoff": (1, "2")},
        {"backoff": "10"},
        {"backoff": 10**12},
        {"queue": ""},
        {"queue": "a,b"},
        {"queue": "a b"},
        {"queue": "a\x00"},
        {"queue": "x" * 101},
    ],
    ids=repr,
)
def test_an_option_out_of_range_is_refused_when_the_class_is_made(option: dict[str, object]) -> None:
    with pytest.raises(JobDefinitionError, match=next(iter(option))):
        type("OddJob", (NoteJob,), {"__module__": __name__, **option})


def test_a_job_without_timeout_is_held_for_a_day() -> None:
    class LongJob(NoteJob):
        timeout = 0

    assert get_lease("tests.LongJob").days == 1


def test_a_lease_is_the_timeout_and_the_margin() -> None:
    assert get_lease("tests.NoteJob").total_seconds() == 60 + 15
