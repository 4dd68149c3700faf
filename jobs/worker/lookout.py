"""The thread of a worker that looks once a minute, by one worker at a time, whether jobs wait for too long.

It is none of the threads that work: jobs wait for too long when these are busy, or hang.
"""

import random
import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Final

import structlog
from django.db import connections

from jobs.coordination.database import DatabaseCoordinator
from jobs.services import tell_long_waits

#: Between two looks, whatever the number of workers.
LOOK_PERIOD: Final = timedelta(seconds=60)
#: How long a worker that ends waits for a look that has begun, in seconds: a mail may be on its way.
_LAST_SECONDS: Final = 5
_LOCK: Final = "alerts"
_log = structlog.get_logger("gatehouse.worker")


class Lookout:
    """That of one worker."""

    def __init__(self) -> None:
        """Nothing is done yet."""
        self._owner = secrets.token_hex(8)
        self._is_over = threading.Event()

    @contextmanager
    def looking(self) -> Iterator[None]:
        """Look now and then within the block."""
        thread = threading.Thread(target=self._run, name="lookout", daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._is_over.set()
            thread.join(_LAST_SECONDS)

    def look(self) -> None:
        """Tell where jobs wait for too long, if no other worker does.

        Raises nothing: what goes wrong is logged and tried again.
        """
        try:
            # In the database, wherever locks are kept: Redis may be what jobs wait for.
            if DatabaseCoordinator({}).acquire(_LOCK, owner=self._owner, lifetime=LOOK_PERIOD):
                tell_long_waits()
        except Exception as error:  # noqa: BLE001 - see above
            _log.warning("waits_not_looked_at", error=type(error).__qualname__)

    def _run(self) -> None:
        # The first time at any moment of a period, so that processes that live for a moment look as often in all as one
        # that stays.
        pause = random.uniform(0, LOOK_PERIOD.total_seconds())  # noqa: S311 - no secret
        while not self._is_over.wait(pause):
            self.look()
            connections.close_all()
            pause = LOOK_PERIOD.total_seconds()
