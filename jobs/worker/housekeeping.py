"""What has expired is deleted by the workers: now and then, by one of them at a time. Each relays the outbox."""

import secrets
import time
from datetime import timedelta
from typing import Final

import structlog

from jobs.coordination import get_coordinator
from jobs.services import Relay, sweep_expired

#: Between two rounds, whatever the number of workers.
SWEEP_PERIOD: Final = timedelta(minutes=5)
#: Between two steps of a round.
_NEXT_STEP: Final = timedelta(seconds=1)
_LOCK: Final = "sweep"
_log = structlog.get_logger("gatehouse.worker")


class Housekeeper:
    """Relays; sweeps when it is its turn. Nobody gives the lock back; its life is the pause until the next round."""

    def __init__(self) -> None:
        """Look as soon as it is asked."""
        self._owner = secrets.token_hex(8)
        self._next_look = time.monotonic()
        self._relay = Relay()

    def tick(self) -> int:
        """Do one step, if it is time to and no other worker does; return how many rows were deleted.

        Raises nothing: what goes wrong is logged and tried again, for the caller has other work.
        """
        self._relay.tick()
        clock = time.monotonic()
        if clock < self._next_look:
            return 0
        self._next_look = clock + SWEEP_PERIOD.total_seconds()
        try:
            if not get_coordinator().acquire(_LOCK, owner=self._owner, lifetime=SWEEP_PERIOD):
                return 0
            swept = sweep_expired()
        except Exception as error:  # noqa: BLE001 - see above
            _log.warning("nothing_swept", error=type(error).__qualname__)
            return 0
        if not swept.is_complete:
            self._next_look = clock + _NEXT_STEP.total_seconds()
        return swept.count
