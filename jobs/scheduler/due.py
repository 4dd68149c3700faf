"""Dispatching what is due: each run once, however many processes look.

Whoever locks the row of an entry first writes the runs down, each under its unique (entry, moment), and dispatches
their jobs in the same transaction. Where the queue's store takes no part in it, and there is no outbox, the record
waits in the row of the run until the store has it, and is sent again by whoever comes by.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Final
from uuid import UUID

import structlog
from django.db import InterfaceError, OperationalError, transaction
from django.db.models import QuerySet

from jobs.clock import get_database_now
from jobs.conf import get_job_settings
from jobs.drivers.base import get_driver
from jobs.exceptions import (
    JobArgumentError,
    JobDefinitionError,
    JobOptionError,
    JobRefusedError,
    PayloadError,
    QueueFull,
    ScheduleBrokenError,
    ScheduleTimingError,
)
from jobs.job import Job
from jobs.models import MissedRuns, RunState, Schedule, ScheduleRun
from jobs.outlet import Current
from jobs.payload import Record, encode_payload, read_payload
from jobs.scheduler.entries import open_schedule
from jobs.services import announce_queued, make_messages, send, uses_outbox
from jobs.signals import (
    ScheduleBroken,
    ScheduleChanged,
    ScheduleDispatched,
    schedule_broken,
    schedule_changed,
    schedule_dispatched,
)

#: A run that is dispatched so long after its moment is not missed.
ON_TIME: Final = timedelta(minutes=1)
#: How long runs are kept.
RUNS_KEPT: Final = timedelta(days=30)
_RESENT_AFTER: Final = timedelta(seconds=5)
_AT_ONCE: Final = 500
_AWAY: Final = (OperationalError, InterfaceError)
_log = structlog.get_logger("gatehouse.jobs")


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What became of one run."""

    schedule: str
    run_at: datetime
    state: str
    job_id: UUID | None = None
    detail: str = ""


def run_due_schedules(*, now: datetime | None = None) -> list[Run]:
    """Dispatch the jobs of all entries that are due, those missed by their policy; return what was done.

    An entry that can't be dispatched is reported once for each reason, and doesn't stop the others. One whose queue is
    full stays due: as soon as there is room, its policy says what becomes of the runs that were missed.
    """
    now = now or get_database_now()
    resend_runs(now=now)
    due = Schedule.objects.filter(is_enabled=True, next_run_at__lte=now).order_by("next_run_at", "name")
    return [run for key in list(due.values_list("pk", flat=True)[:_AT_ONCE]) for run in _run(key, now)]


def run_schedule_now(*, schedule_id: int, now: datetime | None = None) -> Run:
    """Dispatch the job of an entry now, enabled or not, besides the runs that it is due for.

    Raises:
        ScheduleBrokenError: It can't be dispatched.
        QueueFull: Its queue has no room.
        JobRefusedError: Who saved it lacks a permission that the job requires.
        Schedule.DoesNotExist: There is no such entry.
    """
    now = now or get_database_now()
    with transaction.atomic():
        row = Schedule.objects.select_for_update().get(pk=schedule_id)
        try:
            run = _dispatch(row, now, now)
        except (JobArgumentError, JobDefinitionError, JobOptionError) as error:
            raise ScheduleBrokenError(str(error)) from error
        schedule_changed.announce(ScheduleChanged(schedule=row.name, change="run"))
    return run or Run(schedule=row.name, run_at=now, state=RunState.SKIPPED, detail="it was started just now.")


def resend_runs(*, now: datetime | None = None) -> int:
    """Send the records of runs that the store of their queue may not have; return how many it has now.

    One that it had already is left as it is there, unless its job has ended in the meantime: then it runs again.
    """
    now = now or get_database_now()
    waiting = ScheduleRun.objects.filter(state=RunState.PENDING, created_at__lte=now - _RESENT_AFTER)
    return sum(_resend(key) for key in list(waiting.order_by("created_at").values_list("pk", flat=True)[:_AT_ONCE]))


