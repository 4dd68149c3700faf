"""The script: what is done to the house, and when."""

import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.faults.house import House, Program
from tests.faults.proxy import Way

#: The length for which the seconds below are meant.
FULL_SECONDS: Final = 600.0
_LOOK: Final = 0.02
#: Within so many seconds a transaction is caught between its commit and the store of its jobs.
_CAUGHT_SECONDS: Final = 0.8
#: So often dispatch is to answer while the store refuses connections, which takes it no time.
_ANSWERS: Final = 5
#: One of each kind.
_LEAST_STOPS: Final = 2
_LIBRARIES: Final = ("/usr/lib/*/faketime/libfaketimeMT.so.1", "/usr/lib*/faketime/libfaketimeMT.so.1")


@dataclass(frozen=True, slots=True)
class Fault:
    """One kind of fault, and how long it goes on in a run of ten minutes, in seconds."""

    name: str
    seconds: float
    #: Takes the house, how long it goes on, and by how much all is shorter than in a run of ten minutes.
    do: Callable[[House, float, float], None]


def kill_workers(house: House, seconds: float, scale: float) -> None:
    """Kill a process, or a pool with all of its processes, every few seconds."""
    for number in _every(max(5 * scale, 0.5), seconds):
        if number % 4 == 3:
            house.kill_pool_whole(house.find_busy_pool())
        else:
            house.kill_worker()


def kill_children(house: House, seconds: float, scale: float) -> None:
    """Kill the process that runs the longest job, and it alone."""
    for _ in _every(max(2 * scale, 0.4), seconds):
        if running := house.list_running():
            house.kill_processes([running[0][0]])


def stop_workers(house: House, seconds: float, _scale: float) -> None:
    """Stop a process in the middle of a job for two leases, or until somebody else runs that job; then let it go on."""
    ends_at, done = time.monotonic() + seconds, 0
    while time.monotonic() < ends_at or done < _LEAST_STOPS:
        if stop_worker(house, is_patient=done % 2 == 1):
            done += 1
        else:
            time.sleep(_LOOK)


def stop_worker(house: House, *, is_patient: bool) -> bool:
    """Stop one process; False where none runs a long job just now. ``is_patient``: for two leases in any case."""
    running = house.list_running()
    if not running:
        return False
    pid, job = running[0]
    _stop(house, pid)
    stopped_at = time.monotonic()
    while time.monotonic() < stopped_at + 2 * house.lease:
        if not is_patient and any(one == job and other != pid for other, one in house.list_running()):
            break
        time.sleep(_LOOK)
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGCONT)
    house.note("resumed", pids=[pid], since=stopped_at)
    return True


def _stop(house: House, pid: int) -> None:
    """Stop a process, but not while it has the one lock of SQLite: there, all would stand still."""
    house.note("stopped", pids=[pid])
    while True:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGSTOP)
        if not house.store.is_locked():
            return
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)
        time.sleep(_LOOK)


def kill_store(house: House, seconds: float, scale: float) -> None:
    """Kill the store three times; where it is a file, all workers at once."""
    for _ in range(3):
        started = time.monotonic()
        if house.store.has_server:
            with _outage(house, "store killed"):
                house.store.kill()
                time.sleep(max(3 * scale, 0.4))
                house.store.restart()
            house.wait_until_at_work()
        else:
            for program in house.list_pools():
                house.kill_pool_whole(program)
            house.wait_until_at_work()
        time.sleep(max(seconds / 3 - (time.monotonic() - started), 0))


def cut_off(house: House, seconds: float, _scale: float) -> None:
    """Refuse connections, swallow what is sent, be slow and reset connections: a third of the time each."""
    proxy = house.store.proxy
    if proxy is None:
        return
    for way in (Way.REFUSED, Way.SWALLOWED, Way.SLOW):
        with _outage(house, way.value):
            proxy.set(way)
            time.sleep(seconds / 3)
            if way is Way.REFUSED:
                house.wait_for_dispatch(_ANSWERS)
            proxy.set(Way.OPEN)
        house.wait_until_at_work()


def kill_producer(house: House, seconds: float, scale: float) -> None:
    """Kill the side of the web while it waits for a store that swallows what is sent; where there is none, any time."""
    proxy = house.store.proxy
    for _ in _every(max(5 * scale, 1.0), seconds):
        if proxy is None:
            house.kill_producer()
        else:
            with _outage(house, Way.SWALLOWED.value):
                proxy.set(Way.SWALLOWED)
                time.sleep(_CAUGHT_SECONDS)
                house.kill_producer()
                proxy.set(Way.OPEN)
        house.ask("ready")


