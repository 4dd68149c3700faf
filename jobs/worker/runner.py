"""One claimed job: check it, run it, and write down how it ended."""

import asyncio
import time
from collections.abc import Callable, Coroutine
from contextvars import copy_context
from copy import deepcopy
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Final

import structlog
from django.utils import timezone

from jobs.backoff import get_delay
from jobs.conf import get_job_settings
from jobs.drivers.base import SYNC, Claim, Message, get_driver
from jobs.exceptions import (
    JobDefinitionError,
    JobInterruptedError,
    JobRefusedError,
    JobTimeoutError,
    ModelMissingError,
    PayloadError,
    PermanentJobError,
)
from jobs.job import Job, JobRun, Resolved, build_job, open_record, resolve_options
from jobs.middleware import MiddlewareStack
from jobs.options import JobOptions, get_due_time
from jobs.payload import Record, decode_payload, encode_payload
from jobs.security import redact_record
from jobs.services import (
    count_exception,
    fail_job,
    finish_job,
    is_superseded,
    quarantine_job,
    release_job,
    release_unique,
)
from jobs.signals import (
    JobAttempted,
    JobClaimed,
    JobDebounced,
    JobExceptionOccurred,
    JobProcessing,
    JobTimedOut,
    identify,
    job_attempted,
    job_claimed,
    job_debounced,
    job_exception_occurred,
    job_processing,
    job_timed_out,
)
from jobs.worker.admission import check_count, count_tries, find_end, find_unsigned_tries, get_deadline, is_to_be_told
from jobs.worker.alarm import TimeIsUp, call_within
from jobs.worker.current import running_job
from jobs.worker.outages import list_outage_errors
from jobs.worker.outcomes import Failed, Lost, Outcome, Processed, Quarantined, Released, get_note
from jobs.worker.transactions import drop_connections, no_transaction_left
from project.logging import redacted_by

_NOTHING: Final = timedelta(0)
__all__ = [
    "Failed", "Lost", "Outcome", "Processed", "Quarantined", "Released", "attempt", "run_message", "run_now", "settle",
]  # fmt: skip
_log = structlog.get_logger("gatehouse.jobs")


def attempt(claim: Claim, *, now: datetime | None = None, worker_options: JobOptions | None = None) -> Outcome:
    """Run a claimed job, unless its record must not run or its tries are used up.

    Nothing is written, but the count of its tries where the job signs it. ``now`` is the present; None takes the clock
    of the store. ``worker_options``: see ``resolve_options``.

    Raises:
        Exception: A store went away before the job was begun; it may be put back.
    """
    started = time.perf_counter()
    if job_claimed.is_heard:
        job_claimed.announce(JobClaimed(**identify(claim), attempt=claim.attempts))
    now = now or get_driver(claim.connection).get_now()
    prepared = _prepare(claim, started=started, now=now, worker_options=worker_options)
    if not isinstance(prepared, _Try):
        return prepared
    outcome = _run(prepared)
    if isinstance(outcome, Lost):
        return outcome
    if job_attempted.is_heard:
        job_attempted.announce(JobAttempted(**identify(claim), attempt=claim.attempts, duration=outcome.duration))
    return outcome


def settle(claim: Claim, outcome: Outcome, *, now: datetime, finish: Callable[[Claim], bool] | None = None) -> bool:
    """Write down how a try ended. May be repeated when the store didn't answer: a second time changes nothing.

    ``finish``: removes a job that is done and that nothing follows, in place of the driver.

    Returns:
        False if the lease was lost, and nothing changed.
    """
    match outcome:
        case Processed(duration=duration, record=record, chain=chain, job=job):
            note = get_note(job, "done", claim, None, now)
            return finish_job(
                claim=claim, record=record, chain=chain, duration=duration, now=now, note=note, finish=finish
            )
        case Released(duration=duration, record=record, error=error, delay=delay, job=job):
            return release_job(
                claim=claim,
                record=record,
                available_at=get_due_time(delay, now=now),
                error=error,
                duration=duration,
                note=get_note(job, "released", claim, error, now),
            )
        case Quarantined(error=error):
            return quarantine_job(claim=claim, error=error, now=now)
        case Failed(duration=duration, record=record, error=error, attempts=attempts, job=job, timeout=timeout):
            is_buried = fail_job(
                claim=claim,
                record=record,
                attempts=attempts,
                error=error,
                duration=duration,
                now=now,
                redact=job.redact if job else partial(redact_record, record),
                note=get_note(job, "failed", claim, error, now),
            )
            if is_buried and job is not None:
                _call_failed_hook(job, error, timeout)
            return is_buried
        case Lost():
            return False


def run_now(job: Job) -> object:
    """Run a job here and now, with its middleware and without a queue; return what it returned.

    Raises:
        Exception: Whatever it raised, after its ``failed`` was called.
    """
    record = job.make_record()
    if job.prepare_for_dispatch() is False:
        return None
    return _run_unclaimed(job, record)


