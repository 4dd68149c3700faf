"""Tasks, with what jobs add to them."""

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Concatenate, Literal, TypedDict, Unpack, overload

from django.tasks import Task as DjangoTask
from django.tasks import TaskContext
from django.tasks import task as django_task
from django.utils import timezone
from django.utils.module_loading import import_string

from jobs.backoff import Backoff
from jobs.exceptions import PayloadError
from jobs.limits import RateLimit
from jobs.options import JobOptions

if TYPE_CHECKING:  # generic in the stubs alone
    type AnyTask = DjangoTask[..., Any]  # Any: of whatever function
    TaskBase = DjangoTask[..., Any]  # Any: as above
else:
    TaskBase = AnyTask = DjangoTask


@dataclass(frozen=True, slots=True, kw_only=True)
class JobsTask(TaskBase):
    """A task of which more can be said; see ``jobs.options.JobOptions``. None leaves it to the queue and the settings.

    A task with a ``rate_limit`` that finds no room is put back, which counts as a try: give it many, or
    ``retry_until``.
    """

    tries: int | None = None
    backoff: Backoff | None = None
    timeout: int | float | None = None
    max_exceptions: int | None = None
    retry_until: timedelta | datetime | None = None
    #: For so many seconds at most, only one task with the same arguments waits or runs; enqueueing a second one
    #: returns the result of the first.
    unique_for: int | None = None
    tags: Sequence[str] = ()
    #: How often it may start, over all workers.
    rate_limit: RateLimit | None = None

    def make_options(self) -> JobOptions:
        """Return what holds for its jobs.

        Raises:
            JobOptionError: Something is out of range.
        """
        options = JobOptions(
            tries=self.tries,
            backoff=self.backoff,
            timeout=self.timeout,
            max_exceptions=self.max_exceptions,
            retry_until=self.retry_until,
            tags=(self.tags,) if isinstance(self.tags, str) else tuple(self.tags),
        )
        options.check(about="task")
        JobOptions(delay=self.unique_for).check(about="task: unique_for")
        return options


class TaskOptions(TypedDict, total=False):
    """What can be said of a task."""

    priority: int
    queue_name: str
    backend: str
    tries: int
    backoff: Backoff
    timeout: int | float
    max_exceptions: int
    retry_until: timedelta | datetime
    unique_for: int
    tags: Sequence[str]
    rate_limit: RateLimit


@overload
def task[**P, R](
    *, takes_context: Literal[True], **options: Unpack[TaskOptions]
) -> "Callable[[Callable[Concatenate[TaskContext[..., Any], P], R]], DjangoTask[P, R]]": ...  # Any: of any task


@overload
def task[**P, R](
    *, takes_context: Literal[False] = False, **options: Unpack[TaskOptions]
) -> "Callable[[Callable[P, R]], DjangoTask[P, R]]": ...


def task(*, takes_context: bool = False, **options: Unpack[TaskOptions]) -> Any:  # Any: see above
    """Make a task of a function: Django's own decorator, which knows the types of our options too."""
    make: Any = django_task  # Any: the stubs know Django's options alone
    return make(takes_context=takes_context, **options)


def find_task(path: str) -> "AnyTask":
    """Return the task of a module path, which is imported; only for paths that come from a signed record.

    Raises:
        PayloadError: There is none; another object, even one that can be called, is no task.
    """
    try:
        found: object = import_string(path)
    except ImportError:
        found = None
    return _check_task(path, found)


def find_loaded_task(path: str) -> "AnyTask":
    """Return the task of a module path that a row names, which anybody may have written: nothing is imported.

    Raises:
        PayloadError: There is none, or its module isn't imported here.
    """
    return _check_task(path, find_loaded(path))


def find_loaded(path: str) -> object:
    """Return what stands under a path on the top level of a module that is imported already; otherwise None."""
    module, _, name = path.rpartition(".")
    return vars(sys.modules[module]).get(name) if sys.modules.get(module) else None


def _check_task(path: str, found: object) -> "AnyTask":
    if not isinstance(found, DjangoTask):
        message = f"Expected {path!r} to point to a Task instance."
        raise PayloadError(message)
    return found


def to_aware(moment: datetime | None) -> datetime | None:
    """Return a moment with its time zone, that of the settings where it has none."""
    if moment is None or moment.tzinfo is not None:
        return moment
    aware: datetime = timezone.make_aware(moment)
    return aware
