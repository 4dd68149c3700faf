"""The rounds of a comparison: everybody in turn, again and again, so that a slow minute of the machine meets all."""

import statistics
import struct
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Final

from benchmarks.jobs.peers import KINDS, Peer
from benchmarks.jobs.processes import Visit, visit
from benchmarks.jobs.stores import Stores, open_proxy

#: Added to the store in each direction, in seconds.
DELAY: Final = 0.001
#: Who is measured with that delay, besides ours on Redis.
_DELAYED: Final = ("Huey", "BullMQ")
#: Jobs that tell how fast a peer is, before it is given as many as it can do in the time.
_TRIAL: Final = 200
_STAMPS: Final = 500
_IDLE_SECONDS: Final = 10.0
#: Jobs of which round trips and commands are counted.
_COUNTED: Final = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How much is measured."""

    #: Jobs of one kind in one turn, at most.
    jobs: int = 20_000
    #: A peer that is too slow to do them in so many seconds is given fewer.
    seconds: float = 8.0
    rounds: int = 3
    #: Whether the cost of a claim among a million jobs is measured, too.
    is_large: bool = False


@dataclass(frozen=True, slots=True)
class Turn:
    """One lot of jobs: how many a second were sent, and done, and what share of a core was taken by who looked on."""

    sent: float
    done: float
    own_share: float


@dataclass(slots=True, kw_only=True)
class Scores:
    """What was measured of one peer. Rates are jobs a second, one entry for each round."""

    peer: Peer
    version: str = ""
    #: Jobs in one turn, by kind.
    jobs: dict[str, int] = field(default_factory=dict)
    done: dict[str, list[float]] = field(default_factory=lambda: {kind: [] for kind in KINDS})
    single: list[float] = field(default_factory=list)
    bulk: list[float] = field(default_factory=list)
    #: Jobs without work, where the store answers later.
    delayed: list[float] = field(default_factory=list)
    #: From dispatch to start, in seconds.
    latencies: list[float] = field(default_factory=list)
    #: Of one core, by one process of workers that have nothing to do, in per cent.
    idle_share: float | None = None
    round_trips: float | None = None
    commands: float | None = None
    #: Of one core, by what measures, while jobs were done, in per cent.
    own_shares: list[float] = field(default_factory=list)

    def get_rate(self, kind: str) -> float:
        """Return the median."""
        return statistics.median(self.done[kind])

    def get_latency(self, share: float) -> float:
        """Return the latency below which this share of the jobs lies, in ms."""
        latencies = sorted(self.latencies)
        return latencies[min(len(latencies) - 1, int(len(latencies) * share))] * 1e3


def compare(peers: Sequence[Peer], stores: Stores, plan: Plan) -> list[Scores]:
    """Visit all in turn, as often as the plan says."""
    scores = [Scores(peer=peer) for peer in peers]
    for peer in peers:
        if peer.is_ours:
            stores.prepare(peer)
    delayed = [one for one in scores if _is_delayed(one.peer)]
    for number in range(plan.rounds):
        for one in _rotate(scores, number):
            _log(f"round {number + 1} of {plan.rounds}: {one.peer.name}")
            with visit(one.peer, stores) as here:
                _take_turn(here, stores, one, plan)
        for one in _rotate(delayed, number):
            _log(f"round {number + 1} of {plan.rounds}, delayed store: {one.peer.name}")
            with open_proxy(stores.redis_url, delay=DELAY) as proxy, visit(one.peer, stores, urls=[proxy.url]) as here:
                amount = _find_amount(here, one, "noop", "delayed", plan)
                one.delayed.append(_drain(here, "noop", "bulk", amount).done)
    for one in scores:
        if one.peer.is_whole and one.peer.store != "sqlite":
            _log(f"round trips: {one.peer.name}")
            _count_round_trips(one, stores)
    return scores


def _rotate[T](items: Sequence[T], number: int) -> Iterator[T]:
    """Let another one begin in each round."""
    begin = number * (len(items) // 3 + 1) % len(items)
    yield from (*items[begin:], *items[:begin])


def _is_delayed(peer: Peer) -> bool:
    return peer.is_whole and peer.store == "redis" and (peer.is_ours or peer.name.startswith(_DELAYED))


def _take_turn(here: Visit, stores: Stores, scores: Scores, plan: Plan) -> None:
    scores.version = here.version
    for kind in scores.peer.kinds:
        amount = _find_amount(here, scores, kind, kind, plan)
        is_single = kind == "noop"
        turn = _drain(here, kind, "single" if is_single else "bulk", amount)
        scores.done[kind].append(turn.done)
        scores.own_shares.append(turn.own_share)
        if is_single:
            scores.single.append(turn.sent)
        elif here.has_bulk:
            scores.bulk.append(turn.sent)
    if not scores.peer.is_whole:
        return
    count = -(-_STAMPS // plan.rounds)
    done = here.tally.count()
    here.send("stamp", "", count)
    here.wait_for(done + count)
    stamps = (stores.notes / "stamps").read_bytes()
    scores.latencies += [one for (one,) in struct.iter_unpack("<d", stamps)]
    if scores.idle_share is None:
        scores.idle_share = _measure_idle(here, scores.peer)


def _find_amount(here: Visit, scores: Scores, kind: str, name: str, plan: Plan) -> int:
    """Return how many jobs a peer is given; found in its first turn, and then the same in all."""
    if name not in scores.jobs:
        rate = _drain(here, kind, "bulk", min(_TRIAL, plan.jobs)).done
        scores.jobs[name] = min(plan.jobs, max(_TRIAL, int(rate * plan.seconds / 100) * 100))
    return scores.jobs[name]


def _drain(here: Visit, kind: str, way: str, count: int) -> Turn:
    """Send jobs while the workers stand still, then let these go until all are done."""
    here.hold()
    done = here.tally.count()
    sent_seconds = here.send(way, kind, count)
    started, own_started = time.perf_counter(), time.process_time()
    here.workers.resume()
    here.wait_for(done + count)
    seconds = time.perf_counter() - started
    return Turn(count / sent_seconds, count / seconds, 100 * (time.process_time() - own_started) / seconds)


def _measure_idle(here: Visit, peer: Peer) -> float:
    before = here.workers.list_cpu_seconds()
    time.sleep(_IDLE_SECONDS)
    after = here.workers.list_cpu_seconds()
    return 100 * sum(after[one] - before.get(one, 0) for one in after) / _IDLE_SECONDS / peer.processes


def _count_round_trips(scores: Scores, stores: Stores) -> None:
    """Count what the workers ask of their stores for each job; the work of these jobs asks nothing."""
    peer = scores.peer
    count = min(_COUNTED, max(scores.jobs["noop"], _TRIAL))
    with ExitStack() as stack:
        proxies = [stack.enter_context(open_proxy(url)) for url in stores.list_urls(peer)]
        here = stack.enter_context(visit(peer, stores, urls=[proxy.url for proxy in proxies]))
        here.hold()
        done = here.tally.count()
        here.send("bulk", "noop", count)
        before = sum(proxy.count_round_trips() for proxy in proxies)
        commands_before = stores.count_commands()
        here.workers.resume()
        here.wait_for(done + count)
        scores.round_trips = (sum(proxy.count_round_trips() for proxy in proxies) - before) / count
        if peer.store == "redis":
            scores.commands = (stores.count_commands() - commands_before) / count


def _log(text: str) -> None:
    """Say where the run is; it takes minutes."""
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()
