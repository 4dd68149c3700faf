"""What a worker counts and lists of its tries: gathered in memory, and written every few seconds."""

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Final

import structlog
from django.db import transaction

from jobs.conf import get_job_settings
from jobs.drivers.base import Claim
from jobs.job import get_job_class
from jobs.payload import Record
from jobs.services import EndedTry, MetricKey, TryFigures, add_metrics, add_tries
from jobs.worker.outages import list_outage_errors
from jobs.worker.outcomes import TryEnd

#: Between two writes.
WRITE_PERIOD: Final = timedelta(seconds=5)
#: Rows that are kept while they can't be written; beyond it the oldest one is dropped.
MAX_KEPT: Final = 1_000
#: Tries that went wrong which are listed at once; beyond it the oldest one is left out.
MAX_TROUBLE: Final = 2_000
_MINUTE: Final = timedelta(minutes=1)
_log = structlog.get_logger("gatehouse.worker")


class Meter:
    """Gathers the figures of one worker, and what became of its tries, in all threads that run its jobs."""

    def __init__(self) -> None:
        """Begin with nothing; the first write may come at once."""
        self.gathered: dict[MetricKey, TryFigures] = {}
        #: Tries to be listed: those that are done, as many as the settings let, and all others.
        self._done: list[EndedTry] = []
        self._trouble: deque[EndedTry] = deque(maxlen=MAX_TROUBLE)
        self._lock = threading.Lock()
        self._next_write = time.monotonic()
        self._minute = datetime.min.replace(tzinfo=UTC)
        #: How many of those that are done may still be listed before the next write.
        self._room = _get_room()

    def note(self, claim: Claim, end: TryEnd, *, ended_at: datetime) -> None:
        """Count a try whose end was written down."""
        with self._lock:
            self._add(self._get_figures(claim, end, ended_at), claim, end)
            if end.state != "done":
                self._trouble.append(_to_try(claim, end, ended_at))
            elif self._room > 0:
                self._room -= 1
                self._done.append(_to_try(claim, end, ended_at))

    def write(self, *, at_once: bool = False) -> None:
        """Store what was gathered, if it is time to; ``at_once``: in any case.

        Raises nothing: what a store that is away didn't take is kept, and written later.
        """
        if not self.gathered or (time.monotonic() < self._next_write and not at_once):
            return
        self._next_write = time.monotonic() + WRITE_PERIOD.total_seconds()
        with self._lock:
            gathered, self.gathered = self.gathered, {}
            done, self._done, self._room = self._done, [], _get_room()
            trouble = list(self._trouble)
            self._trouble.clear()
        try:
            with transaction.atomic():
                _store(partial(add_tries, [*done, *trouble]), "tries")
                _store(partial(add_metrics, gathered=gathered), "metrics")
        except list_outage_errors() as error:
            _log.warning("metrics_not_written", error=type(error).__qualname__)
            self._keep(gathered, done, trouble)
        except Exception as error:  # noqa: BLE001 - as in _store
            _log.error("metrics_refused", error=type(error).__qualname__)

    def _keep(self, unwritten: dict[MetricKey, TryFigures], done: list[EndedTry], trouble: Sequence[EndedTry]) -> None:
        """Add to what was gathered meanwhile what could not be written."""
        with self._lock:
            since, self.gathered = self.gathered, unwritten
            for key, figures in since.items():
                self._get_row(key).add(figures)
            self._trouble.extendleft(reversed(trouble[: MAX_TROUBLE - len(self._trouble)]))
            # Those that are done fill what room one write has: the figures tell of the others.
            most = _get_room()
            self._done = [*done, *self._done][:most]
            self._room = most - len(self._done)

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
        figures.note_times(run=end.duration.total_seconds(), wait=claim.waited.total_seconds())

    def _get_figures(self, claim: Claim, end: TryEnd, ended_at: datetime) -> TryFigures:
        # What a record says of itself that can't be trusted is not worth a row of its own.
        job_class = "" if end.state == "quarantined" else claim.job_class
        if not self._minute <= ended_at < self._minute + _MINUTE:
            self._minute = ended_at.replace(second=0, microsecond=0)
        return self._get_row(MetricKey(self._minute, claim.connection, claim.queue, job_class))

    def _get_row(self, key: MetricKey) -> TryFigures:
        if (figures := self.gathered.get(key)) is not None:
            return figures
        if len(self.gathered) >= MAX_KEPT:
            del self.gathered[next(iter(self.gathered))]
            _log.warning("metrics_dropped")
        figures = self.gathered[key] = TryFigures()
        return figures


def _store(write: Callable[[], None], what: str) -> None:
    """Write one kind of rows, which is all or none; where they are refused, the other kind stays.

    Raises:
        Exception: What a store raises that is away.
    """
    try:
        write()
    except list_outage_errors():
        raise
    except Exception as error:  # noqa: BLE001 - figures must not stop jobs, and these would be refused again
        _log.error(f"{what}_refused", error=type(error).__qualname__)


def _get_room() -> int:
    """Return how many jobs that are done may be listed in one write."""
    return int(get_job_settings().history_per_second * WRITE_PERIOD.total_seconds())


def _to_try(claim: Claim, end: TryEnd, ended_at: datetime) -> EndedTry:
    record = end.record
    return EndedTry(
        job_id=claim.job_id,
        connection=claim.connection,
        queue=claim.queue,
        job_class=claim.job_class,
        state=end.state,
        attempt=claim.attempts,
        worker=claim.worker,
        started_at=claim.claimed_at,
        wait=claim.waited,
        run=end.duration,
        ended_at=ended_at,
        error=end.error or "",
        dispatched_at=record.created_at if record else None,
        batch_id=record.batch_id if record else None,
        tags=record.tags if record else (),
        is_silenced=record is not None and _is_silenced(record),
    )


def _is_silenced(record: Record) -> bool:
    """Say whether a job is listed apart, because its class says so, or the settings do of its class or a tag."""
    silenced = get_job_settings().silenced
    job_class = get_job_class(record.job_class)
    is_named = record.job_class in silenced or not silenced.isdisjoint(record.tags)
    return is_named or (job_class is not None and job_class.silenced)
