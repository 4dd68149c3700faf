"""What one worker process holds: jobs whose turn comes, those that run, and those that are done but not yet gone."""

import threading
import time
from collections import deque
from collections.abc import Callable, Collection, Iterable, Sequence
from datetime import timedelta
from typing import Final
from uuid import UUID

import structlog

from jobs.clock import get_uptime
from jobs.drivers.base import Claim
from jobs.worker.ledger import Key, Ledger, Stage, get_key

#: A job that so many workers have died of runs alone, not to take others along; the first time it may have been one of
#: those others, of which there may be a thousand.
SUSPECT_CRASHES: Final = 2
#: When a job that is to run alone went back because others run here, nothing is claimed for so long:
#: somebody else may take it.
LET_OTHERS: Final = timedelta(seconds=1)
#: So many jobs are remembered that are to run alone.
_REMEMBERED: Final = 64
_log = structlog.get_logger("gatehouse.worker")


class Hand:
    """See above; safe for threads. Times are seconds of the monotonic clock; ends of leases those of ``get_uptime``."""

    def __init__(self, ledger: Ledger | None = None, *, isolated: Collection[str] = ()) -> None:
        """Hold nothing; take where to write down what is held, for whoever survives this process.

        ``isolated``: queues whose jobs each have a process to themselves.
        """
        self._ledger = ledger
        self._isolated = frozenset(isolated)
        self._lock = threading.Lock()
        self._has_turns = threading.Condition(self._lock)
        #: With the moments at which they were taken.
        self._waiting: deque[tuple[float, Claim]] = deque()
        #: Those that are to go back and never have a turn here.
        self._going_back: list[Claim] = []
        self._running: dict[Key, Claim] = {}
        #: Those of both that are to run alone.
        self._suspects: set[Key] = set()
        #: When each of those was claimed first; those that have begun are forgotten.
        self._met: dict[UUID, float] = {}
        self._claims_again_at = 0.0
        self._done: list[Claim] = []
        self._done_since = 0.0
        self._until = 0.0
        self._is_closed = False
        #: Nobody has a turn while this is set, as signal handlers do, which must not wait for a lock.
        self.is_held = False
        #: How many had a turn.
        self.begun = 0
        #: Whether one of those was to have the process to itself, which must end after it.
        self.is_spent = False
        #: Set while there is something that must not wait long: jobs that are done, or that wait behind another.
        self.is_pressing = threading.Event()

    def take(self, claims: Sequence[Claim], *, until: float) -> None:
        """Hold jobs that were claimed, in their order; their leases end no earlier than that.

        A job that a worker has died of before is held alone, not to harm the others, and so is one of an isolated
        queue: they, or what comes behind them, are to go back.
        """
        with self._lock:
            if self._ledger is not None:
                self._ledger.add(claims)
            count = next((max(place, 1) for place, claim in enumerate(claims) if self._is_single(claim)), len(claims))
            self._going_back += claims[count:]
            now = time.monotonic()
            self._until = min(self._until, until) if self._waiting else until
            self._waiting.extend((now, claim) for claim in claims[:count])
            for claim in claims[:count]:
                if self._runs_alone(claim):
                    self._suspects.add(get_key(claim))
                    self._meet(claim, now)
            self._has_turns.notify(count)

    def extend(self, until: float) -> None:
        """Note that all leases were renewed."""
        with self._lock:
            self._until = until

    def begin(self, fits: Callable[[Claim], bool] | None = None) -> Claim | None:
        """Return the job whose turn it is, of those that fit; it runs from now on. None where there is none.

        What waits is dropped where its leases may have ended: somebody else may have it by now.
        """
        with self._lock:
            return self._begin(fits)

    def wait_for_turn(self, fits: Callable[[Claim], bool]) -> Claim | None:
        """Do what ``begin`` does as soon as there is such a job; None when the hand is closed."""
        with self._lock:
            while not self._is_closed:
                if (claim := self._begin(fits)) is not None:
                    return claim
                self._has_turns.wait()
            return None

    def end(self, claim: Claim) -> None:
        """Note that a job which ran has ended, and the store was told, unless it was said to be done."""
        with self._lock:
            if self._stop(claim):
                self._drop([claim])

    def finish(self, claim: Claim) -> bool:
        """Hold a job that is done, until the store has been told; always true."""
        with self._lock:
            if not self._done:
                self._done_since = time.monotonic()
            self._done.append(claim)
            if self._ledger is not None:
                self._ledger.note(claim, Stage.DONE)
            self._stop(claim)
            self._press()
        return True

    def take_done(self, *, older_than: float = 0.0) -> list[Claim]:
        """Let go of the jobs that are done, so that the caller tells the store; none where the oldest isn't so old."""
        with self._lock:
            if not self._done or time.monotonic() - self._done_since < older_than:
                return []
            done, self._done = self._done, []
            return done

    def take_back(self, unbegun: Iterable[Claim]) -> None:
        """Hold jobs until they are let go of again, because the store could not be told."""
        with self._lock:
            self._going_back[:0] = unbegun

    def forget(self, claims: Iterable[Claim]) -> None:
        """Note that the store knows what became of jobs that were let go of."""
        with self._lock:
            self._drop(claims)

    def put_back(self, done: Iterable[Claim]) -> None:
        """Hold jobs again that are done, because the store could not be told."""
        with self._lock:
            self._done[:0] = done

    def take_unbegun(self, *, behind: float = 0.0) -> list[Claim]:
        """Let go of the jobs that are to go back: they have waited so long, for slow jobs or a rest, without a turn.

        One that is to run alone waits longer each time, as long as it has been known here: it goes back so that an idle
        process may take it, and has its turn in the end where there is none.
        """
        with self._lock:
            now = time.monotonic()
            unbegun, self._going_back = self._going_back, []
            waiting, self._waiting = self._waiting, deque()
            for at, claim in waiting:
                is_suspect = get_key(claim) in self._suspects
                known = at - self._met.get(claim.job_id, at) if behind and is_suspect else 0.0
                if at > now - max(behind, known):
                    self._waiting.append((at, claim))
                    continue
                unbegun.append(claim)
                if is_suspect:
                    self._suspects.remove(get_key(claim))
                    self._claims_again_at = now + LET_OTHERS.total_seconds()
            return unbegun

    def list_held(self) -> list[Claim]:
        """Return the jobs whose leases must last: those that run, and those whose turn comes."""
        with self._lock:
            return [*self._running.values(), *(claim for _, claim in self._waiting)]

    def get_running(self) -> Claim | None:
        """Return the job that runs; of several the one that began first."""
        with self._lock:
            return next(iter(self._running.values()), None)

    def count_running(self) -> int:
        """Return how many jobs run."""
        return len(self._running)

    def count_waiting(self) -> int:
        """Return for how many jobs the turn is to come."""
        return len(self._waiting)

    def is_busy(self) -> bool:
        """Say whether jobs run, wait for their turn, or are to go back."""
        return bool(self._running or self._waiting or self._going_back)

    def holds_off(self) -> bool:
        """Say whether nothing is to be claimed: a job waits for others to end, or has just gone back, to run alone."""
        return bool(self._suspects or (self._running and time.monotonic() < self._claims_again_at))

    def let_go_on(self) -> None:
        """Give turns again."""
        with self._lock:
            self.is_held = False
            self._has_turns.notify_all()

    def close(self) -> None:
        """Give no more turns, and let nobody wait for one."""
        with self._lock:
            self.is_held = self._is_closed = True
            self._has_turns.notify_all()

    def rest(self) -> None:
        """Forget that something presses, where nothing does."""
        with self._lock:
            if not (self._done or self._waiting or self._going_back):
                self.is_pressing.clear()

    def _meet(self, claim: Claim, now: float) -> None:
        self._met.setdefault(claim.job_id, now)
        if len(self._met) > _REMEMBERED:
            del self._met[next(iter(self._met))]

    def _is_single(self, claim: Claim) -> bool:
        return claim.crashes > 0 or claim.queue in self._isolated

    def _runs_alone(self, claim: Claim) -> bool:
        return claim.crashes >= SUSPECT_CRASHES or claim.queue in self._isolated

    def _begin(self, fits: Callable[[Claim], bool] | None) -> Claim | None:
        if self.is_spent:
            return None
        if self._waiting and get_uptime() >= self._until:
            _log.warning("leases_lost", count=len(self._waiting))
            self._drop(claim for _, claim in self._waiting)
            self._suspects.difference_update(get_key(claim) for _, claim in self._waiting)
            self._waiting.clear()
        claim = None if self.is_held else self._take_first(fits)
        if claim is not None:
            self.begun += 1
            self.is_spent = claim.queue in self._isolated
            self._running[get_key(claim)] = claim
            self._met.pop(claim.job_id, None)
            if self._ledger is not None:
                self._ledger.note(claim, Stage.RUNNING)
        if self._waiting:
            self._press()
        return claim

    def _take_first(self, fits: Callable[[Claim], bool] | None) -> Claim | None:
        if self._suspects and not self._suspects.isdisjoint(self._running):
            return None
        for place, (_, claim) in enumerate(self._waiting):
            if self._suspects and get_key(claim) in self._suspects and self._running:
                return None
            if fits is None or fits(claim):
                del self._waiting[place]
                return claim
        return None

    def _stop(self, claim: Claim) -> bool:
        """Note that a job runs no more; False where that was noted before."""
        if self._running.pop(get_key(claim), None) is None:
            return False
        if self._suspects:
            self._suspects.discard(get_key(claim))
            self._has_turns.notify_all()
        return True

    def _press(self) -> None:
        if not self.is_pressing.is_set():
            self.is_pressing.set()

    def _drop(self, claims: Iterable[Claim]) -> None:
        if self._ledger is not None:
            self._ledger.drop(claims)
