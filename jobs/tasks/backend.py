"""The back end itself."""

from contextlib import nullcontext
from functools import partial
from typing import Any, Final, override
from uuid import UUID

from django.core.checks import CheckMessage, Error, Warning  # noqa: A004 - Django's own name
from django.db import transaction
from django.tasks.backends.base import BaseTaskBackend
from django.tasks.exceptions import InvalidTask, TaskResultDoesNotExist
from django.tasks.signals import task_enqueued
from django.utils import timezone

from jobs.coordination import get_coordinator
from jobs.drivers.base import get_driver
from jobs.drivers.sync import SyncDriver
from jobs.exceptions import JobDefinitionError, JobOptionError, UnknownConnectionError
from jobs.models import JobResult
from jobs.options import is_queue_name
from jobs.queues import mention_queue
from jobs.selectors import find_result
from jobs.services import UNIQUE, create_result, forget_result
from jobs.tasks.definition import AnyTask, JobsTask, to_aware
from jobs.tasks.job import TaskJob
from jobs.tasks.results import AnyResult, announce, fill_result, get_kept, make_result

_OPTIONS: Final = ("CONNECTION", "RESULT_SECONDS")


class JobsBackend(BaseTaskBackend):
    """Enqueues tasks as jobs. Within a transaction a task is seen by workers with the commit, or never."""

    task_class = JobsTask
    supports_defer = True
    supports_async_task = True
    supports_get_result = True
    supports_priority = True

    def __init__(self, alias: str, params: dict[str, Any]) -> None:  # Any: as Django has it
        """Take what the settings say, and let its queues be known."""
        super().__init__(alias, params)
        for queue in filter(is_queue_name, self.queues):
            mention_queue(queue)

    @override
    def validate_task(self, task: AnyTask) -> None:
        """Make sure that a task can run here.

        Raises:
            InvalidTask: It can't.
        """
        super().validate_task(task)
        if not is_queue_name(task.queue_name):
            message = "queue_name must be 1 to 100 characters without comma, space, '*' or ':p'."
            raise InvalidTask(message)
        if isinstance(task, JobsTask):
            try:
                task.make_options()
            except (JobOptionError, JobDefinitionError, TypeError) as error:
                raise InvalidTask(str(error)) from None

    @override
    def enqueue(self, task: Any, args: Any, kwargs: Any) -> Any:  # Any: generic over the function in the stubs alone
        """Send a task and return its result, which is to come.

        Raises:
            InvalidTask: It can't run here.
            TypeError: An argument is no JSON value.
            QueueFull: The queue holds as many jobs as it may.
        """
        self.validate_task(task)
        job = TaskJob.of(task, args, kwargs)
        driver = get_driver(job.make_record().connection)
        is_at_once = isinstance(driver, SyncDriver)
        with transaction.atomic() if driver.is_transactional else nullcontext():
            row = self._create(task, job)
            if is_at_once:
                transaction.on_commit(partial(announce, task_enqueued, row))
            row = self._send(job, row)
        if not job.was_sent:
            return self._find_first(job, row) or self.enqueue(task, args, kwargs)
        if not is_at_once:
            transaction.on_commit(partial(announce, task_enqueued, row))
        return fill_result(find_result(job.job_id) or row if is_at_once else row, task)

    @override
    def get_result(self, result_id: str) -> Any:  # Any: as above
        """Return the result of a task, whichever back end and connection took it.

        Raises:
            TaskResultDoesNotExist: There is none, or it was deleted after its time.
        """
        try:
            row = find_result(UUID(str(result_id)))
        except ValueError:
            row = None
        if row is None:
            raise TaskResultDoesNotExist(result_id)
        return make_result(row)

    @override
    def check(self, **kwargs: Any) -> list[CheckMessage]:  # Any: as Django has it
        """Require that the queues can be called so, and that the options are known and possible."""
        about = f"TASKS[{self.alias!r}]"
        found: list[CheckMessage] = [*super().check(**kwargs)]
        wrong = sorted(name for name in self.queues if not is_queue_name(name))
        found += [Error(f"{about}: {queue!r} can't be the name of a queue.", id="jobs.E010") for queue in wrong]
        try:
            get_driver(self.options.get("CONNECTION"))
        except UnknownConnectionError as error:
            found.append(Error(f"{about}: {error}", id="jobs.E011"))
        seconds = self.options.get("RESULT_SECONDS", 1)
        if not isinstance(seconds, int | float) or seconds <= 0:
            found.append(Error(f"{about}: RESULT_SECONDS must be a number above 0.", id="jobs.E012"))
        hint = f"Known: {', '.join(_OPTIONS)}."
        ignored = sorted(set(self.options) - set(_OPTIONS))
        found += [Warning(f"{about}: the option {name!r} is ignored.", hint=hint, id="jobs.W010") for name in ignored]
        return found

    def _create(self, task: AnyTask, job: TaskJob) -> JobResult:
        return create_result(
            job_id=job.job_id,
            task=job.path,
            backend=self.alias,
            queue=task.queue_name,
            priority=task.priority,
            run_after=to_aware(task.run_after),
            args=job.args,
            kwargs=job.kwargs,
            now=timezone.now(),
            kept=get_kept(self.alias),
        )

    def _send(self, job: TaskJob, row: JobResult) -> JobResult:
        try:
            job.send()
        except Exception:
            stored = self._find_ended(job)
            if stored is None:
                raise
            # The task has run at once and failed, which the result tells, as with Django's own back end.
            row, job.__dict__["was_sent"] = stored, True
        if not job.was_sent:
            forget_result(job_id=job.job_id)
        return row

    def _find_ended(self, job: TaskJob) -> JobResult | None:
        """Return the result of a task that has ended already; forget it where it wasn't even sent."""
        if transaction.get_connection().needs_rollback:
            return None
        row = find_result(job.job_id)
        if row is not None and row.status == "FAILED":
            return row
        forget_result(job_id=job.job_id)
        return None

    def _find_first(self, job: TaskJob, row: JobResult) -> AnyResult | None:
        """Return the result of the task with the same key that waits or runs; None where it has ended just now."""
        record = job.make_record()
        key = UNIQUE + str(record.unique["key"] if record.unique else "")
        for owner in get_coordinator().list_owners(key):
            row.job_id = UUID(owner)
            return make_result(find_result(row.job_id) or row)
        return None