def prune_schedule_runs(*, older_than: timedelta = RUNS_KEPT, now: datetime | None = None) -> int:
    """Delete runs of long ago; return how many. The last run of an entry is seen in the entry itself."""
    ended = ScheduleRun.objects.exclude(state=RunState.PENDING)
    return ended.filter(created_at__lt=(now or get_database_now()) - older_than).delete()[0]


def _run(key: int, now: datetime) -> list[Run]:
    try:
        with transaction.atomic():
            row = _lock(key, now)
            return [] if row is None else _run_locked(row, now)
    except QueueFull:
        return _note_problem(key, now, "Its queue is full. The run waits for room.", is_waiting=True)
    except ScheduleTimingError as error:
        return _note_problem(key, now, str(error))
    except (ScheduleBrokenError, JobArgumentError, JobDefinitionError, JobOptionError, JobRefusedError) as error:
        return _note_problem(key, now, str(error))
    except _AWAY:
        raise
    except _get_outage_errors() as error:
        # What was committed is sent again; what was not is due still.
        _log.warning("schedule_not_sent", schedule_id=key, error=type(error).__qualname__)
        return []
    except Exception as error:  # noqa: BLE001 - what the job's own code raises must not stop the other entries
        return _note_problem(key, now, f"{type(error).__name__} was raised when its job was to be dispatched.")


def _lock(key: int, now: datetime) -> Schedule | None:
    """Return the entry if it is still due, and let nobody else have it."""
    rows: QuerySet[Schedule] = Schedule.objects.filter(pk=key, is_enabled=True, next_run_at__lte=now)
    if transaction.get_connection().features.has_select_for_update_skip_locked:
        rows = rows.select_for_update(skip_locked=True)
    return rows.first()


def _run_locked(row: Schedule, now: datetime) -> list[Run]:
    runs = []
    for run_at in _choose(row, now):
        is_missed = now - run_at > ON_TIME and row.missed_runs == MissedRuns.SKIP
        run = _leave_out(row, run_at, now) if is_missed else _dispatch(row, run_at, now)
        if run is not None:
            runs.append(run)
            row.last_run_at = row.last_run_at if is_missed else run_at
    if row.problem:
        _log.info("schedule_mended", schedule=row.name)
    row.problem = ""
    assert row.next_run_at is not None  # noqa: S101 - it is due
    row.next_run_at = row.timing.get_next_after(row.next_run_at, now)
    row.save(update_fields=["problem", "last_run_at", "next_run_at"])
    return runs


def _choose(row: Schedule, now: datetime) -> Sequence[datetime]:
    """Return the moments that are looked at: of those that have passed the last one, or the last few."""
    assert row.next_run_at is not None  # noqa: S101 - it is due
    count = row.max_missed if row.missed_runs == MissedRuns.ALL else 1
    return row.timing.list_due(row.next_run_at, now, last=count) or [row.next_run_at]


def _leave_out(row: Schedule, run_at: datetime, now: datetime) -> Run:
    detail = "missed, and left out as the entry says"
    ScheduleRun.objects.get_or_create(
        schedule=row, run_at=run_at, defaults={"state": RunState.SKIPPED, "detail": detail, "created_at": now}
    )
    return Run(schedule=row.name, run_at=run_at, state=RunState.SKIPPED, detail=detail)


