"""Who is measured: how the jobs of each are sent, and how its workers are started."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from benchmarks.jobs.environments import make_node, make_python
from project.processors import list_processors

type Command = Sequence[str | Path]
type Kind = Literal["noop", "incr", "nap"]
type StoreName = Literal["redis", "postgresql", "sqlite"]

#: Stands in a command for the address of the store, as the workers see it.
STORE = "{store}"
_ROOT = Path(__file__).parents[2]
_PROGRAMS = "benchmarks.jobs.programs"
#: What jobs do: nothing, one write, wait for a millisecond.
KINDS: Sequence[Kind] = ("noop", "incr", "nap")
#: Who is measured once more with processes that are bound to a processor each: the fastest of either language.
_BOUND: Sequence[str] = ("Huey, 2 processes", "BullMQ, 2 processes of concurrency 50")
#: What is done by processes that keep to a processor each.
_BOUND_KINDS: Sequence[Kind] = ("noop", "incr")
#: Two workers of ours, under one parent.
_OUR_WORKERS: Command = (sys.executable, "manage.py", "queue_work", "--processes", "2")


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """One of those that are measured."""

    name: str
    store: StoreName = "redis"
    is_ours: bool = False
    is_python: bool = True
    #: Sends jobs, as ``benchmarks.jobs.producer`` says.
    producer: Command
    #: What is started to have its workers.
    workers: Sequence[Command]
    #: How many processes take jobs.
    processes: int = 2
    #: Whether each of them keeps to a processor: ours by an option, others because they are bound from outside.
    is_bound: bool = False
    #: What it is measured with.
    kinds: Sequence[Kind] = KINDS
    folder: Path = _ROOT
    environment: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_whole(self) -> bool:
        """Whether it is measured in every way."""
        return len(self.kinds) == len(KINDS)


def make_peers() -> list[Peer]:
    """Install them, and return all, ours first; none that are bound where the system doesn't do that."""
    others = [*_list_python(make_python()), *_list_node()]
    bound = [
        replace(peer, name=f"{peer.name}, bound", kinds=_BOUND_KINDS, is_bound=True)
        for peer in others
        if peer.name in _BOUND
    ]
    peers = [*_list_ours(), *others, *bound]
    return [peer for peer in peers if list_processors() or not peer.is_bound]


def make_soaked(store: StoreName) -> Peer:
    """Return ours on one store, with the producer of the soak."""
    ours = next(one for one in _list_ours() if one.store == store)
    return replace(ours, producer=(sys.executable, "-m", f"{_PROGRAMS}.soak"))


def _list_ours() -> list[Peer]:
    stores: dict[StoreName, str] = {"redis": "Redis", "postgresql": "PostgreSQL", "sqlite": "SQLite"}

    def make(
        label: str,
        store: StoreName,
        *options: str,
        kinds: Sequence[Kind] = KINDS,
        handle: str = "",
        is_bound: bool = False,
    ) -> Peer:
        return Peer(
            name=f"Gatehouse, {label}",
            store=store,
            is_ours=True,
            producer=(sys.executable, "-m", f"{_PROGRAMS}.house"),
            workers=[(*_OUR_WORKERS, *options)],
            kinds=kinds,
            is_bound=is_bound,
            environment={
                "JOB_CONNECTION": "redis" if store == "redis" else "database",
                "BENCH_HANDLE": handle,
            },
        )

    return [
        *(make(label, store) for store, label in stores.items()),
        make("Redis, bound", "redis", "--cpu-affinity", kinds=_BOUND_KINDS, is_bound=True),
        # What waits gains by not waiting alone; what doesn't is measured above.
        make("Redis, 8 threads", "redis", "--threads", "8", kinds=["nap"]),
        make("Redis, async", "redis", kinds=["nap"], handle="async"),
    ]


def _list_python(python: Path) -> list[Peer]:
    def make(name: str, program: str, *worker: str, module: tuple[str, ...] = ()) -> Peer:
        command: Command = [python, *(module or ("-m", program)), *worker]
        return Peer(name=name, producer=(python, "-m", f"{_PROGRAMS}.{program}"), workers=[command])

    rq = ("worker-pool", "default", "--num-workers", "2", "--url", STORE, "--logging-level", "ERROR")
    return [
        make("Huey, 2 processes", "huey", f"{_PROGRAMS}.huey.huey", "--worker-type", "process", "--workers", "2",
             "--no-periodic", "--quiet", module=("-m", "huey.bin.huey_consumer")),
        make("Dramatiq, 2 processes of 8 threads", "dramatiq", f"{_PROGRAMS}.dramatiq", "--processes", "2",
             "--threads", "8", "--skip-logging"),
        make("Taskiq, 2 processes", "taskiq", "worker", f"{_PROGRAMS}.taskiq:broker", "--workers", "2",
             "--log-level", "ERROR"),
        make("Celery, prefork of 2", "celery", "--app", f"{_PROGRAMS}.celery", "worker", "--pool", "prefork",
             "--concurrency", "2", "--loglevel", "ERROR", "--without-gossip", "--without-mingle",
             "--without-heartbeat"),
        make("RQ worker-pool of 2, SimpleWorker", "rq", *rq, "--worker-class", "rq.worker.SimpleWorker",
             module=("-m", "rq.cli")),
        make("RQ worker-pool of 2, fork", "rq", *rq, module=("-m", "rq.cli")),
    ]  # fmt: skip


def _list_node() -> list[Peer]:
    found = make_node()
    if found is None:
        return []
    node, folder = found
    return [
        Peer(
            name=f"BullMQ, {label} of concurrency 50",
            is_python=False,
            producer=(node, "bullmq.mjs", "send"),
            workers=[(node, "bullmq.mjs", "work")] * processes,
            processes=processes,
            folder=folder,
        )
        for processes, label in ((1, "1 process"), (2, "2 processes"))
    ]
