"""Jobs as lists that people look through, by where they are and what they are, a page at a time."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final, Self
from uuid import UUID

from django.db import connection as database
from django.db.models import BooleanField, Q, QuerySet
from django.db.models.expressions import RawSQL

from jobs.drivers.base import get_driver
from jobs.drivers.inventory import JobSearch, JobState, StoredJob
from jobs.exceptions import PayloadError
from jobs.models import BatchMember, FailedJob, JobTry
from jobs.payload import decode_payload
from jobs.selectors.failed import IS_OPEN
from jobs.selectors.places import PAGE_SIZE, close_place, cut_page, open_place
from jobs.selectors.stores import list_stores
from project.printable import to_storable


class JobStatus(StrEnum):
    """Where a job is."""

    WAITING = "waiting"
    DELAYED = "delayed"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    #: Done, of a class or with a tag that is silenced.
    SILENCED = "silenced"


class FailedState(StrEnum):
    """What became of a failed job."""

    #: Nobody has put it back.
    FAILED = "failed"
    RETRYING = "retrying"
    RECOVERED = "recovered"


@dataclass(frozen=True, slots=True, kw_only=True)
class JobQuery:
    """Which jobs are looked for; what is empty doesn't matter."""

    status: JobStatus
    connection: str = ""
    queue: str = ""
    job_class: str = ""
    tag: str = ""
    #: From that moment on, and before that one: when they are due, have ended, or have failed.
    since: datetime | None = None
    until: datetime | None = None
    #: Of failed jobs: a part of what they raised, in letters of either case; what became of them; and the batch that
    #: counts them as failed.
    exception: str = ""
    outcome: FailedState | None = FailedState.FAILED
    batch_id: UUID | None = None

    def as_filter(self) -> dict[str, str]:
        """Return what is said, as text."""
        return {
            name: value.isoformat() if isinstance(value, datetime) else str(value)
            for name, value in asdict(self).items()
            if value
        }

    @classmethod
    def from_filter(cls, values: Mapping[str, str]) -> Self:
        """Return what ``as_filter`` was called on."""
        read = {name: reader(values[name]) for name, reader in _READERS.items() if name in values}
        return cls(**{"outcome": None, **values, **read})


