"""The job classes that may run: those that were defined, by name, and nothing else."""

from typing import TYPE_CHECKING, Final

from django.apps import apps

from jobs.exceptions import JobDefinitionError

if TYPE_CHECKING:
    from jobs.job.base import Job

_MAX_NAME_LENGTH: Final = 200
_registry: Final[dict[str, type["Job"]]] = {}
#: The names of those that were registered: to look for the app of a module takes longer than to send a job should.
_names: Final[dict[type, str]] = {}


def register(job_class: "type[Job]") -> None:
    """Let a class be found by its name.

    Raises:
        JobDefinitionError: Another class has the same name, or it is too long.
    """
    name = get_job_name(job_class)
    if len(name) > _MAX_NAME_LENGTH:
        message = f"{job_class.__qualname__}: the name must be at most {_MAX_NAME_LENGTH} characters."
        raise JobDefinitionError(message)
    known = _registry.get(name, job_class)
    if (known.__module__, known.__qualname__) != (job_class.__module__, job_class.__qualname__):
        known_path = f"{known.__module__}.{known.__qualname__}"
        message = f"{job_class.__module__}.{job_class.__qualname__}: {known_path} is {name} already."
        raise JobDefinitionError(message)
    _registry[name] = job_class
    _names[job_class] = name


def get_job_name(job_class: type) -> str:
    """Return ``<app_label>.<ClassName>``; outside of apps the top-level package stands for the label."""
    if (name := _names.get(job_class)) is not None:
        return name
    app_config = apps.get_containing_app_config(job_class.__module__)
    label = app_config.label if app_config else job_class.__module__.partition(".")[0]
    return f"{label}.{job_class.__name__}"


def get_job_class(name: str) -> "type[Job] | None":
    """Return the registered class of that name."""
    return _registry.get(name)


def list_job_classes() -> "list[type[Job]]":
    """Return the registered classes by name."""
    return [_registry[name] for name in sorted(_registry)]


def require_registered(job_class: "type[Job]") -> str:
    """Return the name of a class that may run.

    Raises:
        JobDefinitionError: It isn't one.
    """
    name = get_job_name(job_class)
    if _registry.get(name) is not job_class:
        message = f"{job_class.__qualname__} isn't a registered job: it has no handle(), or was replaced."
        raise JobDefinitionError(message)
    return name
