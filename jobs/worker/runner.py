"""One claimed job: check it, run it, and write down how it ended."""

import asyncio
import time
from collections.abc import Callable, Coroutine
from contextvars import copy_context
from copy import deepcopy
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Final, NamedTuple

import structlog
from django.utils import timezone

from jobs.conf import get_job_settings
from jobs.drivers.base import SYNC, Claim, Message, get_driver
from jobs.exceptions import (
    JobDefinitionError,
    ModelMissingError,
    PayloadError,
)
from jobs.job import Job, JobRun, Resolved, build_job, find_class, resolve_options
from jobs.middleware import MiddlewareStack
from jobs.options import JobOptions, get_due_time
from jobs.payload import Record, decode_payload, encode_payload
from jobs.security import redact_record
from jobs.services import (
    fail_job,
    finish_job,
    forget_wait,
    is_superseded,
    quarantine_job,
    release_job,
    release_unique,
)
from jobs.signals import (
    JobAttempted,
    JobClaimed,
    JobDebounced,
    JobProcessing,
    identify,
    job_attempted,
    job_claimed,
    job_debounced,
    job_processing,
)
from jobs.worker.admission import check_count, find_end, find_unsigned_tries, is_to_be_told
from jobs.worker.current import begin_job, end_job
from jobs.worker.guard import Guard
from jobs.worker.outages import list_outage_errors
from jobs.worker.outcomes import ENDS, Failed, Lost, Outcome, Processed, Quarantined, Released, get_note
from jobs.worker.verdict import Try, conclude, to_exception

_NOTHING: Final = timedelta(0)
__all__ = [
    "Failed", "Lost", "Outcome", "Processed", "Quarantined", "Released", "attempt", "run_message", "run_now", "settle",
]  # fmt: skip
_log = structlog.get_logger("gatehouse.jobs")


#: Runs a coroutine to its end, and returns or raises what that does.
type RunCoroutine = Callable[[Coroutine[Any, Any, object]], object]  # Any: what a coroutine exchanges with its loop


def attempt(
    claim: Claim,
    *,
    now: datetime | None = None,
    worker_options: JobOptions | None = None,
    run_coroutine: RunCoroutine = asyncio.run,
) -> Outcome:
    """Run a claimed job, unless its record must not run or its tries are used up.

    Nothing is written, but the count of its tries where the job signs it. ``now`` is the present; None takes the clock
    of the store. ``worker_options``: see ``resolve_options``. ``run_coroutine``: for jobs that are asynchronous.

    Raises:
        Exception: A store went away before the job was begun; it may be put back.
    """
    started = time.perf_counter()
    if job_claimed.is_heard:
        job_claimed.announce(JobClaimed(**identify(claim), attempt=claim.attempts))
    now = now or get_driver(claim.connection).get_now()
    opened = _open(claim, now=now, worker_options=worker_options)
    if not isinstance(opened, _Opened):
        return opened
    with Guard(opened.resolved.timeout) as guard:
        job = _build(claim, opened, guard)
        if isinstance(job, ENDS):
            return job
        one = Try(
            claim=claim,
            record=opened.record,
            resolved=opened.resolved,
            job=job,
            guard=guard,
            started=started,
            now=now,
        )
        outcome = _run(one, run_coroutine)
    try:
        if job_attempted.is_heard and not isinstance(outcome, Lost):
            job_attempted.announce(JobAttempted(**identify(claim), attempt=claim.attempts, duration=outcome.duration))
        return outcome
    finally:
        # The traceback of its error refers to this call, by way of those that this one has made. All that these have
        # held would last until Python looks for cycles.
        del outcome


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
                redact=partial(_redact, record, job),
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
    job = build_job(find_class(record), record)
    job.__dict__["_options"] = JobOptions.decode(record.options)
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
    with Guard(resolved.timeout) as guard:
        one = Try(claim=claim, record=record, resolved=resolved, job=job, guard=guard, started=started, now=now)
        outcome = _run(one)
    settle(claim, outcome, now=timezone.now())
    if isinstance(outcome, Failed):
        raise outcome.error
    return outcome.result if isinstance(outcome, Processed) else None


class _Opened(NamedTuple):
    """A record that may run."""

    record: Record
    job_class: type[Job]
    resolved: Resolved


def _open(claim: Claim, *, now: datetime, worker_options: JobOptions | None) -> _Opened | Outcome:
    """Return what is to be tried, or how the job ends without a try."""
    if claim.fault:
        return Quarantined(error=PayloadError(claim.fault))
    try:
        record = decode_payload(claim.payload, job_id=claim.job_id, queue=claim.queue, job_class=claim.job_class)
        job_class = find_class(record)
        options = JobOptions.decode(record.options) if record.options else None
        check_count(record, claim)
        resolved = resolve_options(job_class, options, worker_options=worker_options)
    except (PayloadError, JobDefinitionError) as error:
        return Quarantined(error=error)
    if is_superseded(record):
        _note_superseded(record)
        return Processed(duration=_NOTHING, record=record, chain=None)
    opened = _Opened(record, job_class, resolved)
    spent = find_end(claim, record, resolved, now)
    return opened if spent is None else _give_up(claim, opened, spent)


