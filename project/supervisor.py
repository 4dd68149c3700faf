"""Child processes that live and die with this one.

Each child leads a process group of its own, so that a Ctrl-C in the terminal reaches the parent alone, which then ends
the children in order. Where the parent is killed outright, Linux tells the children (``PR_SET_PDEATHSIG``).
"""

import ctypes
import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from types import FrameType

_STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_PR_SET_PDEATHSIG = 1
#: How often the children are looked at, and ``on_started`` asked.
_TICK_SECONDS = 0.15
#: A child that ends so often before everything was up once is broken, not unlucky.
_STARTS_BEFORE_GIVING_UP = 3


def die_with_parent(number: int = signal.SIGTERM) -> None:
    """Ask the kernel for a signal when the parent dies, where it is Linux; runs in the child."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, number)


def _is_terminal_gone() -> bool:
    """Say whether the terminal was closed: `make`, where it leads the session, takes SIGHUP and doesn't pass it on."""
    poller = select.poll()
    poller.register(sys.stdin, 0)
    return bool(poller.poll(0))


@dataclass(slots=True)
class Child:
    """One program that is kept running."""

    #: What people call it.
    name: str
    command: Sequence[str]
    #: Whether the house goes on without it while it restarts; a child that isn't takes everything down.
    is_restarted: bool
    #: Whether it can wait until everything else is up, and not slow that down.
    is_deferred: bool = False
    process: subprocess.Popen[bytes] | None = field(default=None, init=False)
    #: When it was last started, on the monotonic clock, in seconds.
    started_at: float = field(default=0.0, init=False)
    #: How often it ended by itself.
    failure_count: int = field(default=0, init=False)

    def start(self) -> None:
        """Start the program."""
        self.started_at = time.monotonic()
        self.process = subprocess.Popen(  # noqa: S603 - the command is ours
            self.command,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
            preexec_fn=die_with_parent,  # noqa: PLW1509 - one prctl call, before any thread
        )

    def is_running(self) -> bool:
        """Say whether the program runs."""
        return self.process is not None and self.process.poll() is None

    def stop(self, *, grace_seconds: float) -> None:
        """End the program: politely, and with its whole group once the grace is over."""
        if self.process is None:
            return
        if self.is_running():
            self.process.terminate()
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(grace_seconds)
        # Whatever the program left in its group ends as well.
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


class ChildDiedError(Exception):
    """A program that everything depends on has ended."""


class Supervisor:
    """Starts children in order, restarts those that may be, and stops all of them in reverse order."""

    def __init__(self, children: Sequence[Child], *, say: Callable[[str], None], grace_seconds: float = 15) -> None:
        """Take the children; ``say`` prints one line for the person at the terminal."""
        self._children = children
        self._say = say
        self._grace_seconds = grace_seconds
        self._stopping = threading.Event()
        self._restart = threading.Event()

    def request_stop(self, *_: object) -> None:
        """End ``run`` soon."""
        self._stopping.set()

    def request_restart(self) -> None:
        """Restart every child soon."""
        self._restart.set()

    @property
    def is_stopping(self) -> bool:
        """Whether the end was asked for."""
        return self._stopping.is_set()

    def run(self, *, on_started: Callable[[], bool]) -> None:
        """Run until a signal asks for the end.

        Args:
            on_started: Called every moment after the start until it returns true, which means that all is up.

        Raises:
            ChildDiedError: A child that isn't restarted has ended by itself.
        """
        previous = {number: signal.signal(number, self._on_signal) for number in _STOP_SIGNALS}
        try:
            self._start_all()
            is_up = False
            is_attached = sys.stdin is not None and sys.stdin.isatty()
            while not self._stopping.wait(_TICK_SECONDS):
                if is_attached and _is_terminal_gone():
                    return
                self._check_children(is_up=is_up)
                if self._restart.is_set():
                    self._restart_all()
                if not is_up and on_started():
                    is_up = True
                    self._start_deferred()
        finally:
            self._stop_all()
            for number, handler in previous.items():
                signal.signal(number, handler)

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        self._stopping.set()

    def _start_all(self) -> None:
        for child in self._children:
            if not child.is_deferred:
                child.start()

    def _start_deferred(self) -> None:
        for child in self._children:
            if child.is_deferred and not child.is_running():
                child.start()

    def _check_children(self, *, is_up: bool) -> None:
        for child in self._children:
            if child.is_running() or child.process is None:
                continue
            code = child.process.returncode
            is_hopeless = not is_up and child.failure_count >= _STARTS_BEFORE_GIVING_UP
            if is_hopeless or not child.is_restarted:
                message = f"The {child.name} ended by itself (exit code {code}); its last lines above say why."
                raise ChildDiedError(message)
            if time.monotonic() - child.started_at < 1.0:
                continue  # at most one start a second, so that a broken program doesn't spin
            self._say(f"The {child.name} ended (exit code {code}); starting it again.")
            child.failure_count += 1
            child.stop(grace_seconds=0)
            child.start()

    def _restart_all(self) -> None:
        self._restart.clear()
        self._say("The code changed; restarting.")
        self._stop_all()
        self._start_all()
        self._start_deferred()

    def _stop_all(self) -> None:
        for child in self._children:
            if child.is_running() and child.process is not None:
                child.process.terminate()
        for child in reversed(self._children):
            child.stop(grace_seconds=self._grace_seconds)
