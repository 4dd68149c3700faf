"""What the scores say, with the goals beside it."""

import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from operator import methodcaller
from typing import Final

from benchmarks.harness import Figure
from benchmarks.jobs.rounds import DELAY, Scores

_WORK: Final = {"noop": "no-op jobs", "incr": "jobs of one Redis INCR", "nap": "jobs of 1 ms"}
#: Least jobs a second, by store and kind.
_GOALS: Final = {
    ("redis", "noop"): 25_000,
    ("redis", "incr"): 15_000,
    ("postgresql", "noop"): 12_000,
    ("sqlite", "noop"): 8_000,
}
_PROCESSES: Final = 2
#: What is measured without a queue.
_BARE: Final = {
    "push": "but a loop that pushes 300 bytes over a bare socket and waits for each answer",
    "incr": f"but {_PROCESSES} processes that do the work of INCR jobs in a loop",
}


def list_figures(scores: Sequence[Scores]) -> list[Figure]:
    """Return the figures of a run."""
    unbound = [one for one in scores if not one.peer.is_bound]
    return [
        *_tell_done(scores),
        *_tell_sent(unbound),
        *_tell_waiting(unbound),
        *_tell_store(unbound),
        *_tell_delayed(unbound),
        Figure(
            name="what measures, of a core, while jobs are done",
            value=statistics.median(share for one in scores for share in one.own_shares),
            unit="%",
        ),
    ]


def list_bounds(found: Sequence[Mapping[str, float]]) -> Iterator[Figure]:
    """Yield what loops without a queue reach (``programs/bare.py``)."""
    for what, name in _BARE.items():
        yield Figure(name=f"no queue, {name}", value=statistics.median(one[what] for one in found), unit="1/s")


def list_flatness(name: str, many: int, found: Mapping[str, Sequence[float]]) -> Iterator[Figure]:
    """Yield how much longer a claim takes among many jobs than among a thousand."""
    for what, (few_seconds, many_seconds) in found.items():
        yield Figure(
            name=f"{name}: a claim among {many:,} {what} jobs, times that among 1,000",
            value=many_seconds / few_seconds,
            unit="",
            peers={"among 1,000, ms": few_seconds * 1e3, f"among {many:,}, ms": many_seconds * 1e3},
            goal=1.2,
            is_less_better=True,
        )


def _tell_done(scores: Sequence[Scores]) -> Iterator[Figure]:
    for kind, work in _WORK.items():
        for mine in scores:
            if not mine.peer.is_ours or kind not in mine.peer.kinds:
                continue
            others = [one for one in _list_like(scores, mine) if kind in one.peer.kinds]
            yield Figure(
                name=f"{mine.peer.name}: {work}",
                value=mine.get_rate(kind),
                unit="1/s",
                peers=_compare(others, methodcaller("get_rate", kind)) if mine.peer.store == "redis" else {},
                goal=_GOALS.get((mine.peer.store, kind)),
            )
    for mine in scores:
        if not mine.peer.is_ours or mine.peer.store != "redis" or "incr" not in mine.peer.kinds:
            continue
        rate, others = mine.get_rate("incr"), _list_like(scores, mine)
        yield Figure(
            name=f"{mine.peer.name}: {_WORK['incr']}, times the fastest Python peer",
            value=rate / max(one.get_rate("incr") for one in _list_python(others)),
            unit="",
            goal=3,
        )
        for other in others:
            if not other.peer.is_python and other.peer.processes == _PROCESSES:
                yield Figure(
                    name=f"{mine.peer.name}: {_WORK['incr']}, times {other.peer.name}",
                    value=rate / other.get_rate("incr"),
                    unit="",
                    goal=1,
                )


def _tell_sent(scores: Sequence[Scores]) -> Iterator[Figure]:
    for mine in _list_ours(scores):
        is_compared = mine.peer.store == "redis"
        yield Figure(
            name=f"{mine.peer.name}: dispatch one by one",
            value=statistics.median(mine.single),
            unit="1/s",
            peers=_compare(scores, lambda one: statistics.median(one.single)) if is_compared else {},
        )
        yield Figure(
            name=f"{mine.peer.name}: dispatch many at once",
            value=statistics.median(mine.bulk),
            unit="1/s",
            peers=_compare([one for one in scores if one.bulk], lambda one: statistics.median(one.bulk))
            if is_compared
            else {},
            goal=40_000 if is_compared else None,
        )
    mine = _get_ours(scores)
    yield Figure(
        name=f"{mine.peer.name}: dispatch one by one, times the fastest Python peer",
        value=statistics.median(mine.single) / max(statistics.median(one.single) for one in _list_python(scores)),
        unit="",
        goal=1.5,
    )


