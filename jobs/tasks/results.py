"""Results as ``django.tasks`` has them, made of stored rows."""

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, override

from django.tasks import TaskResult, TaskResultStatus, task_backends
from django.tasks.base import TaskError
from django.tasks.exceptions import InvalidTask, InvalidTaskBackend

from jobs.exceptions import PayloadError
from jobs.models import JobResult
from jobs.tasks.definition import AnyTask, find_loaded, find_loaded_task

if TYPE_CHECKING:  # generic in the stubs alone
    type AnyResult = TaskResult[..., Any]  # Any: of whatever function
else:
    AnyResult = TaskResult

_RESULTS_KEPT: Final = timedelta(days=14)


class StoredError(TaskError):
    """An exception that a row names, which anybody may have written: nothing is imported to find its class."""

    @property
    @override
    def exception_class(self) -> type[BaseException]:
        """Return the class.

        Raises:
            ValueError: It is gone, or its module isn't imported here.
        """
        found = find_loaded(self.exception_class_path)
        if isinstance(found, type) and issubclass(found, BaseException):
            return found
        message = f"{self.exception_class_path!r} does not reference a valid exception."
        raise ValueError(message)


def make_result(row: JobResult) -> AnyResult:
    """Return a result as ``django.tasks`` has it.

    Raises:
        ValueError: The task is gone, or its module isn't imported here.
    """
    try:
        task = find_loaded_task(row.task)
    except PayloadError as error:
        raise ValueError(str(error)) from None
    said = task.using(priority=row.priority, queue_name=row.queue, run_after=row.run_after, backend=row.backend)
    return fill_result(row, said)


def fill_result(row: JobResult, task: AnyTask) -> AnyResult:
    """Return a result of a task that is known."""
    arguments = json.loads(row.arguments)
    result: AnyResult = TaskResult(
        task=task,
        id=str(row.job_id),
        status=TaskResultStatus(row.status),
        enqueued_at=row.enqueued_at,
        started_at=row.started_at,
        finished_at=row.finished_at,
        last_attempted_at=row.last_attempted_at,
        args=arguments["args"],
        kwargs=arguments["kwargs"],
        backend=row.backend,
        errors=[StoredError(exception_class_path=path, traceback=text) for path, text in json.loads(row.errors)],
        worker_ids=json.loads(row.worker_ids),
    )
    object.__setattr__(result, "_return_value", json.loads(row.return_value))  # as Django's own back ends do
    return result


def announce(signal: Any, row: JobResult) -> None:  # Any: one of Django's signals
    """Tell Django's own signal, robustly: a receiver that raises is logged and stops nobody."""
    try:
        result = make_result(row)
    except (ValueError, InvalidTask, InvalidTaskBackend):  # nobody could tell what it is about
        return
    signal.send_robust(type(result.task.get_backend()), task_result=result)


def get_kept(alias: str) -> timedelta:
    """Return how long a back end keeps results."""
    try:
        seconds = task_backends[alias].options.get("RESULT_SECONDS")
    except InvalidTaskBackend:
        seconds = None
    return _RESULTS_KEPT if seconds is None else timedelta(seconds=seconds)
