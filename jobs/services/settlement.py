"""Writing down how a try ended: its batch, what follows it, its locks, the job itself; all or nothing, or once more."""

import logging
import traceback
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Final
from uuid import UUID

import structlog
from django.db import transaction

from jobs.coordination import get_coordinator
from jobs.drivers.base import Burial, Claim, QueueDriver, get_driver
from jobs.drivers.failures import note_recovery
from jobs.drivers.inventory import StoredJob
from jobs.exceptions import PayloadError, get_text
from jobs.payload import Record, decode_payload, encode_payload
from jobs.services.announcing import announce_queued
from jobs.services.batches import (
    abandon_links,
    break_chain,
    call_catch,
    record_failure,
    record_success,
    start_link,
)
from jobs.services.dispatching import make_messages
from jobs.services.followers import admit_followers, is_served, send_elsewhere
from jobs.services.locking import forget_wait, is_superseded, release_unique
from jobs.signals import (
    JobFailed,
    JobProcessed,
    JobQuarantined,
    JobReleased,
    identify,
    job_failed,
    job_processed,
    job_quarantined,
    job_released,
)
from project.printable import to_storable

#: Longest text of an exception, and longest traceback, that a failed job keeps, in characters.
MAX_EXCEPTION_LENGTH: Final = 10_000
MAX_TRACEBACK_LENGTH: Final = 50_000
_NOTHING: Final[Mapping[str, Any]] = {}  # Any: JSON
_EXCEPTIONS: Final = "exceptions:"
_TOLD: Final = "told:"
_EXCEPTIONS_KEPT: Final = timedelta(days=1)
#: How long a worker holds a job at least while it writes down how it ended.
_TIME_TO_SETTLE: Final = timedelta(seconds=30)
_log = structlog.get_logger("gatehouse.jobs")
_plain_log = logging.getLogger("gatehouse.jobs")


def finish_job(
    *,
    claim: Claim,
    record: Record,
    chain: Mapping[str, Any] | None,  # Any: JSON
    duration: timedelta,
    now: datetime,
    note: Callable[[], object] | None = None,
    finish: Callable[[Claim], bool] | None = None,
) -> bool:
    """Remove a job that ran to its end, count it in its batch, and send what follows it.

    Args:
        claim: The worker's hold.
        record: What the job was.
        chain: What follows; a job may have changed it while it ran. None: nothing does, whatever its record says.
        duration: How long it took.
        now: The present.
        note: Writes, in the same step, what the job itself keeps of its end.
        finish: Removes a job that nothing follows, in place of the driver: later, together with others.

    Returns:
        False if the lease was lost; then the job itself and its followers are somebody else's.
    """
    has_more = note is not None or record.batch_id is not None or bool((chain or record.chain or _NOTHING).get("links"))
    # In a transaction a burial is whole; elsewhere its row may be there though the job is not buried.
    may_have_failed = record.is_retry or (claim.attempts > 1 and not get_driver(claim.connection).is_transactional)
    lets_go = may_have_failed or _has_locks(record)
    if finish is not None and not has_more and not lets_go:
        return _note_processed(claim, duration) if finish(claim) else _note_lost_lease(claim)

    def follow() -> list[Record]:
        if note is not None:
            note()
        followers = abandon_links(record, now=now) if chain is None else []
        followers += record_success(record, now=now) if record.batch_id else []
        return followers + (start_link(chain, seed=record.job_id, now=now) if chain else [])

    def let_go() -> None:
        release_locks(record)
        if may_have_failed:
            note_recovery(claim, now=now)

    driver = get_driver(claim.connection)
    follow_if_any, let_go_if_any = follow if has_more else None, let_go if lets_go else None
    is_done = _settle(driver, claim, record, follow_if_any, driver.finish, let_go=let_go_if_any, now=now)
    return _note_processed(claim, duration) if is_done else _note_lost_lease(claim)


def release_job(
    *,
    claim: Claim,
    record: Record,
    available_at: datetime,
    error: Exception | None,
    duration: timedelta,
    note: Callable[[], object] | None = None,
) -> bool:
    """Put a job back for another try; False if the lease was lost, and nothing changed. ``note``: as ``finish_job``."""
    payload = None if record.attempts is None else encode_payload(replace(record, attempts=claim.attempts))
    driver = get_driver(claim.connection)

    def follow() -> list[Record]:
        if note is not None:
            note()
        return []

    def release(held: Claim, *, followers: Sequence[Any] = ()) -> bool:  # Any: messages, of which there are none
        return driver.release(held, available_at=available_at, payload=payload)

    if not _settle(driver, claim, record, follow if note else None, release, now=driver.get_now()):
        return _note_lost_lease(claim)
    _log.warning(
        "job_released",
        duration_ms=_to_milliseconds(duration),
        available_at=available_at.isoformat(),
        **(_describe_for_log(error) if error else {}),
    )
    job_released.announce(
        JobReleased(**identify(claim), attempt=claim.attempts, available_at=available_at, error=error)
    )
    return True


