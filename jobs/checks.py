"""System checks of jobs."""

from collections.abc import Sequence

from django.apps.config import AppConfig
from django.core.checks import CheckMessage, Error, Tags, Warning, register  # noqa: A004 - Django's own name
from django.core.exceptions import ImproperlyConfigured
from django.db import DEFAULT_DB_ALIAS, DatabaseError, connection
from django.utils import timezone

from jobs.arguments import get_parameters
from jobs.conf import get_job_settings
from jobs.drivers.base import QueueDriver, get_driver
from jobs.exceptions import JobDefinitionError, JobOptionError, ScheduleTimingError, UnknownConnectionError
from jobs.job import list_job_classes
from jobs.middleware import find_middleware
from jobs.options import JobOptions
from jobs.queues import get_queue
from jobs.schedules import list_entries
from jobs.selectors import list_outbox_figures
from jobs.worker.supervisors import find_supervisor


@register("jobs")
def check_connections(app_configs: Sequence[AppConfig] | None, **kwargs: object) -> list[CheckMessage]:
    """Require that each of ``JOBS["CONNECTIONS"]`` names a driver, and that the default is among them."""
    settings = get_job_settings()
    errors: list[CheckMessage] = []
    for name in (*settings.connections, settings.connection, settings.coordination or settings.connection):
        try:
            driver: object = get_driver(name)
        except (ImportError, TypeError, KeyError, UnknownConnectionError, ImproperlyConfigured) as error:
            driver, reason = None, f"can't be used: {error}"
        else:
            reason = "isn't a jobs.drivers.base.QueueDriver."
        if not isinstance(driver, QueueDriver):
            hint = "DRIVER of the default is 'jobs.drivers.database.DatabaseDriver'."
            errors.append(Error(f"JOBS['CONNECTIONS'][{name!r}] {reason}", hint=hint, id="jobs.E001"))
    return errors


@register("jobs")
def check_queues(app_configs: Sequence[AppConfig] | None, **kwargs: object) -> list[CheckMessage]:
    """Require that the queues of the settings can be defined."""
    errors: list[CheckMessage] = []
    for name in get_job_settings().queues:
        try:
            JobOptions(queue=name).check()
            get_queue(name)
        except (TypeError, JobOptionError) as error:
            errors.append(Error(f"JOBS['QUEUES'][{name!r}]: {error}", id="jobs.E003"))
    return errors


@register("jobs")
def check_supervisors(app_configs: Sequence[AppConfig] | None, **kwargs: object) -> list[CheckMessage]:
    """Require that the supervisors of the settings say what can be done."""
    errors: list[CheckMessage] = []
    for name in get_job_settings().supervisors:
        try:
            find_supervisor(name)
        except (TypeError, JobOptionError) as error:
            errors.append(Error(f"JOBS['SUPERVISORS'][{name!r}]: {error}", id="jobs.E006"))
    return errors


@register("jobs")
def check_middleware(app_configs: Sequence[AppConfig] | None, **kwargs: object) -> list[CheckMessage]:
    """Require that what the settings name as middleware is such."""
    errors: list[CheckMessage] = []
    for path in get_job_settings().middleware:
        try:
            find_middleware(path)
        except JobDefinitionError as error:
            errors.append(Error(str(error), id="jobs.E004"))
    return errors


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
def check_schedules(app_configs: Sequence[AppConfig] | None, **kwargs: object) -> list[CheckMessage]:
    """Require that the schedules of the code have names of their own and say when they are due."""
    try:
        list_entries()
    except (JobDefinitionError, ScheduleTimingError) as error:
        return [Error(str(error), id="jobs.E005")]
    return []


@register("jobs")
def check_sqlite_transactions(app_configs: Sequence[AppConfig] | None, **kwargs: object) -> list[CheckMessage]:
    """Warn when SQLite takes the write lock late: claims would then fail with "database is locked" under load."""
    options = connection.settings_dict.get("OPTIONS", {})
    if connection.vendor != "sqlite" or str(options.get("transaction_mode", "")).upper() in {"IMMEDIATE", "EXCLUSIVE"}:
        return []
    hint = "Set DATABASES['default']['OPTIONS']['transaction_mode'] to 'IMMEDIATE'."
    return [Warning("SQLite begins transactions without the write lock.", hint=hint, id="jobs.W001")]


@register(Tags.database)  # and no tag of ours: whoever asks for that reads no database
def check_outbox(
    app_configs: Sequence[AppConfig] | None, databases: Sequence[str] | None = None, **kwargs: object
) -> list[CheckMessage]:
    """Warn of what waits in the outbox for too long, and of what no relay sends; only where the database is checked."""
    if DEFAULT_DB_ALIAS not in (databases or ()):
        return []
    try:
        figures = list_outbox_figures(now=timezone.now())
    except DatabaseError:  # the table comes with a migration
        return []
    settings = get_job_settings()
    hint = "See that its store answers and that a worker, queue_schedule or queue_relay runs."
    messages: list[CheckMessage] = []
    for one in figures:
        if one.connection not in settings.connections:
            lost = f"JOBS['CONNECTIONS'] has no {one.connection!r}. {one.describe()}"
            messages.append(Warning(lost, hint="Name that connection again.", id="jobs.W003"))
        elif one.oldest_wait > settings.max_wait:
            messages.append(Warning(one.describe(), hint=hint, id="jobs.W002"))
    return messages
