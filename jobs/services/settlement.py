"""Writing down how a try ended: the job itself, its batch, what follows it, its lock; in this order, all or nothing."""

import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

import structlog
from django.db import transaction

from jobs.coordination import get_coordinator
from jobs.drivers.base import Burial, Claim, QueueDriver, get_driver
from jobs.models import FailedJob
from jobs.payload import Record, encode_payload
from jobs.services.batches import abandon, break_chain, call_catch, record_failure, record_success, start_link
from jobs.services.dispatching import DEBOUNCE, UNIQUE, admit, announce_queued, make_messages, push_followers
from jobs.signals import job_failed, job_processed, job_quarantined, job_released

#: Longest text of an exception, and longest traceback, that a failed job keeps, in characters.
MAX_EXCEPTION_LENGTH: Final = 10_000
MAX_TRACEBACK_LENGTH: Final = 50_000
_EXCEPTIONS: Final = "exceptions:"
_EXCEPTIONS_KEPT: Final = timedelta(days=1)
_log = structlog.get_logger("gatehouse.jobs")


def finish_job(
    *,
    claim: Claim,
    record: Record,
    chain: Mapping[str, Any] | None,  # Any: JSON
    duration: timedelta,
    now: datetime,
    note: Callable[[], object] | None = None,
) -> bool:
    """Remove a job that ran to its end, count it in its batch, and send what follows it.

    Args:
        claim: The worker's hold.
        record: What the job was.
        chain: What follows; a job may have changed it while it ran.
        duration: How long it took.
        now: The present.
        note: Writes, in the same step, what the job itself keeps of its end.

    Returns:
        False if the lease was lost; then the job itself and its followers are somebody else's.
    """

    def follow() -> list[Record]:
        if note is not None:
            note()
        followers = record_success(record, now=now) if record.batch_id else []
        return followers + (start_link(chain, seed=record.job_id, now=now) if chain else [])

    has_more = note is not None or record.batch_id is not None or bool(chain and chain.get("links"))
    driver = get_driver(claim.connection)
    if not _settle(driver, claim, record, follow if has_more else None, driver.finish, now=now):
        return _note_lost_lease(claim)
    release_locks(record)
    if record.is_retry:
        FailedJob.objects.filter(job_id=record.job_id).update(recovered_at=now)
    _log.info("job_processed", duration_ms=_to_milliseconds(duration))
    job_processed.send_robust(None, **get_facts(claim), attempt=claim.attempts, duration=duration)
    return True


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

    if not _settle(driver, claim, record, follow if note else None, release, now=available_at):
        return _note_lost_lease(claim)
    _log.warning(
        "job_released",
        duration_ms=_to_milliseconds(duration),
        available_at=available_at.isoformat(),
        **(_describe_for_log(error) if error else {}),
    )
    job_released.send_robust(None, **get_facts(claim), attempt=claim.attempts, available_at=available_at, error=error)
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
            followers.append(call_catch(record.chain, failure, seed=record.job_id, connection=record.connection))
        return followers + break_chain(record, now=now)

    burial = Burial(
        attempts=attempts,
        exception=redact(_to_storable("".join(traceback.format_exception_only(error)).strip()))[:MAX_EXCEPTION_LENGTH],
        # The end of a traceback says most.
        traceback=redact(_to_storable("".join(traceback.format_exception(error))))[-MAX_TRACEBACK_LENGTH:],
        failed_at=now,
        context=_get_context(claim, record),
    )
    driver = get_driver(claim.connection)
    has_more = note is not None or record.batch_id is not None or bool(record.chain)

    def bury(held: Claim, *, followers: Sequence[Any] = ()) -> bool:  # Any: messages
        return driver.bury(held, burial, followers=followers)

    if not _settle(driver, claim, record, follow if has_more else None, bury, now=now):
        return _note_lost_lease(claim)
    release_locks(record)
    _log.error("job_failed", duration_ms=_to_milliseconds(duration), **_describe_for_log(error))
    job_failed.send_robust(None, **get_facts(claim), attempts=attempts, error=error)
    return True


