"""What a coordinator can do; each call is one atomic step, whoever else calls at the same time."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, ClassVar


@dataclass(frozen=True, slots=True)
class Window:
    """How often events of a key may happen: ``limit`` times within ``length``, wherever that begins."""

    key: str
    limit: int
    length: timedelta


class Coordinator(ABC):
    """Places, counts and windows by key. ``now`` is the present; None takes the clock of the store.

    A key is any text; owners are texts that only their holders know.
    """

    #: What the store raises when it can't be reached or doesn't answer in time.
    outage_errors: ClassVar[tuple[type[Exception], ...]] = ()
    #: Whether what it keeps is part of the transaction of the default database.
    is_transactional: ClassVar[bool] = False

    def __init__(self, options: Mapping[str, Any]) -> None:  # Any: those of the connection
        """Take the options of the connection; nothing is opened yet."""
        self.options = options

    @abstractmethod
    def acquire(
        self, key: str, *, owner: str, lifetime: timedelta | None, places: int = 1, now: datetime | None = None
    ) -> bool:
        """Take one of the places of a key; True also where the owner has one already, whose life begins anew.

        Args:
            key: What is held. With one place it is a lock.
            owner: Who holds it.
            lifetime: After it the place is free by itself; None: never.
            places: How many there are.
            now: The present.
        """

    @abstractmethod
    def release(self, key: str, *, owner: str) -> bool:
        """Give a place back; False if the owner had none (any more)."""

    @abstractmethod
    def replace(self, key: str, *, owner: str, lifetime: timedelta, now: datetime | None = None) -> None:
        """Make one owner the only one, whoever was there before."""

    @abstractmethod
    def list_owners(self, key: str, *, now: datetime | None = None) -> list[str]:
        """Return who holds a place now."""

    @abstractmethod
    def hit(self, key: str, *, limit: int, window: timedelta, now: datetime | None = None) -> timedelta:
        """Count one event, unless ``limit`` of them happened within the window that ends now.

        Returns:
            Nothing (``timedelta(0)``) if it was counted; otherwise how long until there is room, and nothing changed.
        """

    @abstractmethod
    def count_hits(self, key: str, *, window: timedelta, now: datetime | None = None) -> int:
        """Return how many events happened within the window that ends now."""

    def hit_all(self, windows: Sequence[Window], *, now: datetime | None = None) -> timedelta:
        """Count one event in each of several windows of different keys, or in none; return what ``hit`` does.

        No limit is ever exceeded. Where a store can't do it in one step, as here, a window that fills up in between
        leaves the event counted in those before it, which makes them stricter.
        """
        for window in windows:
            if wait := self.get_wait(window, now=now):
                return wait
        for window in windows:
            if wait := self.hit(window.key, limit=window.limit, window=window.length, now=now):
                return wait
        return timedelta(0)

    def get_wait(self, window: Window, *, now: datetime | None = None) -> timedelta:
        """Return how long until there is room in a window, at most its length; nothing where there is. Nothing changes.

        A store that can't tell says: the whole length.
        """
        is_full = self.count_hits(window.key, window=window.length, now=now) >= window.limit
        return window.length if is_full else timedelta(0)

    @abstractmethod
    def increment(self, key: str, *, lifetime: timedelta, now: datetime | None = None) -> int:
        """Add one to a number that is 0 again ``lifetime`` after its last change, and return it."""

    @abstractmethod
    def forget(self, key: str) -> None:
        """Drop everything about a key: places, events, number."""
