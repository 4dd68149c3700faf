"""What a worker notices of queues that are told to rest, and to go on."""

from collections.abc import Mapping, Sequence

from jobs.drivers.base import QueueDriver
from jobs.models.queued import EVERY_QUEUE
from jobs.options import matches_queue
from jobs.signals import WorkerQueuePaused, WorkerQueueResumed, worker_queue_paused, worker_queue_resumed


class PauseWatch:
    """Tells of each queue of a worker once when it rests, and once when it goes on."""

    def __init__(self, *, worker: str, queues: Sequence[str], driver: QueueDriver) -> None:
        """Take the worker's name, and what it serves, names or patterns: no queues means all."""
        self._worker = worker
        self._queues = queues
        self._driver = driver
        self._resting: Sequence[str] = ()

    def look(self) -> None:
        """Tell what changed since the last look. It asks the store, so nothing is done where nobody listens."""
        if not (worker_queue_paused.is_heard or worker_queue_resumed.is_heard):
            return
        pauses = self._driver.list_pauses()
        resting = self._choose(pauses)
        before, self._resting = self._resting, resting
        for name in resting:
            if name not in before:
                paused = WorkerQueuePaused(worker=self._worker, queue=name, connection=self._driver.name)
                worker_queue_paused.announce(paused)
        for name in before:
            if name not in resting:
                resumed = WorkerQueueResumed(worker=self._worker, queue=name, connection=self._driver.name)
                worker_queue_resumed.announce(resumed)

    def _choose(self, pauses: Mapping[str, object]) -> list[str]:
        """Return those that rest; where all rest, those that are named, and each that rests by itself besides."""
        named = [name for name in self._queues if "*" not in name]
        found = [name for name in named if name in pauses or EVERY_QUEUE in pauses]
        patterns = [name for name in self._queues if "*" in name]
        is_all = not self._queues
        meant = (name for name in pauses if is_all or any(matches_queue(pattern, name) for pattern in patterns))
        return list(dict.fromkeys([*found, *meant]))
