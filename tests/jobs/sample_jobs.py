"""Jobs that only the suite has. What they do is seen in files, because workers are often other processes."""

import os
import signal
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import ClassVar, override
from uuid import UUID

from jobs.batch import BatchableJob
from jobs.job import Job
from jobs.middleware import Middleware, WithoutOverlapping


class NoteJob(Job):
    """Append a line to a file."""

    queue = "notes"

    def __init__(self, path: str, text: str) -> None:
        self.path = path
        self.text = text

    @override
    def handle(self) -> None:
        append_line(self.path, self.text)


class WaitJob(Job):
    """Note the start, wait until the file ``go`` is there, note the end. It has a second for that."""

    timeout = 1

    def __init__(self, folder: str) -> None:
        self.folder = Path(folder)

    @override
    def handle(self) -> None:
        append_line(str(self.folder / "started"), str(os.getpid()))
        wait_for_file(self.folder / "go")
        append_line(str(self.folder / "done"), str(os.getpid()))


class DeadlyJob(Job):
    """Kill the worker that runs it, the first time."""

    queue = "notes"
    tries = 1

    def __init__(self, folder: str) -> None:
        self.folder = Path(folder)

    @override
    def handle(self) -> None:
        append_line(str(self.folder / "deaths"), str(os.getpid()))
        if len(read_lines(self.folder / "deaths")) == 1:
            os.kill(os.getpid(), signal.SIGKILL)


class ExitingJob(Job):
    """Ends its process without a word, the first time."""

    queue = "notes"

    def __init__(self, folder: str, code: int) -> None:
        self.folder = Path(folder)
        self.code = code

    @override
    def handle(self) -> None:
        append_line(str(self.folder / "exits"), str(os.getpid()))
        if len(read_lines(self.folder / "exits")) == 1:
            os._exit(self.code)


class DeadlyAloneJob(DeadlyJob):
    """The same, and no two of them at the same time."""

    @override
    def middleware(self) -> Sequence[Middleware]:
        return [WithoutOverlapping()]


class PatientWaitJob(WaitJob):
    """The same with time to spare."""

    timeout = 60


class AloneWaitJob(PatientWaitJob):
    """The same, and no two of them at the same time."""

    @override
    def middleware(self) -> Sequence[Middleware]:
        return [WithoutOverlapping()]


class ListeningJob(Job):
    """Wait until the worker is told to end."""

    def __init__(self, folder: str) -> None:
        self.folder = Path(folder)
        self.heard = threading.Event()

    @override
    def handle(self) -> None:
        append_line(str(self.folder / "started"), str(os.getpid()))
        while not self.heard.is_set():
            self.heard.wait(0.02)

    @override
    def interrupted(self, signal_number: int) -> None:
        append_line(str(self.folder / "done"), f"interrupted by {signal_number}")
        self.heard.set()


class FailingJob(Job):
    """Always go wrong, and note when that is final."""

    tries = 3
    backoff = (10, 60)

    def __init__(self, path: str = "", text: str = "no luck") -> None:
        self.path = path
        self.text = text

    @override
    def handle(self) -> None:
        raise ValueError(self.text)

    @override
    def failed(self, error: Exception) -> None:
        if self.path:
            append_line(self.path, f"{type(error).__name__}: {error}")


class BrokenHookJob(FailingJob):
    """Go wrong even in the hook."""

    tries = 1

    @override
    def failed(self, error: Exception) -> None:
        raise SystemExit(1)


class HopelessJob(Job):
    """Know that trying again won't help."""

    @override
    def handle(self) -> None:
        self.fail(LookupError("the account is closed"))


class ExitJob(Job):
    """Try to take the worker along."""

    tries = 1

    @override
    def handle(self) -> None:
        sys.exit(3)


class EndlessJob(Job):
    """Never end, and try to swallow the alarm."""

    tries = 1
    timeout = 1

    @override
    def handle(self) -> None:
        try:
            threading.Event().wait(50)
        except Exception:  # noqa: BLE001 - the point of the test
            return


@dataclass
class TypedJob(Job):
    """Take one argument of each kind."""

    text: str
    number: int
    ratio: float
    flag: bool
    user_id: UUID
    at: datetime
    tags: list[str]
    extra: dict[str, int | None]
    note: str | None = None

    @override
    def handle(self) -> None:
        """Do nothing."""


class UrgentJob(NoteJob):
    """Go before the others."""

    priority = 200


class MemberJob(BatchableJob):
    """Be in a batch, and append a line to a file."""

    def __init__(self, path: str, text: str) -> None:
        self.path = path
        self.text = text

    @override
    def handle(self) -> None:
        append_line(self.path, self.text)


class TellingJob(Job):
    """Does, in each try, the next of what it is told."""

    tries = 5
    backoff = 0
    done: ClassVar[list[str]] = []

    def __init__(self, does: list[str]) -> None:
        self.does = does

    @override
    def handle(self) -> object:  # type: ignore[override]  # what it returns is passed on
        word = self.does[min(self.attempts, len(self.does)) - 1]
        self.done.append(word)
        match word:
            case "raise":
                raise ValueError(word)
            case "release":
                self.release(timedelta(hours=1))
            case "release and raise":
                self.release(5)
                raise ValueError(word)
            case "delete":
                self.delete()
            case "delete and raise":
                self.delete()
                raise ValueError(word)
            case "fail":
                self.fail("no use")
            case _:
                pass
        return word

    @override
    def failed(self, error: Exception) -> None:
        self.done.append(f"failed: {type(error).__name__}")


class SelfishJob(Job):
    """Raise an exception whose text PostgreSQL can't store."""

    tries = 1

    @override
    def handle(self) -> None:
        raise ValueError("nul \x00 and surrogate \ud800")


def append_line(path: str, text: str) -> None:
    """Append in one write, so that lines of several processes don't mix."""
    with Path(path).open("a", encoding="utf-8") as file:
        file.write(f"{text}\n")


def read_lines(path: Path) -> list[str]:
    """Return the lines written so far."""
    return path.read_text(encoding="utf-8").splitlines() if path.exists() else []


def wait_for_file(path: Path) -> None:
    """Return once the file is there."""
    pause = threading.Event()
    while not path.exists():
        pause.wait(0.02)
