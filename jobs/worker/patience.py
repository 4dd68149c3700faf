"""Waiting for a store that is away, ever longer, until it answers or the worker is told to stop."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

import structlog

from jobs.worker.outages import get_reason, list_outage_errors

#: So long a worker that is to end goes on telling what its store must know, in seconds.
LAST_SECONDS: Final = 5.0
_FIRST_PAUSE: Final = timedelta(seconds=0.1)
_LONGEST_PAUSE: Final = timedelta(seconds=2)


@dataclass(slots=True)
class Patience:
    """That of one thread of a worker."""

    pause: Callable[[timedelta], object]
    is_stopping: Callable[[], bool]
    #: Called before each pause.
    renew_connections: Callable[[], object]
    log: structlog.stdlib.BoundLogger
    outages: tuple[type[Exception], ...] = field(default_factory=list_outage_errors)
    #: When it ends, by the monotonic clock: set while a store is away and the worker is to end.
    _ends_at: float | None = None

    def call[T](
        self, operation: Callable[[], T], *, even: tuple[type[Exception], ...] = (), insists: bool = False
    ) -> T | None:
        """Return what the operation returns; while a store is away, wait ever longer and try again.

        Gives up, with None, when the worker is told to stop. ``even``: what is borne as well. ``insists``: then goes
        on for ``LAST_SECONDS``, in all until the store answers.
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
                self._ends_at = None
                if is_away:
                    self.log.info("store_available_again")
                return result
            is_stopping = self.is_stopping()
            if is_stopping and not (insists and self._is_left()):
                return None
            self.renew_connections()
            if is_stopping:
                time.sleep(pause.total_seconds())  # who is to end was woken for that, and would not pause
            else:
                self.pause(pause)
            pause = min(pause * 2, _LONGEST_PAUSE)

    def _is_left(self) -> bool:
        now = time.monotonic()
        if self._ends_at is None:
            self._ends_at = now + LAST_SECONDS
        return now < self._ends_at
