"""A program that stands between workers and their store: it adds latency, and counts how often they wait for an answer.

It prints its port, then after each line of its input how many round trips there were since the start. A round trip is a
request that follows an answer, so what is sent in one pipeline counts once.
"""

import argparse
import asyncio
import selectors
import sys
from collections import deque
from typing import override

_round_trips = 0


class _Side(asyncio.Protocol):
    """One end of a connection: hands on what it reads to the other end, later, and in order."""

    def __init__(self, delay: float, *, is_client: bool) -> None:
        self._delay = delay
        self._is_client = is_client
        self.transport: asyncio.Transport | None = None
        self.other: _Side | None = None
        self.has_answered = True
        #: What is to be handed on, and when.
        self._held: deque[tuple[float, bytes]] = deque()

    def join(self, other: "_Side") -> None:
        """Tell both ends of each other."""
        self.other, other.other = other, self

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - that of a stream
        self.transport = transport

    @override
    def data_received(self, data: bytes) -> None:
        self._count()
        if not self._delay:
            self._hand_on(data)
            return
        loop = asyncio.get_running_loop()
        self._held.append((loop.time() + self._delay, data))
        if len(self._held) == 1:
            loop.call_at(self._held[0][0], self._release)

    def _count(self) -> None:
        global _round_trips  # noqa: PLW0603 - of the program
        if not self._is_client:
            assert self.other is not None  # noqa: S101 - both ends are joined first
            self.other.has_answered = True
        elif self.has_answered:
            self.has_answered = False
            _round_trips += 1

    def _release(self) -> None:
        loop = asyncio.get_running_loop()
        while self._held and self._held[0][0] <= loop.time():
            self._hand_on(self._held.popleft()[1])
        if self._held:
            loop.call_at(self._held[0][0], self._release)

    def _hand_on(self, data: bytes) -> None:
        if self.other is not None and self.other.transport is not None:
            self.other.transport.write(data)

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        if self.other is not None and self.other.transport is not None:
            self.other.transport.close()


class _Entrance(_Side):
    """The end at which a client came in; reads nothing until the store is reached."""

    def __init__(self, store: str, delay: float) -> None:
        super().__init__(delay, is_client=True)
        self._store = store
        self._task: asyncio.Task[None] | None = None

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - that of a stream
        transport.pause_reading()
        self._task = asyncio.get_running_loop().create_task(self._reach(transport))

    async def _reach(self, transport: asyncio.Transport) -> None:
        loop = asyncio.get_running_loop()
        exit_ = _Side(self._delay, is_client=False)
        self.join(exit_)
        if self._store.startswith("/"):
            await loop.create_unix_connection(lambda: exit_, self._store)
        else:
            host, _, port = self._store.rpartition(":")
            await loop.create_connection(lambda: exit_, host, int(port))
        transport.resume_reading()


async def _serve(store: str, delay: float) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: _Entrance(store, delay), "127.0.0.1", 0)
    _say(server.sockets[0].getsockname()[1])
    while await loop.run_in_executor(None, sys.stdin.readline):
        _say(_round_trips)
    server.close()


def _say(number: int) -> None:
    sys.stdout.write(f"{number}\n")
    sys.stdout.flush()


def main() -> None:
    """Serve until the input ends."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("store", help="host:port, or the path of a socket.")
    parser.add_argument("--delay", type=float, default=0, metavar="SECONDS", help="For what goes in each direction.")
    arguments = parser.parse_args()
    # epoll counts in whole milliseconds, select in microseconds.
    with asyncio.Runner(loop_factory=lambda: asyncio.SelectorEventLoop(selectors.SelectSelector())) as runner:
        runner.run(_serve(arguments.store, arguments.delay))


if __name__ == "__main__":
    main()
