"""What people do to jobs from a dashboard, the API or a terminal: one, or all that a search finds, step by step.

A search may find many thousands. They are done in steps, each of which takes a moment; between two, the plan says what
was done and what is left, so whoever asks can show that, and stop.
"""

import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final
from uuid import UUID

import structlog
from django.core.signing import BadSignature, Signer
from django.db import transaction
from django.utils import timezone

from jobs.clock import get_database_now
from jobs.drivers.base import Message, QueueDriver, get_driver
from jobs.drivers.inventory import JobSearch, StoredJob
from jobs.exceptions import (
    FailedJobNotFoundError,
    InvalidCursorError,
    JobNotFoundError,
    JobNotWaitingError,
    JobOutOfReachError,
    PayloadError,
)
from jobs.models import FailedJob
from jobs.payload import Record, decode_payload
from jobs.selectors import JobQuery, JobStatus, find_failed_jobs, find_stored_job, list_stores
from jobs.services.batches import abandon, cancel_batch
from jobs.services.failed import (
    RETRY_REFUSALS,
    cancel_retry,
    delete_failed_jobs,
    forget_failed_jobs,
    retry_failed_job,
)
from jobs.services.followers import send_followers
from jobs.services.results import fail_results
from jobs.services.settlement import release_locks
from jobs.signals import JobsSteered, jobs_steered

#: What one step does at most, in jobs and in seconds.
_AT_ONCE: Final = 500
_SECONDS: Final = 1.0
#: How far apart processes may be about what time it is in a store: what it says is as old as its answer took.
_CLOCKS_DIFFER: Final = timedelta(seconds=1)
#: How many of the jobs that somebody has picked are named in what is said of it.
_NAMED: Final = 50
_log = structlog.get_logger("gatehouse.jobs")
_signer: Final = Signer(salt="jobs.steering")


class Steer(StrEnum):
    """What can be done to many jobs."""

    #: Put failed jobs back.
    RETRY = "retry"
    #: Forget failed jobs, or cancel those that wait.
    DISCARD = "discard"


@dataclass(frozen=True, slots=True, kw_only=True)
class SteeringPlan:
    """What is done to the jobs that a search finds, and how far that has come."""

    query: JobQuery
    steer: Steer
    #: When it began, to a second: what comes later is left alone.
    started_at: datetime
    #: How many the search found then; of jobs that wait, None: nobody counts them.
    total: int | None
    #: Failed jobs are taken in the order of their keys, up to the last one that there was.
    last_key: int = 0
    next_key: int = 0
    #: Those that wait are looked through store by store, until a pass through one finds none.
    store: int = 0
    place: int = 0
    done_in_pass: int = 0
    done: int = 0
    #: Left as they were: another one of their key waits, or somebody else was quicker.
    skipped: int = 0
    is_complete: bool = False


def seal_plan(plan: SteeringPlan) -> str:
    """Return a plan as text that whoever asked can carry from one step to the next, and that nobody else can make."""
    values = asdict(plan) | {"started_at": plan.started_at.isoformat(), "query": plan.query.as_filter()}
    return _signer.sign_object(values)


def open_plan(text: str) -> SteeringPlan:
    """Return the plan that was sealed.

    Raises:
        InvalidCursorError: It wasn't, or not by this house.
    """
    try:
        values = _signer.unsign_object(text)
        query, started_at = JobQuery.from_filter(values["query"]), datetime.fromisoformat(values["started_at"])
        return SteeringPlan(**{**values, "query": query, "steer": Steer(values["steer"]), "started_at": started_at})
    except (BadSignature, ValueError, TypeError, LookupError) as error:  # the last two: of another release
        raise InvalidCursorError from error


def cancel_job(*, job_id: UUID, now: datetime | None = None) -> None:
    """Delete a job that waits, give back its locks, and let it and what follows it leave their batches.

    One that was put back from the failed jobs is among these again.

    Raises:
        JobNotFoundError: No connection holds it; ``JobOutOfReachError`` where one that may doesn't answer.
        JobNotWaitingError: It runs.
    """
    stored, name, away = find_stored_job(job_id, now=now)
    if stored is None:
        raise JobOutOfReachError if away else JobNotFoundError
    if not _cancel(stored, name, now or timezone.now()):
        raise JobNotWaitingError
    jobs_steered.announce(JobsSteered(steer="cancel", count=1, about={"job_id": str(job_id)}))


