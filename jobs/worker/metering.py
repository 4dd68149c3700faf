"""What a worker counts of its tries: gathered in memory, and written every few seconds."""

import time
from datetime import datetime, timedelta
from typing import Final

import structlog

from jobs.drivers.base import Claim
from jobs.services import MetricKey, TryFigures, add_metrics
from jobs.worker.outages import list_outage_errors
from jobs.worker.outcomes import TryEnd

#: Between two writes.
WRITE_PERIOD: Final = timedelta(seconds=5)
#: Rows that are kept while they can't be written; beyond it the oldest one is dropped.
MAX_KEPT: Final = 1_000
_log = structlog.get_logger("gatehouse.worker")


class Meter:
    """Gathers the figures of one worker, in the thread that runs its jobs."""

    def __init__(self) -> None:
        """Begin with nothing; the first write may come at once."""
        self.gathered: dict[MetricKey, TryFigures] = {}
        self._next_write = time.monotonic()

    def note(self, claim: Claim, end: TryEnd, *, ended_at: datetime) -> None:
        """Count a try whose end was written down."""
        figures = self._get_figures(claim, end, ended_at)
        match end.state:
            case "done":
                figures.processed += 1
            case "released":
                figures.released += 1
            case "failed" | "quarantined":
                figures.failed += 1
        figures.timed_out += end.is_timed_out
        run = end.duration.total_seconds()
        wait = claim.waited.total_seconds()
        figures.run_seconds += run
        figures.max_run_seconds = max(figures.max_run_seconds, run)
        figures.wait_seconds += wait
        figures.max_wait_seconds = max(figures.max_wait_seconds, wait)

    def write(self, *, at_once: bool = False) -> None:
        """Store what was gathered, if it is time to; ``at_once``: in any case.

        Raises nothing: what a store that is away didn't take is kept, and written later.
        """
        if not self.gathered or (time.monotonic() < self._next_write and not at_once):
            return
        self._next_write = time.monotonic() + WRITE_PERIOD.total_seconds()
        try:
            add_metrics(gathered=self.gathered)
        except list_outage_errors() as error:
            _log.warning("metrics_not_written", error=type(error).__qualname__)
        except Exception as error:  # noqa: BLE001 - figures must not stop jobs, and these would be refused again
            _log.error("metrics_refused", error=type(error).__qualname__)
            self.gathered.clear()
        else:
            self.gathered.clear()

    def _get_figures(self, claim: Claim, end: TryEnd, ended_at: datetime) -> TryFigures:
        # What a record says of itself that can't be trusted is not worth a row of its own.
        job_class = "" if end.state == "quarantined" else claim.job_class
        key = MetricKey(ended_at.replace(second=0, microsecond=0), claim.connection, claim.queue, job_class)
        if (figures := self.gathered.get(key)) is not None:
            return figures
        if len(self.gathered) >= MAX_KEPT:
            del self.gathered[next(iter(self.gathered))]
            _log.warning("metrics_dropped")
        figures = self.gathered[key] = TryFigures()
        return figures
