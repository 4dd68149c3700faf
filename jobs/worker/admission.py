"""Whether a claimed job may be tried: the store's count must fit what was signed, and its end must not have come."""

from datetime import datetime, timedelta

from jobs.drivers.base import Claim
from jobs.exceptions import MaxAttemptsExceededError, PayloadError, PoisonPillError, RetryDeadlineError
from jobs.job import Resolved
from jobs.payload import Record
from jobs.services import is_first_telling


def check_count(record: Record, claim: Claim) -> None:
    """Refuse a count of tries that was set back, and another priority, for jobs that sign their tries.

    Raises:
        PayloadError: The store counts fewer tries than were signed, or says another priority.
    """
    if record.attempts is None:
        return
    if claim.attempts <= record.attempts:
        message = f"The row counts {claim.attempts} tries, but {record.attempts} were signed before this one."
        raise PayloadError(message)
    if claim.priority != record.priority:
        raise PayloadError("The priority of the row is not the one that was signed.")


def find_unsigned_tries(record: Record, claim: Claim, spent: Exception) -> PayloadError | None:
    """Say what is wrong where tries brought a job to its end of which none was ever begun.

    Tries that were cut short need not have been begun; any others that weren't were made up by who raised the count.
    The job isn't run, and isn't counted as one that failed by itself.
    """
    used = claim.attempts - 1
    if record.attempts is None or not isinstance(spent, MaxAttemptsExceededError):
        return None
    if used - claim.crashes <= record.attempts <= used:
        return None
    return PayloadError(f"The row counts {used} tries before this one, but only {record.attempts} were signed.")


def count_tries(claim: Claim) -> int:
    """Return how often the job was tried, this time included, without the tries that were cut short."""
    return claim.attempts - claim.crashes


def find_end(claim: Claim, record: Record, resolved: Resolved, now: datetime) -> Exception | None:
    """Return why a job may not be tried any more; None where it may."""
    if claim.crashes > resolved.max_crashes:
        message = f"{claim.crashes} workers died, or lost their lease, while they had the job."
        return PoisonPillError(message)
    deadline = get_deadline(record, resolved)
    if deadline is not None:
        return RetryDeadlineError("The moment until which it may be tried has passed.") if now >= deadline else None
    if resolved.tries and count_tries(claim) > resolved.tries:
        return MaxAttemptsExceededError(f"The job was put back in each of its {resolved.tries} tries.")
    return None


def is_to_be_told(claim: Claim, record: Record, resolved: Resolved, spent: Exception) -> bool:
    """Say whether a job is to be built, to be told its end: once only, for that may be what its workers die of."""
    if isinstance(spent, PoisonPillError):
        return claim.crashes == resolved.max_crashes + 1
    return is_first_telling(record)


def get_deadline(record: Record, resolved: Resolved) -> datetime | None:
    """Return the moment until which it may be tried; None where only its tries count."""
    end = resolved.retry_until
    if isinstance(end, timedelta):
        return None if record.created_at is None else record.created_at + end
    return end
