"""The back end of ``django.tasks``."""

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, datetime, timedelta
from typing import Any, override
from uuid import UUID, uuid4

import pytest
from asgiref.sync import async_to_sync
from django.core import mail
from django.db import transaction
from django.tasks import Task, TaskResult, TaskResultStatus, default_task_backend, task_backends
from django.tasks import task as django_task
from django.tasks.checks import check_tasks
from django.tasks.exceptions import InvalidTask, TaskResultDoesNotExist, TaskResultMismatch
from django.tasks.signals import task_enqueued, task_finished, task_started
from django.utils import timezone
from pytest_django import DjangoCaptureOnCommitCallbacks
from pytest_django.fixtures import Settings

from jobs.batch import batch, find_batch
from jobs.chain import chain
from jobs.drivers.base import Message, QueueDriver
from jobs.drivers.sync import SyncDriver
from jobs.exceptions import PoisonPillError, QueueFull
from jobs.limits import RateLimit
from jobs.middleware import Skip
from jobs.models import FailedJob, JobResult
from jobs.queues import define_queue, forget_queue
from jobs.services import cancel_job, clear_queue, create_result, prune_results, retry_failed_job
from jobs.tasks import JobsBackend, JobsTask, TaskJob, task, task_job
from jobs.worker.runner import attempt, settle
from tests.jobs import foreign_tasks
from tests.jobs.foreign_tasks import (
    double,
    email_users,
    email_users_again,
    fail,
    renamed,
    return_object,
    return_odd,
    tell_attempt,
    triple,
)
from tests.jobs.steps import LATER, claim_one, drain, run_next

calls: list[object] = []


class DownDriver(SyncDriver):
    """A store that is away."""

    @override
    def push(self, messages: Sequence[Message], *, limits: Mapping[str, int] | None = None) -> None:
        raise ConnectionError


@task(tries=2, backoff=(30, 60), timeout=20, tags=["careful"])
def careful(number: int) -> int:
    calls.append(number)
    raise ValueError(number)


@task(tries=9, max_exceptions=1)
def once() -> None:
    raise ValueError


@task(tries=1, retry_until=timedelta(hours=1), backoff=0)
def for_an_hour() -> None:
    raise ValueError


@task(unique_for=60)
def alone(number: int) -> int:
    return number


@task(rate_limit=RateLimit(1, 60))
def slow() -> str:
    return "done"


@task(tries=1, timeout=0.05)
def endless() -> None:
    while True:
        pass


@django_task(tries=1)  # type: ignore[call-overload,untyped-decorator] # Django's stubs know Django's options alone
def single() -> None:
    raise ValueError


@pytest.fixture(autouse=True)
def forget_calls() -> None:
    calls.clear()


@pytest.fixture
def seen() -> Iterator[list[tuple[str, str]]]:
    """What Django's signals tell."""
    told: list[tuple[str, str]] = []

    def note(signal: object, sender: type, task_result: "TaskResult[..., Any]", **_: object) -> None:
        assert issubclass(sender, JobsBackend)
        told.append((names[id(signal)], str(task_result.status.value)))

    signals = {"enqueued": task_enqueued, "started": task_started, "finished": task_finished}
    names = {id(signal): name for name, signal in signals.items()}
    for signal in signals.values():
        signal.connect(note)
    yield told
    for signal in signals.values():
        signal.disconnect(note)


def test_the_back_end_can_do_all_that_django_asks_for() -> None:
    flags = ("supports_defer", "supports_async_task", "supports_get_result", "supports_priority")
    assert isinstance(task_backends["default"], JobsBackend)
    assert all(getattr(default_task_backend, flag) for flag in flags)


def test_a_task_that_knows_nothing_of_jobs_runs_in_a_worker(job_connection: str) -> None:
    result = double.enqueue(21)
    assert (result.status, result.attempts, result.is_finished) == (TaskResultStatus.READY, 0, False)
    assert result.enqueued_at is not None
    assert drain() == 1
    result.refresh()
    assert (result.status, result.return_value, result.attempts) == (TaskResultStatus.SUCCESSFUL, 42, 1)
    assert result.started_at is not None
    assert result.started_at == result.last_attempted_at
    assert result.finished_at is not None
    assert result.worker_ids == ["test"]


