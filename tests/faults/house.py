"""The programs of one run: pools of workers, schedulers and the producer, kept running as a service manager would."""

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from tests.faults.ledger import FOLDER, Entry, Ledger
from tests.faults.stores import Store

ROOT: Final = Path(__file__).parents[2]
_LOOK: Final = 0.05
_START_SECONDS: Final = 90.0
#: On a machine that is busy otherwise, things take a while.
_BUSY_SECONDS: Final = 20.0
#: A job that is caught in the middle takes at least so many seconds.
_LONG: Final = 0.3


@dataclass(slots=True)
class Program:
    """One program that is started anew when it ends."""

    name: str
    command: Sequence[str]
    environment: dict[str, str]
    process: "subprocess.Popen[bytes] | None" = None
    is_wanted: bool = True
    #: Exit codes of those that ended though nobody told them to.
    surprises: list[int] = field(default_factory=list)
    #: Whether the end of the one that runs is our doing.
    is_ended_by_us: bool = False


class House:
    """All programs on one store."""

    def __init__(self, store: Store, *, lease: float, tick: int, mutant: str, processes: int) -> None:
        """Take the store, the lease and the period of the schedule in seconds, what is taken out, and the size."""
        self.store = store
        self.lease = lease
        self.processes = processes
        folder = store.folder / "ledger"
        folder.mkdir()
        self.ledger = Ledger(folder)
        self.chance = random.Random(1)  # noqa: S311 - no secret
        self.environment = {
            **store.make_environment(), FOLDER: str(folder), "FAULTS_LEASE": str(lease), "FAULTS_TICK": str(tick),
            "FAULTS_MUTANT": mutant, "PYTHONPATH": str(ROOT),
        }  # fmt: skip
        self.programs: list[Program] = []
        #: Jobs that run, by process: when each began, its id, and how many seconds it takes.
        self._running: dict[int, tuple[float, str, float]] = {}
        self._has_ended = False
        #: How often the producer had an answer, whichever.
        self._answers = 0
        self._producer: subprocess.Popen[str] | None = None
        #: Jobs in a second, and the longest run of a job in seconds, as the producer takes them.
        self._pace: Sequence[str] = ()
        self._is_over = threading.Event()
        self._log = (store.folder / "programs.log").open("ab")

    def note(self, phase: str, **detail: object) -> None:
        """Write down what is done to the house."""
        self.ledger.note(Entry(phase=phase, detail=detail))

    # --- Programs

    @contextmanager
    def run(self, *, pools: int, schedulers: int, rate: float, slow_seconds: float) -> Iterator[None]:
        """Run all within the block."""
        self.store.prepare(lambda: self._run_once("manage.py", "migrate", "--verbosity", "0"))
        for number in range(pools):
            self.add_pool(f"pool-{number}")
        for number in range(schedulers):
            self.add(f"scheduler-{number}", "manage.py", "queue_schedule")
        watcher = threading.Thread(target=self._watch)
        watcher.start()
        self._pace = str(rate), str(slow_seconds)
        self._producer = self._start_producer()
        try:
            yield
        finally:
            self._is_over.set()
            watcher.join()
            _end(self._producer)
            for program in self.programs:
                self._kill(program)
            self._log.close()

    def add_pool(self, name: str, **environment: str) -> Program:
        """Start one more pool of workers."""
        command = ("manage.py", "queue_work", "--processes", str(self.processes), "--grace", "10")
        return self.add(name, *command, **environment)

    def add(self, name: str, *command: str, **environment: str) -> Program:
        """Start one more program."""
        program = Program(name, [sys.executable, *command], {**self.environment, **environment})
        self._start(program)
        self.programs.append(program)
        return program

    def list_pools(self) -> list[Program]:
        """Return the pools."""
        return [one for one in self.programs if one.name.startswith("pool") and one.is_wanted]

    def list_schedulers(self) -> list[Program]:
        """Return the schedulers."""
        return [one for one in self.programs if one.name.startswith("scheduler") and one.is_wanted]

    def end(self, program: Program, number: signal.Signals) -> None:
        """Send a program a signal that ends it; it is started anew unless it isn't wanted any more."""
        if program.process is None or program.process.poll() is not None:
            return
        program.is_ended_by_us = True
        if number == signal.SIGKILL:
            # Its processes are told by the kernel, and end after the job in hand.
            self.note("killed", pids=[program.process.pid], what="parent")
        with suppress(ProcessLookupError):
            program.process.send_signal(number)

    def _start(self, program: Program) -> None:
        program.is_ended_by_us = False
        program.process = subprocess.Popen(
            program.command, cwd=ROOT, env=program.environment, stdout=self._log, stderr=self._log,
            stdin=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip

    def _watch(self) -> None:
        while not self._is_over.wait(_LOOK):
            for program in self.programs:
                if program.process is None or (code := program.process.poll()) is None:
                    continue
                if not program.is_ended_by_us and program.is_wanted:
                    program.surprises.append(code)
                program.process = None
                if program.is_wanted:
                    self._start(program)

    def _kill(self, program: Program) -> None:
        pids = list_children(program)
        if program.process is not None:
            program.process.kill()
            program.process.wait()
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def _run_once(self, *command: str) -> None:
        subprocess.run([sys.executable, *command], cwd=ROOT, env=self.environment, check=True, stdout=self._log)

    # --- Worker processes

    def list_workers(self) -> list[int]:
        """Return the ids of the processes that run jobs."""
        return [pid for program in self.list_pools() for pid in list_children(program)]

    def kill_worker(self) -> None:
        """Kill one of the processes that run jobs."""
        if workers := self.list_workers():
            self.kill_processes([self.chance.choice(workers)])

    def kill_processes(self, pids: Sequence[int]) -> None:
        """Kill processes; it is written down before, so that nothing of it is missed."""
        self.note("killed", pids=list(pids), what="worker")
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def kill_pool_whole(self, program: Program) -> int:
        """Kill a pool with its processes, so that only leases tell of what they held; return how many these were."""
        if program.process is None:
            return 0
        program.is_ended_by_us = True
        # Stopped first, or it would look after what its processes leave.
        pids = [program.process.pid, *list_children(program)]
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGSTOP)
        self.kill_processes(pids)
        return len(pids)

    def find_busy_pool(self) -> Program:
        """Return a pool that runs a long job just now, waiting a while for one; else any."""
        deadline = time.monotonic() + _BUSY_SECONDS
        while time.monotonic() < deadline:
            busy = {pid for pid, _ in self.list_running()}
            for program in self.list_pools():
                if busy.intersection(list_children(program)):
                    return program
            time.sleep(_LOOK)
        return self.chance.choice(self.list_pools())

    def wait_until_at_work(self) -> None:
        """Wait until each pool has its processes and another job has been done.

        Raises:
            TimeoutError: They aren't.
        """
        deadline = time.monotonic() + _START_SECONDS
        self._look()
        self._has_ended = False
        while not self._has_ended or len(self.list_workers()) < self.processes * len(self.list_pools()):
            if time.monotonic() > deadline:
                raise TimeoutError(self.tell_log())
            self._look()
            time.sleep(_LOOK)

    def wait_for_dispatch(self, count: int) -> None:
        """Wait until dispatch has answered so many times, but not for ever."""
        self._look()
        until, deadline = self._answers + count, time.monotonic() + _BUSY_SECONDS
        while self._answers < until and time.monotonic() < deadline:
            time.sleep(_LOOK)
            self._look()

    def list_running(self, *, longer_than: float = _LONG) -> list[tuple[int, str]]:
        """Return processes of workers that run a long job, and its id; the one that began last comes first."""
        self._look()
        alive = set(self.list_workers())
        found = [(at, pid, job) for pid, (at, job, seconds) in self._running.items() if seconds > longer_than]
        return [(pid, job) for _, pid, job in sorted(found, reverse=True) if pid in alive]

    def _look(self) -> None:
        """Follow the ledger."""
        for entry in self.ledger.read_new():
            if entry.phase == "start":
                self._running[entry.pid] = entry.at, entry.job, entry.detail["seconds"]
            elif entry.phase in {"end", "raise"}:
                self._has_ended = True
                self._running.pop(entry.pid, None)
            elif entry.phase in {"sent", "not sent", "rolled back"}:
                self._answers += 1

    # --- The producer

    def _start_producer(self) -> "subprocess.Popen[str]":
        command = [sys.executable, "-m", "tests.faults.producer", *self._pace]
        return subprocess.Popen(
            command, cwd=ROOT, env=self.environment, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=self._log,
        )  # fmt: skip

    def kill_producer(self) -> None:
        """Kill the producer in the middle of whatever it does, and start another."""
        producer = self._producer
        assert producer is not None
        self.note("killed", pids=[producer.pid], what="producer")
        _end(producer)
        self._producer = self._start_producer()

    def ask(self, word: str) -> Any:  # Any: JSON
        """Tell the producer something and return its answer."""
        producer = self._producer
        assert producer is not None
        assert producer.stdin is not None
        assert producer.stdout is not None
        producer.stdin.write(f"{word}\n")
        producer.stdin.flush()
        line = producer.stdout.readline()
        if not line:
            raise RuntimeError(self.tell_log())
        return json.loads(line)

    def ask_until_done(self, word: str) -> None:
        """Tell the producer something until it can do it."""
        while "error" in self.ask(word):
            time.sleep(_LOOK)

    def tell_log(self, *, length: int | None = 4000) -> str:
        """Return the end of what the programs said, so many characters; None for all of it."""
        return (self.store.folder / "programs.log").read_text(errors="replace")[-length if length else None :]


def _end(producer: "subprocess.Popen[str]") -> None:
    producer.kill()
    producer.communicate()


def list_children(program: Program) -> list[int]:
    """Return the ids of the processes that a program has started."""
    if program.process is None:
        return []
    path = Path(f"/proc/{program.process.pid}/task/{program.process.pid}/children")
    try:
        return [int(one) for one in path.read_text().split()]
    except OSError:
        return []
