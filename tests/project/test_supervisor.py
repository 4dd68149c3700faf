"""Child processes that live and die with their parent."""

import sys
import threading
from collections.abc import Callable

import pytest

from project.supervisor import Child, ChildDiedError, Supervisor
from tests.waiting import wait_until

pytestmark = pytest.mark.process

FOREVER = "import time\nwhile True: time.sleep(60)"
STUBBORN = "import signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\nprint('ready', flush=True)\n" + FOREVER


def python(code: str, *, is_restarted: bool = False) -> Child:
    return Child("program", [sys.executable, "-c", code], is_restarted=is_restarted)


def stop_when(supervisor: Supervisor, condition: Callable[[], object]) -> Callable[[], bool]:
    def check() -> bool:
        if condition():
            supervisor.request_stop()
        return False

    return check


def test_a_stop_ends_every_child() -> None:
    children = [python(FOREVER), python(FOREVER)]
    supervisor = Supervisor(children, say=print)
    supervisor.run(on_started=stop_when(supervisor, lambda: all(child.is_running() for child in children)))
    assert not any(child.is_running() for child in children)


def test_a_child_that_ignores_the_polite_signal_is_ended_after_the_grace() -> None:
    child = python(STUBBORN)
    supervisor = Supervisor([child], say=print, grace_seconds=0.2)
    supervisor.run(on_started=stop_when(supervisor, child.is_running))
    assert not child.is_running()


def test_a_child_that_everything_depends_on_takes_the_house_down() -> None:
    other = python(FOREVER)
    with pytest.raises(ChildDiedError, match="exit code 3"):
        Supervisor([other, python("raise SystemExit(3)")], say=print).run(on_started=lambda: False)
    assert not other.is_running()


def test_a_child_that_may_is_started_again() -> None:
    said: list[str] = []
    supervisor = Supervisor([python("raise SystemExit(3)", is_restarted=True)], say=said.append)
    supervisor.run(on_started=stop_when(supervisor, lambda: said))
    assert said == ["The program ended (exit code 3); starting it again."]


def test_a_restart_replaces_the_processes() -> None:
    child = python(FOREVER)
    supervisor = Supervisor([child], say=lambda _: None)
    threading.Thread(target=_restart_and_stop, args=(supervisor, child)).start()
    supervisor.run(on_started=lambda: True)


def _restart_and_stop(supervisor: Supervisor, child: Child) -> None:
    first = wait_until(lambda: child.process)
    supervisor.request_restart()
    try:
        wait_until(lambda: child.process is not first)
    finally:
        supervisor.request_stop()


def test_a_child_that_can_wait_is_started_when_all_others_are_up() -> None:
    first, deferred = python(FOREVER), python(FOREVER)
    deferred.is_deferred = True
    supervisor = Supervisor([first, deferred], say=print)
    seen: list[bool] = []

    def is_up() -> bool:
        seen.append(deferred.is_running())
        return len(seen) == 2

    threading.Thread(target=_stop_once_running, args=(supervisor, deferred)).start()
    supervisor.run(on_started=is_up)
    assert seen == [False, False]


def _stop_once_running(supervisor: Supervisor, child: Child) -> None:
    try:
        wait_until(child.is_running)
    finally:
        supervisor.request_stop()


def test_a_child_that_never_comes_up_is_given_up() -> None:
    with pytest.raises(ChildDiedError, match="exit code 3"):
        Supervisor([python("raise SystemExit(3)", is_restarted=True)], say=lambda _: None).run(on_started=lambda: False)
