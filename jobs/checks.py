"""System checks of jobs."""

from collections.abc import Sequence

from django.apps.config import AppConfig
from django.core.checks import CheckMessage, Error, Warning, register  # noqa: A004 - Django's own name
from django.db import connection

from jobs.arguments import get_parameters
from jobs.drivers.base import QueueDriver, get_driver
from jobs.exceptions import JobDefinitionError
from jobs.job import list_job_classes


@register("jobs")
def check_driver(app_configs: Sequence[AppConfig] | None, **kwargs: object) -> list[CheckMessage]:
    """Require that ``JOBS["DRIVER"]`` names a driver."""
    hint = "The default is 'jobs.drivers.database.DatabaseDriver'."
    try:
        driver: object = get_driver()
    except (ImportError, TypeError) as error:
        return [Error(f"JOBS['DRIVER'] can't be used: {error}", hint=hint, id="jobs.E001")]
    if not isinstance(driver, QueueDriver):
        return [Error("JOBS['DRIVER'] isn't a jobs.drivers.base.QueueDriver.", hint=hint, id="jobs.E001")]
    return []


@register("jobs")
def check_constructors(app_configs: Sequence[AppConfig] | None, **kwargs: object) -> list[CheckMessage]:
    """Require that the arguments of every registered job can be stored."""
    errors: list[CheckMessage] = []
    for job_class in list_job_classes():
        try:
            get_parameters(job_class)
        except JobDefinitionError as error:
            errors.append(Error(str(error), obj=job_class, id="jobs.E002"))
    return errors


@register("jobs")
def check_sqlite_transactions(app_configs: Sequence[AppConfig] | None, **kwargs: object) -> list[CheckMessage]:
    """Warn when SQLite takes the write lock late: claims would then fail with "database is locked" under load."""
    options = connection.settings_dict.get("OPTIONS", {})
    if connection.vendor != "sqlite" or str(options.get("transaction_mode", "")).upper() in {"IMMEDIATE", "EXCLUSIVE"}:
        return []
    hint = "Set DATABASES['default']['OPTIONS']['transaction_mode'] to 'IMMEDIATE'."
    return [Warning("SQLite begins transactions without the write lock.", hint=hint, id="jobs.W001")]
