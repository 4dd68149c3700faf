"""One claimed job: check it, run it, and write down how it ended."""

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import copy_context
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import FrameType

import structlog
from django.db import connections

from jobs.backoff import get_delay
from jobs.drivers.base import Claim
from jobs.exceptions import (
    JobArgumentError,
    JobDefinitionError,
    JobInterruptedError,
    JobTimeoutError,
    PayloadError,
    PermanentJobError,
    WorkerDiedError,
)
from jobs.job import Job, build_job, get_job_class
from jobs.payload import decode_payload
from jobs.services import fail_job, finish_job, release_job

_AT_ONCE = 0.001
_log = structlog.get_logger("gatehouse.jobs")


@dataclass(frozen=True, slots=True, kw_only=True)
class Processed:
    """The job ran to its end."""

    duration: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class Released:
    """The try went wrong, another follows."""

    duration: timedelta
    error: Exception
    delay: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """The job goes to the failed jobs."""

    duration: timedelta
    error: Exception
    attempts: int
    #: Whose ``failed`` is called; None where it couldn't be built.
    job: Job | None


type Outcome = Processed | Released | Failed


class _TimeIsUp(BaseException):
    """Raised by the alarm; no ``Exception``, so that a job's own ``except Exception`` doesn't swallow it."""


def attempt(claim: Claim) -> Outcome:
    """Run a claimed job, unless its record must not run or its tries are used up. Nothing is written."""
    started = time.perf_counter()
    try:
        job_class, encoded = _open(claim)
    except PayloadError as error:
        return Failed(duration=timedelta(0), error=error, attempts=claim.attempts, job=None)
    job: Job | None = None
    try:
        job = build_job(job_class, encoded)
        if claim.attempts > job_class.tries:
            return _give_up(claim, job)
        _run(job)
    except (JobArgumentError, JobDefinitionError) as error:
        if job is None:  # the record no longer fits the class
            return Failed(duration=timedelta(0), error=error, attempts=claim.attempts, job=None)
        return _conclude(claim, job_class, job, error, started)
    except BaseException as error:  # noqa: BLE001 - whatever a job raises, the worker goes on
        return _conclude(claim, job_class, job, error, started)
    return Processed(duration=_since(started))


def settle(claim: Claim, outcome: Outcome, *, now: datetime) -> None:
    """Write down how a try ended. May be repeated when the store didn't answer: a second time changes nothing."""
    match outcome:
        case Processed(duration=duration):
            finish_job(claim=claim, duration=duration)
        case Released(duration=duration, error=error, delay=delay):
            release_job(claim=claim, available_at=now + delay, error=error, duration=duration)
        case Failed(duration=duration, error=error, attempts=attempts, job=job):
            if fail_job(claim=claim, attempts=attempts, error=error, duration=duration, now=now) and job is not None:
                _call_failed_hook(job, error)


def _open(claim: Claim) -> tuple[type[Job], dict[str, object]]:
    encoded = decode_payload(claim.payload, job_id=claim.job_id, queue=claim.queue, job_class=claim.job_class)
    job_class = get_job_class(claim.job_class)
    if job_class is None:
        message = f"No registered job class is called {claim.job_class}; see JOBS['MODULES']."
        raise PayloadError(message)
    return job_class, encoded


def _run(job: Job) -> None:
    with _alarm(type(job).timeout):
        # In a context of its own, so that what a job sets (language, log fields) ends with it.
        copy_context().run(job.handle)


def _give_up(claim: Claim, job: Job) -> Failed:
    used = claim.attempts - 1
    error = WorkerDiedError(f"The worker died, or lost its lease, in the last of {used} tries.")
    return Failed(duration=timedelta(0), error=error, attempts=used, job=job)


def _conclude(
    claim: Claim, job_class: type[Job], job: Job | None, error: BaseException, started: float
) -> Released | Failed:
    duration = _since(started)
    reason = _to_exception(job_class, error)
    if isinstance(error, PermanentJobError) or claim.attempts >= job_class.tries:
        return Failed(duration=duration, error=reason, attempts=claim.attempts, job=job)
    delay = get_delay(job_class.backoff, attempt=claim.attempts)
    return Released(duration=duration, error=reason, delay=delay)


def _to_exception(job_class: type[Job], error: BaseException) -> Exception:
    match error:
        case _TimeIsUp():
            reason: Exception = JobTimeoutError(f"The job ran longer than its timeout of {job_class.timeout} s.")
            _drop_connections()
        case Exception():
            return error
        case _:
            reason = JobInterruptedError(f"The job raised {type(error).__name__}, which would end the worker.")
    reason.__cause__ = error
    return reason.with_traceback(error.__traceback__)


def _drop_connections() -> None:
    """Close connections that the alarm may have interrupted in the middle of a query."""
    for connection in connections.all(initialized_only=True):
        if not connection.in_atomic_block:
            connection.close()


def _call_failed_hook(job: Job, error: Exception) -> None:
    try:
        with _alarm(type(job).timeout):
            copy_context().run(job.failed, error)
    except BaseException as raised:  # noqa: BLE001 - the job is buried already; its hook must not stop the worker
        _log.error("failed_hook_raised", error=type(raised).__qualname__)


@contextmanager
def _alarm(seconds: int) -> Iterator[None]:
    """Raise ``_TimeIsUp`` in the block when it takes longer; signals reach the main thread only.

    An alarm that was set before goes on afterwards.
    """
    if seconds == 0 or threading.current_thread() is not threading.main_thread():
        yield
        return

    def ring(_number: int, _frame: FrameType | None) -> None:
        raise _TimeIsUp

    started = time.monotonic()
    handler_before = signal.signal(signal.SIGALRM, ring)
    left_before, interval_before = signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, handler_before)
        if left_before:
            left = max(left_before - (time.monotonic() - started), _AT_ONCE)
            signal.setitimer(signal.ITIMER_REAL, left, interval_before)


def _since(started: float) -> timedelta:
    return timedelta(seconds=time.perf_counter() - started)