def plan_steering(query: JobQuery, steer: Steer, *, now: datetime | None = None) -> SteeringPlan:
    """Return what would be done; nothing is yet.

    Raises:
        ValueError: Nothing like that can be done to jobs with that status.
    """
    now = now or _find_start(query)
    if query.status is JobStatus.FAILED:
        found = find_failed_jobs(query)
        last = found.order_by("-pk").values_list("pk", flat=True).first()
        return SteeringPlan(query=query, steer=steer, started_at=now, total=found.count(), last_key=last or 0)
    if query.status in {JobStatus.WAITING, JobStatus.DELAYED} and steer is Steer.DISCARD:
        return SteeringPlan(query=query, steer=steer, started_at=now, total=None)
    message = f"Jobs that are {query.status} can't be told to {steer}."
    raise ValueError(message)


def _find_start(query: JobQuery) -> datetime:
    """Return the moment up to which jobs are meant, by the clocks that dispatch may have written down."""
    clocks = [get_database_now()]
    for name in _list_stores(query):
        driver = get_driver(name)
        with suppress(*driver.outage_errors):  # its step will raise
            clocks.append(driver.get_now())
    return max(clocks) + _CLOCKS_DIFFER


def steer_some(plan: SteeringPlan) -> SteeringPlan:
    """Do a part of it, for a second at most; return how far it has come.

    Raises:
        Exception: What a store raises that is away before anything was done.
    """
    after = _steer_failed(plan) if plan.query.status is JobStatus.FAILED else _cancel_some(plan)
    if count := after.done - plan.done:
        jobs_steered.announce(JobsSteered(steer=str(plan.steer), count=count, about=plan.query.as_filter()))
    return after


def _steer_failed(plan: SteeringPlan) -> SteeringPlan:
    # One that has failed again since keeps its key.
    meant = find_failed_jobs(plan.query).filter(failed_at__lte=plan.started_at, pk__lte=plan.last_key)
    rows = meant.filter(pk__gt=plan.next_key).order_by("pk")
    found = list(rows.values_list("pk", "job_id")[:_AT_ONCE])
    if not found:
        return replace(plan, is_complete=True)
    if plan.steer is Steer.DISCARD:
        count = delete_failed_jobs(meant.filter(pk__in=[key for key, _ in found]))
        return _go_on(plan, found, count, is_complete=len(found) < _AT_ONCE)
    done, end = 0, time.monotonic() + _SECONDS
    for number, (_, job_id) in enumerate(found, start=1):
        try:
            done += _retry(job_id)
        except Exception:
            if number == 1:
                raise
            # A store went away. What was done before is told; the next step begins here and raises, if it must.
            return _go_on(plan, found[: number - 1], done)
        if time.monotonic() > end:
            return _go_on(plan, found[:number], done)
    return _go_on(plan, found, done, is_complete=len(found) < _AT_ONCE)


def _go_on(
    plan: SteeringPlan, met: Sequence[tuple[int, UUID]], done: int, *, is_complete: bool = False
) -> SteeringPlan:
    skipped = plan.skipped + len(met) - done
    return replace(plan, done=plan.done + done, skipped=skipped, next_key=met[-1][0], is_complete=is_complete)


def _retry(job_id: UUID) -> bool:
    try:
        retry_failed_job(job_id=job_id)
    except RETRY_REFUSALS:
        return False
    return True


def _list_stores(query: JobQuery) -> list[str]:
    return [name for name in list_stores() if query.connection in {"", name}]


def _cancel_some(plan: SteeringPlan) -> SteeringPlan:
    stores = _list_stores(plan.query)
    if plan.store >= len(stores):
        return replace(plan, is_complete=True)
    name = stores[plan.store]
    jobs, following = _find_waiting(plan, name)
    gone, is_through = _cancel_each(jobs, name, plan.started_at)
    plan = replace(plan, done=plan.done + gone, done_in_pass=plan.done_in_pass + gone)
    if not is_through:
        return plan  # the next step looks from the same place, where those that are gone stand no more
    if following is not None:
        return replace(plan, place=max(following - gone, 0))
    # Workers take jobs meanwhile, so that some may have been passed over: look until there is none.
    if plan.done_in_pass:
        return replace(plan, place=0, done_in_pass=0)
    return replace(plan, store=plan.store + 1, place=0)


def _cancel_each(jobs: Sequence[StoredJob], connection: str, now: datetime) -> tuple[int, bool]:
    """Cancel some jobs; return how many that were, and whether it came to the last one.

    Raises:
        Exception: What a store raises that is away before anything was done.
    """
    gone, end = 0, time.monotonic() + _SECONDS
    for job in jobs:
        try:
            gone += _cancel(job, connection, now)
        except Exception:
            if not gone:
                raise
            # What was done before is told; the next step begins here and raises, if it must.
            return gone, False
        if gone and time.monotonic() > end:
            return gone, False
    return gone, True


