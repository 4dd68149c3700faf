"""What ``queue_top`` shows: worker processes in an order of choice, told as rows, text or JSON."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final

from jobs.selectors import WorkerStatus, list_workers
from jobs.terminal.house import STATE_TONES, worker_to_json
from jobs.terminal.table import Column, Row, lay_out, to_count, to_span

PROCESSES: Final = (
    Column("host"),
    Column("pid", 7, is_number=True),
    Column("state", 8),
    Column("CPU %", 5, is_number=True),
    Column("MB", 6, is_number=True),
    Column("tries", 7, is_number=True),
    Column("job"),
    Column("for", 7, is_number=True),
)
_NONE: Final = timedelta(0)
_STATES: Final = ("busy", "stopping", "idle", "resting", "dead")


class Sort(StrEnum):
    """What processes are sorted by; dead ones come last in any case."""

    CPU = "cpu"
    MEMORY = "memory"
    #: Since when the job in hand has run, the oldest first.
    TIME = "time"
    TRIES = "tries"
    STATE = "state"
    NAME = "name"


@dataclass(frozen=True, slots=True)
class Processes:
    """All worker processes, of one moment, in no order."""

    at: datetime
    workers: Sequence[WorkerStatus]


def read_processes(*, now: datetime) -> Processes:
    """Return all worker processes that are alive, or died not long ago."""
    return Processes(now, list_workers(now=now))


def sort_workers(processes: Processes, sort: Sort) -> list[WorkerStatus]:
    """Return them in an order; those that are equal in it by name."""
    key = _KEYS[sort]
    named = sorted(processes.workers, key=lambda one: one.name)
    return sorted(named, key=lambda one: (not one.is_alive, key(one, processes.at)))


def _get_span(worker: WorkerStatus, now: datetime) -> timedelta | None:
    return None if worker.current_job_since is None else max(now - worker.current_job_since, _NONE)


_KEYS: Final[Mapping[Sort, Callable[[WorkerStatus, datetime], Any]]] = {  # Any: each orders by its own
    Sort.CPU: lambda worker, _now: -(worker.cpu_percent or 0),
    Sort.MEMORY: lambda worker, _now: -(worker.memory_mb or 0),
    Sort.TIME: lambda worker, now: -(_get_span(worker, now) or _NONE),
    Sort.TRIES: lambda worker, _now: -worker.try_count,
    Sort.STATE: lambda worker, _now: _STATES.index(worker.state),
    Sort.NAME: lambda worker, _now: worker.name,
}


def make_process_rows(processes: Processes, sort: Sort) -> list[Row]:
    """Return their lines."""
    return [_make_row(worker, processes.at) for worker in sort_workers(processes, sort)]


def _make_row(worker: WorkerStatus, now: datetime) -> Row:
    others = worker.running_count - 1
    job = worker.current_job_class or worker.current_job_id or "-"
    cells = (
        worker.host or worker.name,
        str(worker.pid or "-"),
        worker.state,
        "-" if worker.cpu_percent is None else f"{worker.cpu_percent:.1f}",
        "-" if worker.memory_mb is None else f"{worker.memory_mb:.1f}",
        to_count(worker.try_count),
        f"{job} +{others}" if others > 0 else job,
        to_span(_get_span(worker, now)),
    )
    return Row(worker.name, cells, STATE_TONES[worker.state])


def sum_up(processes: Processes) -> str:
    """Return a line about all that are alive."""
    alive = [worker for worker in processes.workers if worker.is_alive]
    busy = sum(worker.state == "busy" for worker in alive)
    memory = sum(worker.memory_mb or 0 for worker in alive)
    cpu = sum(worker.cpu_percent or 0 for worker in alive)
    return f"{len(alive)} alive, {busy} busy, {memory:.0f} MB, CPU {cpu:.0f} %"


def to_text(processes: Processes, sort: Sort) -> str:
    """Return all of it as lines of text, as wide as they are."""
    rows = make_process_rows(processes, sort)
    table = lay_out(PROCESSES, rows) if rows else ["No worker runs. Start one with: queue_work"]
    return "\n".join([sum_up(processes), "", *table])


def to_json(processes: Processes, sort: Sort) -> dict[str, Any]:  # Any: JSON
    """Return all of it as JSON."""
    workers = [worker_to_json(worker) for worker in sort_workers(processes, sort)]
    return {"at": processes.at.isoformat(), "workers": workers}