def refuse_writes(house: House, seconds: float, _scale: float) -> None:
    """Let the store take no writes, or throw everybody out."""
    with _outage(house, "writes refused"), house.store.refusing():
        time.sleep(seconds / 3)
    time.sleep(seconds / 3)


def fail_over(house: House, _seconds: float, _scale: float) -> None:
    """Put a replica in the place of the store; where there is none, stop it at once and let it recover."""
    if not house.store.has_server:
        return
    house.store.start_replica()
    with _outage(house, "failover"):
        house.store.fail_over()


def skew_clock(house: House, seconds: float, _scale: float) -> None:
    """Run a pool whose clock is five minutes fast, and one whose clock is as slow."""
    library = find_faketime()
    house.note("clock", is_run=bool(library))
    if not library:
        return
    added: list[Program] = []
    for number, offset in enumerate(("+300", "-300")):
        words = {"LD_PRELOAD": library, "FAKETIME": offset, "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
        added.append(house.add_pool(f"pool-clock-{number}", **words))
    time.sleep(max(seconds, 5))
    for program in added:
        program.is_wanted = False
        house.end(program, signal.SIGTERM)
    _wait_for_end(added, 20)


def find_faketime() -> str:
    """Return the path of the library that lies about the time; empty where there is none."""
    given = os.environ.get("FAKETIME_LIBRARY", "")
    found = [str(path) for pattern in _LIBRARIES for path in Path("/").glob(pattern.lstrip("/"))]
    return given or next(iter(found), "")


def deploy(house: House, seconds: float, scale: float) -> None:
    """End one pool after the other in order, each replaced; then the last one, which is killed before it could."""
    pools = house.list_pools()
    for program in pools:
        house.note("deploy", what=program.name)
        house.end(program, signal.SIGTERM)
        time.sleep(seconds / (len(pools) + 1))
    house.end(pools[0], signal.SIGTERM)
    time.sleep(max(scale, 0.2))
    house.kill_pool_whole(pools[0])


def kill_schedulers(house: House, seconds: float, _scale: float) -> None:
    """Kill all schedulers; they come back, and one more."""
    for program in house.list_schedulers():
        house.end(program, signal.SIGKILL)
    house.add("scheduler-more", "manage.py", "queue_schedule")
    time.sleep(seconds)


def send_poison(house: House, seconds: float, _scale: float) -> None:
    """Send what can't be run, and what kills who runs it."""
    house.ask("poison")
    time.sleep(seconds)


SCRIPT: Final[Sequence[Fault]] = (
    Fault("kill-workers", 60, kill_workers),
    Fault("kill-children", 30, kill_children),
    Fault("stop-workers", 80, stop_workers),
    Fault("kill-store", 90, kill_store),
    Fault("cut-off", 60, cut_off),
    Fault("kill-producer", 20, kill_producer),
    Fault("refuse-writes", 30, refuse_writes),
    Fault("fail-over", 30, fail_over),
    Fault("clock", 20, skew_clock),
    Fault("deploy", 30, deploy),
    Fault("kill-schedulers", 30, kill_schedulers),
    Fault("poison", 20, send_poison),
)


def run_script(house: House, *, seconds: float, only: Sequence[str] = ()) -> None:
    """Do all of it, or some; each begins when all workers are back from the one before."""
    scale = seconds / FULL_SECONDS
    for fault in SCRIPT:
        if only and fault.name not in only:
            continue
        house.wait_until_at_work()
        started = time.monotonic()
        house.note("fault", what=fault.name)
        fault.do(house, fault.seconds * scale, scale)
        time.sleep(max(started + fault.seconds * scale - time.monotonic(), 0))
    house.note("fault", what="none")


@contextmanager
def _outage(house: House, what: str) -> Iterator[None]:
    started = time.monotonic()
    house.note("outage begins", what=what)
    try:
        yield
    finally:
        house.note("outage", what=what, since=started)


def _every(period: float, seconds: float) -> Iterator[int]:
    number, started = 0, time.monotonic()
    while time.monotonic() < started + seconds:
        yield number
        number += 1
        time.sleep(period)


def _wait_for_end(programs: Sequence[Program], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while any(one.process is not None for one in programs) and time.monotonic() < deadline:
        time.sleep(_LOOK)