def fail_job(
    *,
    claim: Claim,
    record: Record,
    attempts: int,
    error: Exception,
    duration: timedelta,
    now: datetime,
    redact: Callable[[str], str] = str,
    note: Callable[[], object] | None = None,
) -> bool:
    """Move a job to the failed jobs, count that in its batch, and send what its batch or chain has for failures.

    ``redact`` takes out of the texts what must not be stored. ``note``, and False: see ``finish_job``.
    """
    failure = describe_failure(record, error, redact)

    def follow() -> list[Record]:
        if note is not None:
            note()
        followers: list[Record] = []
        if record.batch_id:
            followers += record_failure(record.job_id, record=record, failure=failure, now=now)
        if record.chain and record.chain.get("catch"):
            followers.append(call_catch(record.chain, failure, seed=record.job_id))
        return followers + break_chain(record, now=now)

    burial = Burial(
        attempts=attempts,
        exception=redact(to_storable("".join(traceback.format_exception_only(error)).strip()))[:MAX_EXCEPTION_LENGTH],
        # The end of a traceback says most.
        traceback=redact(to_storable("".join(traceback.format_exception(error))))[-MAX_TRACEBACK_LENGTH:],
        failed_at=now,
        context=_get_context(claim, record),
    )
    driver = get_driver(claim.connection)
    has_more = note is not None or record.batch_id is not None or bool(record.chain)

    def bury(held: Claim, *, followers: Sequence[Any] = ()) -> bool:  # Any: messages
        return driver.bury(held, burial, followers=followers)

    let_go = partial(release_locks, record) if _has_locks(record) else None
    if not _settle(driver, claim, record, follow if has_more else None, bury, let_go=let_go, now=now):
        return _note_lost_lease(claim)
    _log.error("job_failed", duration_ms=_to_milliseconds(duration), **_describe_for_log(error))
    job_failed.announce(JobFailed(**identify(claim), attempts=attempts, error=error))
    return True


def quarantine_job(*, claim: Claim, error: Exception, now: datetime) -> bool:
    """Move a record that can't be trusted or read to the failed jobs; nothing that stands in it is believed.

    Where a job of its id is in a batch, that failed; links behind it stay in the batch, for they stand in it alone.
    Locks are given back where the record bears our signature: it may be that only its class is unknown here.
    """
    failure = {"job_id": str(claim.job_id), "job_class": claim.job_class}
    failure |= {"exception": type(error).__qualname__, "message": get_text(error)}
    burial = Burial(
        attempts=claim.attempts,
        exception=to_storable("".join(traceback.format_exception_only(error)).strip())[:MAX_EXCEPTION_LENGTH],
        traceback="",
        failed_at=now,
        context={"worker": claim.worker},
        is_quarantined=True,
    )
    driver = get_driver(claim.connection)

    def follow() -> list[Record]:
        return record_failure(claim.job_id, record=None, failure=failure, now=now)

    def bury(held: Claim, *, followers: Sequence[Any] = ()) -> bool:  # Any: messages
        return driver.bury(held, burial, followers=followers)

    let_go = partial(release_locks_of, claim)
    if not _settle(driver, claim, None, follow, bury, let_go=let_go, now=now):
        return _note_lost_lease(claim)
    _log.error("job_quarantined", **_describe_for_log(error))
    job_quarantined.announce(JobQuarantined(**identify(claim), error=error))
    job_failed.announce(JobFailed(**identify(claim), attempts=claim.attempts, error=error))
    return True


def describe_failure(record: Record, error: Exception, redact: Callable[[str], str] = str) -> dict[str, Any]:
    """Return what callbacks are told about a failure, as JSON values."""
    return {
        "job_id": str(record.job_id),
        "job_class": record.job_class,
        "exception": type(error).__qualname__,
        "message": redact(to_storable(get_text(error)))[:MAX_EXCEPTION_LENGTH],
    }


def release_locks(record: Record) -> None:
    """Give back what a job held while it waited and ran."""
    if record.unique is not None:
        release_unique(record)
    # That it was the last one of its key stays known, so that earlier ones which are still to come are dropped.
    if record.debounce is not None and record.debounce["max_wait"] is not None and not is_superseded(record):
        forget_wait(record)
    if "max_exceptions" in record.options:
        get_coordinator().forget(_EXCEPTIONS + str(record.job_id))


def release_locks_of(job: Claim | StoredJob) -> None:
    """Give back what a job held that was never looked at, where its record bears our signature."""
    try:
        record = decode_payload(job.payload, job_id=job.job_id, queue=job.queue, job_class=job.job_class)
    except PayloadError:
        return
    release_locks(record)


