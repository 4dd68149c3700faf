"""What follows from an exception of a job: another try, or the failed jobs."""

import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

import structlog

from jobs.backoff import get_delay
from jobs.conf import get_job_settings
from jobs.drivers.base import Claim
from jobs.exceptions import JobInterruptedError, JobRefusedError, JobTimeoutError, PermanentJobError
from jobs.job import Job, Resolved
from jobs.payload import Record
from jobs.services import count_exception
from jobs.signals import JobExceptionOccurred, JobTimedOut, identify, job_exception_occurred, job_timed_out
from jobs.worker.admission import count_tries, get_deadline
from jobs.worker.alarm import TimeIsUp
from jobs.worker.guard import Guard
from jobs.worker.outages import list_outage_errors
from jobs.worker.outcomes import Failed, Released
from jobs.worker.transactions import drop_connections

_log = structlog.get_logger("gatehouse.jobs")


@dataclass(slots=True, kw_only=True)
class Try:
    """One try of a job that has begun."""

    claim: Claim
    record: Record
    resolved: Resolved
    job: Job
    #: Which has counted the time that building the job took.
    guard: Guard
    #: By ``time.perf_counter``.
    started: float
    now: datetime

    def get_duration(self) -> timedelta:
        """Return how long it has taken until now."""
        return timedelta(seconds=time.perf_counter() - self.started)


def conclude(one: Try, error: BaseException) -> Released | Failed:
    """Return what becomes of a job that raised: another try, or none."""
    claim, resolved = one.claim, one.resolved
    duration = one.get_duration()
    reason = to_exception(claim, resolved, error)
    if not isinstance(error, TimeIsUp):
        job_exception_occurred.announce(JobExceptionOccurred(**identify(claim), attempt=claim.attempts, error=reason))
    if _is_final(one, error):
        attempts, limit = claim.attempts, resolved.timeout
        return Failed(duration=duration, record=one.record, error=reason, attempts=attempts, job=one.job, timeout=limit)
    return Released(duration=duration, record=one.record, error=reason, delay=_get_wait(one, reason), job=one.job)


def _get_wait(one: Try, error: Exception) -> timedelta | datetime:
    """Return the wait before the next try, which the job may have said already, or its moment.

    That of the settings holds where the job's own function goes wrong.
    """
    if one.job.running is not None and one.job.running.released is not None:
        return one.job.running.released
    attempt, resolved = one.claim.attempts, one.resolved
    try:
        with Guard(resolved.timeout) as guard:
            find = partial(get_delay, resolved.backoff, attempt=attempt, error=error)
            return guard.call(find, redact=one.job.redact)
    except BaseException as raised:  # noqa: BLE001 - whatever a function raises, the worker goes on
        _log.error("backoff_raised", error=type(raised).__qualname__)
        return get_delay(get_job_settings().backoff, attempt=attempt, error=error)


def _is_final(one: Try, error: BaseException) -> bool:
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
        return one.now + one.get_duration() >= deadline
    return resolved.tries > 0 and count_tries(one.claim) >= resolved.tries


def _count_exception(claim: Claim) -> int:
    try:
        return count_exception(claim.job_id)
    except list_outage_errors() as error:
        # The job has run, and how it ended matters more.
        _log.warning("exception_not_counted", error=type(error).__qualname__)
        return 0


def to_exception(claim: Claim, resolved: Resolved, error: BaseException) -> Exception:
    """Return what a job is said to have failed with; tells, of one that took too long, that it did."""
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
