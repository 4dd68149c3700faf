"""The page of ``queue_dashboard``: tiles, queues, workers, failed jobs."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from functools import partial
from typing import ClassVar, Final, override
from uuid import UUID

from textual.binding import Binding, BindingType
from textual.widget import Widget

from jobs.queues import pause_queue, resume_queue
from jobs.selectors import QueueOverview
from jobs.services import retry_one
from jobs.terminal.house import (
    FAILED,
    QUEUES,
    WORKERS,
    House,
    get_queue_key,
    make_failure_rows,
    make_queue_rows,
    make_tiles,
    make_worker_rows,
)
from jobs.terminal.page import Page
from jobs.terminal.table import clean, to_clock
from jobs.terminal.widgets import LineTable, Tiles

#: What has waited in the outbox for no longer is on its way.
_LATE: Final = timedelta(seconds=5)
_HELP: Final = """\
q        leave
Tab      go to the next table: queues, workers, failed jobs
↑ ↓      select a line; Page up and down, Home, End too
p        pause the selected queue, or let it go on; asks first
r        read everything now; in the table of failed jobs:
         retry the selected one; asks first
/        show lines that hold a text; Enter keeps, Escape ends it
?        this help

Times are those of the last hour, jobs per minute those of the
last five minutes. What you do is noted in the audit log."""


class FailureTable(LineTable):
    """The failed jobs."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("r", "app.retry", "Retry")]


class Dashboard(Page[House]):
    """All queues, workers and failed jobs."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("p", "pause", "Pause or resume")]
    CSS = (
        Page.CSS
        + """
    #tiles { margin-bottom: 1; }
    #queues { max-height: 30%; }
    #workers { max-height: 22%; }
    #failures { height: 1fr; min-height: 3; margin-bottom: 0; }
    """
    )
    name_of_page = "Gatehouse jobs"
    keys = "q quit  p pause/resume queue  r refresh, or retry failed job  / filter  ? help"
    help_text = _HELP

    @override
    def compose_body(self) -> Iterator[Widget]:
        yield Tiles(id="tiles")
        yield LineTable(QUEUES, otherwise="No queue holds a job.", id="queues")
        yield LineTable(WORKERS, otherwise="No worker runs. Start one with: queue_work", id="workers")
        yield FailureTable(FAILED, otherwise="No job has failed.", id="failures")

    @override
    def show(self, reading: House) -> None:
        self.query_one(Tiles).show(make_tiles(reading.overview))
        self.query_one("#queues", LineTable).show(self.choose(make_queue_rows(reading.overview.queues)))
        self.query_one("#workers", LineTable).show(self.choose(make_worker_rows(reading.overview.workers)))
        self.query_one("#failures", LineTable).show(self.choose(make_failure_rows(reading.failures)))

    @override
    def tell_time(self, reading: House) -> str:
        return to_clock(reading.overview.at)

    @override
    def list_faults(self, reading: House) -> list[str]:
        overview = reading.overview
        away = [f"The connection {name} does not answer; its queues are not shown." for name in overview.away]
        return away + [figures.describe() for figures in overview.outbox if figures.oldest_wait > _LATE]

    def action_pause(self) -> None:
        """Let the selected queue rest, or go on."""
        if (queue := self._find_queue()) is None:
            self.tell("No queue is selected.")
            return
        where = f"the queue {clean(queue.queue)} of the connection {clean(queue.connection)}"
        if queue.is_paused:
            self.ask(f"Let {where} go on?", partial(_resume, queue))
        else:
            self.ask(f"Pause {where}?\nJobs in hand are finished; new ones wait.", partial(_pause, queue))

    def _find_queue(self) -> QueueOverview | None:
        row = self.query_one("#queues", LineTable).selected
        if row is None or self.reading is None:
            return None
        return next((one for one in self.reading.overview.queues if get_queue_key(one) == row.key), None)

    def action_retry(self) -> None:
        """Put the selected failed job back."""
        if (row := self.query_one(FailureTable).selected) is None:
            self.tell("No failed job is selected.")
            return
        _failed_at, job_class, *_ = row.cells
        self.ask(f"Retry {clean(job_class)}\n{row.key}?", _make_retry(UUID(row.key)))


def _pause(queue: QueueOverview) -> str:
    pause_queue(queue.queue, connection=queue.connection)
    return f"{queue.queue} rests until it is told to go on."


def _resume(queue: QueueOverview) -> str:
    if resume_queue(queue.queue, connection=queue.connection):
        return f"{queue.queue} goes on."
    return f"{queue.queue} rests because all queues of {queue.connection} do. Say: queue_resume --all"


def _make_retry(job_id: UUID) -> Callable[[], str]:
    def retry() -> str:
        retry_one(job_id=job_id)
        return f"{job_id} was put back; a worker runs it."

    return retry
