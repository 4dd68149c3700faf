"""A way to Redis on which answers are lost: the command was heard, and done, but nobody is told."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from select import select
from typing import Self
from urllib.parse import urlsplit

from pytest_django import Settings

from tests.jobs.conftest import empty

_CHUNK = 1 << 16


@contextmanager
def lossy_way(settings: Settings) -> Iterator["LossyProxy"]:
    """Let all jobs take a way to Redis on which answers get lost."""
    parts = urlsplit(settings.REDIS_URL)
    assert parts.hostname is not None
    assert parts.port is not None
    with LossyProxy(host=parts.hostname, port=parts.port) as proxy:
        url = parts._replace(netloc=f"127.0.0.1:{proxy.port}").geturl()
        settings.RQ_QUEUES = {**settings.RQ_QUEUES, "default": {**settings.RQ_QUEUES["default"], "URL": url}}
        settings.JOBS = {**settings.JOBS, "CONNECTION": "redis"}
        empty("redis")
        yield proxy
        empty("redis")


class LossyProxy:
    """Passes on what a client and a server say, until it is told to lose answers."""

    def __init__(self, *, host: str, port: int) -> None:
        """Listen on a port of its own; ``host`` and ``port`` are the server's."""
        self._server = (host, port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._needle = b""
        self._spared = 0
        self._until: Callable[[], bool] | None = None
        self._lock = threading.Lock()
        #: Held while an answer is being lost.
        self._is_losing = threading.Lock()

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._listener.close()

    @contextmanager
    def losing(self, needle: str, *, after: int = 0, until: Callable[[], bool] | None = None) -> Iterator[None]:
        """Lose the answer to one of the commands that hold a text, after so many of them.

        ``until``: lose all answers, and hold the connection, until this says so, or until the end of the block; it is
        called no more afterwards.
        """
        over = threading.Event()
        with self._lock:
            self._needle, self._spared = needle.encode(), after
            self._until = None if until is None else lambda: over.is_set() or until()
        try:
            yield
        finally:
            over.set()
            with self._lock:
                self._needle = b""
            with self._is_losing:
                pass

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=[client], daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client, socket.create_connection(self._server) as server, suppress(OSError):
            while True:
                for source in select([client, server], [], [])[0]:
                    if not (said := source.recv(_CHUNK)):
                        return
                    if source is client and self._is_to_be_lost(said):
                        server.sendall(said)
                        with self._is_losing:
                            self._lose(client, server)
                        return
                    (server if source is client else client).sendall(said)

    def _lose(self, client: socket.socket, server: socket.socket) -> None:
        if self._until is None:
            server.recv(_CHUNK)
            return
        while not self._until():
            for source in select([client, server], [], [], 0.01)[0]:
                said = source.recv(_CHUNK)
                if source is client:
                    server.sendall(said)

    def _is_to_be_lost(self, said: bytes) -> bool:
        with self._lock:
            if not self._needle or self._needle not in said:
                return False
            if self._spared:
                self._spared -= 1
                return False
            self._needle = b""
            return True
