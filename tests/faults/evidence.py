"""What was written down of a run, sorted by what it tells."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import inf
from typing import Any, Final

from tests.faults.ledger import Entry

#: What a failover of Redis, which replicates later, may lose: what it acknowledged so many seconds before.
LAG: Final = 1.0
#: Dispatch believes for so many seconds that a store is away, and some more.
_AWAY: Final = 2.5


@dataclass(slots=True)
class Execution:
    """One run of a job's code."""

    job: str
    attempt: int
    key: str
    group: str
    kind: str
    pid: int
    started: float
    ended: float | None = None
    has_raised: bool = False


class Evidence:
    """The ledger of a run, sorted by what it tells, with the state of the store at the end."""

    def __init__(
        self,
        entries: Sequence[Entry],
        state: Mapping[str, Any],  # Any: JSON
        *,
        store: str,
        lease: float,
        recovery: float,
        tick: float,
        patience: float,
        leeway: float,
    ) -> None:
        """Take what was written down, what the store holds at the end, and times in seconds.

        Args:
            entries: All that was written down.
            state: What the store holds.
            store: Its name.
            lease: Life of a lease.
            recovery: How long the effects of a fault may show, beside the lease.
            tick: Period of the schedule.
            patience: How long the web may wait for an answer.
            leeway: By how much waits may be longer than promised: a short run shares its machine with other tests.
        """
        # What comes later the state doesn't know.
        self.entries = [entry for entry in entries if entry.at <= state["monotonic"]]
        self.state, self.store = state, store
        #: Whether jobs have a store of their own, beside the database.
        self.has_outbox = store.startswith("redis")
        self.lease, self.recovery, self.tick = lease, recovery * leeway, tick
        self.patience, self.leeway = patience * leeway, leeway
        self.executions = _pair(self.entries)
        self.by_job: dict[str, list[Execution]] = defaultdict(list)
        self.by_key: dict[str, list[Execution]] = defaultdict(list)
        for one in self.executions:
            self.by_job[one.job].append(one)
            self.by_key[one.key].append(one)
        self.killed: dict[int, float] = {}
        self.outages: list[tuple[float, float, str]] = []
        self.stops: list[tuple[int, float, float]] = []
        for entry in self.entries:
            for pid in entry.detail.get("pids", ()) if entry.phase == "killed" else ():
                self.killed.setdefault(pid, entry.at)
            if entry.phase == "outage":
                self.outages.append((entry.detail["since"], entry.at, entry.detail["what"]))
            if entry.phase == "resumed":
                self.stops += [(pid, entry.detail["since"], entry.at) for pid in entry.detail["pids"]]

    def of(self, *phases: str) -> list[Entry]:
        """Return the entries of some phases."""
        return [entry for entry in self.entries if entry.phase in phases]

    def is_near_outage(self, start: float, end: float, *, slack: float | None = None) -> bool:
        """Say whether the store was away within a span, or shortly before or after."""
        slack = self.lease + self.recovery if slack is None else slack
        return any(since - slack <= end and start <= until + slack for since, until, _ in self.outages)

    def has_ended(self, key: str, job: str) -> bool:
        """Say whether a job that was sent is done, or is among the failed ones."""
        runs, failed = self.by_key.get(key, []), self.state["failed"]
        is_done = any(one.ended is not None and not one.has_raised for one in runs)
        return is_done or job in failed or any(one.job in failed for one in runs)

    def is_lagging(self, at: float) -> bool:
        """Say whether the replica that was promoted may not have heard of what was sent at a moment."""
        failovers = [since for since, _, what in self.outages if what == "failover" and self.has_outbox]
        return any(since - LAG <= at <= since + LAG for since in failovers)

    def list_lagging_groups(self) -> set[str]:
        """Return the groups of which a unique job was sent, or has ended, when the replica may not have heard of it."""
        sent = {entry.key.partition("/")[0] for entry in self.of("sent") if self.is_lagging(entry.at)}
        ended = {one.group for one in self.executions if self.is_lagging(one.ended or one.started)}
        return {group for group in {*sent, *ended} if group.startswith("unique-")}

    def has_made_way(self, key: str, at: float) -> bool:
        """Say whether a unique job was left out, as it may be: the outbox took it when nobody could ask for its lock.

        Then its relay does, and leaves it out where another of its group waits or runs.
        """
        group, _, name = key.partition("/")
        if not (name.startswith("unique-") and self.has_outbox and self.is_near_outage(at, at, slack=_AWAY)):
            return False
        others = [entry for entry in self.of("sent") if entry.key.startswith(f"{group}/") and entry.key != key]
        return any(entry.at <= at + _AWAY and self._get_end(entry.key) >= at for entry in others)

    def _get_end(self, key: str) -> float:
        """Return when a job ran last, as far as is known."""
        return max((one.ended or one.started for one in self.by_key.get(key, [])), default=-inf)

    def get_fault(self, at: float) -> str:
        """Return the name of the fault that went on at a moment."""
        return next((entry.detail["what"] for entry in reversed(self.of("fault")) if entry.at <= at), "none")

    def is_hit(self, one: Execution) -> bool:
        """Say whether a fault may have kept an execution, or the word of its end, from its store."""
        end = one.ended if one.ended is not None else one.started + self.lease
        if one.pid in self.killed or any(pid == one.pid and since - 1 <= end for pid, since, _ in self.stops):
            return True
        return one.kind == "DeadlyJob" or self.is_near_outage(one.started, end, slack=LAG)


def _pair(entries: Iterable[Entry]) -> list[Execution]:
    found: list[Execution] = []
    open_: dict[tuple[int, str, int], Execution] = {}
    for entry in entries:
        place = entry.pid, entry.job, entry.attempt
        if entry.phase == "start":
            kind = str(entry.detail["kind"])
            one = Execution(entry.job, entry.attempt, entry.key, entry.group, kind, entry.pid, entry.at)
            found.append(one)
            open_[place] = one
        elif entry.phase in {"end", "raise"} and place in open_:
            open_[place].ended, open_[place].has_raised = entry.at, entry.phase == "raise"
    return found
