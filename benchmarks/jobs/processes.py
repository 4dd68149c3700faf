"""The programs of one peer while it is measured: its workers, and what sends its jobs."""

import json
import os
import signal
import struct
import subprocess
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from itertools import cycle
from pathlib import Path
from typing import Final, Self

import psutil

from benchmarks.jobs import work
from benchmarks.jobs.peers import STORE, Peer
from benchmarks.jobs.stores import Stores
from project.processors import list_processors

#: Between two looks at how many jobs are done, in seconds.
_LOOK: Final = 0.002
_LONGEST_WAIT: Final = 300.0
_START_SECONDS: Final = 90.0
_STOP_SECONDS: Final = 5.0
_FIRST_JOBS: Final = 50


class Tally:
    """How many jobs are done, and by which processes."""

    def __init__(self, path: Path) -> None:
        """Look at the file that jobs append the ids of their processes to."""
        self._path = path

    def count(self) -> int:
        """Return how many there are."""
        return self._path.stat().st_size // 4

    def list_processes(self) -> set[int]:
        """Return the ids of the processes."""
        return {one for (one,) in struct.iter_unpack("<I", self._path.read_bytes())}


class Workers:
    """The workers of a peer."""

    def __init__(self, programs: list["subprocess.Popen[bytes]"]) -> None:
        """Know what was started; what that has started is looked for each time."""
        self._programs = programs

    def suspend(self) -> None:
        """Let them stand still, parents first."""
        self._send(signal.SIGSTOP)

    def resume(self) -> None:
        """Let them go on."""
        self._send(signal.SIGCONT)

    def bind(self, process_ids: Iterable[int]) -> None:
        """Let each of these processes keep to a processor of its own, as far as there are enough."""
        for process_id, processor in zip(sorted(process_ids), cycle(list_processors()), strict=False):
            for thread in psutil.Process(process_id).threads():
                os.sched_setaffinity(thread.id, {processor})

    def list_cpu_seconds(self) -> Mapping[int, float]:
        """Return what each of their processes has taken of the processor, by its id."""
        times = {one.pid: one.cpu_times() for one in self._list()}
        return {process_id: one.user + one.system for process_id, one in times.items()}

    def list_parents(self) -> list[int]:
        """Return the ids of those that were started."""
        return [program.pid for program in self._programs]

    def list_memory(self) -> Mapping[int, int]:
        """Return how much memory each has to itself, in bytes, by its id; parents first."""
        found = {}
        for one in self._list():
            with suppress(psutil.NoSuchProcess):
                found[one.pid] = int(one.memory_full_info().uss)
        return found

    def stop(self) -> None:
        """End them."""
        everybody = self._list()
        for program in self._programs:
            program.terminate()
        _, alive = psutil.wait_procs(everybody, timeout=_STOP_SECONDS)
        for one in alive:
            with suppress(psutil.NoSuchProcess):
                one.kill()
        for program in self._programs:
            program.wait()

    def check(self) -> None:
        """Raise where one has ended."""
        for program in self._programs:
            if program.poll() is not None:
                message = f"A worker ended with {program.returncode}."
                raise RuntimeError(message)

    def _list(self) -> list[psutil.Process]:
        parents = []
        for program in self._programs:
            with suppress(psutil.NoSuchProcess):
                parents.append(psutil.Process(program.pid))
        return [*parents, *(child for parent in parents for child in parent.children(recursive=True))]

    def _send(self, number: int) -> None:
        for one in self._list():
            with suppress(psutil.NoSuchProcess):
                one.send_signal(number)


