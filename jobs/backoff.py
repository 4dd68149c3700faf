"""How long a job waits between two tries. Pure arithmetic."""

from collections.abc import Sequence
from datetime import timedelta


def get_delay(backoff: int | Sequence[int], *, attempt: int) -> timedelta:
    """Return the wait after a try that went wrong.

    Args:
        backoff: Seconds; of a sequence the n-th entry follows the n-th try, and the last one every later try.
        attempt: The try that went wrong, from 1.
    """
    if isinstance(backoff, int):
        return timedelta(seconds=backoff)
    if not backoff:
        return timedelta(0)
    return timedelta(seconds=backoff[min(attempt, len(backoff)) - 1])
