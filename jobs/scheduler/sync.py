"""Entries of code, written down."""

from datetime import datetime

import structlog
from django.db import IntegrityError, transaction
from django.utils import timezone

from jobs.exceptions import ScheduleBrokenError
from jobs.models import Schedule
from jobs.scheduler.entries import CODE, read_entry, save_entry
from jobs.schedules import Entry, list_entries

_log = structlog.get_logger("gatehouse.jobs")


def synchronise_schedules(*, now: datetime | None = None) -> int:
    """Add and change entries as code has them, and disable those that it has no more; return how many changed.

    What somebody has edited in the admin stays as it is, until it is reset there. An entry of the admin keeps its name:
    one of code with the same name is left out.

    Raises:
        JobDefinitionError: Code has two entries of one name.
        ScheduleTimingError: An entry of code doesn't say when it is due.
    """
    now = now or timezone.now()
    entries = {entry.name: entry for entry in list_entries()}
    if not entries and not Schedule.objects.filter(origin=CODE, is_enabled=True).exists():
        return 0
    with transaction.atomic():
        rows = {row.name: row for row in Schedule.objects.select_for_update().order_by("pk")}
        changed = [entry.name for entry in entries.values() if _write(entry, rows.get(entry.name), now)]
        gone = [row.pk for row in rows.values() if row.origin == CODE and row.is_enabled and row.name not in entries]
        Schedule.objects.filter(pk__in=gone).update(is_enabled=False, is_gone=True, next_run_at=None)
    if changed or gone:
        _log.info("schedules_synchronised", changed=changed, gone=len(gone))
    return len(changed) + len(gone)


def _write(entry: Entry, row: Schedule | None, now: datetime) -> bool:
    """Write an entry of code; False where nothing is to change."""
    if row is None:
        return _add(entry, now)
    if row.is_gone and row.is_edited:
        row.is_enabled, row.is_gone, row.next_run_at = True, False, row.timing.get_next(now)
        row.save(update_fields=["is_enabled", "is_gone", "next_run_at"])
        return True
    if row.origin != CODE or row.is_edited:
        return False
    try:
        is_same = read_entry(row) == entry
    except ScheduleBrokenError:
        is_same = False
    if not is_same:
        save_entry(entry=entry, origin=CODE, schedule=row, now=now)
    return not is_same


def _add(entry: Entry, now: datetime) -> bool:
    """Add an entry, unless another process has been faster."""
    try:
        with transaction.atomic():
            save_entry(entry=entry, origin=CODE, now=now)
    except IntegrityError:
        return False
    return True
