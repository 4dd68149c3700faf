"""A way to a store that can be cut: refused, swallowed, slowed down, or laid to another store."""

import asyncio
import random
import threading
from collections.abc import Coroutine
from contextlib import suppress
from enum import Enum
from typing import Any, Final, Self

_CHUNK: Final = 1 << 16
_DELAY_SECONDS: Final = 0.2
_RESET_SHARE: Final = 0.05


class Way(Enum):
    """What becomes of connections."""

    OPEN = "open"
    #: None is accepted, and those that there are end.
    REFUSED = "refused"
    #: What is sent arrives when the hole ends, or never.
    SWALLOWED = "swallowed"
    #: Each piece takes 0.2 s, and every twentieth resets its connection.
    SLOW = "slow"


class Proxy:
    """Runs in a thread of its own; ``port`` stays the same."""

    def __init__(self, target: int, *, is_forgetful: bool) -> None:
        """Take the port of the store, and whether what falls into a black hole is lost."""
        self._target = target
        self._is_forgetful = is_forgetful
        self._way = Way.OPEN
        self._is_open = asyncio.Event()
        self._hole = 0
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self._loop = asyncio.new_event_loop()
        self.port = 0

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._run(self._listen())
        self._run(self._set(Way.OPEN))
        return self

    def __exit__(self, *_error: object) -> None:
        self._run(self._set(Way.REFUSED))
        self._run(self._end_tasks())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def set(self, way: Way) -> None:
        """Change the way, for connections that there are and new ones."""
        self._run(self._set(way))

    def redirect(self, target: int) -> None:
        """Lead new connections to another store, and end those that there are."""
        self._target = target
        self._run(self._reset())

    def _run(self, coroutine: Coroutine[Any, Any, None]) -> None:  # Any: what a coroutine exchanges with its loop
        asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(timeout=30)

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port, reuse_address=True)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _set(self, way: Way) -> None:
        if way is Way.SWALLOWED:
            self._is_open.clear()
            self._hole += 1
        else:
            self._is_open.set()
        self._way = way
        if way is Way.REFUSED:
            if self._server is not None:
                self._server.close()
                self._server = None
            await self._reset()
        elif self._server is None:
            await self._listen()

    async def _end_tasks(self) -> None:
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _reset(self) -> None:
        for writer in self._writers:
            writer.transport.abort()
        self._writers.clear()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            await self._is_open.wait()
            there, back = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            writer.transport.abort()
            return
        self._writers.add(back)
        for source, sink in ((reader, back), (there, writer)):
            task = asyncio.create_task(self._pass_on(source, sink, (writer, back)))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _pass_on(
        self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, both: tuple[asyncio.StreamWriter, ...]
    ) -> None:
        with suppress(OSError):
            while data := await source.read(_CHUNK):
                if self._way is Way.SLOW:
                    await asyncio.sleep(_DELAY_SECONDS)
                    if random.random() < _RESET_SHARE:  # noqa: S311 - no secret
                        break
                if not self._is_open.is_set():
                    await self._is_open.wait()
                    if self._is_forgetful:
                        await asyncio.Event().wait()  # for ever: nobody hears of this connection again
                sink.write(data)
                await sink.drain()
        for writer in both:
            writer.transport.abort()
            self._writers.discard(writer)
