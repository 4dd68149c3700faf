"""The places that this process holds for jobs which run in it, and which are to be free soon after it has died."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Final

import structlog

from jobs.conf import get_job_settings
from jobs.coordination import get_coordinator

_log = structlog.get_logger("gatehouse.worker")


class HeldPlaces:
    """Places whose lives are those of leases, renewed together with these; safe for threads."""

    def __init__(self) -> None:
        """Hold nothing, with nobody to renew it."""
        self._lock = threading.Lock()
        #: How many places the key has, by key and owner. Without the lock: each thing done to it is one step.
        self._places: dict[tuple[str, str], int] = {}
        self._keepers = 0

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Within the block somebody calls ``renew``, some times within each lease."""
        self._count(1)
        try:
            yield
        finally:
            self._count(-1)

    def get_lifetime(self) -> timedelta | None:
        """Return the life of a place that is renewed; None where nobody would renew it."""
        return get_job_settings().lease if self._keepers else None

    def add(self, key: str, *, owner: str, places: int) -> None:
        """Renew a place that was taken, until it is dropped."""
        self._places[key, owner] = places

    def drop(self, key: str, *, owner: str) -> None:
        """Renew a place no more. This waits for nobody: the alarm of a job may ring at its end and cut a wait off."""
        self._places.pop((key, owner), None)

    def renew(self) -> None:
        """Let the life of each place begin anew; one that somebody else has by now is lost, which is logged."""
        coordinator, lifetime = get_coordinator(), get_job_settings().lease
        for (key, owner), places in self._places.copy().items():
            if coordinator.acquire(key, owner=owner, lifetime=lifetime, places=places):
                if (key, owner) not in self._places:  # it was dropped meanwhile, and may have been given back before
                    coordinator.release(key, owner=owner)
            elif self._places.pop((key, owner), None) is not None:
                _log.warning("place_lost")

    def _count(self, change: int) -> None:
        with self._lock:
            self._keepers += change


#: Those of this process.
held_places: Final = HeldPlaces()
