"""Values of a Redis server as this process has read them, believed until the server says that they have changed.

The server remembers what was read over a connection and tells on the same connection when it changes (client-side
caching: ``CLIENT TRACKING``, https://valkey.io/topics/client-side-caching/). What it has told is taken in before
anything is believed, so a change that somebody has heard of is seen here too. A connection that is silent for longer
than ``silence_seconds`` is asked first whether it still lives, so that long at most a dead one can deceive.
"""

import os
import threading
import time
from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any, Final

import structlog

from project.sockets import has_bytes

#: redis-py types what a connection answers, but not what it is asked.
type Connection = Any

_MAX_VALUES: Final = 20_000
#: How long a server is left alone over which this doesn't work, in seconds.
_REST_SECONDS: Final = 30.0
_log: Final = structlog.get_logger("gatehouse.shared_facts")


class NearCache:
    """See above; safe for threads, and for processes that fork."""

    def __init__(self, url: str, *, silence_seconds: float) -> None:
        """Connect when something is asked for."""
        self._url = url
        self._silence_seconds = silence_seconds
        self._lock = threading.Lock()
        self._connection: Connection | None = None
        self._values: dict[str, bytes] = {}
        self._pid = 0
        #: Whether nothing lies in this process that the server has told; more can only lie in the socket.
        self._is_heard_out = False
        self._heard_at = 0.0
        self._rests_until = 0.0

    def fetch(self, keys: Sequence[str]) -> list[bytes] | None:
        """Return what is under the keys, empty where nothing is; None where the server is to be asked another way.

        That is while another thread waits for the server here, and where the server can't be reached or can't tell
        what changes.
        """
        from redis.exceptions import RedisError  # noqa: PLC0415 - a house without Redis needn't load it

        if time.monotonic() < self._rests_until or not self._lock.acquire(blocking=False):
            return None
        try:
            connection = self._open()
            self._listen(connection)
            missing = [key for key in keys if key not in self._values]
            if missing:
                values = self._ask(connection, "MGET", *missing)
                if len(self._values) + len(missing) > _MAX_VALUES:
                    self._values.clear()
                    return None
                self._values.update(zip(missing, (value or b"" for value in values), strict=True))
            return [self._values[key] for key in keys]
        except (RedisError, OSError, KeyError) as error:
            # KeyError: what was read changed in the same moment.
            if not isinstance(error, KeyError):
                self._close()
                self._rests_until = time.monotonic() + _REST_SECONDS
                _log.info("near_cache_rests", error=type(error).__qualname__)
            return None
        except BaseException:
            # An alarm of a job, say: redis-py drops the connection then, and would open another that tells nothing.
            self._close()
            raise
        finally:
            self._lock.release()

    def discard(self, keys: Iterable[str]) -> None:
        """Believe these no more: this process has changed them itself, over another connection."""
        for key in keys:
            self._values.pop(key, None)

    def clear(self) -> None:
        """Believe nothing any more, and not that the server is away either."""
        self._values.clear()
        self._rests_until = 0.0

    def _open(self) -> Connection:
        """Return the connection; with another one nothing is believed that was read over the last."""
        from redis.connection import ConnectionPool  # noqa: PLC0415 - as above

        if self._connection is not None and self._pid == os.getpid():
            return self._connection
        self._connection, self._values = None, {}
        # Any: see Connection
        pool: Any = ConnectionPool.from_url(self._url, protocol=3, socket_timeout=1, socket_connect_timeout=1)
        connection = pool.make_connection()
        connection.connect()
        connection._parser.set_invalidation_push_handler(self._take)  # noqa: SLF001 - redis-py offers no other way
        self._ask(connection, "CLIENT", "TRACKING", "ON")
        self._connection, self._pid = connection, os.getpid()
        return connection

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.disconnect()
        self._connection, self._values = None, {}

    def _listen(self, connection: Connection) -> None:
        """Take in what the server has told since the last time."""
        if not self._is_heard_out or has_bytes(connection._sock.fileno()):  # noqa: SLF001 - redis-py's own way in is slow
            while connection.can_read(0):
                connection.read_response(push_request=True)
            self._is_heard_out = True
        if time.monotonic() - self._heard_at > self._silence_seconds:
            self._ask(connection, "PING")

    def _ask(self, connection: Connection, *command: str) -> Any:  # Any: the answer of the server
        connection.send_command(*command)
        self._is_heard_out = False
        answer = connection.read_response()
        self._heard_at = time.monotonic()
        return answer

    def _take(self, message: list[Any]) -> None:  # Any: whatever the server tells
        """Believe no more what has changed: ``[b"invalidate", keys]``, or None instead of keys for all there is."""
        changed = message[1]
        if changed is None:
            self._values.clear()
        else:
            self.discard(key.decode() for key in changed)


@cache
def get_near_cache(url: str, silence_seconds: float) -> NearCache:
    """Return the one of this process."""
    return NearCache(url, silence_seconds=silence_seconds)
