"""What is said of one worker process when it is started."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta

from jobs.conf import get_job_settings
from jobs.options import JobOptions
from jobs.worker.ledger import ROWS


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerOptions:
    """What a worker serves, and when it ends by itself."""

    #: Names, and patterns in which ``*`` stands for any characters, in order; empty: every queue, as if they were one.
    queues: Sequence[str] = ()
    #: Connection that it serves; empty means that of the settings.
    connection: str = ""
    #: Stands in front of the worker's name, in place of the host's.
    name: str = ""
    #: Pause between two looks at an empty queue.
    sleep: timedelta
    #: End after so many tries.
    max_jobs: int | None = None
    #: End as soon as no job is due.
    stop_when_empty: bool = False
    #: End, after the job in hand, when it has run so long.
    max_time: timedelta | None = None
    #: End, after the job in hand, when the process has taken more memory, in MB.
    memory_mb: int | None = None
    #: Pause after each job.
    rest: timedelta = timedelta(0)
    #: Tries, back-off and timeout that hold in place of those of the settings.
    job_options: JobOptions | None = None
    #: Whether a thread of its own keeps what it holds. Without one it claims, runs and finishes one job at a time,
    #: whatever else is said, and none may take longer than the lease.
    has_keeper: bool = False
    #: Takes a line of JSON for each event (``jobs.worker.reporting``).
    report: Callable[[str], object] | None = None
    #: How many threads run jobs that block; 0: the main thread does.
    threads: int = 0
    #: Whether each process of a pool keeps to one processor.
    cpu_affinity: bool = False
    #: How many coroutines of jobs run at a time; None: as the settings say.
    concurrency: int | None = None

    def get_concurrency(self) -> int:
        """Return how many coroutines of jobs run at a time."""
        return get_job_settings().concurrency if self.concurrency is None else self.concurrency

    def count_held(self) -> int:
        """Return how many jobs the worker may hold at once."""
        return ROWS + self.threads + self.get_concurrency()
