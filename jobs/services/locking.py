"""Locks of unique jobs, and which job of a key is the last one."""

from collections.abc import Iterable, Sequence
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
            on_end(rollback=partial(_release_after_rollback, UNIQUE + key, str(record.job_id)))
        return True
    unique_job_skipped.announce(UniqueJobSkipped(**identify(record), key=key))
    return False


def release_unique(record: Record) -> None:
    """Let another job of the same key be dispatched."""
    if record.unique is not None:
        get_coordinator().release(UNIQUE + str(record.unique["key"]), owner=str(record.job_id))


def _release_after_rollback(key: str, owner: str) -> None:
    """Give a lock back; what is kept in the database was rolled back itself, and can't be asked now."""
    coordinator = get_coordinator()
    if not coordinator.is_transactional:
        coordinator.release(key, owner=owner)


def unlock(records: Iterable[Record]) -> None:
    """Give back the locks of jobs that aren't stored after all."""
    if transaction.get_connection().needs_rollback:
        return
    for record in records:
        release_unique(record)
        if record.debounce is not None:
            get_coordinator().release(DEBOUNCE + str(record.debounce["key"]), owner=_name_last(record))


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


def _make_last(record: Record, *, is_apart: bool) -> None:
    """Make a job the one of its key that will run; if it isn't stored after all, the ones before it run."""
    assert record.debounce is not None  # noqa: S101 - asked by the caller
    assert record.created_at is not None  # noqa: S101 - set at dispatch
    key, owner, coordinator = DEBOUNCE + str(record.debounce["key"]), _name_last(record), get_coordinator()
    lifetime = timedelta(seconds=max(record.debounce["seconds"], record.debounce["max_wait"] or 0)) + _DEBOUNCE_MARGIN
    if record.debounce["max_wait"] is not None and not coordinator.list_owners(_get_since_key(record)):
        coordinator.acquire(_get_since_key(record), owner=record.created_at.isoformat(), lifetime=lifetime)
    coordinator.replace(key, owner=owner, lifetime=lifetime)
    if not is_apart:
        on_end(rollback=partial(_release_after_rollback, key, owner))


def _has_later(record: Record) -> bool:
    """Say whether the last one of a job's key was dispatched after it."""
    assert record.debounce is not None  # noqa: S101 - asked by the caller
    assert record.created_at is not None  # noqa: S101 - set at dispatch
    owners = get_coordinator().list_owners(DEBOUNCE + str(record.debounce["key"]))
    return any(datetime.fromisoformat(owner.partition(" ")[2]) > record.created_at for owner in owners)


def _name_last(record: Record) -> str:
    """Return how a job is called that is the last one of its key: its id, and when it was dispatched."""
    assert record.created_at is not None  # noqa: S101 - set at dispatch
    return f"{record.job_id} {record.created_at.isoformat()}"


def _get_keys(record: Record) -> tuple[str, str]:
    return str((record.debounce or {}).get("key", "")), str((record.unique or {}).get("key", ""))


def _get_since_key(record: Record) -> str:
    """Return the key under which it is kept since when jobs of the same key are put off."""
    assert record.debounce is not None  # noqa: S101 - asked by the caller
    return f"{DEBOUNCE}{record.debounce['key']}:since"
