"""The Lua scripts of the Redis driver and coordinator: files, each a program that Redis runs as one step."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import chain, islice
from pathlib import Path
from typing import Any, Final

from django.conf import settings
from redis import ConnectionPool, Redis
from redis.backoff import NoBackoff
from redis.commands.core import Script
from redis.exceptions import (
    BusyLoadingError,
    ClusterDownError,
    ConnectionError,  # noqa: A004 - redis-py's
    NoScriptError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
    ResponseError,
    TimeoutError,  # noqa: A004 - redis-py's
    TryAgainError,
)
from redis.retry import Retry
from rq.defaults import RQ_KEY_PREFIX

from jobs.clock import StoreClock
from jobs.redis_line import Line, Value, pack


class RefusedError(ResponseError):
    """Redis refuses for now: its replicas are away, its disk fails, or a script of somebody else runs for too long."""


#: What is raised when Redis can't be reached, doesn't answer in time, is starting up, isn't the primary any more or has
#: lost it, is full, or refuses for now.
OUTAGES: Final[tuple[type[Exception], ...]] = (
    ConnectionError, TimeoutError, BusyLoadingError, ReadOnlyError, ClusterDownError, TryAgainError, OutOfMemoryError,
    RefusedError,
)  # fmt: skip
#: The words with which answers begin that are a ``RefusedError``; redis-py has no classes for them.
_REFUSALS: Final = frozenset({"NOREPLICAS", "MISCONF", "BUSY"})
#: What our own keys begin with: as RQ's keys do, so that several houses can share a server. Scripts know it as `ours`.
OURS: Final = f"{RQ_KEY_PREFIX}:jobs:"
#: Who dispatches waits no longer than this for a connection, and then for an answer, in seconds.
_BRISK_SECONDS: Final = 1
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
#: Scripts that need ``base.lua`` and not ``common.lua``.
_SHORT: Final = frozenset({"push"})
#: How long what the server said of its time is counted on from, in seconds.
_TRUSTED_SECONDS: Final = 30.0


class _Refusals:
    """Within the block, what Redis refuses for now is raised as ``RefusedError``."""

    def __enter__(self) -> None:
        """Nothing need be done before; a generator would cost dispatch more."""

    def __exit__(self, _kind: type[BaseException] | None, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, ResponseError) and str(error).partition(" ")[0] in _REFUSALS:
            raise RefusedError(*error.args) from error


_refusals: Final = _Refusals()


class Scripts:
    """The scripts of a folder, on one server of ``settings.RQ_QUEUES``."""

    def __init__(self, folder: Path, *, entry: str, is_brisk: bool = False) -> None:
        """Name the folder with the scripts, and the entry; nothing is opened yet.

        ``is_brisk``: for short scripts on which somebody waits. Where the server doesn't answer that is said within
        two seconds; otherwise redis-py tries for up to a minute.
        """
        self._folder = folder
        self._entry = entry
        self._is_brisk = is_brisk
        #: The server, and the entry that it was made of.
        self._found: tuple[object, _Server] | None = None

    @property
    def server(self) -> "_Server":
        """What is kept of the server in this process."""
        config = settings.RQ_QUEUES[self._entry]
        if self._found is None or self._found[0] is not config:
            get_server = _get_brisk_server if self._is_brisk else _get_server
            self._found = config, get_server(repr(config), self._entry)
        return self._found[1]

    @property
    def client(self) -> Redis:
        """The server's client, one for the process."""
        return self.server.client

    @property
    def channel(self) -> str:
        """Name of the channel on which scripts publish the names of queues; one for each database of a server."""
        return _get_channel(self.client)

    def run(
        self, name: str, *arguments: Value, is_repeatable: bool = True
    ) -> Any:  # Any: each script answers with something else
        """Run a script; one round trip, and another the first time that the server meets it.

        Where the connection breaks, and the client was told to try again, it does so, unless the script is one that
        must not be run again for an answer that nobody has heard.
        """
        server = self.server
        script = _register(server.client, self._folder, name)
        with _refusals:
            try:
                answer = server.line.ask(pack("EVALSHA", script.sha, 0, *arguments))
            except OUTAGES as error:
                has_gone = self._is_brisk and isinstance(error, TimeoutError)
                if has_gone or not is_repeatable or not server.is_patient:
                    raise
                return script(args=arguments)
            if isinstance(answer, NoScriptError):
                return script(args=arguments)
            if isinstance(answer, RedisError):
                raise answer
            return answer

    def run_each(self, name: str, calls: Iterable[Sequence[Value]]) -> Iterator[Any]:  # Any: as above
        """Run a script many times, in order; a call is on its way while the server is at work on the one before.

        Where the connection breaks, calls that have no answer are made once more: the script must bear that.
        """
        server = self.server
        script = _register(server.client, self._folder, name)
        left, unanswered = iter(calls), deque[Sequence[Value]]()

        def pack_next() -> Iterator[bytes]:
            for call in left:
                unanswered.append(call)
                yield pack("EVALSHA", script.sha, 0, *call)

        with _refusals, suppress(ConnectionError):
            for call in islice(left, 1):  # waited for, because the server may not know the script yet
                unanswered.append(call)
                answer = self.run(name, *call)
                unanswered.popleft()
                yield answer
            for answer in server.line.ask_each(pack_next()):
                found = script(args=unanswered[0]) if isinstance(answer, NoScriptError) else answer
                if isinstance(found, RedisError):
                    raise found
                unanswered.popleft()
                yield found
        with _refusals:
            for call in chain(unanswered, left):
                yield script(args=call)

    def call[T](self, command: Callable[[Redis], T]) -> T:
        """Return what a command of the client returns, where no script is needed. Raises what ``run`` raises."""
        with _refusals:
            return command(self.client)

    def get_now(self) -> datetime:
        """Return the time of the server, which is asked every half minute at most; see ``jobs.clock``."""
        server = self.server
        clock = server.clock
        if clock is None or clock.get_age() > _TRUSTED_SECONDS:
            seconds, microseconds = self.call(Redis.time)
            now = _EPOCH + timedelta(seconds=seconds, microseconds=microseconds)
            clock = server.clock = StoreClock(now)
        return clock.get()


