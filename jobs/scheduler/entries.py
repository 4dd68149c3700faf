"""Entries of the schedule as they are written down: packed, signed, changed, opened again."""

import json
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Final, cast

from django.db import transaction
from django.utils import timezone

from jobs.arguments import bind_arguments, decode_arguments
from jobs.encryption import is_sealed, seal, unseal
from jobs.exceptions import (
    JobArgumentError,
    JobDefinitionError,
    ModelMissingError,
    PayloadError,
    ScheduleBrokenError,
    ScheduleTimingError,
)
from jobs.job import Job, get_job_class
from jobs.models import Schedule
from jobs.payload import read_document, sign_document
from jobs.schedules import Entry, MissedRunsPolicy, list_entries
from jobs.security import SecureJob
from jobs.signals import ScheduleChanged, schedule_changed

#: Where an entry comes from.
CODE: Final = "code"
ADMIN: Final = "admin"


def save_entry(
    *, entry: Entry, origin: str = ADMIN, schedule: Schedule | None = None, now: datetime | None = None
) -> Schedule:
    """Write an entry down: a new one, or in place of what a row said. What people change code changes no more.

    Where it says another time than before, or is enabled again, its next run is counted from now.

    Raises:
        ScheduleTimingError: It says nothing that could be due.
    """
    now = now or timezone.now()
    row = schedule or Schedule(origin=origin)
    is_new_time = row._state.adding or row.timing != entry.timing or row.is_enabled != entry.is_enabled  # noqa: SLF001 - Django's documented name of it
    row.name, row.job_class = entry.name, entry.job_class
    row.arguments = _pack(entry)
    row.cron, row.timezone = entry.timing.cron, entry.timing.timezone
    row.interval_seconds = None if entry.timing.interval is None else int(entry.timing.interval.total_seconds())
    row.queue, row.priority, row.actor_id = entry.queue, entry.priority, entry.actor_id
    row.is_enabled = entry.is_enabled
    row.missed_runs, row.max_missed = entry.missed_runs, entry.max_missed
    row.signature = _sign(row)
    row.is_edited = origin == ADMIN and row.origin == CODE
    if entry.is_enabled:
        row.is_gone = False
    if is_new_time or (row.is_enabled and row.next_run_at is None):
        row.next_run_at = entry.timing.get_next(now) if entry.is_enabled else None
    row.save()
    if origin == ADMIN:
        schedule_changed.announce(ScheduleChanged(schedule=row.name, change="saved"))
    return row


def read_entry(row: Schedule) -> Entry:
    """Return what a row says.

    Raises:
        ScheduleBrokenError: What it runs was changed by somebody else than this house.
    """
    _check_signature(row)
    return Entry(
        name=row.name,
        job_class=row.job_class,
        arguments=_unpack(row),
        timing=row.timing,
        queue=row.queue,
        priority=row.priority,
        actor_id=row.actor_id,
        is_enabled=row.is_enabled,
        missed_runs=cast("MissedRunsPolicy", row.missed_runs),
        max_missed=row.max_missed,
    )


def open_schedule(row: Schedule) -> Job:
    """Return the job of an entry, ready to be sent.

    Raises:
        ScheduleBrokenError: Its class is gone, its arguments don't fit, or it was changed by somebody else.
    """
    return build_scheduled_job(read_entry(row))


def build_scheduled_job(entry: Entry) -> Job:
    """Return the job that an entry means. Raises as ``open_schedule`` does."""
    job_class = get_job_class(entry.job_class)
    if job_class is None:
        message = f"No registered job class is called {entry.job_class}; see JOBS['MODULES']."
        raise ScheduleBrokenError(message)
    try:
        arguments = bind_arguments(job_class, (), decode_arguments(entry.arguments))
        constructor: Any = job_class  # Any: each class has a constructor of its own
        job: Job = constructor(**arguments)
    except (JobArgumentError, JobDefinitionError, ModelMissingError) as error:
        raise ScheduleBrokenError(str(error)) from error
    except Exception as error:
        message = f"{entry.job_class}: the constructor raised {type(error).__name__}."
        raise ScheduleBrokenError(message) from error
    job.options.queue = entry.queue or job.options.queue
    job.options.priority = job.options.priority if entry.priority is None else entry.priority
    job.options.tags = (*job.options.tags, f"schedule:{entry.name}")
    job.__dict__["actor_id"] = entry.actor_id
    return job


