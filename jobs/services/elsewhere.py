"""What follows a job in another store than its own, which can't be one step with its end."""

from datetime import datetime, timedelta
from typing import Final

from jobs.coordination import get_coordinator
from jobs.drivers.base import Claim, QueueDriver, get_driver
from jobs.drivers.failover import FailoverDriver
from jobs.payload import Record
from jobs.services.dispatching import push_followers

#: How long it is known that a follower was sent.
_KEPT: Final = timedelta(days=1)


def is_served(driver: QueueDriver, connection: str) -> bool:
    """Say whether jobs of a connection may be stored by a driver: it is its own, or fails over to it."""
    if connection == driver.name:
        return True
    other = get_driver(connection)
    return isinstance(other, FailoverDriver) and driver.name in [one.name for one in other.drivers]


def send_elsewhere(claim: Claim, ended: Record | None, followers: list[Record], now: datetime) -> None:
    """Send followers to other stores, and keep for a day that they were: there, they may end before the job does."""
    push_followers(followers, now=now)
    for record in followers:
        get_coordinator().acquire(_get_key(claim, ended, record), owner="sent", lifetime=_KEPT)


def was_sent(driver: QueueDriver, claim: Claim, ended: Record | None, follower: Record) -> bool:
    """Say whether a follower was sent to another store before, in the same run of the job that it follows."""
    is_elsewhere = not is_served(driver, follower.connection)
    return is_elsewhere and bool(get_coordinator().list_owners(_get_key(claim, ended, follower)))


def _get_key(claim: Claim, ended: Record | None, follower: Record) -> str:
    """Return the key of one follower of one run; a retry from the failed jobs is another run."""
    run = ended.created_at.isoformat() if ended is not None and ended.created_at else claim.lease_id
    return f"followed:{claim.job_id}:{run}:{follower.job_id}"