class _Server:
    """What is kept of a server in this process."""

    def __init__(self, client: Redis) -> None:
        self.client = client
        self.line = Line(client)
        self.is_patient = bool((retry := client.get_retry()) and retry.get_retries())
        self.clock: StoreClock | None = None


def to_stamp(moment: datetime | None) -> str:
    """Return a moment as scripts take it: seconds since 1970 with six digits; empty for the clock of the server."""
    if moment is None:
        return ""
    since = max(moment - _EPOCH, timedelta(0))
    return f"{since.days * 86400 + since.seconds}.{since.microseconds:06d}"


def from_stamp(text: bytes) -> datetime:
    """Return what ``to_stamp`` was given."""
    seconds, _, fraction = text.decode().partition(".")
    return _EPOCH + timedelta(seconds=int(seconds), microseconds=int(fraction[:6].ljust(6, "0")))


@cache
def _get_server(_config: str, entry: str) -> _Server:
    # django-rq reads the settings when it is imported.
    from django_rq import get_connection  # noqa: PLC0415

    return _Server(get_connection(entry))


@cache
def _get_brisk_server(config: str, entry: str) -> _Server:
    server = _get_server(config, entry)
    pool = server.client.connection_pool
    if type(pool) is not ConnectionPool:  # Sentinel's has timeouts of its own, which the entry says
        return server
    options = {
        **pool.connection_kwargs,
        "socket_connect_timeout": _BRISK_SECONDS,
        "socket_timeout": _BRISK_SECONDS,
        # Once more where a connection that lay idle was closed; what timed out may have been done.
        "retry": Retry(NoBackoff(), 1, supported_errors=(ConnectionError,)),
    }
    brisk_pool = ConnectionPool(connection_class=pool.connection_class, max_connections=pool.max_connections, **options)
    return _Server(Redis(connection_pool=brisk_pool))


def _get_channel(client: Redis) -> str:
    return f"{OURS}due:{client.connection_pool.connection_kwargs.get('db') or 0}"


@cache
def _register(client: Redis, folder: Path, name: str) -> Script:
    # What a script doesn't need of these costs it time, each time that it runs.
    names = ("base", name) if name in _SHORT else ("base", "common", name)
    files = [folder / f"{one}.lua" for one in names]
    parts = [
        f"local ours, channel = '{OURS}', '{_get_channel(client)}'",
        *(one.read_text(encoding="utf-8") for one in files if one.exists()),
    ]
    return client.register_script("\n".join(parts))