def test_the_examples_of_the_documentation_run(job_connection: str) -> None:
    result = email_users.enqueue(emails=["user@example.com"], subject="You have a message", message="Hello there!")
    email_users_again.enqueue(["user@example.com"], "Once more")
    drain()
    assert sorted((one.subject, one.body) for one in mail.outbox) == [
        ("Once more", "1"),
        ("You have a message", "Hello there!"),
    ]
    assert default_task_backend.get_result(result.id).return_value == 1
    assert email_users.using(priority=10).priority == 10


@pytest.mark.parametrize("name", ["enqueue", "aenqueue"])
def test_an_async_task_runs_and_can_be_enqueued_from_both_worlds(job_connection: str, name: str) -> None:
    call: Any = triple.enqueue if name == "enqueue" else async_to_sync(triple.aenqueue)
    result = call(5)
    drain()
    value: object = async_to_sync(triple.aget_result)(result.id).return_value
    assert value == 15


def test_a_task_that_raises_is_tried_as_often_as_it_says(job_connection: str) -> None:
    result = careful.enqueue(7)
    now = timezone.now()
    assert drain() == 1
    result.refresh()
    assert (result.status, len(result.errors), result.finished_at) == (TaskResultStatus.READY, 1, None)
    assert drain(now=now + timedelta(seconds=29)) == 0
    assert drain(now=now + LATER) == 1
    result.refresh()
    assert (result.status, result.attempts, calls) == (TaskResultStatus.FAILED, 2, [7, 7])
    assert [error.exception_class for error in result.errors] == [ValueError, ValueError]
    assert "raise ValueError(number)" in result.errors[0].traceback
    with pytest.raises(ValueError, match="Task failed"):
        _ = result.return_value


def test_a_task_that_fails_is_among_the_failed_jobs_and_can_be_retried(job_connection: str) -> None:
    result = careful.enqueue(7)
    drain()
    drain(now=timezone.now() + LATER)
    failed = FailedJob.objects.get()
    assert failed.context["tags"] == [f"task:{careful.module_path}", "careful"]
    retry_failed_job(job_id=failed.job_id)
    result.refresh()
    assert result.status == TaskResultStatus.READY
    drain()
    result.refresh()
    assert (result.status, result.attempts) == (TaskResultStatus.READY, 3)


@pytest.mark.parametrize("given", [once, single])
def test_a_task_ends_with_its_last_try_or_exception(job_connection: str, given: "Task[[], None]") -> None:
    result = given.enqueue()
    drain()
    result.refresh()
    assert result.status == TaskResultStatus.FAILED


def test_a_task_is_tried_until_its_moment_whatever_its_tries(job_connection: str) -> None:
    result = for_an_hour.enqueue()
    run_next()
    run_next(now=timezone.now() + timedelta(minutes=59))
    result.refresh()
    assert (result.status, result.attempts) == (TaskResultStatus.READY, 2)
    run_next(now=timezone.now() + timedelta(minutes=61))
    result.refresh()
    assert (result.status, result.attempts) == (TaskResultStatus.FAILED, 2)


@pytest.mark.django_db(transaction=True)  # its start is written in its time, and no test's transaction bears a break
def test_a_task_over_its_timeout_fails(job_connection: str) -> None:
    result = endless.enqueue()
    drain()
    result.refresh()
    assert result.errors[0].exception_class_path == "jobs.exceptions.JobTimeoutError"


def test_a_unique_task_that_waits_stands_for_a_second_one(job_connection: str) -> None:
    first = alone.enqueue(1)
    assert alone.enqueue(1).id == first.id
    assert alone.enqueue(2).id != first.id
    assert drain() == 2
    assert alone.enqueue(1).id != first.id
    assert JobResult.objects.count() == 3


def test_a_rate_limit_puts_a_task_back_unrun(job_connection: str) -> None:
    first, second = slow.enqueue(), slow.enqueue()
    drain()
    first.refresh()
    second.refresh()
    assert {first.status, second.status} == {TaskResultStatus.SUCCESSFUL, TaskResultStatus.READY}
    assert {first.attempts, second.attempts} == {1, 0}


def test_tasks_can_be_batched_and_chained(job_connection: str) -> None:
    sent = batch([task_job(double, 1), [task_job(double, 2), task_job(triple, 3)]]).dispatch()
    chain([task_job(double, 4), task_job(double, 5)]).dispatch()
    drain()
    found = find_batch(sent.id)
    assert found is not None
    assert (found.total_jobs, found.pending_jobs) == (3, 0)
    values = [default_task_backend.get_result(str(row.job_id)).return_value for row in JobResult.objects.all()]
    assert sorted(values) == [2, 4, 8, 9, 10]


