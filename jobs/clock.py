"""What time it is: that of the store, so that hosts whose clocks differ agree."""

import sys
import time
from datetime import datetime, timedelta
from threading import local
from typing import Final

from django.db import connection
from django.utils import timezone

_TRUSTED_SECONDS = 30.0
_CLOCK: Final = time.CLOCK_BOOTTIME if sys.platform == "linux" else time.CLOCK_MONOTONIC


def get_uptime() -> float:
    """Return seconds by a clock that nobody sets, and that goes on while the host is suspended, where there is one."""
    return time.clock_gettime(_CLOCK)


class StoreClock:
    """The time of a store, without asking it: what it said last, and what has gone by since.

    That is told by a clock that nobody sets.
    """

    def __init__(self, now: datetime) -> None:
        """Begin with what the store says, or what is believed until it does."""
        self.set(now)

    def set(self, now: datetime) -> None:
        """Note what the store says."""
        self._reading = now, get_uptime()  # one value, for it is read in other threads

    def get(self) -> datetime:
        """Return the time of the store."""
        said, heard_at = self._reading
        return said + timedelta(0, get_uptime() - heard_at)

    def get_age(self) -> float:
        """Return how long ago the store was heard, in seconds."""
        return get_uptime() - self._reading[1]


class _Reading(local):
    """The clock of this thread's connection."""

    clock: StoreClock | None = None


_reading = _Reading()


def get_database_now() -> datetime:
    """Return the time of the database.

    A server is asked every half minute at most; in between the time that has gone by is added, so a host whose clock
    is wrong, or is set, doesn't matter. SQLite has no clock but the host's.
    """
    if connection.vendor != "postgresql":
        return timezone.now()
    clock = _reading.clock
    if clock is None or clock.get_age() > _TRUSTED_SECONDS:
        with connection.cursor() as cursor:
            cursor.execute("SELECT clock_timestamp()")
            clock = _reading.clock = StoreClock(cursor.fetchone()[0])
    return clock.get()
