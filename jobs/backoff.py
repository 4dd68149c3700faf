"""How long a job waits between two tries. Pure arithmetic, but for the chance in ``Exponential``."""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta

#: Longest wait, in seconds.
MAX_SECONDS = 365 * 24 * 3600

#: Computes the wait in seconds from the try that went wrong (from 1) and what it raised (None where nothing was).
type BackoffFunction = Callable[[int, Exception | None], float]
#: Seconds; of a sequence the n-th entry follows the n-th try, and the last one every later try.
type Backoff = int | float | Sequence[int | float] | BackoffFunction


@dataclass(frozen=True, slots=True, kw_only=True)
class Exponential:
    """Waits that grow from try to try: ``first``, ``first * factor``, … up to ``cap`` seconds.

    ``jitter`` spreads each wait by so much in both directions (0.1: 90 to 110 %), so that jobs which failed together
    don't come back together; 1 spreads it from nothing to the double.
    """

    first: float = 10
    factor: float = 2
    cap: float = 3600
    jitter: float = 0.1

    def __post_init__(self) -> None:
        """Check the numbers.

        Raises:
            ValueError: One is out of range.
        """
        if not (0 <= self.first <= self.cap <= MAX_SECONDS and self.factor >= 1 and 0 <= self.jitter <= 1):
            message = "Exponential needs 0 <= first <= cap, factor >= 1 and 0 <= jitter <= 1."
            raise ValueError(message)

    def __call__(self, attempt: int, error: Exception | None = None) -> float:
        """Return the wait in seconds."""
        try:
            wait = min(self.first * self.factor ** (attempt - 1), self.cap)
        except OverflowError:
            wait = self.cap
        return wait * random.uniform(1 - self.jitter, 1 + self.jitter)  # noqa: S311 - no secret


def get_delay(backoff: Backoff, *, attempt: int, error: Exception | None = None) -> timedelta:
    """Return the wait after a try that went wrong, of at most a year.

    Args:
        backoff: See ``Backoff``.
        attempt: The try that went wrong, from 1.
        error: What it raised.
    """
    if callable(backoff):
        seconds = float(backoff(attempt, error))
    elif isinstance(backoff, int | float):
        seconds = backoff
    else:
        seconds = backoff[min(attempt, len(backoff)) - 1] if backoff else 0
    return timedelta(seconds=min(max(seconds, 0), MAX_SECONDS))