def test_the_context_tells_the_attempt_and_the_errors_before(job_connection: str) -> None:
    result = tell_attempt.enqueue()
    drain()
    drain(now=timezone.now() + LATER)
    result.refresh()
    assert result.return_value == [2, "RUNNING", 1]


def test_signals_tell_each_step(
    job_connection: str, seen: list[tuple[str, str]], django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        double.enqueue(1)
    with django_capture_on_commit_callbacks(execute=True):
        drain()
    assert seen == [("enqueued", "READY"), ("started", "RUNNING"), ("finished", "SUCCESSFUL")]


def test_signals_tell_the_end_of_a_task_once_however_often_it_was_tried(
    job_connection: str, seen: list[tuple[str, str]], django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        careful.enqueue(1)
    with django_capture_on_commit_callbacks(execute=True):
        drain()
        drain(now=timezone.now() + LATER)
    assert seen == [("enqueued", "READY"), ("started", "RUNNING"), ("started", "RUNNING"), ("finished", "FAILED")]


def test_higher_priorities_run_first_and_each_is_different(job_connection: str, driver: QueueDriver) -> None:
    for priority in (-100, 0, 100, 1):
        double.using(priority=priority, queue_name="default").enqueue(priority)
    assert [job.priority for job in driver.list_jobs()] == [255, 128, 127, 0]
    every = {TaskJob.of(double.using(priority=one), [1], {}).options.priority for one in range(-100, 101)}
    assert len(every) == 201


def test_a_task_waits_for_its_moment(job_connection: str) -> None:
    moment = timezone.now() + timedelta(hours=1)
    result = double.using(run_after=moment).enqueue(1)
    assert result.task.run_after == moment
    assert drain() == 0
    assert drain(now=moment) == 1
    assert double.get_result(result.id).task.run_after == moment


def test_a_task_waits_in_its_queue(job_connection: str, driver: QueueDriver) -> None:
    result = double.enqueue(1)
    double.using(queue_name="never-heard-of").enqueue(1)
    assert sorted(job.queue for job in driver.list_jobs()) == ["emails", "never-heard-of"]
    assert double.get_result(result.id).task.queue_name == "emails"


@pytest.mark.django_db(transaction=True)
def test_several_back_ends_can_take_one_task(settings: Settings, job_connection: str) -> None:
    settings.TASKS = {
        "default": {"BACKEND": "jobs.tasks.JobsBackend", "QUEUES": []},
        "now": {"BACKEND": "jobs.tasks.JobsBackend", "QUEUES": [], "OPTIONS": {"CONNECTION": "sync"}},
    }
    result = double.using(backend="now").enqueue(4)
    assert (result.backend, result.return_value) == ("now", 8)
    assert double.get_result(result.id).backend == "now"
    assert drain() == 0


@pytest.mark.django_db(transaction=True)
def test_where_a_task_runs_at_once_its_failure_is_told_by_the_result(
    settings: Settings, job_connection: str, seen: list[tuple[str, str]]
) -> None:
    options = {"OPTIONS": {"CONNECTION": "sync"}}
    settings.TASKS = {"default": {"BACKEND": "jobs.tasks.JobsBackend", "QUEUES": [], **options}}
    result = fail.enqueue()
    assert seen == [("enqueued", "READY"), ("started", "RUNNING"), ("finished", "FAILED")]
    assert (result.status, result.errors[0].exception_class) == (TaskResultStatus.FAILED, ValueError)


def _enqueue_in_vain() -> None:
    with transaction.atomic():
        raise LookupError(double.enqueue(2).id)


@pytest.mark.django_db(transaction=True)
def test_within_a_transaction_a_task_waits_for_the_commit(driver: QueueDriver) -> None:
    with transaction.atomic():
        result = double.enqueue(1)
    assert len(driver.list_jobs()) == 1
    with pytest.raises(LookupError) as lost:
        _enqueue_in_vain()
    assert len(driver.list_jobs()) == 1
    assert double.get_result(result.id).status == TaskResultStatus.READY
    with pytest.raises(TaskResultDoesNotExist):
        double.get_result(str(lost.value))


@pytest.mark.parametrize("result_id", ["", "nonsense", str(uuid4())], ids=["empty", "nonsense", "unknown"])
def test_a_result_that_does_not_exist_is_said_as_django_says_it(db: None, result_id: str) -> None:
    with pytest.raises(TaskResultDoesNotExist):
        double.get_result(result_id)
    with pytest.raises(TaskResultDoesNotExist):
        async_to_sync(double.aget_result)(result_id)


def test_the_result_of_another_task_is_no_result_of_this_one(job_connection: str) -> None:
    with pytest.raises(TaskResultMismatch):
        triple.get_result(double.enqueue(1).id)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"priority": 101}, "between -100 and 100"),
        ({"priority": 1.5}, "whole number"),
        ({"run_after": datetime(2026, 6, 1)}, "aware"),  # noqa: DTZ001 - the point of the test
        ({"queue_name": "a b"}, "queue_name"),
    ],
)
def test_a_task_that_can_not_run_is_refused(options: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidTask, match=words):
        double.using(**options)