def _tell_waiting(scores: Sequence[Scores]) -> Iterator[Figure]:
    for share, goal in ((0.5, 5), (0.99, 50)):
        for mine in _list_ours(scores):
            is_compared = mine.peer.store == "redis"
            yield Figure(
                name=f"{mine.peer.name}: dispatch to start on an idle worker, p{share * 100:.0f}",
                value=mine.get_latency(share),
                unit="ms",
                peers=_compare(scores, methodcaller("get_latency", share)) if is_compared else {},
                # SQLite tells nobody: its workers look.
                goal=None if mine.peer.store == "sqlite" else goal,
                is_less_better=True,
            )
    for mine in _list_ours(scores):
        is_compared = mine.peer.store == "redis"
        yield Figure(
            name=f"{mine.peer.name}: an idle worker process, of a core",
            value=mine.idle_share or 0,
            unit="%",
            peers=_compare(scores, lambda one: one.idle_share or 0) if is_compared else {},
            goal=1,
            is_less_better=True,
        )


def _tell_store(scores: Sequence[Scores]) -> Iterator[Figure]:
    for mine in _list_ours(scores):
        if mine.round_trips is None:
            continue
        is_compared = mine.peer.store == "redis"
        yield Figure(
            name=f"{mine.peer.name}: round trips to its stores, a job",
            value=mine.round_trips,
            unit="",
            peers=_compare(scores, lambda one: one.round_trips or 0) if is_compared else {},
            goal=2 if is_compared else None,
            is_less_better=True,
        )
    mine = _get_ours(scores)
    if mine.commands is not None:
        yield Figure(
            name=f"{mine.peer.name}: commands in the store, those of scripts included, a job",
            value=mine.commands,
            unit="",
            peers=_compare(scores, lambda one: one.commands or 0),
            is_less_better=True,
        )


def _tell_delayed(scores: Sequence[Scores]) -> Iterator[Figure]:
    mine = _get_ours(scores)
    delayed = [one for one in scores if one.delayed]
    added = f"with {2 * DELAY * 1e3:.0f} ms added to the store"
    yield Figure(
        name=f"{mine.peer.name}: {_WORK['noop']}, {added}",
        value=statistics.median(mine.delayed),
        unit="1/s",
        peers=_compare(delayed, lambda one: statistics.median(one.delayed)),
    )
    yield Figure(
        name=f"{mine.peer.name}: {_WORK['noop']}, what is left {added}",
        value=100 * _get_left(mine),
        unit="%",
        peers=_compare(delayed, lambda one: 100 * _get_left(one)),
        goal=50,
    )


def _get_left(scores: Scores) -> float:
    return statistics.median(scores.delayed) / scores.get_rate("noop")


def _list_like(scores: Sequence[Scores], mine: Scores) -> list[Scores]:
    """Return those that may use the processors as this one does."""
    return [one for one in scores if one.peer.is_bound == mine.peer.is_bound]


def _list_ours(scores: Sequence[Scores]) -> list[Scores]:
    """Return the scores of ours that are measured in every way."""
    return [one for one in scores if one.peer.is_ours and one.peer.is_whole]


def _list_python(scores: Sequence[Scores]) -> list[Scores]:
    return [one for one in scores if one.peer.is_python and not one.peer.is_ours]


def _get_ours(scores: Sequence[Scores]) -> Scores:
    """Return the scores that are held against those of the peers, which are all on Redis."""
    return next(one for one in _list_ours(scores) if one.peer.store == "redis")


def _compare(scores: Sequence[Scores], get: Callable[[Scores], float]) -> dict[str, float]:
    return {f"{one.peer.name} ({one.version})": get(one) for one in scores if not one.peer.is_ours}
