"""How idle workers hear of jobs as these become due: a speed-up alone, for whoever doesn't hear looks now and then."""

import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, Final, override

from django.db import connection
from django.db.backends.base.base import BaseDatabaseWrapper
from redis import Redis
from redis.client import PubSub

from jobs.options import matches_queue

#: A server that doesn't answer is given up after this long.
_TIMEOUT_SECONDS: Final = 5


class Listener(ABC):
    """Hears on a connection of its own that queues have something due, as soon as that is committed.

    Whatever it raises means that it hears no more until it is closed and started again.
    """

    def __init__(self, queues: Sequence[str]) -> None:
        """Take names or patterns of queues, none for every queue; nothing is opened yet."""
        self._queues = frozenset(queues)
        self._patterns = [name for name in self._queues if "*" in name]

    @abstractmethod
    def start(self) -> None:
        """Hear of all that is pushed from now on."""

    @abstractmethod
    def fileno(self) -> int:
        """Return the descriptor that becomes readable when there is something to hear."""

    @abstractmethod
    def hear(self) -> bool:
        """Take in what has come, without waiting; True where one of the queues is named."""

    @abstractmethod
    def stop(self) -> None:
        """Hear no more, so that what nobody takes in doesn't pile up at the server; the connection stays."""

    @abstractmethod
    def close(self) -> None:
        """Let go of the connection."""

    def concerns(self, queue: str) -> bool:
        """Say whether this is one of its queues."""
        if not self._queues or queue in self._queues:
            return True
        return any(matches_queue(pattern, queue) for pattern in self._patterns)


class PostgreSQLListener(Listener):
    """Hears what is sent by NOTIFY, each time the name of one queue."""

    def __init__(self, queues: Sequence[str], *, channel: str) -> None:
        """Take the queues and the name of the channel."""
        super().__init__(queues)
        self._channel = channel
        self._wrapper: BaseDatabaseWrapper | None = None
        #: Whether an answer is due of which nobody has heard.
        self._has_asked = False

    @override
    def start(self) -> None:
        if self._wrapper is None:
            self._wrapper = connection.copy()
            self._wrapper.settings_dict["AUTOCOMMIT"] = True
            options = self._wrapper.settings_dict["OPTIONS"]
            options.pop("pool", None)
            # A worker with a job in hand must not wait for a connection that has died silently.
            options.setdefault("connect_timeout", _TIMEOUT_SECONDS)
            options.setdefault("tcp_user_timeout", _TIMEOUT_SECONDS * 1000)
        if self._has_asked:
            self._has_asked = False
            while self._get_connection().pgconn.get_result() is not None:
                pass
            self.hear()  # of what came before that answer nobody wants to know
        with self._wrapper.cursor() as cursor:
            cursor.execute(f"LISTEN {self._wrapper.ops.quote_name(self._channel)}")

    @override
    def fileno(self) -> int:
        descriptor: int = self._get_connection().fileno()
        return descriptor

    @override
    def hear(self) -> bool:
        # All are taken in, so that the next look stands for all of them.
        names = [notification.payload for notification in self._get_connection().notifies(timeout=0)]
        return any(self.concerns(name) for name in names)

    @override
    def stop(self) -> None:
        # The answer is taken in when it starts again: now a job is to begin, and it is not to wait for this.
        assert self._wrapper is not None  # noqa: S101 - started
        wire = self._get_connection().pgconn
        wire.send_query(f"UNLISTEN {self._wrapper.ops.quote_name(self._channel)}".encode())
        wire.flush()
        self._has_asked = True

    @override
    def close(self) -> None:
        if self._wrapper is not None:
            self._wrapper.close()
            self._wrapper, self._has_asked = None, False

    def _get_connection(self) -> Any:  # Any: psycopg's, as Django's types have it
        assert self._wrapper is not None  # noqa: S101 - started
        return self._wrapper.connection


class RedisListener(Listener):
    """Hears what scripts publish, each time names of queues."""

    def __init__(self, queues: Sequence[str], *, client: Redis, channel: str) -> None:
        """Take the queues, the server and the name of the channel."""
        super().__init__(queues)
        self._client = client
        self._channel = channel
        self._subscription: PubSub | None = None

    @override
    def start(self) -> None:
        if self._subscription is None:
            self._subscription = PubSub(self._client.connection_pool)
        self._subscription.subscribe(self._channel)
        ends_at = time.monotonic() + _TIMEOUT_SECONDS
        while (left := ends_at - time.monotonic()) > 0:
            message = self._subscription.get_message(timeout=left)
            if message is not None and message["type"] == "subscribe":
                return
        raise TimeoutError("The server doesn't confirm the subscription.")

    @override
    def fileno(self) -> int:
        held: Any = self._get_subscription().connection  # Any: redis-py doesn't type it
        descriptor: int = held._sock.fileno()  # noqa: SLF001 - it has no other way to tell
        return descriptor

    @override
    def hear(self) -> bool:
        is_heard = False
        while (message := self._get_subscription().get_message(timeout=0)) is not None:
            if message["type"] == "message":
                names = message["data"].decode(errors="replace").split(",")
                is_heard = is_heard or any(self.concerns(name) for name in names)
            else:
                is_heard = True  # it was connected anew by itself, and may have missed something
        return is_heard

    @override
    def stop(self) -> None:
        self._get_subscription().unsubscribe()  # type: ignore[no-untyped-call]  # of redis-py

    @override
    def close(self) -> None:
        if self._subscription is not None:
            self._subscription.close()
            self._subscription = None

    def _get_subscription(self) -> PubSub:
        assert self._subscription is not None  # noqa: S101 - started
        return self._subscription
