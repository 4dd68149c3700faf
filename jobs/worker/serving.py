"""Which queues a worker serves now, where it was told patterns of their names."""

import time
from collections.abc import Sequence
from typing import Final

from jobs.drivers.base import Claim, QueueDriver
from jobs.options import matches_queue

#: A worker that finds jobs asks the store for new queues so often, and an idle one at each look.
_PERIOD_SECONDS: Final = 1.0


class ServedQueues:
    """The names and patterns that a worker was told, in order; those of one pattern take turns in being the first."""

    def __init__(self, patterns: Sequence[str], driver: QueueDriver) -> None:
        """Take what is served (nothing: every queue), and where the names are found; nothing is asked yet."""
        self._patterns = tuple(patterns)
        self._driver = driver
        self._is_fixed = not any("*" in pattern for pattern in patterns)
        self._found: list[list[str]] = [[pattern] for pattern in patterns]
        self._read_again_at = 0.0
        self._turn = 0

    def exchange(self, done: Sequence[Claim], *, worker: str, count: int) -> tuple[int, Sequence[Claim]]:
        """Tell the store of jobs that are done, and claim others of what is served now; see the driver's."""
        queues = self.choose()
        lost: int
        claims: Sequence[Claim]
        if queues is None:
            lost, claims = self._driver.finish_all(done), ()
        else:
            lost, claims = self._driver.exchange(done, queues=queues, worker=worker, count=count)
        if not claims:
            self._read_again_at = 0.0  # there may be new queues, and an idle worker has time to ask
        return lost, claims

    def choose(self) -> Sequence[str] | None:
        """Return the names in the order in which they are to be served; None where there is no such queue now."""
        if self._is_fixed:
            return self._patterns
        if time.monotonic() >= self._read_again_at:
            self._read_again_at = time.monotonic() + _PERIOD_SECONDS
            names = self._driver.list_queues()
            self._found = [
                [name for name in names if matches_queue(pattern, name)] if "*" in pattern else [pattern]
                for pattern in self._patterns
            ]
        self._turn += 1
        turned = (names[self._turn % len(names) :] + names[: self._turn % len(names)] for names in self._found if names)
        return list(dict.fromkeys(name for names in turned for name in names)) or None
