"""One loop of events, in a thread of its own, for the coroutines of all jobs of a worker.

It goes on whatever the worker's other threads do: ask the store, write down how a job ended, or run one that blocks.
"""

import asyncio
import math
import threading
import time
from collections import deque
from collections.abc import Callable, Coroutine, Generator, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar, copy_context
from typing import Any, Final, Self, override

import structlog
from asgiref.sync import sync_to_async
from django.conf import settings
from django.db import connections
from django.utils import timezone, translation

from jobs.worker.alarm import AGAIN_SECONDS, TimeIsUp
from jobs.worker.transactions import Connections
from jobs.worker.watchdog import Watchdog, raise_in_thread

#: Between two looks at the connections of the thread in which asynchronous code asks the database.
_RENEWAL_SECONDS: Final = 5.0
_log = structlog.get_logger("gatehouse.worker")


class Errand:
    """One coroutine on its way through the loop, in a copy of the context in which this is made."""

    def __init__(
        self,
        coroutine: Coroutine[Any, Any, object],  # Any: what a coroutine exchanges with its loop
        *,
        seconds: float | None,
        on_end: Callable[[], object],
    ) -> None:
        """Take how many seconds it has, None for no limit, and what is called in the loop when it has ended."""
        self.rings_at = math.inf if seconds is None else time.monotonic() + seconds
        self._has_rung = self._is_called = False
        #: Whether a step goes on, which may be interrupted.
        self.is_calling = False
        #: Held while it is interrupted, and when that is taken back; see ``ThreadBell``.
        self._lock = threading.RLock()
        self._coroutine = coroutine
        self._on_end = on_end
        self._context = copy_context()
        # Django keeps these for the thread as well, so they don't travel with the context.
        self._language: str | None = translation.get_language()
        self._timezone = timezone.get_current_timezone()
        #: The tasks that it has made and that have not ended.
        self.children: set[asyncio.Task[Any]] = set()  # Any: whatever they return
        self._result: object = None
        self._error: BaseException | None = None

    def begin(self, loop: asyncio.AbstractEventLoop, watchdog: Watchdog) -> None:
        """Run as far as it goes by itself; in the loop."""
        self._loop, self._thread_id = loop, threading.get_ident()
        self._task = asyncio.Task(self._run(watchdog), loop=loop, context=self._context, eager_start=True)

    def get_result(self) -> object:
        """Return what the coroutine returned.

        Raises:
            TimeIsUp: It took too long, whatever it made of being cancelled.
            BaseException: What it raised.
        """
        error, self._error = self._error, None
        try:
            if self._has_rung:
                raise TimeIsUp from error
            if error is not None:
                raise error
            return self._result
        finally:
            del error  # its traceback refers to this call

    def ring(self) -> None:
        """Let it be cancelled; where the loop hasn't come to that since the last time, interrupt what holds it up.

        In the thread of the watchdog.
        """
        self._has_rung = True
        self.rings_at = time.monotonic() + AGAIN_SECONDS
        if self._is_called and self._lock.acquire(blocking=False):
            try:
                if self.is_calling:
                    raise_in_thread(self._thread_id, TimeIsUp)
            finally:
                self._lock.release()
        self._is_called = True
        self._loop.call_soon_threadsafe(self._cancel)

    def hush(self) -> None:
        """Let nothing be interrupted from now on; in the loop."""
        self.is_calling = False
        if self._has_rung:
            with self._lock:
                raise_in_thread(self._thread_id, None)

    def _cancel(self) -> None:
        self._is_called = False
        self._task.cancel()

    async def _run(self, watchdog: Watchdog) -> None:
        _errand.set(self)
        if self.rings_at != math.inf:
            watchdog.watch(self)
        try:
            self._take_over_locale()
            self._result = await _Steps(self._coroutine, self)
        except BaseException as error:  # noqa: BLE001 - raised where the job is run; here it would end the loop
            self._error = error
        while self.children:
            for child in self.children:
                child.cancel()
            with suppress(asyncio.CancelledError):  # the time is up: they are cancelled again
                await asyncio.wait(list(self.children))
        watchdog.forget(self)
        _errand.set(None)  # the context would refer to who refers to it
        self._on_end()

    def _take_over_locale(self) -> None:
        if self._language is None:
            translation.deactivate_all()
        elif self._language != settings.LANGUAGE_CODE:
            translation.activate(self._language)
        if self._timezone is not timezone.get_default_timezone():
            timezone.activate(self._timezone)


