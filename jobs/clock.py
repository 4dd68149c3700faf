"""What time it is: that of the store, so that hosts whose clocks differ agree."""

import time
from datetime import datetime, timedelta
from threading import local

from django.db import connection
from django.utils import timezone

_TRUSTED_SECONDS = 30.0


class _Reading(local):
    """What this thread's connection said last, and when, by a clock that nobody sets."""

    now: datetime | None = None
    read_at: float = 0.0


_reading = _Reading()


def get_database_now() -> datetime:
    """Return the time of the database.

    A server is asked every half minute at most; in between the time that has gone by is added, so a host whose clock
    is wrong, or is set, doesn't matter. SQLite has no clock but the host's.
    """
    if connection.vendor != "postgresql":
        return timezone.now()
    elapsed = time.monotonic() - _reading.read_at
    if _reading.now is None or elapsed > _TRUSTED_SECONDS:
        with connection.cursor() as cursor:
            cursor.execute("SELECT clock_timestamp()")
            _reading.now = cursor.fetchone()[0]
        _reading.read_at, elapsed = time.monotonic(), 0.0
    return _reading.now + timedelta(seconds=elapsed)
