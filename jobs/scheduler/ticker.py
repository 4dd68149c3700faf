"""Looking after the schedule now and then."""

import time
from datetime import timedelta
from typing import Final

import structlog

from jobs.exceptions import JobDefinitionError, ScheduleTimingError
from jobs.scheduler.due import Run, prune_schedule_runs, run_due_schedules
from jobs.scheduler.sync import synchronise_schedules

#: Between two looks.
TICK: Final = timedelta(seconds=1)
_PRUNED_EVERY: Final = timedelta(hours=1)
_log = structlog.get_logger("gatehouse.jobs")


class Ticker:
    """Looks once a second at most, however often it is asked; writes the entries of code down first."""

    def __init__(self) -> None:
        """Look as soon as it is asked."""
        self._next_look = self._next_pruning = time.monotonic()
        self._is_synchronised = False

    def tick(self) -> list[Run]:
        """Dispatch what is due, if it is time to look; return what was done.

        Raises nothing: what goes wrong is logged and tried again, for the caller has other work.
        """
        clock = time.monotonic()
        if clock < self._next_look:
            return []
        self._next_look = clock + TICK.total_seconds()
        try:
            self._synchronise()
            runs = run_due_schedules()
            if clock >= self._next_pruning:
                self._next_pruning = clock + _PRUNED_EVERY.total_seconds()
                prune_schedule_runs()
        except Exception as error:  # noqa: BLE001 - see above
            _log.warning("schedules_not_looked_at", error=type(error).__qualname__)
            return []
        return runs

    def _synchronise(self) -> None:
        """Write the entries of code down, once; a mistake among them must not keep those of the table from running."""
        if self._is_synchronised:
            return
        try:
            synchronise_schedules()
        except (JobDefinitionError, ScheduleTimingError) as error:
            _log.error("schedules_not_synchronised", reason=str(error))
        self._is_synchronised = True