#: How values that are no texts are read again.
_READERS: Final[Mapping[str, Callable[[str], Any]]] = {  # Any: each makes a type of its own
    "status": JobStatus,
    "since": datetime.fromisoformat,
    "until": datetime.fromisoformat,
    "outcome": FailedState,
    "batch_id": UUID,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class JobRow:
    """A job in a list."""

    job_id: UUID
    connection: str
    queue: str
    job_class: str
    #: A ``JobStatus``; of failed jobs a ``FailedState``, or ``quarantined``.
    state: str
    #: When it is due, has ended or has failed; of one that runs, when it was due.
    at: datetime
    #: Tries that it has had.
    attempts: int
    worker: str = ""
    wait: timedelta | None = None
    run: timedelta | None = None
    #: What it raised: the name, and of failed jobs the text.
    error: str = ""
    #: What can't be read of it.
    fault: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class JobPage:
    """Some of the jobs that are looked for."""

    rows: Sequence[JobRow]
    #: With which the next page is asked for; empty at the end. There may be more though this page has no rows.
    cursor: str
    #: Connections that didn't answer.
    away: Sequence[str] = ()


def list_jobs(query: JobQuery, *, cursor: str = "", limit: int = PAGE_SIZE, now: datetime | None = None) -> JobPage:
    """Return a page of jobs: what is done or has failed newest first, all others store by store.

    Waiting ones are in the order of claims there, delayed and running ones as the store keeps them.

    Raises:
        InvalidCursorError: The cursor isn't one that a page of this very query was given.
    """
    match query.status:
        case JobStatus.WAITING | JobStatus.DELAYED | JobStatus.RUNNING:
            return _list_stored(query, cursor, limit, now)
        case JobStatus.DONE | JobStatus.SILENCED:
            return _list_tries(query, cursor, limit)
        case JobStatus.FAILED:
            return _list_failed(query, cursor, limit)


def find_failed_jobs(query: JobQuery) -> QuerySet[FailedJob]:
    """Return the failed jobs that are looked for, in no order."""
    rows = FailedJob.objects.filter(**_said(query, connection="connection", queue="queue", job_class="job_class"))
    match query.outcome:
        case FailedState.FAILED:
            rows = rows.filter(IS_OPEN)
        case FailedState.RETRYING:
            rows = rows.filter(retried_at__isnull=False, recovered_at=None)
        case FailedState.RECOVERED:
            rows = rows.filter(recovered_at__isnull=False)
        case None:
            pass
    if query.exception:
        rows = rows.filter(exception__icontains=to_storable(query.exception))
    if query.tag:
        rows = _with_tag(rows, query.tag)
    if query.batch_id is not None:
        members = BatchMember.objects.filter(batch=query.batch_id, state="failed")
        rows = rows.filter(job_id__in=members.values("job_id"))
    return rows.filter(_is_between("failed_at", query))


def _list_stored(query: JobQuery, cursor: str, limit: int, now: datetime | None) -> JobPage:
    asked = query.as_filter()
    number, place = open_place(asked, cursor) or (0, 0)
    search = JobSearch(
        state=_STATES[query.status],
        queue=query.queue or None,
        job_class=query.job_class or None,
        text=json.dumps(query.tag) if query.tag else "",
        since=query.since,
        until=query.until,
    )
    stores = [name for name in list_stores() if query.connection in {"", name}]
    rows: list[JobRow] = []
    away: list[str] = []
    while number < len(stores) and len(rows) < limit:
        driver = get_driver(stores[number])
        next_place: int | None = None
        try:
            jobs, next_place = driver.browse(search, place=place, limit=limit - len(rows), now=now)
            rows += [_to_row(job, driver.name) for job in jobs if not query.tag or _has_tag(job, query.tag)]
        except driver.outage_errors:
            away.append(driver.name)
        number, place = (number + 1, 0) if next_place is None else (number, next_place)
        if next_place is not None:
            break
    return JobPage(rows=rows, cursor=close_place(asked, [number, place]) if number < len(stores) else "", away=away)


def _list_tries(query: JobQuery, cursor: str, limit: int) -> JobPage:
    rows = JobTry.objects.filter(
        state="done",
        is_silenced=query.status is JobStatus.SILENCED,
        **_said(query, connection="connection", queue="queue", job_class="job_class", tag="tags__tag"),
    )
    rows = rows.filter(_is_between("ended_at", query))
    page, following = cut_page(rows, order="-ended_at", search=query.as_filter(), cursor=cursor, limit=limit)
    return JobPage(
        rows=[
            JobRow(
                job_id=row.job_id,
                connection=row.connection,
                queue=row.queue,
                job_class=row.job_class,
                state=query.status,
                at=row.ended_at,
                attempts=row.attempt,
                worker=row.worker,
                wait=timedelta(seconds=row.wait_seconds),
                run=timedelta(seconds=row.run_seconds),
            )
            for row in page
        ],
        cursor=following,
    )


def _list_failed(query: JobQuery, cursor: str, limit: int) -> JobPage:
    rows = find_failed_jobs(query).defer("payload", "traceback")
    page, following = cut_page(rows, order="-failed_at", search=query.as_filter(), cursor=cursor, limit=limit)
    return JobPage(
        rows=[
            JobRow(
                job_id=row.job_id,
                connection=row.connection,
                queue=row.queue,
                job_class=row.job_class,
                state="quarantined" if row.is_quarantined and row.state == "failed" else row.state,
                at=row.failed_at,
                attempts=row.attempts,
                worker=str(row.context.get("worker", "")) if isinstance(row.context, dict) else "",
                error=row.summary,
            )
            for row in page
        ],
        cursor=following,
    )


def _said(query: JobQuery, **columns: str) -> dict[str, str]:
    """Return conditions: those columns hold what is said, as tables hold it."""
    said = {column: getattr(query, name) for name, column in columns.items() if getattr(query, name)}
    return {column: to_storable(value) for column, value in said.items()}


def _is_between(name: str, query: JobQuery) -> Q:
    found = Q()
    if query.since is not None:
        found &= Q(**{f"{name}__gte": query.since})
    if query.until is not None:
        found &= Q(**{f"{name}__lt": query.until})
    return found


def _with_tag(rows: QuerySet[FailedJob], tag: str) -> QuerySet[FailedJob]:
    tag = to_storable(tag)
    if database.vendor == "postgresql":
        return rows.filter(context__tags__contains=[tag])
    return rows.filter(
        RawSQL(
            "EXISTS (SELECT 1 FROM json_each(failed_jobs.context, '$.tags') WHERE value = %s)",
            [tag],
            output_field=BooleanField(),
        )
    )


def _has_tag(job: StoredJob, tag: str) -> bool:
    """Say whether the record of a job has a tag; what is found in its text may be anything else."""
    try:
        return tag in decode_payload(job.payload, job_id=job.job_id, queue=job.queue, job_class=job.job_class).tags
    except PayloadError:
        return False


def _to_row(job: StoredJob, connection: str) -> JobRow:
    return JobRow(
        job_id=job.job_id,
        connection=connection,
        queue=job.queue,
        job_class=job.job_class,
        state=job.state,
        at=job.available_at,
        attempts=job.attempts,
        worker=job.worker if job.state == "running" else "",
        fault=job.fault,
    )


_STATES: Final[Mapping[JobStatus, JobState]] = {
    JobStatus.WAITING: "waiting",
    JobStatus.DELAYED: "delayed",
    JobStatus.RUNNING: "running",
}
