"""What follows a job: which of it may be stored, with its locks, and what goes to other stores than that of the job."""

from collections.abc import Callable, Mapping
from contextlib import nullcontext
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Final

from django.db import transaction

from jobs.coordination import get_coordinator
from jobs.drivers.base import Claim, QueueDriver, get_driver
from jobs.drivers.failover import FailoverDriver
from jobs.payload import Record
from jobs.services.batches import abandon
from jobs.services.dispatching import admit, push_followers
from jobs.services.locking import release_unique

#: How long it is known that a follower was sent.
_KEPT: Final = timedelta(days=1)


def is_served(driver: QueueDriver, connection: str) -> bool:
    """Say whether jobs of a connection may be stored by a driver: it is its own, or fails over to it."""
    if connection == driver.name:
        return True
    other = get_driver(connection)
    return isinstance(other, FailoverDriver) and driver.name in [one.name for one in other.drivers]


def admit_followers(
    driver: QueueDriver, claim: Claim, ended: Record | None, followers: list[Record], now: datetime
) -> list[Record]:
    """Take the locks of what follows a job; what finds another job of its key waiting or running, is left out.

    So is what was sent to another store already.
    """
    if ended is not None and ended.unique and any(one.unique == ended.unique for one in followers):
        release_unique(ended)  # its own lock must not keep out what follows it
    if ended is not None and claim.attempts > 1:
        _give_back_locks(driver, claim, ended, followers)
    return _admit_all(followers, now, but=partial(_was_sent, driver, claim, ended))


def send_followers(followers: list[Record], *, now: datetime) -> None:
    """Send what follows where a job that waited will never run, in the transaction in which it left its batches."""
    push_followers(_admit_all(followers, now), now=now)


def _admit_all(
    followers: list[Record], now: datetime, *, but: Callable[[Record], bool] = lambda _record: False
) -> list[Record]:
    """Take the locks of followers, and of what follows where another job of their key keeps one of them out."""
    admitted: list[Record] = []
    while followers:
        followers = [one for one in followers if not but(one)]
        admitted += admit(followers, now=now)
        known = {record.job_id for record in admitted}
        refused = [record for record in followers if record.job_id not in known]
        followers = [follower for record in refused for follower in abandon(record, now=now)]
    return admitted


def send_elsewhere(claim: Claim, ended: Record | None, followers: list[Record], now: datetime) -> None:
    """Send followers to other stores, and keep for a day that they were: there, they may end before the job does.

    Where the first is a row of the database, also one of the outbox, and the second is kept there, it is one step.
    Otherwise a worker that dies in between leaves a follower that is sent again, and runs again if it has ended.
    """
    if not followers:
        return
    with transaction.atomic() if get_coordinator().is_transactional else nullcontext():
        push_followers(followers, now=now)
        for record in followers:
            get_coordinator().acquire(_get_key(claim, ended, record), owner="sent", lifetime=_KEPT)


def _was_sent(driver: QueueDriver, claim: Claim, ended: Record | None, follower: Record) -> bool:
    """Say whether a follower was sent to another store before, in the same run of the job that it follows."""
    is_elsewhere = not is_served(driver, follower.connection)
    return is_elsewhere and bool(get_coordinator().list_owners(_get_key(claim, ended, follower)))


def _give_back_locks(driver: QueueDriver, claim: Claim, ended: Record, followers: list[Record]) -> None:
    """Give back the locks of the next link of a chain where this end doesn't send it.

    A worker that died at the end of an earlier try may have taken them: that try would have gone on with the link.
    """
    link: Mapping[str, Any] = next(iter((ended.chain or {}).get("links", [])), {})  # Any: JSON
    kept = {record.job_id for record in followers}
    for values in [link["record"]] if "record" in link else link.get("batch", {}).get("records", []):
        record = Record.from_json(values)
        if record.unique and record.job_id not in kept and not _was_sent(driver, claim, ended, record):
            release_unique(record)


def _get_key(claim: Claim, ended: Record | None, follower: Record) -> str:
    """Return the key of one follower of one run; a retry from the failed jobs is another run."""
    run = ended.created_at.isoformat() if ended is not None and ended.created_at else claim.lease_id
    return f"followed:{claim.job_id}:{run}:{follower.job_id}"
