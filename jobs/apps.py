"""App configuration."""

from importlib import import_module, util
from typing import override

from django.apps import AppConfig
from django.core.exceptions import ImproperlyConfigured

from jobs.conf import get_job_settings


class JobsConfig(AppConfig):
    """The app ``jobs``."""

    name = "jobs"
    verbose_name = "Jobs"

    @override
    def ready(self) -> None:
        """Connect the receivers, register the checks and import the modules that define jobs."""
        from jobs import checks, receivers  # noqa: F401, PLC0415 - their decorators register; models are ready only now

        for module in get_job_settings().modules:
            _import_jobs(module)


def _import_jobs(module: str) -> None:
    """Import a module of jobs.

    Raises:
        ImproperlyConfigured: There is no such module; an error inside of one comes through as it is.
    """
    try:
        found = util.find_spec(module)
    except (ImportError, ValueError):
        found = None
    if found is None:
        message = f"JOBS['MODULES'] names {module!r}, which is no module. Correct the name or remove it."
        raise ImproperlyConfigured(message)
    import_module(module)
