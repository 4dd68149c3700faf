"""Locks of unique jobs, and which job of a key is the last one."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from typing import Final

from django.db import transaction

from jobs.coordination import get_coordinator
from jobs.payload import Record
from jobs.signals import UniqueJobSkipped, identify, unique_job_skipped
from project.transactions import on_end

#: Prefixes of what the coordinator keeps for jobs.
UNIQUE: Final = "unique:"
DEBOUNCE: Final = "debounce:"
#: How much longer than a job may wait it is remembered which one is the last of its key.
_DEBOUNCE_MARGIN: Final = timedelta(days=1)


def take_all_locks(records: Sequence[Record], *, is_apart: bool = False, is_overdue: bool = False) -> list[Record]:
    """Take the locks of jobs as ``take_locks`` does; return those that another one doesn't keep out, in their order.

    Locks that a transaction holds are taken in the order of their keys, so that two who want the same ones don't wait
    for each other.
    """
    locked = sorted((one for one in records if one.unique or one.debounce), key=_get_keys)
    refused = {one.job_id for one in locked if not take_locks(one, is_apart=is_apart, is_overdue=is_overdue)}
    return [record for record in records if record.job_id not in refused]


def take_locks(record: Record, *, is_apart: bool = False, is_overdue: bool = False) -> bool:
    """Take the lock of a unique job, which only the job itself gives back; make a debounced one the last of its key.

    Both are undone if the transaction is rolled back, unless the job is sent apart from it.

    Args:
        record: The job.
        is_apart: Whether it is sent apart from the transaction that is open.
        is_overdue: Whether it was dispatched a while ago, so that others may have been since.

    Returns:
        False if another job holds the lock.
    """
    if record.debounce is not None and not (is_overdue and _has_later(record)):
        _make_last(record, is_apart=is_apart)
    if record.unique is None:
        return True
    key, seconds = str(record.unique["key"]), record.unique["seconds"]
    lifetime = timedelta(seconds=seconds) if seconds else None
    if get_coordinator().acquire(UNIQUE + key, owner=str(record.job_id), lifetime=lifetime):
        if not is_apart:
            on_end(rollback=partial(_call_after_rollback, release_unique, record))
        return True
    unique_job_skipped.announce(UniqueJobSkipped(**identify(record), key=key))
    return False


def release_unique(record: Record) -> None:
    """Let another job of the same key be dispatched."""
    if record.unique is not None:
        get_coordinator().release(UNIQUE + str(record.unique["key"]), owner=str(record.job_id))


def _call_after_rollback(give_back: Callable[[Record], object], record: Record) -> None:
    """Give a lock back; what is kept in the database was rolled back itself, and can't be asked now."""
    if not get_coordinator().is_transactional:
        give_back(record)


def unlock(records: Iterable[Record]) -> None:
    """Give back the locks of jobs that aren't stored after all."""
    if transaction.get_connection().needs_rollback:
        return
    for record in records:
        release_unique(record)
        _unmake_last(record)


def is_superseded(record: Record) -> bool:
    """Say whether a later job of the same key took this one's place."""
    if record.debounce is None:
        return False
    owners = get_coordinator().list_owners(DEBOUNCE + str(record.debounce["key"]))
    return bool(owners) and not any(owner.startswith(str(record.job_id)) for owner in owners)


def put_off(record: Record, now: datetime) -> Record:
    """Let a debounced job wait, but not longer than the first one of its key may be put off in all."""
    if record.debounce is None:
        return record
    wait, longest = float(record.debounce["seconds"]), record.debounce["max_wait"]
    if longest is not None:
        since = next(iter(get_coordinator().list_owners(_get_since_key(record))), now.isoformat())
        end = datetime.fromisoformat(since) + timedelta(seconds=longest)
        wait = max(min(wait, (end - now).total_seconds()), 0)
    return replace(record, delay_seconds=wait, delay_until=None)


def forget_wait(record: Record) -> None:
    """Count anew how long jobs of a key are put off, for the one that was has begun, or won't."""
    if record.debounce is not None and record.debounce["max_wait"] is not None:
        get_coordinator().forget(_get_since_key(record))


def _make_last(record: Record, *, is_apart: bool) -> None:
    """Make a job the one of its key that will run; if it isn't stored after all, the ones before it run."""
    assert record.debounce is not None  # noqa: S101 - asked by the caller
    coordinator, since_key = get_coordinator(), _get_since_key(record)
    lifetime = timedelta(seconds=max(record.debounce["seconds"], record.debounce["max_wait"] or 0)) + _DEBOUNCE_MARGIN
    if record.debounce["max_wait"] is not None and not coordinator.list_owners(since_key):
        coordinator.acquire(since_key, owner=_get_moment(record), lifetime=lifetime)
    coordinator.replace(DEBOUNCE + str(record.debounce["key"]), owner=_name_last(record), lifetime=lifetime)
    if not is_apart:
        on_end(rollback=partial(_call_after_rollback, _unmake_last, record))


def _unmake_last(record: Record) -> None:
    """Let the jobs before a debounced one run, and forget the wait that began with it."""
    if record.debounce is None:
        return
    get_coordinator().release(DEBOUNCE + str(record.debounce["key"]), owner=_name_last(record))
    if record.debounce["max_wait"] is not None:
        get_coordinator().release(_get_since_key(record), owner=_get_moment(record))


def _has_later(record: Record) -> bool:
    """Say whether the last one of a job's key was dispatched after it."""
    assert record.debounce is not None  # noqa: S101 - asked by the caller
    owners = get_coordinator().list_owners(DEBOUNCE + str(record.debounce["key"]))
    dispatched_at = datetime.fromisoformat(_get_moment(record))
    moments = [owner.partition(" ")[2] for owner in owners]
    return any(datetime.fromisoformat(moment) > dispatched_at for moment in moments if moment)


def _name_last(record: Record) -> str:
    """Return how a job is called that is the last one of its key: its id, and when it was dispatched."""
    return f"{record.job_id} {_get_moment(record)}"


def _get_moment(record: Record) -> str:
    assert record.created_at is not None  # noqa: S101 - set at dispatch
    return record.created_at.isoformat()


def _get_keys(record: Record) -> tuple[str, str]:
    return str((record.debounce or {}).get("key", "")), str((record.unique or {}).get("key", ""))


def _get_since_key(record: Record) -> str:
    """Return the key under which it is kept since when jobs of the same key are put off."""
    assert record.debounce is not None  # noqa: S101 - asked by the caller
    return f"{DEBOUNCE}{record.debounce['key']}:since"
