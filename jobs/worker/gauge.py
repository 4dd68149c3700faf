"""What waits for the supervisors of this host, measured by a process of its own.

A store that doesn't answer must not keep a parent from its children. So the parent asks none: it reads what this
process has found last, and starts another one where it died.
"""

import json
import os
import signal
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import timedelta
from typing import Final

import structlog
from django.db import connections

from jobs.drivers.base import get_driver
from jobs.models.queued import EVERY_QUEUE
from jobs.selectors import get_try_statistics
from jobs.worker.balancing import Load
from jobs.worker.forking import fork
from jobs.worker.outages import list_outage_errors
from jobs.worker.supervisors import Supervisor

#: Run times of late: those of so long.
LATELY: Final = timedelta(minutes=5)
#: To measure may take no more than one part in so many of the time.
_PART: Final = 20
#: Before the process is started again.
_PAUSE_SECONDS: Final = 1.0
_CHUNK: Final = 65_536
_log = structlog.get_logger("gatehouse.worker")

type Loads = Mapping[str, Mapping[str, Load]]


def measure(supervisors: Sequence[Supervisor]) -> dict[str, dict[str, Load]]:
    """Return the load of each group by the names of supervisor and group, in a few questions to each connection."""
    found: dict[str, dict[str, Load]] = {}
    for connection in dict.fromkeys(one.options.connection for one in supervisors):
        driver = get_driver(connection or None)
        now = driver.get_now()
        figures, pauses = driver.measure(now=now), driver.list_pauses(now=now)
        tries = get_try_statistics(since=now - LATELY, until=now)
        for supervisor in supervisors:
            if supervisor.options.connection != connection:
                continue
            waiting = {
                queue: (one.waiting, _get_mean(tries[queue].average_run) if queue in tries else 0.0)
                for queue, one in figures.items()
                if queue not in pauses and EVERY_QUEUE not in pauses
            }
            found[supervisor.options.name] = _add_up(supervisor, waiting, pauses)
    return found


def _get_mean(run: timedelta | None) -> float:
    return 0.0 if run is None else run.total_seconds()


def _add_up(
    supervisor: Supervisor, waiting: Mapping[str, tuple[int, float]], pauses: Mapping[str, object]
) -> dict[str, Load]:
    """Return the load of each group: of the queues that it is the first to serve, without those that rest."""
    sizes: defaultdict[str | None, int] = defaultdict(int)
    seconds: defaultdict[str | None, float] = defaultdict(float)
    for queue, (size, mean) in waiting.items():
        group = supervisor.find_group(queue)
        sizes[group] += size
        seconds[group] += size * mean
    return {
        name: Load(
            size=sizes[name],
            seconds=seconds[name],
            is_resting=EVERY_QUEUE in pauses or set(group.options.queues or [""]) <= set(pauses),
        )
        for name, group in supervisor.groups.items()
    }


class Gauge:
    """Reads what a process measures, and keeps that process."""

    def __init__(self, supervisors: Sequence[Supervisor]) -> None:
        """Take what is to be measured; nothing is started yet."""
        self._supervisors = supervisors
        self._period = min(one.options.cooldown for one in supervisors)
        self._pid: int | None = None
        self._descriptor: int | None = None
        self._starts_at = 0.0
        self._text = b""

    def read(self) -> Loads | None:
        """Return what was measured last, where that wasn't read before; this waits for nothing."""
        self._keep_process()
        if self._descriptor is None:
            return None
        with suppress(BlockingIOError):
            while chunk := os.read(self._descriptor, _CHUNK):
                self._text += chunk
        *lines, self._text = self._text.split(b"\n")
        return _decode(lines[-1]) if lines else None

    def close(self) -> None:
        """End the process."""
        if self._pid is not None:
            os.kill(self._pid, signal.SIGKILL)
            os.waitpid(self._pid, 0)
            self._pid = None
        self._let_go()

    def _keep_process(self) -> None:
        if self._pid is not None and os.waitpid(self._pid, os.WNOHANG)[0]:
            _log.error("gauge_died", pid=self._pid)
            self._pid = None
            self._starts_at = time.monotonic() + _PAUSE_SECONDS
            self._let_go()
        if self._pid is None and time.monotonic() >= self._starts_at:
            self._descriptor, writing = os.pipe()
            os.set_blocking(self._descriptor, False)
            self._pid = fork(lambda let_signals_through: self._measure_on(writing, let_signals_through))
            os.close(writing)

    def _let_go(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
        self._descriptor, self._text = None, b""

    def _measure_on(self, writing: int, let_signals_through: Callable[[], None]) -> int:
        """Measure now and then until killed; runs in the process."""
        let_signals_through()
        while True:
            began = time.monotonic()
            try:
                os.write(writing, _encode(measure(self._supervisors)))
            except list_outage_errors() as error:
                _log.warning("nothing_measured", error=type(error).__qualname__)
                connections.close_all()
            time.sleep(max(self._period, _PART * (time.monotonic() - began)))


class LoadBalancer:
    """Moves processes within each supervisor, after each of its cooldowns."""

    def __init__(self, supervisors: Sequence[Supervisor]) -> None:
        """Take the supervisors; the first move comes after a cooldown."""
        self._supervisors = supervisors
        self._gauge = Gauge(supervisors)
        self._moves_at = {one.options.name: time.monotonic() + one.options.cooldown for one in supervisors}

    def tick(self) -> None:
        """Move what it is time for, where something was measured since."""
        loads = self._gauge.read()
        if loads is None:
            return
        now = time.monotonic()
        for supervisor in self._supervisors:
            name = supervisor.options.name
            if name in loads and now >= self._moves_at[name]:
                supervisor.move(loads[name])
                self._moves_at[name] = now + supervisor.options.cooldown

    def close(self) -> None:
        """End what measures."""
        self._gauge.close()


def _encode(loads: Loads) -> bytes:
    rows = {
        name: {group: [load.size, load.seconds, load.is_resting] for group, load in groups.items()}
        for name, groups in loads.items()
    }
    return json.dumps(rows).encode() + b"\n"


def _decode(line: bytes) -> Loads:
    return {
        name: {
            group: Load(size=size, seconds=seconds, is_resting=is_resting)
            for group, (size, seconds, is_resting) in groups.items()
        }
        for name, groups in json.loads(line).items()
    }
