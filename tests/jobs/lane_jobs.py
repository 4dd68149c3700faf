"""Jobs that run several at a time in one worker process. What they do is seen in this process, or in files."""

import asyncio
import os
import threading
import time
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from contextvars import ContextVar
from pathlib import Path
from typing import Any, ClassVar, override
from uuid import uuid4

import structlog
from django.db import transaction
from django.utils import timezone, translation

from jobs.batch import BatchableJob
from jobs.job import Job
from jobs.middleware import Middleware, Proceed, WithoutOverlapping
from jobs.models import FailedJob
from project.logging import add_description
from tests.jobs.sample_jobs import append_line, wait_for_file

#: What jobs of one test have done, in order; in this process.
NOTES: list[str] = []


class Crowd:
    """Lets those that arrive go on when as many have come as are wanted. Made for one loop of events."""

    def __init__(self, wanted: int) -> None:
        """Take how many."""
        self.wanted = wanted
        self.here = 0
        self._is_complete = asyncio.Event()

    async def arrive(self) -> None:
        """Wait for the others."""
        self.here += 1
        if self.here == self.wanted:
            self._is_complete.set()
        await self._is_complete.wait()


class MeetingJob(Job):
    """Wait in a thread until as many others do."""

    queue = "lanes"
    barrier: ClassVar[threading.Barrier]

    @override
    def handle(self) -> None:
        self.barrier.wait(30)
        NOTES.append(threading.current_thread().name)


class GatheringJob(Job):
    """Wait in the loop until as many others do."""

    queue = "lanes"
    timeout = 0
    crowd: ClassVar[Crowd]

    @override
    async def handle(self) -> None:
        await self.crowd.arrive()


class CallingJob(Job):
    """Call what the test says, where jobs that block run."""

    queue = "lanes"
    timeout = 60
    tries = 1
    work: ClassVar[dict[str, Callable[[Job], object]]] = {}

    def __init__(self, name: str) -> None:
        self.name = name

    @override
    def handle(self) -> Coroutine[Any, Any, None] | None:  # Any: as of the base
        self.work[self.name](self)
        return None


class AwaitingJob(CallingJob):
    """Await what the test says."""

    @override
    async def handle(self) -> None:
        result: Any = self.work[self.name](self)  # Any: a coroutine
        await result


class HastyJob(CallingJob):
    """The same as the first with little time."""

    timeout = 0.1  # type: ignore[assignment]  # of a sample that says whole seconds


class HastyAwaitingJob(AwaitingJob):
    """The same as the second with little time."""

    timeout = 0.1  # type: ignore[assignment]  # as above


class Swallowing(Middleware):
    """Lets nothing through that a job raises."""

    @override
    def handle(self, job: Job, proceed: Proceed) -> object:
        with suppress(BaseException):
            return proceed()
        return None


class SwallowedJob(HastyAwaitingJob):
    """Have such middleware."""

    @override
    def middleware(self) -> Sequence[Middleware]:
        return [Swallowing()]


class LateCoroutineJob(CallingJob):
    """Return a coroutine though nothing in the class says so."""

    @override
    def handle(self) -> Coroutine[Any, Any, None] | None:  # Any: as of the base
        result: Any = self.work[self.name](self)  # Any: a coroutine
        return result  # type: ignore[no-any-return]  # as above


class AwaitingMemberJob(BatchableJob):
    """Be in a batch, and say so in the loop."""

    queue = "lanes"

    def __init__(self, text: str) -> None:
        self.text = text

    @override
    async def handle(self) -> None:
        await asyncio.sleep(0)
        found = await self.aget_batch()
        NOTES.append(f"{self.text} of {found.total_jobs if found else 0}")


class InTransaction(Middleware):
    """Writes a row, and runs the job in the same transaction."""

    @override
    def handle(self, job: Job, proceed: Proceed) -> object:
        with transaction.atomic():
            FailedJob.objects.create(
                job_id=uuid4(), job_class="written", queue="x", payload="", attempts=0, failed_at=timezone.now()
            )
            return proceed()


class Speaking(Middleware):
    """Sets the language in which the job works."""

    def __init__(self, language: str) -> None:
        """Take it."""
        self.language = language

    @override
    def handle(self, job: Job, proceed: Proceed) -> object:
        with translation.override(self.language):
            return proceed()


class TransactionalJob(Job):
    """Await something within a transaction, and go wrong where it is told to."""

    queue = "lanes"
    tries = 1

    def __init__(self, text: str) -> None:
        self.text = text

    @override
    def middleware(self) -> Sequence[Middleware]:
        return [InTransaction()]

    @override
    async def handle(self) -> None:
        NOTES.append("begun")
        await asyncio.sleep(0.01)
        NOTES.append("ended")
        if self.text == "raise":
            raise ValueError


class LonelyLaneJob(AwaitingJob):
    """No two of them at a time; the second one is dropped."""

    @override
    def middleware(self) -> Sequence[Middleware]:
        return [WithoutOverlapping("lonely", is_dropped=True)]


mark: ContextVar[str] = ContextVar("mark", default="")


class MarkedLaneJob(Job):
    """Set what belongs to a context, meet the others, and see whether it is still one's own."""

    queue = "lanes"
    crowd: ClassVar[Crowd]

    def __init__(self, number: int) -> None:
        self.number = number

    @override
    def middleware(self) -> Sequence[Middleware]:
        return [Speaking(["de", "fr"][self.number % 2])]

    @override
    async def handle(self) -> None:
        mark.set(str(self.number))
        structlog.contextvars.bind_contextvars(mark=self.number)
        await self.crowd.arrive()
        own = structlog.contextvars.get_contextvars()
        is_described = add_description(None, "info", {})["job_id"] == str(self.job_id)
        NOTES.append(f"{self.number} {mark.get()} {own['mark']} {is_described} {translation.get_language()}")


class FolderJob(Job):
    """Note the start, wait until the file ``go`` is there, note the end; in a thread."""

    queue = "lanes"
    timeout = 60

    def __init__(self, folder: str) -> None:
        self.folder = Path(folder)

    @override
    def handle(self) -> Coroutine[Any, Any, None] | None:  # Any: as of the base
        append_line(str(self.folder / "started"), str(os.getpid()))
        wait_for_file(self.folder / "go")
        append_line(str(self.folder / "done"), str(os.getpid()))
        return None

    @override
    def interrupted(self, signal_number: int) -> None:
        append_line(str(self.folder / "interrupted"), str(signal_number))


class AskingFolderJob(FolderJob):
    """The same with a connection to the database in hand."""

    @override
    def handle(self) -> Coroutine[Any, Any, None] | None:  # Any: as of the base
        FailedJob.objects.count()
        return super().handle()


class AwaitingFolderJob(FolderJob):
    """The same in the loop."""

    @override
    async def handle(self) -> None:
        append_line(str(self.folder / "started"), str(os.getpid()))
        while not (self.folder / "go").exists():
            await asyncio.sleep(0.02)
        append_line(str(self.folder / "done"), str(os.getpid()))


def spin(seconds: float = 30) -> None:
    """Block in Python code."""
    ends_at = time.monotonic() + seconds
    while time.monotonic() < ends_at:
        pass
