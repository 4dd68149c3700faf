"""How a try of a job can end. Values, which nobody changes; frozen ones take three times as long to make."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Final, Literal

from jobs.drivers.base import Claim
from jobs.exceptions import JobTimeoutError, UnwrittenEndError
from jobs.job import Job, JobEnd
from jobs.payload import Record


@dataclass(slots=True, kw_only=True)
class Processed:
    """The job ran to its end, or was deleted by itself or its middleware."""

    duration: timedelta
    record: Record
    #: What follows, which the job may have changed.
    chain: Mapping[str, Any] | None  # Any: JSON
    #: What ``handle`` returned, as middleware passed it on.
    result: object = None
    #: Which is told its end; None where it couldn't be built, or wasn't.
    job: Job | None = None


@dataclass(slots=True, kw_only=True)
class Released:
    """Another try follows."""

    duration: timedelta
    record: Record
    #: What went wrong; None where the job or its middleware asked for another try.
    error: Exception | None
    #: The wait, or the moment of the next try.
    delay: timedelta | datetime
    job: Job | None = None


@dataclass(slots=True, kw_only=True)
class Failed:
    """The job goes to the failed jobs."""

    duration: timedelta
    record: Record
    error: Exception
    attempts: int
    #: Whose ``failed`` is called; None where it couldn't be built.
    job: Job | None
    #: How long its ``failed`` may take, in seconds; 0 means no limit.
    timeout: float


@dataclass(slots=True, kw_only=True)
class Quarantined:
    """The record can't be trusted or read; nothing was run."""

    error: Exception


@dataclass(slots=True, kw_only=True)
class Lost:
    """Somebody else holds the job by now; nothing was run."""


type Outcome = Processed | Released | Failed | Quarantined | Lost
#: The same, for ``isinstance``.
ENDS: Final = (Processed, Released, Failed, Quarantined, Lost)


@dataclass(slots=True, kw_only=True)
class TryEnd:
    """How a try ended that was written down, in values that can be counted and told to other processes."""

    state: Literal["done", "released", "failed", "quarantined"]
    #: How long it ran.
    duration: timedelta
    #: Whether it took too long.
    is_timed_out: bool
    #: Name of what it raised, or of why it failed; None where nothing went wrong.
    error: str | None
    #: What the job was; None where that can't be trusted.
    record: Record | None = None


_STATES: Final[Mapping[type[object], Literal["done", "released", "failed", "quarantined"]]] = {
    Processed: "done",
    Released: "released",
    Failed: "failed",
    Quarantined: "quarantined",
}


def summarize(outcome: Outcome) -> TryEnd | None:
    """Return how a try ended; None where the job was lost to somebody else."""
    if isinstance(outcome, Lost):
        return None
    error = None if isinstance(outcome, Processed) else outcome.error
    return TryEnd(
        state=_STATES[type(outcome)],
        duration=timedelta(0) if isinstance(outcome, Quarantined) else outcome.duration,
        is_timed_out=isinstance(error, JobTimeoutError),
        error=None if error is None else type(error).__qualname__,
        record=None if isinstance(outcome, Quarantined) else outcome.record,
    )


def find_plainer_end(claim: Claim, outcome: Outcome, error: Exception) -> Failed | Quarantined | None:
    """Return how a try may end whose end can't be written down, given why; None where nothing is plainer.

    It failed; where that can't be written either, its record is set apart, of which nothing is then looked at.
    """
    reason = UnwrittenEndError(f"How the job ended could not be written down: {type(error).__qualname__}.")
    match outcome:
        case Processed(duration=duration, record=record) | Released(duration=duration, record=record):
            reason.__cause__ = error
            return Failed(duration=duration, record=record, error=reason, attempts=claim.attempts, job=None, timeout=0)
        case Failed():
            return Quarantined(error=reason)
        case _:
            return None


def get_note(
    job: Job | None, state: Literal["done", "released", "failed"], claim: Claim, error: Exception | None, now: datetime
) -> Callable[[], None] | None:
    """Return what writes down the end of a try for jobs that keep a record of it; None for all others."""
    if job is None or type(job).record_end is Job.record_end:
        return None
    return partial(job.record_end, JobEnd(state=state, attempts=claim.attempts, error=error, now=now))
