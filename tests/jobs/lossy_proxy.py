"""A way to Redis on which answers are lost: the command was heard, and done, but nobody is told."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from select import select
from typing import Self

_CHUNK = 1 << 16


class LossyProxy:
    """Passes on what a client and a server say, until it is told to lose answers."""

    def __init__(self, *, host: str, port: int) -> None:
        """Listen on a port of its own; ``host`` and ``port`` are the server's."""
        self._server = (host, port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._needle = b""
        self._spared = 0
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._listener.close()

    @contextmanager
    def losing(self, needle: str, *, after: int = 0) -> Iterator[None]:
        """Lose the answer to one of the commands that hold a text, after so many of them."""
        with self._lock:
            self._needle, self._spared = needle.encode(), after
        try:
            yield
        finally:
            with self._lock:
                self._needle = b""

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
                        server.recv(_CHUNK)
                        return
                    (server if source is client else client).sendall(said)

    def _is_to_be_lost(self, said: bytes) -> bool:
        with self._lock:
            if not self._needle or self._needle not in said:
                return False
            if self._spared:
                self._spared -= 1
                return False
            self._needle = b""
            return True
