"""What one worker process holds: jobs whose turn comes, the one that runs, and those that are done but not yet gone."""

import threading
import time
from collections import deque
from collections.abc import Iterable, Sequence

import structlog

from jobs.drivers.base import Claim
from jobs.worker.ledger import Ledger, Stage

_log = structlog.get_logger("gatehouse.worker")


class Hand:
    """See above; safe for threads. Times are seconds of the monotonic clock."""

    def __init__(self, ledger: Ledger | None = None) -> None:
        """Hold nothing; take where to write down what is held, for whoever survives this process."""
        self._ledger = ledger
        self._lock = threading.Lock()
        self._waiting: deque[Claim] = deque()
        self._running: Claim | None = None
        self._moved_at = 0.0
        self._done: list[Claim] = []
        self._done_since = 0.0
        self._until = 0.0
        #: Set while there is something that must not wait long: jobs that are done, or that wait behind another.
        self.is_pressing = threading.Event()

    def take(self, claims: Iterable[Claim], *, until: float) -> None:
        """Hold jobs that were claimed, in their order; their leases end no earlier than that."""
        with self._lock:
            if self._ledger is not None:
                claims = list(claims)
                self._ledger.add(claims)
            self._waiting.extend(claims)
            self._until = until
            self._moved_at = time.monotonic()

    def extend(self, until: float) -> None:
        """Note that all leases were renewed."""
        with self._lock:
            self._until = until

    def begin(self) -> Claim | None:
        """Return the job whose turn it is, which runs from now on; None where none waits.

        What waits is dropped where its leases may have ended: somebody else may have it by now.
        """
        with self._lock:
            if self._waiting and time.monotonic() >= self._until:
                _log.warning("leases_lost", count=len(self._waiting))
                self._drop(self._waiting)
                self._waiting.clear()
            self._running = self._waiting.popleft() if self._waiting else None
            self._moved_at = time.monotonic()
            if self._ledger is not None and self._running is not None:
                self._ledger.note(self._running, Stage.RUNNING)
            if self._waiting and not self.is_pressing.is_set():
                self.is_pressing.set()
            return self._running

    def end(self) -> None:
        """Note that the job which ran has ended, and the store was told, unless it was said to be done."""
        with self._lock:
            if self._running is not None:
                self._drop([self._running])
            self._running = None
            self._moved_at = time.monotonic()

    def finish(self, claim: Claim) -> bool:
        """Hold a job that is done, until the store has been told; always true."""
        with self._lock:
            if not self._done:
                self._done_since = time.monotonic()
            self._done.append(claim)
            if self._ledger is not None:
                self._ledger.note(claim, Stage.DONE)
            self._running = None
            if not self.is_pressing.is_set():
                self.is_pressing.set()
        return True

    def take_done(self, *, older_than: float = 0.0) -> list[Claim]:
        """Let go of the jobs that are done, so that the caller tells the store; none where the oldest isn't so old."""
        with self._lock:
            if not self._done or time.monotonic() - self._done_since < older_than:
                return []
            done, self._done = self._done, []
            return done

    def take_back(self, unbegun: Iterable[Claim]) -> None:
        """Hold jobs again whose turn hasn't come, because they could not be given back."""
        with self._lock:
            self._waiting.extendleft(reversed(list(unbegun)))

    def forget(self, claims: Iterable[Claim]) -> None:
        """Note that the store knows what became of jobs that were let go of."""
        with self._lock:
            self._drop(claims)

    def put_back(self, done: Iterable[Claim]) -> None:
        """Hold jobs again that are done, because the store could not be told."""
        with self._lock:
            self._done[:0] = done

    def take_unbegun(self, *, behind: float = 0.0) -> list[Claim]:
        """Let go of the jobs whose turn hasn't come, where they have waited so long: for a slow job, or a rest."""
        with self._lock:
            if time.monotonic() - self._moved_at < behind:
                return []
            unbegun = list(self._waiting)
            self._waiting.clear()
            return unbegun

    def list_held(self) -> list[Claim]:
        """Return the jobs whose leases must last: the one that runs, and those whose turn comes."""
        with self._lock:
            running = [] if self._running is None else [self._running]
            return [*running, *self._waiting]

    def get_running(self) -> Claim | None:
        """Return the job that runs."""
        return self._running

    def _drop(self, claims: Iterable[Claim]) -> None:
        if self._ledger is not None:
            self._ledger.drop(claims)

    def rest(self) -> None:
        """Forget that something presses, where nothing does."""
        with self._lock:
            if not self._done and not self._waiting:
                self.is_pressing.clear()


def count_together(claims: Sequence[Claim]) -> int:
    """Return how many to hold at once: a job that a worker has died of before is held alone, not to harm the others."""
    return next((max(place, 1) for place, claim in enumerate(claims) if claim.crashes), len(claims))
