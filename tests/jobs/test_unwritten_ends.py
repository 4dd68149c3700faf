"""Jobs whose end can't be written down as it was: they fail for that reason, once, and nobody runs them again."""

from collections.abc import Sequence
from datetime import timedelta
from typing import override

import pytest

from jobs.chain import ChainableJob
from jobs.exceptions import JobDefinitionError
from jobs.job import Job
from jobs.models import FailedJob
from jobs.security import SecureJob
from jobs.worker.loop import Worker, WorkerOptions
from tests.jobs.batch_jobs import NOTES, StepJob
from tests.jobs.batch_jobs import notes as _notes  # noqa: F401 - a fixture
from tests.jobs.steps import stored

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("job_connection")]


class MuteError(Exception):
    """Has no text."""

    @override
    def __str__(self) -> str:
        raise RuntimeError("mute")


class MuteJob(Job):
    tries = 1

    @override
    def handle(self) -> None:
        NOTES.append("mute")
        raise MuteError


class FloodingJob(ChainableJob):
    """Lets more follow it than a record can hold."""

    tries = 3

    @override
    def _handle(self) -> None:
        NOTES.append("flood")
        self.append_to_chain(*(StepJob(f"{number}") for number in range(6_000)))


class SpoilingJob(SecureJob):
    """Puts into an argument what is no JSON, so that nobody can say what to take out of a text."""

    tries = 3

    def __init__(self, secret: str, items: list[str]) -> None:
        self.secret = secret
        self.items = items
        self.set_sensitive_fields(["secret"])

    @override
    def handle(self) -> None:
        NOTES.append("spoil")
        self.items.append(object())  # type: ignore[arg-type]  # as somebody may who checks no types
        self.fail(f"It was {self.secret}.")


class NumberTaggedJob(Job):
    @override
    def get_tags(self) -> Sequence[str]:
        return [7]  # type: ignore[list-item]  # as somebody may who checks no types

    @override
    def handle(self) -> None:
        pass


def work() -> None:
    Worker(WorkerOptions(sleep=timedelta(seconds=0.1), stop_when_empty=True)).run()


def test_an_exception_without_a_text_fails_its_job_as_any_other_does() -> None:
    MuteJob.dispatch()
    work()
    failed = FailedJob.objects.get()
    assert (NOTES, stored(), failed.is_quarantined) == (["mute"], [], False)
    assert "MuteError" in failed.exception


def test_a_job_that_lets_too_much_follow_fails_and_runs_no_more() -> None:
    FloodingJob.dispatch()
    work()
    failed = FailedJob.objects.get()
    assert (NOTES, stored(), failed.is_quarantined) == (["flood"], [], False)
    assert "UnwrittenEndError" in failed.exception
    assert "JobArgumentError" in failed.traceback


def test_a_job_that_nobody_can_take_the_secrets_out_of_is_set_apart_without_a_text() -> None:
    SpoilingJob.dispatch("s3cr3t-value", [])
    work()
    failed = FailedJob.objects.get()
    assert (NOTES, stored(), failed.is_quarantined) == (["spoil"], [], True)
    assert "UnwrittenEndError" in failed.exception
    assert "s3cr3t-value" not in failed.exception + failed.traceback


def test_tags_that_are_no_texts_are_refused_where_the_job_is_sent() -> None:
    with pytest.raises(JobDefinitionError, match="get_tags of NumberTaggedJob"):
        NumberTaggedJob.dispatch()
    assert stored() == []