def _give_up(claim: Claim, opened: _Opened, spent: Exception) -> Outcome:
    """Return how a job ends that may not be tried any more; it is built to be told so, unless even that went wrong."""
    record, _, resolved = opened
    if (doubt := find_unsigned_tries(record, claim, spent)) is not None:
        return Quarantined(error=doubt)
    job: Job | Outcome | None = None
    if is_to_be_told(claim, record, resolved, spent):
        with Guard(resolved.timeout) as guard:
            job = _build(claim, opened, guard)
    if isinstance(job, Quarantined):
        return job
    told = job if isinstance(job, Job) else None
    limit = resolved.timeout
    return Failed(duration=_NOTHING, record=record, error=spent, attempts=claim.attempts - 1, job=told, timeout=limit)


def _build(claim: Claim, opened: _Opened, guard: Guard) -> Job | Outcome:
    """Return the job of a record, or how it ends because there is none."""
    record, job_class, resolved = opened
    try:
        return guard.call(partial(build_job, job_class, record), redact=partial(redact_record, record))
    except PayloadError as error:
        return Quarantined(error=error)
    except BaseException as error:
        if isinstance(error, list_outage_errors()):
            raise  # a row that it was given couldn't be read now
        if isinstance(error, ModelMissingError) and job_class.delete_when_missing_models:
            return Processed(duration=_NOTHING, record=record, chain=record.chain)
        # The record no longer fits the class, or its constructor raised.
        reason = to_exception(claim, resolved, error)
        return Failed(duration=_NOTHING, record=record, error=reason, attempts=claim.attempts, job=None, timeout=0)


def _run(one: Try, run_coroutine: RunCoroutine = asyncio.run) -> Processed | Released | Failed | Lost:
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
    if record.attempts is not None and not _sign(one):
        return Lost()
    if record.unique is not None and record.unique["until"] == "start":
        release_unique(record)
    forget_wait(record)
    if job_processing.is_heard:
        job_processing.announce(JobProcessing(**identify(claim), attempt=claim.attempts))
    try:
        result = _call(one, run, run_coroutine)
    except BaseException as error:  # noqa: BLE001 - whatever a job raises, the worker goes on
        if run.is_deleted:
            return Processed(duration=one.get_duration(), record=record, chain=run.chain, job=job)
        return conclude(one, error)
    finally:
        run.failure = None  # its traceback refers to who refers to it
    if run.is_deleted or run.released is None:
        return Processed(duration=one.get_duration(), record=record, chain=run.chain, result=result, job=job)
    return Released(duration=one.get_duration(), record=record, error=None, delay=run.released, job=job)


def _call(one: Try, run: JobRun, run_coroutine: RunCoroutine) -> object:
    """Run a job inside of its middleware, in a context of its own, so that what it sets (language, log fields) ends."""
    job = one.job

    def work() -> object:
        job.authorize_run()
        result: object = copy_context().run(MiddlewareStack.of(job).run, job, core)
        if run.failure is not None:
            raise run.failure
        return result

    def core() -> object:
        result: object = job.handle()
        return run_coroutine(result) if result is not None and isinstance(result, Coroutine) else result

    begin_job(job)
    try:
        return one.guard.call(work, redact=job.redact)
    finally:
        end_job(job)


def _sign(one: Try) -> bool:
    """Sign the count of tries; False where somebody else has the job by now."""
    claim, record = one.claim, one.record
    driver = get_driver(claim.connection)
    payload = encode_payload(replace(record, attempts=claim.attempts))
    if driver.renew(claim, lease_expires_at=driver.get_now() + get_job_settings().lease, payload=payload):
        return True
    _log.warning("job_lease_lost", lease_expired_at=claim.lease_expires_at.isoformat())
    return False


def _redact(record: Record, job: Job | None, text: str) -> str:
    return redact_record(record, text if job is None else job.redact(text))


def _call_failed_hook(job: Job, error: Exception, timeout: float) -> None:
    try:
        with Guard(timeout) as guard:
            guard.call(lambda: copy_context().run(job.failed, error), redact=job.redact)
    except BaseException as raised:  # noqa: BLE001 - the job is buried already; its hook must not stop the worker
        _log.error("failed_hook_raised", error=type(raised).__qualname__)


def _note_superseded(record: Record) -> None:
    key = str(record.debounce["key"]) if record.debounce else ""
    job_debounced.announce(JobDebounced(**identify(record), key=key))
