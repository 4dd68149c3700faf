"""Rows of models as arguments: they travel as references and are read anew."""

from typing import Any, ClassVar, override

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group

from jobs.arguments import bind_arguments, decode_arguments, encode_arguments
from jobs.exceptions import JobArgumentError, ModelMissingError
from jobs.job import Job
from jobs.models import FailedJob
from jobs.payload import read_payload
from jobs.worker.runner import Failed, Processed
from tests.jobs.steps import run_next, soon, stored, stored_one


class GreetGroupJob(Job):
    """Say the name of a row."""

    greeted: ClassVar[list[str]] = []
    unique_for = 60

    def __init__(self, group: Group, others: list[Group] | None = None) -> None:
        self.group = group
        self.others = others or []

    @override
    def handle(self) -> None:
        self.greeted.append(" ".join([self.group.name, *(one.name for one in self.others)]))


class CalmGreetGroupJob(GreetGroupJob):
    """Nothing to do where the row is gone."""

    delete_when_missing_models = True


@pytest.fixture
def group(job_connection: str) -> Group:
    GreetGroupJob.greeted.clear()
    return Group.objects.create(name="editors")


def test_a_row_is_stored_as_a_reference_and_read_anew(group: Group) -> None:
    GreetGroupJob.dispatch(group, [group])
    assert "editors" not in stored_one().payload
    Group.objects.update(name="writers")
    run_next(now=soon())
    assert GreetGroupJob.greeted == ["writers writers"]


def test_the_rows_that_a_job_was_given_are_its_tags(group: Group) -> None:
    GreetGroupJob.dispatch(group, [group, Group.objects.create(name="b")])
    assert read_payload(stored_one().payload).tags == (f"auth.group:{group.pk}", f"auth.group:{group.pk + 1}")


def test_a_job_whose_row_was_deleted_meanwhile_fails_at_once(group: Group) -> None:
    GreetGroupJob.dispatch(group)
    key = group.pk
    group.delete()
    outcome = run_next(now=soon())
    assert isinstance(outcome, Failed)
    assert isinstance(outcome.error, ModelMissingError)
    failed = FailedJob.objects.get()
    assert (failed.attempts, failed.summary) == (
        1,
        f"jobs.exceptions.ModelMissingError: The row auth.group:{key} is gone.",
    )


def test_or_ends_in_silence_where_its_class_says_so(group: Group) -> None:
    CalmGreetGroupJob.dispatch(group)
    group.delete()
    assert isinstance(run_next(now=soon()), Processed)
    assert GreetGroupJob.greeted == []
    assert stored() == []
    assert not FailedJob.objects.exists()


@pytest.mark.parametrize("job_class", [GreetGroupJob, CalmGreetGroupJob])
def test_the_lock_of_a_job_whose_row_is_gone_is_given_back(job_class: Any, group: Group) -> None:  # Any: two classes
    job_class.dispatch(group)
    group.delete()
    run_next(now=soon())
    job_class.dispatch(Group.objects.create(name="again"))
    assert len(stored()) == 1


@pytest.mark.django_db
def test_a_row_that_is_not_saved_is_refused() -> None:
    with pytest.raises(JobArgumentError, match="'group' can't be stored: a row that isn't saved yet"):
        GreetGroupJob.dispatch(Group(name="new"))


@pytest.mark.django_db
def test_a_row_of_another_model_is_refused() -> None:
    user = get_user_model().objects.create_user(email="a@example.com", name="A", password="x" * 20)
    with pytest.raises(JobArgumentError, match=r"must be .*Group, not User"):
        bind_arguments(GreetGroupJob, (user,), {})


@pytest.mark.django_db
def test_a_row_is_read_from_the_database_that_it_came_from() -> None:
    row = Group.objects.create(name="here")
    row._state.db = "replica"
    stored_arguments = encode_arguments({"group": row})
    assert stored_arguments == {"group": {"$model": ["auth.group", row.pk, "replica"]}}
    with pytest.raises(JobArgumentError, match=r"auth\.group in the database replica"):
        decode_arguments(stored_arguments)
