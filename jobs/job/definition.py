"""Whether a job class, or one job, is written in a way that can work."""

import inspect
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Final, NoReturn

from jobs.exceptions import JobDefinitionError, JobOptionError
from jobs.options import JobOptions

if TYPE_CHECKING:
    from jobs.job.base import Job

#: What a class says for all of its jobs; one job says it in ``self.options``.
_OPTIONS: Final = frozenset(
    {
        "queue", "connection", "tries", "backoff", "timeout", "fail_on_timeout", "priority", "delay", "max_exceptions",
        "retry_until",
    }
)  # fmt: skip


def check_class(job_class: "type[Job]") -> None:
    """Make sure that the options of a class are in range.

    Raises:
        JobDefinitionError: One isn't, or two exclude each other.
    """
    options = JobOptions(
        queue=job_class.queue,
        connection=job_class.connection,
        tries=job_class.tries,
        backoff=job_class.backoff,
        timeout=job_class.timeout,
        priority=job_class.priority,
        delay=job_class.delay,
        max_exceptions=job_class.max_exceptions,
        retry_until=job_class.retry_until,
        is_failed_on_timeout=job_class.fail_on_timeout,
    )
    about = f"{job_class.__module__}.{job_class.__qualname__}"
    try:
        options.check(about=about)
        for name in ("unique_for", "debounce_for", "debounce_max_wait"):
            JobOptions(delay=getattr(job_class, name)).check(about=f"{about}: {name}")
    except JobOptionError as error:
        raise JobDefinitionError(str(error)) from None
    if job_class.unique_for is not None and job_class.debounce_for is not None:
        message = f"{about}: a job can't be unique and debounced."
        raise JobDefinitionError(message)


def check_attributes(job: "Job") -> None:
    """Make sure that no attribute of a job hides what its class needs.

    Raises:
        JobDefinitionError: One does; the text says which name to change.
    """
    sound = _get_sound_names(type(job))
    if sound and job.__dict__.keys() <= sound:
        return
    slots = (name for base in type(job).__mro__ for name in vars(base).get("__slots__", ()))
    names = (*job.__dict__, *slots)
    for name in names:
        if name in _OPTIONS:
            option = "is_failed_on_timeout" if name == "fail_on_timeout" else name
            message = (
                f"{type(job).__name__}: the attribute {name!r} hides an option of the class. Set self.options.{option} "
                "if that is meant; change the name otherwise."
            )
            raise JobDefinitionError(message)
        if any(inspect.isroutine(getattr(base, name, None)) for base in type(job).__mro__):
            raise JobDefinitionError(_say_hidden(job, name))
    sound.update(names)


@cache
def _get_sound_names(_job_class: "type[Job]") -> set[str]:
    """Return the names of attributes of which it is known that they hide nothing; the caller adds to them."""
    return set()


def refuse_attribute(name: str) -> "Callable[[Job, object], NoReturn]":
    """Return what sets a property of ``Job`` that a constructor must not set."""

    def refuse(job: "Job", _value: object) -> NoReturn:
        raise JobDefinitionError(_say_hidden(job, name))

    return refuse


def _say_hidden(job: "Job", name: str) -> str:
    return f"{type(job).__name__}: the attribute {name!r} would hide Job.{name}; change its name, such as to {name}_."
