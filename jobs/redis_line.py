"""A short way to a Redis server: what a script costs beside its round trip is mostly redis-py's."""

import os
import select
from collections import deque
from collections.abc import Iterable, Iterator
from typing import Any, Final

import hiredis
from redis import Redis
from redis.exceptions import MasterDownError, ReadOnlyError, ResponseError

#: What a server answers that is the primary no more.
_ELSEWHERE: Final = (ReadOnlyError, MasterDownError)
#: So many connections are kept for the next call; the pool gets the others back.
_MAX_IDLE: Final = 8

type Value = str | bytes | float


class Line:
    """Asks a server over connections that it has of the client's pool and keeps, without what a client adds to a call.

    Where a connection breaks in the middle of a call, that is raised, and nothing is tried again.
    """

    def __init__(self, client: Redis) -> None:
        """Take the client; nothing is opened yet."""
        self._client = client
        self._idle: deque[_Held] = deque()
        self._process_id = os.getpid()

    def ask(self, command: bytes) -> Any:  # Any: whatever the server answers
        """Send a command that ``pack`` has packed, and return the answer; an error as such.

        Raises:
            ConnectionError: The connection broke; whether the server has done it isn't known.
            TimeoutError: It doesn't answer in time; as above.
        """
        held = self._take()
        try:
            held.connection.send_packed_command((command,), check_health=False)
            answer = held.read()
        except BaseException:
            # Also where an alarm rings: an answer that nobody has read would be taken for that of the next call.
            self._drop(held)
            raise
        self._give_back(held)
        if isinstance(answer, _ELSEWHERE):
            self._start_anew()
        return answer

    def ask_each(self, commands: Iterable[bytes]) -> Iterator[Any]:  # Any: as above
        """Send commands one after another, each while the server is at work on the one before. Raises as ``ask``."""
        held = self._take()
        count = 0
        try:
            for command in commands:
                held.connection.send_packed_command((command,), check_health=False)
                count += 1
                if count > 1:
                    yield held.read()
            if count:
                yield held.read()
        except BaseException:  # as above
            self._drop(held)
            raise
        self._give_back(held)

    def _start_anew(self) -> None:
        """Open new connections: their address may lead to another server by now, to which these don't."""
        idle, self._idle = self._idle, deque()
        for held in idle:
            self._drop(held)
        self._client.connection_pool.disconnect(inuse_connections=False)

    def _take(self) -> "_Held":
        if self._process_id != os.getpid():  # what was opened before a fork is the parent's
            self._idle, self._process_id = deque(), os.getpid()
        while True:
            try:
                held = self._idle.pop()
            except IndexError:
                return _Held(self._client.connection_pool.get_connection())
            if held.is_quiet():
                return held
            self._drop(held)

    def _give_back(self, held: "_Held") -> None:
        if len(self._idle) < _MAX_IDLE:
            self._idle.append(held)
        else:
            self._client.connection_pool.release(held.connection)

    def _drop(self, held: "_Held") -> None:
        held.connection.disconnect()
        self._client.connection_pool.release(held.connection)


class _Held:
    """A connection, and what tells whether the server has said something that nobody asked for, such as good-bye."""

    def __init__(self, connection: Any) -> None:  # Any: of redis-py, whose types lack what is called here
        self.connection = connection
        self._poll = select.poll()
        self._poll.register(connection._sock, select.POLLIN)  # noqa: SLF001 - it has no other way to tell

    def read(self) -> Any:  # Any: whatever the server answers
        try:
            return self.connection.read_response()
        except ResponseError as error:
            return error

    def is_quiet(self) -> bool:
        return not self._poll.poll(0)


def pack(*values: Value) -> bytes:
    """Return a command as it travels: how many values, then the length of each, and itself."""
    packed: bytes = hiredis.pack_command(values)  # type: ignore[arg-type]  # its stub has a tuple of one value
    return packed