class _Steps(Coroutine[Any, Any, Any]):  # Any: what a coroutine exchanges with its loop
    """What an errand runs: interrupted in the middle of a step only, and never between two, when others go on."""

    def __init__(self, coroutine: Coroutine[Any, Any, Any], errand: Errand) -> None:  # Any: as above
        self._coroutine = coroutine
        self._errand = errand

    @override
    def send(self, value: object) -> object:
        return self._go(self._coroutine.send, value)

    @override
    def throw(self, error: Any, *_others: Any) -> object:  # Any: as of the base
        return self._go(self._coroutine.throw, error)

    @override
    def close(self) -> None:
        self._coroutine.close()

    @override
    def __await__(self) -> Generator[Any, Any, Any]:  # Any: as above
        return (yield from self)

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> object:
        return self.send(None)

    def __getattr__(self, name: str) -> object:
        """Look like the coroutine to who asks how far it is."""
        found: object = getattr(self._coroutine, name)
        return found

    def _go(self, step: Callable[[Any], object], value: object) -> object:  # Any: as above
        errand = self._errand
        try:
            try:
                errand.is_calling = True
                return step(value)
            finally:
                errand.hush()
        except TimeIsUp as error:
            errand.hush()  # it may have rung in the middle of the first time
            if getattr(self._coroutine, "cr_frame", None) is None:
                raise
            return self._go(self._coroutine.throw, error)  # the step was over, and its end got lost


class EventLoop:
    """Runs errands, any number at a time."""

    def __init__(self, watchdog: Watchdog) -> None:
        """Take who looks after the time that errands have; nothing runs yet."""
        self._watchdog = watchdog
        self._loop: asyncio.AbstractEventLoop
        self._new: deque[Errand] = deque()
        self._is_called = self._is_used = self._is_over = False

    @contextmanager
    def running(self) -> Iterator[None]:
        """Run the loop within the block, at the end of which no errand may be left."""
        self._loop = asyncio.new_event_loop()
        self._loop.set_task_factory(_make_task)
        self._loop.set_exception_handler(_log_error)
        thread = threading.Thread(target=self._run, name="event loop", daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._is_over = True
            self._loop.call_soon_threadsafe(self._loop.stop)
            thread.join()

    def add(self, errand: Errand) -> None:
        """Take an errand, which begins with the next ``flush``."""
        self._new.append(errand)

    def flush(self) -> None:
        """Let the errands begin that were taken: to call the loop for many costs as much as to call it for one."""
        if self._new and not self._is_called:
            self._is_called = self._is_used = True
            self._loop.call_soon_threadsafe(self._begin)

    def _begin(self) -> None:
        self._is_called = False
        while self._new:
            self._new.popleft().begin(self._loop, self._watchdog)

    def _run(self) -> None:
        renewal = self._loop.create_task(self._renew_connections())
        while not self._is_over:
            try:
                self._loop.run_forever()
            except BaseException as error:  # noqa: BLE001 - a task that calls exit() must not end all others
                _log.error("loop_interrupted", error=type(error).__qualname__)
        renewal.cancel()
        self._loop.run_until_complete(self._end())
        self._loop.close()

    async def _renew_connections(self) -> None:
        renew = sync_to_async(Connections().renew)
        while True:
            await asyncio.sleep(_RENEWAL_SECONDS)
            if self._is_used:
                await renew()

    async def _end(self) -> None:
        if self._is_used:
            await sync_to_async(connections.close_all)()
        await self._loop.shutdown_asyncgens()
        await self._loop.shutdown_default_executor()


#: What a task belongs to.
_errand: Final[ContextVar[Errand | None]] = ContextVar("errand", default=None)


def _make_task(
    loop: asyncio.AbstractEventLoop,
    coroutine: Coroutine[Any, Any, Any],  # Any: as of the loop's own
    **options: Any,  # Any: as above
) -> asyncio.Task[Any]:  # Any: as above
    """Make a task that ends with the errand whose code makes it."""
    errand = _errand.get()
    if errand is not None and asyncio.iscoroutine(coroutine):
        coroutine = _Steps(coroutine, errand)
    task = asyncio.Task(coroutine, loop=loop, **options)
    if errand is not None and not task.done():
        errand.children.add(task)
        task.add_done_callback(errand.children.discard)
    return task


def _log_error(_loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:  # Any: as of the loop's own
    """Log what nobody has waited for; its text may hold anything."""
    _log.error("loop_error", error=type(context.get("exception")).__qualname__)