@pytest.mark.parametrize("option", [{"tries": -1}, {"timeout": "long"}, {"backoff": [-1]}, {"unique_for": -1}])
def test_an_option_of_ours_out_of_range_is_refused(option: dict[str, Any]) -> None:
    with pytest.raises(InvalidTask):
        JobsTask(func=double.func, **option)


def test_a_queue_that_the_back_end_does_not_serve_is_refused(settings: Settings) -> None:
    settings.TASKS = {"default": {"BACKEND": "jobs.tasks.JobsBackend"}}
    with pytest.raises(InvalidTask, match="Queue 'other' is not valid"):
        double.using(queue_name="other")


def test_a_function_within_a_function_is_no_task() -> None:
    def inner() -> None: ...

    with pytest.raises(InvalidTask, match="module level"):
        django_task(inner)


def test_a_task_that_no_worker_would_find_is_refused(db: None) -> None:
    with pytest.raises(InvalidTask, match="must be found"):
        renamed.enqueue(1)


@pytest.mark.parametrize("argument", [object(), {1, 2}, b"\xff"])
def test_an_argument_that_is_no_json_is_refused(db: None, argument: object) -> None:
    with pytest.raises((TypeError, ValueError)):
        double.enqueue(argument)  # type: ignore[arg-type] # the point of the test
    assert not JobResult.objects.exists()


def test_a_return_value_that_is_no_json_fails_the_task(job_connection: str) -> None:
    result = return_object.enqueue()
    drain()
    result.refresh()
    assert result.errors[0].exception_class is TypeError


def test_a_return_value_that_no_database_takes_is_kept(job_connection: str) -> None:
    result = return_odd.enqueue()
    drain()
    result.refresh()
    assert result.return_value == {"nul": "\x00", "surrogate": "\ud800"}


@pytest.mark.parametrize("path", ["os.system", "tests.jobs.foreign_tasks.plain", "tests.jobs.foreign_tasks.gone", "x"])
def test_a_path_that_is_no_task_is_set_apart_and_never_called(job_connection: str, path: str) -> None:
    job_id = TaskJob.dispatch(path, ["true"], {}, "default")
    drain()
    failed = FailedJob.objects.get(job_id=job_id)
    assert failed.is_quarantined
    assert "to point to a Task instance" in failed.exception


