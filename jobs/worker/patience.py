"""Waiting for a store that is away, ever longer, until it answers or the worker is told to stop."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

import structlog

from jobs.worker.outages import get_reason, list_outage_errors

_FIRST_PAUSE: Final = timedelta(seconds=0.1)
_LONGEST_PAUSE: Final = timedelta(seconds=2)


@dataclass(frozen=True, slots=True)
class Patience:
    """That of one thread of a worker."""

    pause: Callable[[timedelta], object]
    is_stopping: Callable[[], bool]
    #: Called before each pause.
    renew_connections: Callable[[], object]
    log: structlog.stdlib.BoundLogger
    outages: tuple[type[Exception], ...] = field(default_factory=list_outage_errors)

    def call[T](self, operation: Callable[[], T], *, even: tuple[type[Exception], ...] = ()) -> T | None:
        """Return what the operation returns; while a store is away, wait ever longer and try again.

        Gives up, with None, when the worker is told to stop. ``even``: what is borne as well.
        """
        pause = _FIRST_PAUSE
        is_away = False
        while True:
            try:
                result = operation()
            except (*self.outages, *even) as error:
                is_away = True
                # What else goes wrong may tell the content of a row in any form.
                reason = get_reason(error) if isinstance(error, self.outages) else ""
                self.log.warning(
                    "store_unavailable",
                    error=type(error).__qualname__,
                    reason=reason,
                    retry_in_seconds=pause.total_seconds(),
                )
            else:
                if is_away:
                    self.log.info("store_available_again")
                return result
            if self.is_stopping():
                return None
            self.renew_connections()
            self.pause(pause)
            pause = min(pause * 2, _LONGEST_PAUSE)
