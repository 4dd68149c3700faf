"""What a worker counts of its tries: gathered in memory, and written every few seconds."""

import threading
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
    """Gathers the figures of one worker, in all threads that run its jobs."""

    def __init__(self) -> None:
        """Begin with nothing; the first write may come at once."""
        self.gathered: dict[MetricKey, TryFigures] = {}
        self._lock = threading.Lock()
        self._next_write = time.monotonic()

    def note(self, claim: Claim, end: TryEnd, *, ended_at: datetime) -> None:
        """Count a try whose end was written down."""
        with self._lock:
            self._add(self._get_figures(claim, end, ended_at), claim, end)

    def write(self, *, at_once: bool = False) -> None:
        """Store what was gathered, if it is time to; ``at_once``: in any case.

        Raises nothing: what a store that is away didn't take is kept, and written later.
        """
        if not self.gathered or (time.monotonic() < self._next_write and not at_once):
            return
        self._next_write = time.monotonic() + WRITE_PERIOD.total_seconds()
        with self._lock:
            gathered, self.gathered = self.gathered, {}
        try:
            add_metrics(gathered=gathered)
        except list_outage_errors() as error:
            _log.warning("metrics_not_written", error=type(error).__qualname__)
            self._keep(gathered)
        except Exception as error:  # noqa: BLE001 - figures must not stop jobs, and these would be refused again
            _log.error("metrics_refused", error=type(error).__qualname__)

    def _keep(self, unwritten: dict[MetricKey, TryFigures]) -> None:
        """Add to what was gathered meanwhile what could not be written."""
        with self._lock:
            since, self.gathered = self.gathered, unwritten
            for key, figures in since.items():
                self._get_row(key).add(figures)

    @staticmethod
    def _add(figures: TryFigures, claim: Claim, end: TryEnd) -> None:
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

    def _get_figures(self, claim: Claim, end: TryEnd, ended_at: datetime) -> TryFigures:
        # What a record says of itself that can't be trusted is not worth a row of its own.
        job_class = "" if end.state == "quarantined" else claim.job_class
        return self._get_row(
            MetricKey(ended_at.replace(second=0, microsecond=0), claim.connection, claim.queue, job_class)
        )

    def _get_row(self, key: MetricKey) -> TryFigures:
        if (figures := self.gathered.get(key)) is not None:
            return figures
        if len(self.gathered) >= MAX_KEPT:
            del self.gathered[next(iter(self.gathered))]
            _log.warning("metrics_dropped")
        figures = self.gathered[key] = TryFigures()
        return figures