def run_message(message: Message) -> object:
    """Run a job that was dispatched to a connection which keeps none; what it raises is raised, as by ``run_now``."""
    record = decode_payload(message.payload, job_id=message.job_id, queue=message.queue, job_class=message.job_class)
    job_class, options = open_record(record)
    job = build_job(job_class, record)
    job.__dict__["_options"] = options
    return _run_unclaimed(job, record)


def _run_unclaimed(job: Job, record: Record) -> object:
    """Run a job that no worker holds: one try, whose end is written down as a worker would."""
    now = timezone.now()
    claim = Claim(
        job_id=record.job_id,
        queue=record.queue,
        job_class=record.job_class,
        payload=encode_payload(record),
        priority=record.priority,
        attempts=1,
        lease_id=record.job_id,
        lease_expires_at=now + timedelta(days=1),
        connection=SYNC,
        worker="",
    )
    resolved = replace(resolve_options(type(job), job.options), tries=1, retry_until=None)
    started = time.perf_counter()
    outcome = _run(_Try(claim=claim, record=record, resolved=resolved, job=job, started=started, now=now))
    settle(claim, outcome, now=timezone.now())
    if isinstance(outcome, Failed):
        raise outcome.error
    return outcome.result if isinstance(outcome, Processed) else None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Try:
    claim: Claim
    record: Record
    resolved: Resolved
    job: Job
    #: By ``time.perf_counter``.
    started: float
    now: datetime


def _prepare(claim: Claim, *, started: float, now: datetime, worker_options: JobOptions | None) -> _Try | Outcome:
    """Return the try of a claimed job, or how it ends without one."""
    if claim.fault:
        return Quarantined(error=PayloadError(claim.fault))
    try:
        record = decode_payload(claim.payload, job_id=claim.job_id, queue=claim.queue, job_class=claim.job_class)
        job_class, options = open_record(record)
        check_count(record, claim)
        resolved = resolve_options(job_class, options, worker_options=worker_options)
    except (PayloadError, JobDefinitionError) as error:
        return Quarantined(error=error)
    if is_superseded(record):
        _note_superseded(record)
        return Processed(duration=_NOTHING, record=record, chain=None)
    if (spent := find_end(claim, record, resolved, now)) is not None:
        return _give_up(claim, record, job_class, resolved, spent)
    job = _build(claim, record, job_class, resolved)
    if not isinstance(job, Job):
        return job
    return _Try(claim=claim, record=record, resolved=resolved, job=job, started=started, now=now)


def _give_up(claim: Claim, record: Record, job_class: type[Job], resolved: Resolved, spent: Exception) -> Outcome:
    """Return how a job ends that may not be tried any more; it is built to be told so, unless even that went wrong."""
    if (doubt := find_unsigned_tries(record, claim, spent)) is not None:
        return Quarantined(error=doubt)
    is_told = is_to_be_told(claim, record, resolved, spent)
    job = _build(claim, record, job_class, resolved) if is_told else None
    if isinstance(job, Quarantined):
        return job
    told = job if isinstance(job, Job) else None
    limit = resolved.timeout
    return Failed(duration=_NOTHING, record=record, error=spent, attempts=claim.attempts - 1, job=told, timeout=limit)


def _build(claim: Claim, record: Record, job_class: type[Job], resolved: Resolved) -> Job | Outcome:
    """Return the job of a record, or how it ends because there is none."""
    try:
        with redacted_by(partial(redact_record, record)), no_transaction_left():
            return call_within(resolved.timeout, partial(build_job, job_class, record))
    except PayloadError as error:
        return Quarantined(error=error)
    except BaseException as error:
        if isinstance(error, list_outage_errors()):
            raise  # a row that it was given couldn't be read now
        if isinstance(error, ModelMissingError) and job_class.delete_when_missing_models:
            return Processed(duration=_NOTHING, record=record, chain=record.chain)
        # The record no longer fits the class, or its constructor raised.
        reason = _to_exception(claim, resolved, error)
        return Failed(duration=_NOTHING, record=record, error=reason, attempts=claim.attempts, job=None, timeout=0)


def _run(one: _Try) -> Processed | Released | Failed | Lost:
    claim, record, job = one.claim, one.record, one.job
    chain = deepcopy(dict(record.chain)) if record.chain else None
    job.__dict__["running"] = run = JobRun(  # a frozen dataclass takes no assignment
        job_id=record.job_id,
        queue=claim.queue,
        connection=claim.connection,
        attempts=claim.attempts,
        worker=claim.worker,
        timeout=one.resolved.timeout,
        batch_id=record.batch_id,
        chain=chain,
    )
    if not _sign(one):
        return Lost()
    if record.unique is not None and record.unique["until"] == "start":
        release_unique(record)
    if job_processing.is_heard:
        job_processing.announce(JobProcessing(**identify(claim), attempt=claim.attempts))
    try:
        result = _call(job, run, one.resolved.timeout)
    except BaseException as error:  # noqa: BLE001 - whatever a job raises, the worker goes on
        if run.is_deleted:
            return Processed(duration=_since(one.started), record=record, chain=run.chain, job=job)
        return _conclude(one, error)
    if run.is_deleted or run.released is None:
        return Processed(duration=_since(one.started), record=record, chain=run.chain, result=result, job=job)
    return Released(duration=_since(one.started), record=record, error=None, delay=run.released, job=job)


