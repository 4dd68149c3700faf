"""The base class of every job."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import ClassVar, NoReturn
from uuid import UUID

from django.apps import apps

from jobs.arguments import bind_arguments, decode_arguments, encode_arguments
from jobs.conf import get_job_settings
from jobs.drivers.base import MAX_QUEUE_NAME_LENGTH
from jobs.exceptions import JobDefinitionError, PermanentJobError
from jobs.services import queue_job

MAX_PRIORITY = 255
MAX_SECONDS = 365 * 24 * 3600
_MAX_NAME_LENGTH = 200

_registry: dict[str, type["Job"]] = {}


class Job(ABC):
    """Work that a worker does later, or elsewhere.

    A subclass names what it needs in its constructor and does the work in ``handle``::

        class SendEmailJob(Job):
            queue = "emails"
            tries = 5
            backoff = (10, 60, 300)

            def __init__(self, to_email: str, subject: str) -> None: ...

            def handle(self) -> None: ...


        job_id = SendEmailJob.dispatch("user@example.com", "Welcome")

    The constructor's arguments are the payload: JSON types, ``UUID`` and aware ``datetime``, checked against the
    annotations at dispatch and again at the worker, which builds the job anew for each try. The constructor should
    therefore only keep them. A job may run more than once (a worker can die after the work and before the note of
    it), so ``handle`` must bear that.

    Every subclass that has a ``handle`` is registered as ``<app_label>.<ClassName>``; nothing else is ever run.
    """

    #: Queue that it waits in; 1 to 100 characters without comma, space or control characters.
    queue: ClassVar[str] = "default"
    #: How often it is tried in all, from 1. Tries are counted when a worker takes the job, so a crash counts.
    tries: ClassVar[int] = 3
    #: Wait after a try that went wrong, in seconds: one number, or one for each try with the last for all later ones.
    backoff: ClassVar[int | Sequence[int]] = (10, 60, 300)
    #: A try that runs longer is stopped and counts as gone wrong, in seconds; 0 means no limit.
    timeout: ClassVar[int] = 60
    #: 0 to 255; of the due jobs of one queue the highest runs first.
    priority: ClassVar[int] = 0

    def __init__(self) -> None:  # noqa: B027 - a job without arguments needs no constructor
        """Take no arguments unless a subclass says so."""

    def __init_subclass__(cls, **kwargs: object) -> None:
        """Check the options and register the class, unless it is a base without ``handle``.

        Raises:
            JobDefinitionError: An option is out of range, or another class has the same name.
        """
        super().__init_subclass__(**kwargs)
        _check_options(cls)
        if cls.handle is Job.handle:
            return
        name = get_job_name(cls)
        known = _registry.get(name, cls)
        if (known.__module__, known.__qualname__) != (cls.__module__, cls.__qualname__):
            message = f"{cls.__module__}.{cls.__qualname__}: {known.__module__}.{known.__qualname__} is {name} already."
            raise JobDefinitionError(message)
        _registry[name] = cls

    @classmethod
    def dispatch[**P](cls: Callable[P, "Job"], *args: P.args, **kwargs: P.kwargs) -> UUID:
        """Queue the job and return its id; the arguments are the constructor's.

        Within a transaction the job becomes visible to workers with the commit, and never if it is rolled back.

        Raises:
            JobArgumentError: An argument is missing, of the wrong type or can't be stored.
            JobDefinitionError: The class isn't a registered job, or its constructor can't be stored.
        """
        job_class = _require_registered(cls)
        arguments = encode_arguments(bind_arguments(job_class, args, kwargs))
        cls(*args, **kwargs)  # what the constructor itself objects to is heard here rather than in the worker
        return queue_job(
            job_class=get_job_name(job_class),
            queue=job_class.queue,
            arguments=arguments,
            priority=job_class.priority,
        )

    @abstractmethod
    def handle(self) -> None:
        """Do the work. An exception means that it went wrong and is tried again while tries are left."""

    def failed(self, error: Exception) -> None:  # noqa: B027 - most jobs have nothing to add
        """React, once, when the job has gone to the failed jobs; what this raises is logged and changes nothing."""

    def fail(self, error: Exception | str) -> NoReturn:
        """Stop here and send the job to the failed jobs at once, whatever tries are left.

        Raises:
            PermanentJobError: Always; raising it does the same.
        """
        if isinstance(error, Exception):
            raise PermanentJobError(str(error)) from error
        raise PermanentJobError(error)


def get_job_name(job_class: type[Job]) -> str:
    """Return ``<app_label>.<ClassName>``; outside of apps the top-level package stands for the label."""
    app_config = apps.get_containing_app_config(job_class.__module__)
    label = app_config.label if app_config else job_class.__module__.partition(".")[0]
    return f"{label}.{job_class.__name__}"


def get_job_class(name: str) -> type[Job] | None:
    """Return the registered class of that name."""
    return _registry.get(name)


def list_job_classes() -> list[type[Job]]:
    """Return the registered classes by name."""
    return [_registry[name] for name in sorted(_registry)]


def build_job(job_class: type[Job], encoded: Mapping[str, object]) -> Job:
    """Return the job that was dispatched with these encoded arguments.

    Raises:
        JobArgumentError: They don't fit the constructor (any more).
    """
    arguments = bind_arguments(job_class, (), decode_arguments(encoded))
    constructor: Callable[..., Job] = job_class
    return constructor(**arguments)


def get_lease(name: str) -> timedelta:
    """Return how long a worker may hold a job of that class."""
    config = get_job_settings()
    job_class = _registry.get(name)
    if job_class is None:
        return config.lease_margin
    if job_class.timeout == 0:
        return config.unlimited_lease
    return timedelta(seconds=job_class.timeout) + config.lease_margin


def is_queue_name(name: object) -> bool:
    """Say whether this can be the name of a queue."""
    return (
        isinstance(name, str)
        and 0 < len(name) <= MAX_QUEUE_NAME_LENGTH
        and name.isprintable()
        and not any(character.isspace() or character == "," for character in name)
    )


def _require_registered(candidate: object) -> type[Job]:
    if isinstance(candidate, type) and issubclass(candidate, Job):
        if _registry.get(get_job_name(candidate)) is candidate:
            return candidate
        message = f"{candidate.__qualname__} isn't a registered job: it has no handle(), or was replaced."
        raise JobDefinitionError(message)
    message = f"{candidate!r} isn't a job class."
    raise JobDefinitionError(message)


def _check_options(job_class: type[Job]) -> None:
    backoff = job_class.backoff
    waits = backoff if isinstance(backoff, list | tuple) else [backoff]
    rules = {
        "queue must be 1 to 100 characters without comma, space or control characters": is_queue_name(job_class.queue),
        "tries must be a whole number from 1": _is_within(job_class.tries, 1, 1_000_000),
        f"timeout must be 0 to {MAX_SECONDS} whole seconds": _is_within(job_class.timeout, 0, MAX_SECONDS),
        f"priority must be 0 to {MAX_PRIORITY}": _is_within(job_class.priority, 0, MAX_PRIORITY),
        f"backoff must be 0 to {MAX_SECONDS} whole seconds, or a list of such": all(
            _is_within(wait, 0, MAX_SECONDS) for wait in waits
        ),
        f"the name must be at most {_MAX_NAME_LENGTH} characters": len(get_job_name(job_class)) <= _MAX_NAME_LENGTH,
    }
    for rule, holds in rules.items():
        if not holds:
            message = f"{job_class.__module__}.{job_class.__qualname__}: {rule}."
            raise JobDefinitionError(message)


def _is_within(value: object, lowest: int, highest: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and lowest <= value <= highest
