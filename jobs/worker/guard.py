"""What the code of a job is kept within: its time, its own transactions, and what may be logged."""

from collections.abc import Callable
from typing import Self

from django.db.transaction import TransactionManagementError

from jobs.worker.alarm import Alarm
from jobs.worker.transactions import get_depths, roll_back_to
from project.logging import Redaction


class Guard:
    """Calls code of one job, in a block; the time of all that it calls is counted together, from the beginning."""

    def __init__(self, seconds: float) -> None:
        """Take how long it may take, 0 for no limit."""
        self._depths = get_depths()
        self._alarm = Alarm(seconds)

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_raised: object) -> None:
        """End the count of the time."""
        self._alarm.__exit__()

    def call[T](self, function: Callable[[], T], *, redact: Callable[[str], str]) -> T:
        """Return what a function returns; transactions that it leaves open are rolled back.

        Raises:
            TimeIsUp: The time was over before.
            TransactionManagementError: It left a transaction open, and raised nothing itself; what it wrote is lost.
        """
        with Redaction(redact):
            try:
                result = self._alarm.call(function)
            except BaseException:
                roll_back_to(self._depths)
                raise
            if left := roll_back_to(self._depths):
                message = f"The job left a transaction open, which was rolled back: {', '.join(left)}."
                raise TransactionManagementError(message)
            return result