def test_a_task_that_is_gone_at_the_worker_is_told_by_its_result(
    job_connection: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = double.enqueue(1)
    with monkeypatch.context() as patched:
        patched.delattr(foreign_tasks, "double")
        drain()
        with pytest.raises(ValueError, match="to point to a Task instance"):
            default_task_backend.get_result(result.id)
    result.refresh()
    assert result.status == TaskResultStatus.FAILED


def test_reading_a_result_imports_nothing_that_its_row_names(db: None) -> None:
    sys.modules.pop("this", None)
    result = double.enqueue(1)
    JobResult.objects.update(errors='[["this.Error", ""]]')
    with pytest.raises(ValueError, match=r"'this\.Error' does not reference"):
        _ = default_task_backend.get_result(result.id).errors[0].exception_class
    JobResult.objects.update(task="this.zen")
    with pytest.raises(ValueError, match=r"'this\.zen' to point to a Task"):
        default_task_backend.get_result(result.id)
    assert "this" not in sys.modules


def test_a_try_that_lost_its_lease_writes_no_result(job_connection: str) -> None:
    result = double.enqueue(1)
    late = claim_one()
    outcome = attempt(late)
    second = claim_one(now=late.lease_expires_at)
    again = attempt(second)
    settle(late, outcome, now=timezone.now())
    result.refresh()
    assert (result.status, result.attempts) == (TaskResultStatus.RUNNING, 2)
    settle(second, again, now=timezone.now())
    result.refresh()
    assert result.return_value == 2


def test_a_task_whose_workers_die_again_and_again_has_failed(job_connection: str) -> None:
    result = single.enqueue()
    for number in range(4):
        claim_one(now=timezone.now() + number * LATER)
    run_next(now=timezone.now() + 4 * LATER)
    result.refresh()
    assert result.status == TaskResultStatus.FAILED
    assert result.errors[0].exception_class is PoisonPillError


def test_a_task_that_middleware_drops_has_failed_unrun(job_connection: str) -> None:
    define_queue("dropping", middleware=[Skip.when(True)])
    result = double.using(queue_name="dropping").enqueue(1)
    drain()
    forget_queue("dropping")
    result.refresh()
    assert (result.status, result.attempts, result.errors) == (TaskResultStatus.FAILED, 0, [])


@pytest.mark.parametrize("how", ["cancelled", "cleared"])
def test_a_task_that_is_deleted_while_it_waits_has_failed_unrun(how: str, job_connection: str) -> None:
    result = alone.enqueue(1)
    if how == "cancelled":
        cancel_job(job_id=UUID(result.id))
    else:
        assert clear_queue() == 1
    result.refresh()
    assert result.status == TaskResultStatus.FAILED
    assert result.finished_at is not None
    assert (result.errors, result.worker_ids) == ([], [])


def test_a_full_queue_takes_no_task_and_leaves_no_result(job_connection: str) -> None:
    define_queue("tiny", max_jobs=1)
    tiny = double.using(queue_name="tiny")
    tiny.enqueue(1)
    with pytest.raises(QueueFull):
        tiny.enqueue(2)
    forget_queue("tiny")
    assert JobResult.objects.count() == 1


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("block", [transaction.atomic, nullcontext])
def test_a_store_that_is_away_leaves_no_result(
    settings: Settings, db: None, block: Callable[[], AbstractContextManager[None]]
) -> None:
    down = {"DRIVER": "tests.jobs.test_tasks.DownDriver"}
    settings.JOBS = {**settings.JOBS, "CONNECTIONS": {**settings.JOBS["CONNECTIONS"], "down": down}}
    options = {"OPTIONS": {"CONNECTION": "down"}}
    settings.TASKS = {"default": {"BACKEND": "jobs.tasks.JobsBackend", "QUEUES": [], **options}}
    with pytest.raises(ConnectionError), block():
        double.enqueue(1)
    assert not JobResult.objects.exists()


def test_results_are_kept_for_a_while(job_connection: str) -> None:
    result = double.enqueue(1)
    drain()
    assert prune_results(now=timezone.now() + timedelta(days=13)) == 0
    assert prune_results(now=timezone.now() + timedelta(days=15)) == 1
    with pytest.raises(TaskResultDoesNotExist):
        double.get_result(result.id)


def test_every_hundredth_result_takes_along_those_whose_time_is_over(db: None) -> None:
    facts: dict[str, Any] = {"task": "a.b", "backend": "default", "queue": "q", "priority": 0, "run_after": None}
    facts |= {"args": [], "kwargs": {}, "kept": timedelta(days=1)}
    create_result(job_id=(old := uuid4()), now=datetime(2026, 1, 1, tzinfo=UTC), **facts)
    for _ in range(100):
        create_result(job_id=uuid4(), now=timezone.now(), **facts)
    assert not JobResult.objects.filter(job_id=old).exists()


def test_checks_tell_what_is_wrong_in_the_settings(settings: Settings) -> None:
    options = {"CONNECTION": "nowhere", "RESULT_SECONDS": 0, "database": "default"}
    settings.TASKS = {"default": {"BACKEND": "jobs.tasks.JobsBackend", "QUEUES": ["a b"], "OPTIONS": options}}
    assert [message.id for message in check_tasks()] == ["jobs.E010", "jobs.E011", "jobs.E012", "jobs.W010"]
