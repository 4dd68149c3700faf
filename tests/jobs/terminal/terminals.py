"""A command in a terminal of its own: a real process, and what it writes."""

import fcntl
import os
import pty
import struct
import subprocess
import sys
import termios
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, field

from tests.processes import ROOT, child_environment
from tests.waiting import wait_until


@dataclass(slots=True)
class Terminal:
    """A process, and the terminal in which it runs."""

    process: subprocess.Popen[bytes]
    #: Our end of the terminal.
    end: int
    _written: bytearray = field(default_factory=bytearray)

    @property
    def text(self) -> str:
        """All that it has written."""
        return self._written.decode(errors="replace")

    def press(self, keys: str) -> None:
        """Write as a keyboard does."""
        os.write(self.end, keys.encode())

    def wait_for(self, text: str) -> None:
        """Wait until it has written that."""
        wait_until(lambda: text in self.text)

    def wait_end(self) -> int:
        """Return how it ended."""
        return self.process.wait(20)

    def listen(self) -> None:
        """Read what it writes until it ends."""
        with suppress(OSError):  # what Linux says of a terminal without a process
            while read := os.read(self.end, 65536):
                self._written += read


def terminal(*words: str, size: tuple[int, int] = (80, 24), **environment: str) -> AbstractContextManager[Terminal]:
    """Run a management command in a terminal of so many columns and lines; it is killed at the end of the block."""
    return run(sys.executable, str(ROOT / "manage.py"), *words, size=size, **environment)


@contextmanager
def run(*command: str, size: tuple[int, int] = (80, 24), **environment: str) -> Iterator[Terminal]:
    """Run a program so."""
    ours, theirs = pty.openpty()
    columns, lines = size
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
    process = subprocess.Popen(
        command,
        env=child_environment(TERM="xterm-256color", **environment),
        cwd=ROOT,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    )
    os.close(theirs)
    opened = Terminal(process, ours)
    listener = threading.Thread(target=opened.listen)
    listener.start()
    try:
        yield opened
    finally:
        process.kill()
        process.wait()
        listener.join()
        os.close(ours)
