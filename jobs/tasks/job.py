"""The job of a task."""

import hashlib
import json
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Self, override

from django.db import transaction
from django.tasks import TaskContext
from django.tasks.base import TASK_MAX_PRIORITY, TASK_MIN_PRIORITY
from django.tasks.exceptions import InvalidTask
from django.tasks.signals import task_finished, task_started
from django.utils import timezone
from django.utils.json import normalize_json

from jobs.batch import BatchableJob
from jobs.conf import get_job_settings
from jobs.exceptions import PayloadError
from jobs.job import JobEnd
from jobs.middleware import Middleware, ThrottleMiddleware
from jobs.models import JobResult
from jobs.options import MAX_PRIORITY
from jobs.queues import mention_queue
from jobs.services import ResultStatus, dump, end_result, forget_result, start_result
from jobs.tasks.definition import AnyTask, JobsTask, find_task, to_aware
from jobs.tasks.results import announce, get_kept, make_result

if TYPE_CHECKING:
    from django.tasks import Task


class TaskJob(BatchableJob):
    """The job of one task."""

    def __init__(
        self,
        path: str,
        args: list[Any],  # Any: JSON
        kwargs: dict[str, Any],  # Any: JSON
        backend: str,
    ) -> None:
        """Take the module path of the task, what it is called with, and the back end that took it."""
        self.path = path
        self.args = args
        self.kwargs = kwargs
        self.backend = backend

    @classmethod
    def of(cls, task: AnyTask, args: Sequence[object], kwargs: dict[str, object]) -> Self:
        """Return the job of a task that is called with these arguments.

        Raises:
            InvalidTask: No worker would find the task under its path, or it can't run as it is.
            TypeError: An argument is no JSON value.
        """
        if not _is_found(task):
            message = f"Task {task.module_path} must be found under the name of its function."
            raise InvalidTask(message)
        positional: Any = normalize_json(list(args))  # Any: JSON
        named: Any = normalize_json(dict(kwargs))  # Any: JSON
        job = cls(task.module_path, positional, named, task.backend)
        if isinstance(task, JobsTask):
            job.__dict__["_options"] = task.make_options()
            job.__dict__["unique_for"] = task.unique_for
        mention_queue(task.queue_name)
        job.options.queue = task.queue_name
        job.options.priority = _to_job_priority(task.priority)
        job.options.delay = to_aware(task.run_after)
        job.options.connection = task.get_backend().options.get("CONNECTION")
        return job

    @override
    @classmethod
    def deserialize(cls, payload: Any) -> Self:  # Any: JSON
        """Return the job of a record, which must name a task: an arbitrary callable is none.

        Raises:
            PayloadError: It doesn't.
        """
        job = super().deserialize(payload)
        find_task(job.path)
        return job

    @override
    def handle(self) -> Any:  # Any: whatever the task returns
        """Run the task."""
        task, value = find_task(self.path), None
        row = self._start(task)
        result = make_result(row)
        announce(task_started, row)
        context = [TaskContext(task_result=result)] if task.takes_context else []
        value = normalize_json(task.call(*context, *self.args, **self.kwargs))
        encoded = dump(value)
        if len(encoded) > (limit := get_job_settings().max_payload_bytes):
            message = f"The return value takes {len(encoded)} bytes, at most {limit} are stored; return an id instead."
            raise ValueError(message)
        self.__dict__["_value"] = encoded
        return value

    @override
    def undo_dispatch(self) -> None:
        """Delete the result that will never come."""
        forget_result(job_id=self.job_id)

    @override
    def record_end(self, end: JobEnd) -> None:
        """Write the result."""
        value = self.__dict__.get("_value")
        status: ResultStatus
        if end.state == "done":  # without having run it was dropped, by middleware
            status = "FAILED" if value is None else "SUCCESSFUL"
        else:
            status = "READY" if end.state == "released" else "FAILED"
        row = end_result(
            job_id=self.job_id,
            attempts=end.attempts,
            status=status,
            value=value if status == "SUCCESSFUL" and value is not None else "null",
            error=end.error,
            now=end.now,
            kept=get_kept(self.backend),
        )
        if row is not None and status in {"FAILED", "SUCCESSFUL"}:
            transaction.on_commit(partial(announce, task_finished, row))

    @override
    def middleware(self) -> Sequence[Middleware]:
        """Return the limit of the task."""
        limit = getattr(find_task(self.path), "rate_limit", None)
        return [] if limit is None else [ThrottleMiddleware(limit=limit, key=f"task:{self.path}")]

    @override
    def get_tags(self) -> Sequence[str]:
        """Return the path of the task."""
        return [f"task:{self.path}"[:200]]

    @override
    def unique_key(self) -> str:
        """Return the task and its arguments."""
        arguments = json.dumps([self.args, self.kwargs], sort_keys=True)
        return f"{self.path}:{hashlib.sha256(arguments.encode()).hexdigest()}"

    def _start(self, task: AnyTask) -> JobResult:
        run = self._get_run()
        row = JobResult(
            job_id=self.job_id,
            task=self.path,
            backend=self.backend,
            queue=run.queue,
            priority=task.priority,
            arguments=dump({"args": self.args, "kwargs": self.kwargs}),
        )
        kept, now = get_kept(self.backend), timezone.now()
        return start_result(row=row, worker=run.worker or "sync", attempts=run.attempts, now=now, kept=kept)


def task_job[**P](task: "Task[P, Any]", /, *args: P.args, **kwargs: P.kwargs) -> TaskJob:  # Any: what it returns
    """Return the job of a task, for batches and chains. Raises as ``TaskJob.of`` does."""
    return TaskJob.of(task, args, kwargs)


def _to_job_priority(priority: int) -> int:
    """Return -100 to 100 as 0 to 255, each different from all others."""
    return (priority - TASK_MIN_PRIORITY) * MAX_PRIORITY // (TASK_MAX_PRIORITY - TASK_MIN_PRIORITY)


def _is_found(task: AnyTask) -> bool:
    """Say whether a worker finds a task under its path."""
    try:
        return find_task(task.module_path).func is task.func
    except PayloadError:
        return False
