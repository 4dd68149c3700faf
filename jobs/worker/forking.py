"""Starting a process of the house by ``fork``: it shares nothing that two processes may not use, and ends with us."""

import gc
import os
import signal
from collections.abc import Callable
from functools import partial
from typing import Final

import structlog
from django.db import connections

from project.supervisor import die_with_parent

#: With what a process ends that broke.
BROKEN: Final = 1
#: Signals that end a worker, and those that are passed on to it.
STOPS: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT)
PASSED_ON: Final = (signal.SIGUSR2, signal.SIGCONT)
_log = structlog.get_logger("gatehouse.worker")


def fork(run: Callable[[Callable[[], None]], int], *, last_signal: int = signal.SIGTERM) -> int:
    """Start a process that runs a function, and ends with what it returns; return the id of the process.

    Args:
        run: Is given a function that lets signals through, to be called when it is ready for them.
        last_signal: What the process gets when this one dies, on Linux.
    """
    _let_go_of_connections()
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, {*STOPS, *PASSED_ON})
    parent = os.getpid()
    try:
        pid = os.fork()
        if pid == 0:
            _live(run, blocked, parent=parent, last_signal=last_signal)
        return pid
    finally:
        _let_through(blocked)


def _live(
    run: Callable[[Callable[[], None]], int], blocked: set[signal.Signals | int], *, parent: int, last_signal: int
) -> None:
    """Be the new process until its end; this doesn't return."""
    code = BROKEN
    try:
        os.setpgid(0, 0)  # so that Ctrl-C reaches the parent alone, which ends its children in order
        die_with_parent(last_signal)
        if os.getppid() != parent:
            return  # it died before the kernel was asked
        for number in (*STOPS, *PASSED_ON):
            signal.signal(number, signal.SIG_DFL)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.set_wakeup_fd(-1)  # it is the parent's
        # What the parent has made stays: the collector of cycles, by looking at it, would copy all its memory. It then
        # looks as often as fits what this process makes itself.
        gc.freeze()
        gc.collect()
        code = run(partial(_let_through, blocked))
    except BaseException as error:  # noqa: BLE001 - nothing of the parent may run here
        _log.error("process_broken", error=type(error).__qualname__)
    finally:
        os._exit(code)


def _let_through(blocked: set[signal.Signals | int]) -> None:
    signal.pthread_sigmask(signal.SIG_SETMASK, blocked)


def _let_go_of_connections() -> None:
    """Close what a child must not share."""
    for connection in connections.all(initialized_only=True):
        connection.close()
        if hasattr(connection, "close_pool"):
            connection.close_pool()
