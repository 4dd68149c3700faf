"""The thread of a page that talks to the stores."""

import asyncio
import queue
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from django.db import close_old_connections, connections

#: How long the end of a page waits for a store that doesn't answer, in seconds.
_LAST_SECONDS: Final = 1.0


class StoreThread:
    """Does one errand after another, so that a page never waits for a store, and needs one connection to each.

    It is a daemon: a store that stands still keeps nobody from leaving the page.
    """

    def __init__(self) -> None:
        self._errands: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="stores", daemon=True)
        self._thread.start()

    async def do[T](self, errand: Callable[[], T]) -> T:
        """Return what the errand returns, and raise what it raises."""
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[T] = loop.create_future()

        def tell(change: Callable[[], None]) -> None:
            with suppress(RuntimeError):  # the page is gone, and its loop with it
                loop.call_soon_threadsafe(lambda: None if answer.done() else change())

        def act() -> None:
            try:
                result = errand()
            except Exception as error:  # noqa: BLE001 - the page that waits for it decides
                failure = error
                tell(lambda: answer.set_exception(failure))
            else:
                tell(lambda: answer.set_result(result))

        self._errands.put(act)
        return await answer

    def close(self) -> None:
        """End, and give the connections back."""
        self._errands.put(None)
        self._thread.join(_LAST_SECONDS)

    def _run(self) -> None:
        while (errand := self._errands.get()) is not None:
            close_old_connections()  # one that broke is opened anew
            errand()
        connections.close_all()
