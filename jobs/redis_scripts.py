"""The Lua scripts of the Redis driver and coordinator: files, each a program that Redis runs as one step."""

from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any, Final

from django.conf import settings
from redis import Redis
from redis.commands.core import Script
from redis.exceptions import BusyLoadingError, ConnectionError, ReadOnlyError, TimeoutError  # noqa: A004 - redis-py's
from rq.defaults import RQ_KEY_PREFIX

#: What is raised when Redis can't be reached, doesn't answer in time, is starting up, or isn't the primary any more.
OUTAGES: Final[tuple[type[Exception], ...]] = (ConnectionError, TimeoutError, BusyLoadingError, ReadOnlyError)
#: What our own keys begin with: as RQ's keys do, so that several houses can share a server. Scripts know it as `ours`.
OURS: Final = f"{RQ_KEY_PREFIX}:jobs:"
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Scripts:
    """The scripts of a folder, on one server of ``settings.RQ_QUEUES``."""

    def __init__(self, folder: Path, *, entry: str) -> None:
        """Name the folder with the scripts, and the entry; nothing is opened yet."""
        self._folder = folder
        self._entry = entry

    @property
    def client(self) -> Redis:
        """The server's client, one for the process."""
        return _get_client(repr(settings.RQ_QUEUES[self._entry]), self._entry)

    @property
    def channel(self) -> str:
        """Name of the channel on which scripts publish the names of queues; one for each database of a server."""
        return _get_channel(self.client)

    def run(self, name: str, *arguments: str | bytes | float) -> Any:  # Any: each script answers with something else
        """Run a script; one round trip, and another the first time that the server meets it."""
        return _register(self.client, self._folder, name)(args=arguments)

    def get_now(self) -> datetime:
        """Return the time of the server."""
        seconds, microseconds = self.client.time()
        return _EPOCH + timedelta(seconds=seconds, microseconds=microseconds)


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
def _get_client(_config: str, entry: str) -> Redis:
    # django-rq reads the settings when it is imported.
    from django_rq import get_connection  # noqa: PLC0415

    return get_connection(entry)


def _get_channel(client: Redis) -> str:
    return f"{OURS}due:{client.connection_pool.connection_kwargs.get('db') or 0}"


@cache
def _register(client: Redis, folder: Path, name: str) -> Script:
    names = ("common.lua", f"{name}.lua")
    parts = [
        f"local ours, channel = '{OURS}', '{_get_channel(client)}'",
        *((folder / one).read_text(encoding="utf-8") for one in names),
    ]
    return client.register_script("\n".join(parts))