def _dispatch(row: Schedule, run_at: datetime, now: datetime) -> Run | None:
    """Dispatch the job of one run; None where it was dispatched before."""
    defaults = {"state": RunState.SENT, "created_at": now}
    run, is_new = ScheduleRun.objects.get_or_create(schedule=row, run_at=run_at, defaults=defaults)
    if not is_new:
        return None
    record = _send(open_schedule(row))
    if record is None:
        run.state = RunState.SKIPPED
        run.detail = "The job was not sent: it doesn't want to be, or one of its kind waits or runs already."
    else:
        run.job_id = record.job_id
        driver = get_driver(record.connection)
        if not driver.is_transactional and not uses_outbox(driver):
            run.state, run.payload = RunState.PENDING, encode_payload(record)
            transaction.on_commit(partial(_confirm, run.pk))
        fact = ScheduleDispatched(schedule=row.name, run_at=run_at, job_id=record.job_id)
        transaction.on_commit(partial(schedule_dispatched.announce, fact))
    run.save(update_fields=["job_id", "state", "detail", "payload"])
    return Run(schedule=row.name, run_at=run_at, state=run.state, job_id=run.job_id, detail=run.detail)


def _send(job: Job) -> Record | None:
    """Send a job and return its record; None where it was not sent. What the store can't take now waits for commit.

    Raises:
        JobRefusedError: Its user lacks a permission that it requires.
        ScheduleBrokenError: It requires one, and the entry names nobody.
    """
    try:
        record = job.make_record()
    except JobRefusedError as error:
        if job.actor_id:
            raise
        message = f"{error} Name the user for whom it runs: .on_behalf_of(key) in code, or save the entry in the admin."
        raise ScheduleBrokenError(message) from error
    if job.prepare_for_dispatch() is False:
        return None
    if Current.outlet is not None:
        Current.outlet.note_job(job)
    return next(iter(send([record])), None)


def _confirm(run_id: int) -> None:
    ScheduleRun.objects.filter(pk=run_id, state=RunState.PENDING).update(state=RunState.SENT, payload="")


def _resend(run_id: int) -> bool:
    with transaction.atomic():
        rows = ScheduleRun.objects.filter(pk=run_id, state=RunState.PENDING)
        if transaction.get_connection().features.has_select_for_update_skip_locked:
            rows = rows.select_for_update(skip_locked=True)
        run = rows.first()
        if run is None:
            return False
        try:
            record = read_payload(run.payload)
        except PayloadError as error:
            rows.update(state=RunState.FAILED, detail=str(error), payload="")
            return False
        driver = get_driver(record.connection)
        messages = make_messages([record], now=driver.get_now())
        try:
            driver.push(messages)
        except driver.outage_errors as error:
            _log.warning("schedule_not_sent", run_id=run_id, error=type(error).__qualname__)
            return False
        announce_queued(messages, connection=driver.name)
        ScheduleRun.objects.filter(pk=run_id).update(state=RunState.SENT, payload="")
    return True


def _note_problem(key: int, now: datetime, problem: str, *, is_waiting: bool = False) -> list[Run]:
    """Write down why an entry could not be dispatched, and say it where that is news; go on to its next moment."""
    with transaction.atomic():
        row = _lock(key, now)
        if row is None or row.next_run_at is None:
            return []
        is_news, run_at = row.problem != problem, row.next_run_at
        row.problem = problem
        if not is_waiting:
            defaults = {"state": RunState.FAILED, "detail": problem, "created_at": now}
            ScheduleRun.objects.get_or_create(schedule=row, run_at=run_at, defaults=defaults)
            row.next_run_at = _get_next(row, now)
        row.save(update_fields=["problem", "next_run_at"])
    if is_news:
        _log.error("schedule_broken", schedule=row.name, problem=problem)
        schedule_broken.announce(ScheduleBroken(schedule=row.name, problem=problem))
    state = RunState.PENDING if is_waiting else RunState.FAILED
    return [Run(schedule=row.name, run_at=run_at, state=state, detail=problem)]


def _get_next(row: Schedule, now: datetime) -> datetime | None:
    try:
        return row.timing.get_next_after(row.next_run_at or now, now)
    except ScheduleTimingError:
        return None  # until somebody corrects it


def _get_outage_errors() -> tuple[type[Exception], ...]:
    """Return what the stores of all connections raise when they are away."""
    return tuple({error for name in get_job_settings().connections for error in get_driver(name).outage_errors})
