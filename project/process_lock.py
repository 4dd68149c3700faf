"""One ``run`` per folder."""

import fcntl
import os
from pathlib import Path
from types import TracebackType
from typing import Self

from django.conf import settings


class RunningElsewhereError(Exception):
    """Gatehouse is already running from this folder."""


class ProcessLock:
    """A lock on ``VAR_DIR`` that ends with the process, however it ends."""

    def __init__(self) -> None:
        """Name the file; nothing is opened yet."""
        self._path = Path(settings.VAR_DIR) / "run.lock"
        self._descriptor = -1

    def __enter__(self) -> Self:
        """Take the lock.

        Raises:
            RunningElsewhereError: Another process holds it; the text says which and where it answers.
        """
        self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(self._descriptor, 500, 0).decode(errors="replace").strip()
            os.close(self._descriptor)
            message = f"Gatehouse is already running from this folder ({holder})."
            raise RunningElsewhereError(message) from None
        self.describe(f"process {os.getpid()}")
        return self

    def describe(self, holder: str) -> None:
        """Say for others who holds the lock."""
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, holder.encode(), 0)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Let it go."""
        os.ftruncate(self._descriptor, 0)
        os.close(self._descriptor)