def count_exception(job_id: UUID) -> int:
    """Count that a job raised, and return how often it did within a day."""
    return get_coordinator().increment(_EXCEPTIONS + str(job_id), lifetime=_EXCEPTIONS_KEPT)


def is_first_telling(record: Record) -> bool:
    """Note that a job is about to be told that its time is over; False if a worker was about to before.

    That worker may have died of it.
    """
    run = record.created_at.isoformat() if record.created_at else ""
    return get_coordinator().increment(f"{_TOLD}{record.job_id}:{run}", lifetime=_EXCEPTIONS_KEPT) == 1


def _settle(
    driver: QueueDriver,
    claim: Claim,
    record: Record | None,
    follow: Callable[[], list[Record]] | None,
    end: Callable[..., bool],
    *,
    let_go: Callable[[], object] | None = None,
    now: datetime,
) -> bool:
    """End a job, give its locks back, and send what follows it, in one step; False if the lease was lost.

    Where that is all in the default database it is one transaction. Elsewhere the batch is counted first, then what
    goes to other stores is sent there, then locks are given back, and the job ends last: the first counts a job once
    only, the second leaves alone what is there and knows what was there, the third bears to be repeated, and a worker
    that must repeat this is told the same again. The lease is made sure of before, so that nobody else does all that.
    """
    if follow is None and let_go is None:
        return end(claim)
    try:
        _settle_held(driver, claim, record, follow, end, let_go=let_go, now=now)
    except _LeaseLostError:
        # It may be lost because this very claim has ended the job, and only the answer went astray.
        return end(claim)
    return True


class _LeaseLostError(Exception):
    """Rolls back what is in the database."""


def _settle_held(
    driver: QueueDriver,
    claim: Claim,
    record: Record | None,
    follow: Callable[[], list[Record]] | None,
    end: Callable[..., bool],
    *,
    let_go: Callable[[], object] | None,
    now: datetime,
) -> None:
    if not driver.renew(claim, lease_expires_at=max(claim.lease_expires_at, now + _TIME_TO_SETTLE)):
        raise _LeaseLostError
    needs_transaction = follow is not None or get_coordinator().is_transactional
    with transaction.atomic() if needs_transaction else nullcontext():
        followers = admit_followers(driver, claim, record, follow() if follow else [], now)
        here = [follower for follower in followers if is_served(driver, follower.connection)]
        if driver.is_transactional and len(here) == len(followers):
            _end(driver, claim, here, end, let_go=let_go, now=now)
            return
    send_elsewhere(claim, record, [follower for follower in followers if follower not in here], now)
    with transaction.atomic() if driver.is_transactional else nullcontext():
        _end(driver, claim, here, end, let_go=let_go, now=now)


def _end(
    driver: QueueDriver,
    claim: Claim,
    followers: list[Record],
    end: Callable[..., bool],
    *,
    let_go: Callable[[], object] | None,
    now: datetime,
) -> None:
    if let_go is not None:
        let_go()
    messages = make_messages(followers, now=now)
    if not end(claim, followers=messages):
        raise _LeaseLostError
    announce_queued(messages, connection=driver.name)


def _has_locks(record: Record) -> bool:
    return record.unique is not None or record.debounce is not None or "max_exceptions" in record.options


def _get_context(claim: Claim, record: Record) -> dict[str, Any]:  # Any: JSON
    context: dict[str, Any] = {"worker": claim.worker}  # Any: JSON
    if record.batch_id:
        context["batch_id"] = str(record.batch_id)
    if record.tags:
        context["tags"] = [to_storable(tag) for tag in record.tags]
    if record.chain:
        context["chain"] = {"name": record.chain.get("name", ""), "links_left": len(record.chain.get("links", []))}
    if record.actor_id:
        context["actor_id"] = record.actor_id
    if record.created_at:
        context["dispatched_at"] = record.created_at.isoformat()
    return context


def _note_processed(claim: Claim, duration: timedelta) -> bool:
    if _plain_log.isEnabledFor(logging.INFO):  # asked once for each job, and cheaper than a line that is dropped
        _log.info("job_processed", duration_ms=_to_milliseconds(duration))
    if job_processed.is_heard:
        job_processed.announce(JobProcessed(**identify(claim), attempt=claim.attempts, duration=duration))
    return True


def _note_lost_lease(claim: Claim) -> bool:
    _log.warning("job_lease_lost", lease_expired_at=claim.lease_expires_at.isoformat())
    return False


def _describe_for_log(error: Exception) -> dict[str, str]:
    """Return type and place of an error; its text may hold an argument and stays in the failed job."""
    frames = traceback.extract_tb(error.__traceback__)
    place = f"{frames[-1].filename}:{frames[-1].lineno}" if frames else ""
    return {"error": type(error).__qualname__, "place": place}


def _to_milliseconds(duration: timedelta) -> float:
    return round(duration.total_seconds() * 1000, 1)
