"""What a coordinator can do; each call is one atomic step, whoever else calls at the same time."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, ClassVar


class Coordinator(ABC):
    """Places, counts and windows by key. ``now`` is the present; None takes the clock of the store.

    A key is any text; owners are texts that only their holders know.
    """

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

    @abstractmethod
    def increment(self, key: str, *, lifetime: timedelta, now: datetime | None = None) -> int:
        """Add one to a number that is 0 again ``lifetime`` after its last change, and return it."""

    @abstractmethod
    def forget(self, key: str) -> None:
        """Drop everything about a key: places, events, number."""