class Visit:
    """A peer whose workers are up and warm."""

    def __init__(self, peer: Peer, stores: Stores, workers: Workers, producer: "subprocess.Popen[str]") -> None:
        """Wait until the producer says who it is, and every worker has done a job."""
        self._peer, self._stores, self.workers, self._producer = peer, stores, workers, producer
        self.tally = Tally(stores.notes / "tally")
        greeting = self._read()
        self.version = str(greeting["version"])
        self.has_bulk = bool(greeting["has_bulk"])

    def warm_up(self) -> Self:
        """Send jobs until every process has done one."""
        end = time.monotonic() + _START_SECONDS
        while len(self.tally.list_processes()) < self._peer.processes:
            if time.monotonic() > end:
                message = f"{self._peer.name}: {len(self.tally.list_processes())} processes take part."
                raise RuntimeError(message)
            done = self.tally.count()
            self.send("single", "noop", _FIRST_JOBS)
            self.wait_for(done + _FIRST_JOBS, seconds=_START_SECONDS)
        if self._peer.is_bound and not self._peer.is_ours:
            self.workers.bind(self.tally.list_processes())
        return self

    def send(self, way: str, kind: str, count: int) -> float:
        """Send jobs; return how many seconds that took."""
        return float(str(self._ask({"do": way, "kind": kind, "count": count})["seconds"]))

    def look(self, *, is_whole: bool = False) -> dict[str, object]:
        """Return what the store holds, by a producer that looks."""
        return self._ask({"do": "look", "is_whole": is_whole})

    def hold(self) -> None:
        """Let the workers stand still, none of them in the middle of a transaction that stops others."""
        self.workers.suspend()
        while self._stores.is_locked(self._peer):
            self.workers.resume()
            time.sleep(_LOOK)
            self.workers.suspend()

    def wait_for(self, count: int, *, seconds: float = _LONGEST_WAIT) -> None:
        """Wait until so many jobs are done in all."""
        end = time.monotonic() + seconds
        while self.tally.count() < count:
            time.sleep(_LOOK)
            if time.monotonic() > end:
                self.workers.check()
                message = f"{self._peer.name}: {self.tally.count()} of {count} jobs were done in time."
                raise RuntimeError(message)

    def _ask(self, request: Mapping[str, object]) -> dict[str, object]:
        assert self._producer.stdin is not None  # noqa: S101 - a pipe
        self._producer.stdin.write(json.dumps(request) + "\n")
        self._producer.stdin.flush()
        return self._read()

    def _read(self) -> dict[str, object]:
        assert self._producer.stdout is not None  # noqa: S101 - a pipe
        line = self._producer.stdout.readline()
        if not line:
            message = f"{self._peer.name}: what sends its jobs has ended."
            raise RuntimeError(message)
        answer: dict[str, object] = json.loads(line)
        return answer


@contextmanager
def visit(peer: Peer, stores: Stores, *, urls: Sequence[str] = ()) -> Iterator[Visit]:
    """Start the workers of a peer and what sends its jobs; end them afterwards.

    Args:
        peer: Who.
        stores: Where.
        urls: Where its workers find these, in the order of ``Stores.list_urls``.
    """
    stores.empty()
    worker_environment = stores.make_environment(peer, urls=urls)
    with ExitStack() as stack:
        log = stack.enter_context((stores.folder / "workers.log").open("wb"))
        programs = [
            subprocess.Popen(  # noqa: S603 - ours
                [worker_environment[work.STORE] if part == STORE else part for part in command],
                cwd=peer.folder, env=worker_environment, start_new_session=True, stdin=subprocess.DEVNULL, stdout=log,
                stderr=log,
            )
            for command in peer.workers
        ]  # fmt: skip
        workers = Workers(programs)
        stack.callback(workers.stop)
        producer = stack.enter_context(
            subprocess.Popen(  # noqa: S603 - ours
                list(peer.producer), cwd=peer.folder, env=stores.make_environment(peer), stdin=subprocess.PIPE,
                stdout=subprocess.PIPE, text=True,
            )
        )  # fmt: skip
        stack.callback(producer.kill)
        try:
            yield Visit(peer, stores, workers, producer).warm_up()
        except Exception as error:
            error.add_note((stores.folder / "workers.log").read_text(errors="replace")[-4000:])
            raise