def _find_waiting(plan: SteeringPlan, name: str) -> tuple[Sequence[StoredJob], int | None]:
    """Return some jobs that were there when the plan was made."""
    query = plan.query
    search = JobSearch(
        state="delayed" if query.status is JobStatus.DELAYED else "waiting",
        queue=query.queue or None,
        job_class=query.job_class or None,
        since=query.since,
        until=query.until,
    )
    jobs, following = get_driver(name).browse(search, place=plan.place, limit=_AT_ONCE)
    fitting = [
        job
        for job in jobs
        if job.created_at <= plan.started_at
        and (not query.tag or ((record := _read(job)) is not None and query.tag in record.tags))
    ]
    return fitting, following


def _cancel(job: StoredJob, connection: str, now: datetime) -> bool:
    """Delete a job, let it leave its batches and give its locks back, all or nothing; False where it can't be had.

    Raises:
        Exception: What a store raises that is away.
    """
    driver, record = get_driver(connection), _read(job)
    if record is None:
        return bool(driver.remove([job.job_id]))
    is_gone = False
    try:
        with transaction.atomic():
            followers = [] if record.is_retry else abandon(record, now=now)
            if record.is_retry:
                cancel_retry(record)
            is_gone = bool(driver.remove([job.job_id]))
            if is_gone:
                send_followers(followers, now=now)
                release_locks(record)
                fail_results(job_ids=[job.job_id], now=now)
            else:
                transaction.set_rollback(True)
    except Exception:
        if is_gone and not driver.is_transactional:
            _put_back(driver, job, record)
        raise
    return is_gone


def _put_back(driver: QueueDriver, job: StoredJob, record: Record) -> None:
    """Store a job again as it was, but with no try used: a transaction was rolled back of which its store knows not."""
    message = Message(
        job_id=job.job_id,
        queue=job.queue,
        job_class=job.job_class,
        payload=job.payload,
        priority=job.priority,
        available_at=job.available_at,
        created_at=job.created_at,
        timeout_seconds=record.timeout_seconds,
    )
    try:
        driver.push([message])
    except Exception as error:  # noqa: BLE001 - what came before it is raised
        _log.error("cancelled_job_not_put_back", job_id=str(job.job_id), error=type(error).__qualname__)


def _read(job: StoredJob) -> Record | None:
    try:
        return decode_payload(job.payload, job_id=job.job_id, queue=job.queue, job_class=job.job_class)
    except PayloadError:
        return None


def retry_one(*, job_id: UUID) -> None:
    """Put a failed job back, and say so; raises as ``retry_failed_job`` does."""
    retry_failed_job(job_id=job_id)
    jobs_steered.announce(JobsSteered(steer="retry", count=1, about={"job_id": str(job_id)}))


def forget_one(*, job_id: UUID) -> None:
    """Forget a failed job, and say so.

    Raises:
        FailedJobNotFoundError: There is no such failed job (any more).
    """
    if not FailedJob.objects.filter(job_id=job_id).exists() or not forget_failed_jobs(job_ids=[job_id]):
        raise FailedJobNotFoundError
    jobs_steered.announce(JobsSteered(steer="discard", count=1, about={"job_id": str(job_id)}))


def steer_each(*, job_ids: Sequence[UUID], steer: Steer) -> int:
    """Retry or forget failed jobs that somebody has picked, and say so; return how many that were.

    Raises:
        Exception: What a store raises that is away; what was done before is said.
    """
    done = 0
    try:
        if steer is Steer.RETRY:
            for job_id in job_ids:
                done += _retry(job_id)
        else:
            done = forget_failed_jobs(job_ids=job_ids)
    finally:
        if done:
            picked = ", ".join(map(str, job_ids[:_NAMED]))
            jobs_steered.announce(JobsSteered(steer=str(steer), count=done, about={"picked": picked}))
    return done


def cancel_whole_batch(*, batch_id: UUID) -> bool:
    """Cancel a batch, and say so; False where it was cancelled before.

    Raises:
        BatchNotFoundError: There is no such batch.
    """
    is_new = cancel_batch(batch_id=batch_id)
    if is_new:
        jobs_steered.announce(JobsSteered(steer="cancel_batch", count=1, about={"batch_id": str(batch_id)}))
    return is_new