def enable_schedules(*, ids: Iterable[int], now: datetime | None = None) -> int:
    """Let entries be due again, counted from now; return how many weren't. One that code has no more stays, as ours."""
    return _switch(ids, is_enabled=True, now=now or timezone.now())


def disable_schedules(*, ids: Iterable[int]) -> int:
    """Let entries be due no more; return how many were."""
    return _switch(ids, is_enabled=False, now=timezone.now())


def reset_schedules(*, ids: Iterable[int], now: datetime | None = None) -> int:
    """Write entries that people have changed as code has them; return how many there were."""
    entries = {entry.name: entry for entry in list_entries()}
    count = 0
    with transaction.atomic():
        for row in Schedule.objects.select_for_update().filter(pk__in=list(ids), origin=CODE, is_edited=True):
            if row.name in entries:
                save_entry(entry=entries[row.name], origin=CODE, schedule=row, now=now)
                schedule_changed.announce(ScheduleChanged(schedule=row.name, change="reset"))
                count += 1
    return count


def is_secret(job_class: type[Job] | None) -> bool:
    """Say whether the arguments of a class are kept from people: those of encrypted and of secure jobs."""
    return job_class is None or job_class.encrypted or issubclass(job_class, SecureJob)


def get_shown_arguments(row: Schedule) -> Mapping[str, object] | None:
    """Return the arguments as people may see them; None where they may not, or where they can't be read."""
    if is_secret(get_job_class(row.job_class)):
        return None
    try:
        return _unpack(row)
    except ScheduleBrokenError:
        return None


def _switch(ids: Iterable[int], *, is_enabled: bool, now: datetime) -> int:
    count = 0
    with transaction.atomic():
        for row in Schedule.objects.select_for_update().filter(pk__in=list(ids), is_enabled=not is_enabled):
            row.is_enabled = is_enabled
            row.origin, row.is_gone = (ADMIN, False) if row.is_gone else (row.origin, False)
            row.is_edited = row.origin == CODE
            row.next_run_at = _get_next(row, now) if is_enabled else None
            row.save(update_fields=["is_enabled", "origin", "is_gone", "is_edited", "next_run_at"])
            schedule_changed.announce(
                ScheduleChanged(schedule=row.name, change="enabled" if is_enabled else "disabled")
            )
            count += 1
    return count


def _get_next(row: Schedule, now: datetime) -> datetime | None:
    try:
        return row.timing.get_next(now)
    except ScheduleTimingError:
        return None


def _pack(entry: Entry) -> str:
    arguments: Mapping[str, object] = entry.arguments
    if is_secret(get_job_class(entry.job_class)):
        arguments = seal(arguments, about=f"schedule:{entry.name}")
    return json.dumps(arguments, sort_keys=True)


def _unpack(row: Schedule) -> Mapping[str, object]:
    try:
        arguments: object = json.loads(row.arguments)
        if is_sealed(arguments):
            arguments = unseal(arguments, about=f"schedule:{row.name}")
    except (ValueError, RecursionError, PayloadError):
        arguments = None
    if not isinstance(arguments, dict):
        message = "The arguments can't be read. Enter them anew."
        raise ScheduleBrokenError(message)
    return arguments


def _get_signed(row: Schedule) -> dict[str, object]:
    return {name: getattr(row, name) for name in ("job_class", "arguments", "queue", "priority", "actor_id")}


def _sign(row: Schedule) -> str:
    return sign_document(_get_signed(row), about=f"schedule:{row.name}")


def _check_signature(row: Schedule) -> None:
    try:
        signed: object = read_document(row.signature, about=f"schedule:{row.name}")
    except PayloadError:
        signed = None
    if signed != _get_signed(row):
        message = "What it runs was changed in the database, or signed with another SECRET_KEY. Save it in the admin."
        raise ScheduleBrokenError(message)