def _call(job: Job, run: JobRun, timeout: float) -> object:
    """Run a job inside of its middleware, in a context of its own, so that what it sets (language, log fields) ends."""

    def work() -> object:
        job.authorize_run()
        result: object = copy_context().run(MiddlewareStack.of(job).run, job, core)
        if run.failure is not None:
            raise run.failure
        return result

    def core() -> object:
        result: object = job.handle()
        return asyncio.run(result) if isinstance(result, Coroutine) else result

    with running_job(job), redacted_by(job.redact), no_transaction_left():
        return call_within(timeout, work)


def _sign(one: _Try) -> bool:
    """Sign the count of tries, for jobs that do that; False where somebody else has the job by now."""
    claim, record = one.claim, one.record
    if record.attempts is None:
        return True
    driver = get_driver(claim.connection)
    payload = encode_payload(replace(record, attempts=claim.attempts))
    if driver.renew(claim, lease_expires_at=driver.get_now() + get_job_settings().lease, payload=payload):
        return True
    _log.warning("job_lease_lost", lease_expired_at=claim.lease_expires_at.isoformat())
    return False


def _conclude(one: _Try, error: BaseException) -> Released | Failed:
    claim, resolved = one.claim, one.resolved
    duration = _since(one.started)
    reason = _to_exception(claim, resolved, error)
    if not isinstance(error, TimeIsUp):
        job_exception_occurred.announce(JobExceptionOccurred(**identify(claim), attempt=claim.attempts, error=reason))
    if _is_final(one, error):
        attempts, limit = claim.attempts, resolved.timeout
        return Failed(duration=duration, record=one.record, error=reason, attempts=attempts, job=one.job, timeout=limit)
    return Released(duration=duration, record=one.record, error=reason, delay=_get_wait(one, reason), job=one.job)


def _get_wait(one: _Try, error: Exception) -> timedelta | datetime:
    """Return the wait before the next try, which the job may have said already, or its moment.

    That of the settings holds where the job's own function goes wrong.
    """
    if one.job.running is not None and one.job.running.released is not None:
        return one.job.running.released
    attempt, resolved = one.claim.attempts, one.resolved
    try:
        with redacted_by(one.job.redact):
            return call_within(resolved.timeout, partial(get_delay, resolved.backoff, attempt=attempt, error=error))
    except BaseException as raised:  # noqa: BLE001 - whatever a function raises, the worker goes on
        _log.error("backoff_raised", error=type(raised).__qualname__)
        return get_delay(get_job_settings().backoff, attempt=attempt, error=error)


def _is_final(one: _Try, error: BaseException) -> bool:
    resolved = one.resolved
    run = one.job.running
    is_decided = run is not None and (run.is_final or run.failure is not None)
    if is_decided or isinstance(error, PermanentJobError | JobRefusedError):
        return True
    if isinstance(error, TimeIsUp) and resolved.is_failed_on_timeout:
        return True
    if resolved.max_exceptions is not None and _count_exception(one.claim) >= resolved.max_exceptions:
        return True
    deadline = get_deadline(one.record, resolved)
    if deadline is not None:
        return one.now + _since(one.started) >= deadline
    return resolved.tries > 0 and count_tries(one.claim) >= resolved.tries


def _count_exception(claim: Claim) -> int:
    try:
        return count_exception(claim.job_id)
    except list_outage_errors() as error:
        # The job has run, and how it ended matters more.
        _log.warning("exception_not_counted", error=type(error).__qualname__)
        return 0


def _to_exception(claim: Claim, resolved: Resolved, error: BaseException) -> Exception:
    match error:
        case TimeIsUp():
            reason: Exception = JobTimeoutError(f"The job ran longer than its timeout of {resolved.timeout} s.")
            job_timed_out.announce(JobTimedOut(**identify(claim), attempt=claim.attempts))
            drop_connections()
        case Exception():
            return error
        case _:
            reason = JobInterruptedError(f"The job raised {type(error).__name__}, which would end the worker.")
    reason.__cause__ = error
    return reason.with_traceback(error.__traceback__)


def _call_failed_hook(job: Job, error: Exception, timeout: float) -> None:
    try:
        with redacted_by(job.redact), no_transaction_left():
            call_within(timeout, partial(copy_context().run, job.failed, error))
    except BaseException as raised:  # noqa: BLE001 - the job is buried already; its hook must not stop the worker
        _log.error("failed_hook_raised", error=type(raised).__qualname__)


def _note_superseded(record: Record) -> None:
    key = str(record.debounce["key"]) if record.debounce else ""
    job_debounced.announce(JobDebounced(**identify(record), key=key))


def _since(started: float) -> timedelta:
    return timedelta(seconds=time.perf_counter() - started)
