"""Worker processes, as they report themselves."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from jobs.models import WorkerHeartbeat
from jobs.options import matches_queue
from jobs.selectors.stores import serves_connection

#: How a worker can be, in a word.
WORKER_STATES: Final = ("idle", "busy", "resting", "stopping", "dead")


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerStatus:
    """A worker that is alive, or died not long ago."""

    name: str
    #: In order; empty means every queue.
    queues: Sequence[str]
    is_alive: bool
    started_at: datetime
    beat_at: datetime
    current_job_id: str | None
    current_job_class: str = ""
    #: When that was claimed, by the clock of its store.
    current_job_since: datetime | None = None
    host: str = ""
    pid: int = 0
    connection: str = ""
    #: How many jobs it runs, and how many tries it has begun since its start.
    running_count: int = 0
    try_count: int = 0
    #: What it has now, in MB.
    memory_mb: float | None = None
    #: Processor time between its last two reports, in percent of one core.
    cpu_percent: float | None = None
    #: Whether it takes no jobs until it is told to go on.
    is_resting: bool = False
    #: What it was told and hasn't heard yet: ``rest``, ``go_on``, ``stop``, or nothing.
    wish: str = ""

    @property
    def state(self) -> str:
        """How it is: one of ``WORKER_STATES``."""
        if not self.is_alive:
            return "dead"
        if self.wish == "stop":
            return "stopping"
        if self.is_resting:
            return "resting"
        return "busy" if self.current_job_id else "idle"

    def serves(self, queue: str, connection: str) -> bool:
        """Say whether it takes jobs of a queue."""
        if self.connection and not serves_connection(self.connection, connection):
            return False
        return not self.queues or any(matches_queue(pattern, queue) for pattern in self.queues)


def list_workers(*, now: datetime) -> list[WorkerStatus]:
    """Return the workers by name."""
    return [
        WorkerStatus(
            name=row.name,
            queues=row.queues.split(",") if row.queues else [],
            is_alive=row.alive_until > now,
            started_at=row.started_at,
            beat_at=row.beat_at,
            current_job_id=str(row.current_job_id) if row.current_job_id else None,
            current_job_class=row.current_job_class,
            current_job_since=row.current_job_since,
            host=row.host,
            pid=row.pid,
            connection=row.connection,
            running_count=row.running_count,
            try_count=row.try_count,
            memory_mb=row.memory_mb,
            cpu_percent=row.cpu_percent,
            is_resting=row.is_resting,
            wish=row.wish,
        )
        for row in WorkerHeartbeat.objects.order_by("name")
    ]
