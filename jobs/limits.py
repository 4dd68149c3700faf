"""How often something may happen. Pure values; ``coordination`` counts."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from jobs.backoff import MAX_SECONDS

_MAX_COUNT: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class RateLimit:
    """At most ``max_attempts`` in any ``per_seconds``, over all workers: the window slides, it has no edges.

    Limits with the same ``key`` and the same window count together; without a key, what uses the limit counts for
    itself.
    """

    max_attempts: int = 100
    per_seconds: float = 3600
    key: str = ""

    def __post_init__(self) -> None:
        """Check the numbers.

        Raises:
            ValueError: One is out of range.
        """
        if not (is_count(self.max_attempts, lowest=0) and is_span(self.per_seconds)):
            message = "RateLimit needs max_attempts from 0 to 1,000,000 and per_seconds above 0, of at most a year."
            raise ValueError(message)

    @property
    def window(self) -> timedelta:
        """The window's length."""
        return timedelta(seconds=self.per_seconds)

    def name_key(self, about: str) -> str:
        """Return the key under which events are counted; ``about`` names who uses the limit."""
        # Windows of different lengths forget at different times, so they can't have one list of events.
        return f"rate:{about}/{float(self.per_seconds)!r}".removesuffix(".0")

    @classmethod
    def per_second(cls, max_attempts: int, *, key: str = "") -> "RateLimit":
        """Return so many in any second."""
        return cls(max_attempts, 1, key)

    @classmethod
    def per_minute(cls, max_attempts: int, *, key: str = "") -> "RateLimit":
        """Return so many in any minute."""
        return cls(max_attempts, 60, key)

    @classmethod
    def per_hour(cls, max_attempts: int, *, key: str = "") -> "RateLimit":
        """Return so many in any hour."""
        return cls(max_attempts, 3600, key)

    @classmethod
    def per_day(cls, max_attempts: int, *, key: str = "") -> "RateLimit":
        """Return so many in any 24 hours."""
        return cls(max_attempts, 24 * 3600, key)


@dataclass(frozen=True, slots=True)
class ConcurrencyLimit:
    """At most ``max_running`` at the same time, over all workers.

    A place that is not given back, because its worker died, is free when the worker's hold on the job lapses, or
    ``lifetime_seconds`` after it was taken, even if the job still runs.
    """

    max_running: int
    lifetime_seconds: float | None = None
    key: str = ""

    def __post_init__(self) -> None:
        """Check the numbers.

        Raises:
            ValueError: One is out of range.
        """
        lifetime = MAX_SECONDS if self.lifetime_seconds is None else self.lifetime_seconds
        if not (is_count(self.max_running) and is_span(lifetime)):
            message = "ConcurrencyLimit needs max_running from 1 and lifetime_seconds above 0, of at most a year."
            raise ValueError(message)


def is_count(value: object, *, lowest: int = 1) -> bool:
    """Say whether something is a whole number from ``lowest`` to a million."""
    return isinstance(value, int) and not isinstance(value, bool) and lowest <= value <= _MAX_COUNT


def is_span(value: object) -> bool:
    """Say whether something is a number of seconds above 0, of at most a year."""
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value <= MAX_SECONDS