def quarantine_job(*, claim: Claim, error: Exception, now: datetime) -> bool:
    """Move a record that can't be trusted or read to the failed jobs; nothing that stands in it is believed.

    Where a job of its id is in a batch, that failed; links behind it stay in the batch, for they stand in it alone.
    """
    failure = {"job_id": str(claim.job_id), "job_class": claim.job_class}
    failure |= {"exception": type(error).__qualname__, "message": str(error)}
    burial = Burial(
        attempts=claim.attempts,
        exception=_to_storable("".join(traceback.format_exception_only(error)).strip())[:MAX_EXCEPTION_LENGTH],
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

    if not _settle(driver, claim, None, follow, bury, now=now):
        return _note_lost_lease(claim)
    _log.error("job_quarantined", **_describe_for_log(error))
    job_quarantined.send_robust(None, **get_facts(claim), error=error)
    job_failed.send_robust(None, **get_facts(claim), attempts=claim.attempts, error=error)
    return True


def describe_failure(record: Record, error: Exception, redact: Callable[[str], str] = str) -> dict[str, Any]:
    """Return what callbacks are told about a failure, as JSON values."""
    return {
        "job_id": str(record.job_id),
        "job_class": record.job_class,
        "exception": type(error).__qualname__,
        "message": redact(_to_storable(str(error)))[:MAX_EXCEPTION_LENGTH],
    }


def release_locks(record: Record) -> None:
    """Give back what a job held while it waited and ran."""
    if record.unique is not None:
        release_unique(record)
    # That it was the last one of its key stays known, so that earlier ones which are still to come are dropped.
    if record.debounce is not None and record.debounce["max_wait"] is not None and not is_superseded(record):
        get_coordinator().forget(f"{DEBOUNCE}{record.debounce['key']}:since")
    if "max_exceptions" in record.options:
        get_coordinator().forget(_EXCEPTIONS + str(record.job_id))


def release_unique(record: Record) -> None:
    """Let another job of the same key be dispatched."""
    if record.unique is not None:
        get_coordinator().release(UNIQUE + str(record.unique["key"]), owner=str(record.job_id))


def is_superseded(record: Record) -> bool:
    """Say whether a later job of the same key took this one's place."""
    if record.debounce is None:
        return False
    owners = get_coordinator().list_owners(DEBOUNCE + str(record.debounce["key"]))
    return bool(owners) and str(record.job_id) not in owners


def count_exception(job_id: UUID) -> int:
    """Count that a job raised, and return how often it did within a day."""
    return get_coordinator().increment(_EXCEPTIONS + str(job_id), lifetime=_EXCEPTIONS_KEPT)


def get_facts(claim: Claim) -> dict[str, Any]:  # Any: of several types
    """Return what every signal about a job carries."""
    return {
        "job_id": claim.job_id,
        "job_class": claim.job_class,
        "queue": claim.queue,
        "connection": claim.connection,
    }


def _settle(
    driver: QueueDriver,
    claim: Claim,
    record: Record | None,
    follow: Callable[[], list[Record]] | None,
    end: Callable[..., bool],
    *,
    now: datetime,
) -> bool:
    """End a job and send what follows it in one step.

    Where that is all in the default database it is one transaction. Elsewhere the batch is counted first, then what
    goes to other stores is sent there, and the job ends last: the first counts a job once only, the second leaves alone
    what is there, and a worker that must repeat this is told the same again.
    """
    if follow is None:
        return end(claim)
    with transaction.atomic():
        followers = _admit(record, follow(), now)
        here = [follower for follower in followers if follower.connection == driver.name]
        if driver.is_transactional and len(here) == len(followers):
            has_ended = _end(driver, claim, here, end, now)
            if not has_ended:
                transaction.set_rollback(True)
            return has_ended
    push_followers([follower for follower in followers if follower.connection != driver.name], now=now)
    return _end(driver, claim, here, end, now)


def _end(driver: QueueDriver, claim: Claim, followers: list[Record], end: Callable[..., bool], now: datetime) -> bool:
    messages = make_messages(followers, now=now)
    if not end(claim, followers=messages):
        return False
    announce_queued(messages, connection=driver.name)
    return True


def _admit(ended: Record | None, followers: list[Record], now: datetime) -> list[Record]:
    """Take the locks of what follows a job; what finds another job of its key waiting or running, is left out."""
    if ended is not None and ended.unique and any(one.unique == ended.unique for one in followers):
        release_unique(ended)  # its own lock must not keep out what follows it
    admitted: list[Record] = []
    while followers:
        admitted += admit(followers, now=now)
        known = {record.job_id for record in admitted}
        refused = [record for record in followers if record.job_id not in known]
        followers = [follower for record in refused for follower in abandon(record, now=now)]
    return admitted


def _get_context(claim: Claim, record: Record) -> dict[str, Any]:  # Any: JSON
    context: dict[str, Any] = {"worker": claim.worker}  # Any: JSON
    if record.batch_id:
        context["batch_id"] = str(record.batch_id)
    if record.tags:
        context["tags"] = list(record.tags)
    if record.chain:
        context["chain"] = {"name": record.chain.get("name", ""), "links_left": len(record.chain.get("links", []))}
    if record.actor_id:
        context["actor_id"] = record.actor_id
    if record.created_at:
        context["dispatched_at"] = record.created_at.isoformat()
    return context


def _note_lost_lease(claim: Claim) -> bool:
    _log.warning("job_lease_lost", lease_expired_at=claim.lease_expires_at.isoformat())
    return False


def _describe_for_log(error: Exception) -> dict[str, str]:
    """Return type and place of an error; its text may hold an argument and stays in the failed job."""
    frames = traceback.extract_tb(error.__traceback__)
    place = f"{frames[-1].filename}:{frames[-1].lineno}" if frames else ""
    return {"error": type(error).__qualname__, "place": place}


def _to_storable(text: str) -> str:
    """Escape what PostgreSQL or UTF-8 can't hold: NUL and lone surrogates."""
    return text.replace("\x00", "\\x00").encode("utf-8", "backslashreplace").decode()


def _to_milliseconds(duration: timedelta) -> float:
    return round(duration.total_seconds() * 1000, 1)
