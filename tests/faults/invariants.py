"""What must hold, V1 to V14: computed from the ledger and from what the store holds at the end."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from math import inf
from typing import Any, Final

from tests.faults.evidence import LAG, Evidence, Execution
from tests.faults.ledger import Entry
from tests.faults.plan import BACKOFF, PLACES, RATE, TRIES, WINDOW

#: So much later than it was counted an event may be written down, in seconds.
_JITTER: Final = 0.5
_LATENESS: Final = 2.0
_BACK_TO_WORK: Final = 5.0
_BACKOFF_ERROR: Final = 0.1
#: What the store said of its time may have come so late to a process, in seconds.
_CLOCK_ERROR: Final = 0.5
#: In a short run, which shares its machine, processes may be kept from renewing: the share of executions that may tell.
_STARVED: Final = 0.01


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One invariant, and what was found."""

    name: str
    about: str
    #: How often it was broken; None where the run could not show it.
    violations: int | None
    #: Numbers to be published, and the first few cases.
    figures: Mapping[str, Any] = field(default_factory=dict)  # Any: JSON

    @property
    def holds(self) -> bool:
        """Whether it was never broken."""
        return not self.violations


def check(seen: Evidence) -> list[Finding]:
    """Return what was found, V1 to V14."""
    return [
        _nothing_is_lost(seen), _each_ends_once(seen), _little_runs_twice(seen), _transactions_hold(seen),
        _tries_and_waits(seen), _batches_are_exact(seen), _chains_are_in_order(seen), _locks_hold(seen),
        _limits_hold(seen), _ticks_come_once(seen), _orphans_start_again(seen), _nobody_is_needed(seen),
        _the_web_answers(seen), _nothing_is_left(seen),
    ]  # fmt: skip


def _nothing_is_lost(seen: Evidence) -> Finding:
    """Return V1."""
    lost: list[str] = []
    forgiven: list[str] = []
    left_out: list[str] = []
    sent = seen.of("sent")
    for entry in sent:
        if not seen.has_ended(entry.key, entry.job):
            is_left_out = seen.has_made_way(entry.key, entry.at)
            (left_out if is_left_out else forgiven if seen.is_lagging(entry.at) else lost).append(entry.key)
    stuck = sum(sum(counts) for counts in seen.state["held"].values()) + seen.state["outbox"]
    figures = {
        "acknowledged": len(sent), "lost": lost[:5], "stuck": stuck, "lost by the failover": len(forgiven),
        "left out as not unique": len(left_out),
    }  # fmt: skip
    return Finding(name="V1", about="lost jobs", violations=len(lost) + stuck, figures=figures)


def _each_ends_once(seen: Evidence) -> Finding:
    """Return V2: one end for each job, by the holder of the last lease."""
    ends: dict[str, list[Entry]] = defaultdict(list)
    claims: dict[str, list[Entry]] = defaultdict(list)
    for entry in seen.of("finished", "buried"):
        ends[entry.job].append(entry)
    for entry in seen.of("claimed"):
        claims[entry.job].append(entry)
    twice = [job for job, found in ends.items() if len({one.fence for one in found}) > 1]
    if seen.has_outbox and any(what == "failover" for *_, what in seen.outages):
        # What the replica had not heard of ends once more there.
        failover = next(since for since, _, what in seen.outages if what == "failover")
        twice = [job for job in twice if not any(abs(one.at - failover) <= LAG + seen.recovery for one in ends[job])]
    stale = [job for job, found in ends.items() if any(_is_stale(one, claims[job]) for one in found)]
    refused = len(seen.of("refused"))
    figures = {"ends": len(ends), "twice": twice[:5], "stale accepted": stale[:5], "stale refused": refused}
    return Finding(name="V2", about="second and stale ends", violations=len(twice) + len(stale), figures=figures)


def _is_stale(end: Entry, claims: Sequence[Entry]) -> bool:
    """Say whether somebody else had the job by then. A parent, which tells what its process did, knows no attempts."""
    attempt = end.attempt or next((one.attempt for one in claims if one.fence == end.fence), 0)
    return any(one.attempt > attempt and one.at < end.at for one in claims)


def _little_runs_twice(seen: Evidence) -> Finding:
    """Return V3: what ran though the run before it had not gone wrong, and no fault explains it."""
    extra: Counter[str] = Counter()
    unexplained, late = [], 0
    for runs in seen.by_job.values():
        for one, after in pairwise(sorted(runs, key=lambda run: run.started)):
            if one.has_raised:
                continue
            extra[seen.get_fault(one.started)] += 1
            # A store that is busy for longer than a lease hears too late of a job that has ended.
            is_heard_late = one.ended is not None and one.ended < after.started - seen.lease / 2
            late += is_heard_late
            if not is_heard_late and not seen.is_hit(one):
                unexplained.append(f"{one.key}#{one.attempt}")
    figures = {
        "executions": len(seen.executions), "extra": extra.total(), "during": dict(extra),
        "kills": len(seen.killed), "stops": len(seen.stops), "heard late": late, "unexplained": unexplained[:5],
    }  # fmt: skip
    borne = len(seen.executions) * _STARVED if seen.leeway > 1 else 0
    violations = len(unexplained) if len(unexplained) > borne else 0
    return Finding(name="V3", about="extra executions", violations=violations, figures=figures)


def _transactions_hold(seen: Evidence) -> Finding:
    """Return V4: what was rolled back never runs; all that was committed does, though its sender was killed then."""
    rolled_back, committed = seen.of("rolled back"), seen.state["committed"]
    ghosts = [entry.key for entry in rolled_back if seen.by_key.get(entry.key)]
    absent = [(key, at) for key, job, at in committed if not seen.has_ended(key, job)]
    missing = [key for key, at in absent if not seen.is_lagging(at) and not seen.has_made_way(key, at)]
    told = {entry.key for entry in seen.of("sent")}
    figures = {
        "rolled back": len(rolled_back), "ghosts": ghosts[:5], "committed": len(committed),
        "in outages": sum(seen.is_near_outage(at, at, slack=0) for *_, at in committed),
        "by the killed": sum(key not in told for key, *_ in committed), "missing": missing[:5],
    }  # fmt: skip
    return Finding(name="V4", about="transactions", violations=len(ghosts) + len(missing), figures=figures)


def _tries_and_waits(seen: Evidence) -> Finding:
    """Return V5."""
    too_many = []
    raised: dict[str, set[int]] = defaultdict(set)
    for one in seen.executions:
        if one.has_raised:
            raised[one.job].add(one.attempt)
    for job, attempts in raised.items():
        hits = sum(seen.is_hit(one) for one in seen.by_job[job])
        if len(attempts) > TRIES + hits:
            too_many.append(job)
    waits = [entry.detail["wait"] for entry in seen.of("released") if entry.attempt in raised.get(entry.job, ())]
    # The moment is told first and written down then, which takes a while, and longer where the store is away.
    wrong = [wait for wait in waits if wait > BACKOFF * (1 + _BACKOFF_ERROR) + _CLOCK_ERROR]
    early = []
    for runs in seen.by_job.values():
        for one, after in pairwise(sorted(runs, key=lambda run: run.started)):
            if one.has_raised and one.ended and after.started - one.ended < BACKOFF * (1 - _BACKOFF_ERROR):
                early.append(round(after.started - one.ended, 3))
    # A try whose end could not be told is repeated at once when its lease has ended.
    early = [] if seen.outages and len(early) < len(seen.killed) else early
    figures = {"gone wrong": len(raised), "too many tries": too_many[:5], "waits": len(waits), "wrong": wrong[:5]}
    count = len(too_many) + len(wrong) + len(early)
    return Finding(name="V5", about="tries and waits", violations=count, figures={**figures, "early": early[:5]})


def _batches_are_exact(seen: Evidence) -> Finding:
    """Return V6: callbacks may run again after a kill, as any job, but there is one job for each."""
    called: dict[tuple[str, str], set[str]] = defaultdict(set)
    for entry in seen.of("callback"):
        called[entry.group, entry.key].add(entry.job)
    sent = {entry.group for entry in seen.of("sent")}
    wrong = []
    batches = [one for one in seen.state["batches"] if one["name"] in sent]
    for one in batches:
        is_whole = one["is_finished"] and one["pending"] == one["failed"] == 0
        if not is_whole or any(len(called[one["name"], callback]) != 1 for callback in ("then", "finally")):
            wrong.append(one["name"])
    figures = {"batches": len(batches), "wrong": wrong[:5]}
    return Finding(name="V6", about="batches", violations=len(wrong), figures=figures)


def _chains_are_in_order(seen: Evidence) -> Finding:
    """Return V7."""
    steps: dict[str, dict[int, list[Execution]]] = defaultdict(dict)
    for key, runs in seen.by_key.items():
        name, _, place = key.partition("/")
        if name.startswith("chain-"):
            steps[name][int(place)] = runs
    early = []
    for name, runs_of in steps.items():
        for number in sorted(runs_of)[1:]:
            begun = min(one.started for one in runs_of[number])
            before = runs_of.get(number - 1, [])
            if not any(one.ended is not None and one.ended <= begun for one in before):
                early.append(f"{name}/{number}")
    figures = {"chains": len(steps), "early": early[:5]}
    return Finding(name="V7", about="links before their predecessors", violations=len(early), figures=figures)


def _locks_hold(seen: Evidence) -> Finding:
    """Return V8: two at a time though no fault took the lock from either; and how long a dead holder was in the way."""
    groups: dict[str, list[Execution]] = defaultdict(list)
    for one in seen.executions:
        if one.kind in {"UniqueJob", "AloneJob"}:
            groups[one.group].append(one)
    both, waits = [], []
    for name, runs in groups.items():
        runs.sort(key=lambda run: run.started)
        for one, after in pairwise(runs):
            if one.ended is None:
                waits += [after.started - seen.killed[one.pid]] if one.pid in seen.killed else []
            elif after.started < one.ended and not seen.is_hit(one) and not seen.is_hit(after):
                both.append(f"{name}: {one.key}, {after.key}")
    figures = {"keys": len(groups), "two at a time": both[:5], "longest wait for a dead one": _top(waits)}
    late = [wait for wait in waits if wait > seen.lease + seen.recovery and not seen.outages]
    return Finding(name="V8", about="two holders of a lock", violations=len(both) + len(late), figures=figures)


def _limits_hold(seen: Evidence) -> Finding:
    """Return V9."""
    groups: dict[str, list[Execution]] = defaultdict(list)
    for one in seen.executions:
        if one.kind == "LimitedJob":
            groups[one.group].append(one)
    over = most = together = 0
    for runs in groups.values():
        starts = sorted(one.started for one in runs)
        for place, start in enumerate(starts):
            within = sum(start <= other < start + WINDOW - _JITTER * seen.leeway for other in starts[place:])
            most, over = max(most, within), over + (within > RATE and not seen.is_lagging(start))
        for one in runs:
            at_once = sum(other.started <= one.started < (other.ended or other.started) for other in runs)
            hit = any(seen.is_hit(other) for other in runs if other.started <= one.started < (other.ended or 0))
            together, over = max(together, at_once), over + (at_once > PLACES and not hit)
    leaked = [key for key in seen.state["places"] if key.startswith("running:")]
    figures = {"most in a window": most, "most at once": together, "of": [RATE, PLACES], "leaked": leaked[:5]}
    return Finding(name="V9", about="limits", violations=over + len(leaked), figures=figures)


def _ticks_come_once(seen: Evidence) -> Finding:
    """Return V10: ticks of the schedule."""
    runs, ticks = seen.state["runs"], [one for one in seen.executions if one.kind == "TickJob"]
    jobs = Counter(one["job"] for one in runs if one["state"] == "sent")
    ids = {one.job for one in ticks}
    unknown = [job for job in ids if job not in jobs]
    offset = seen.state["monotonic"] - seen.state["wall"]
    quiet = [one for one in runs if not _is_troubled(seen, one["at"] + offset)]
    late = [one["late"] for one in quiet if one["late"] > _LATENESS * seen.leeway]
    never = [one["job"] for one in quiet if one["state"] == "sent" and one["job"] not in ids]
    doubles = [job for job, times in jobs.items() if times > 1]
    # The schedule is switched off when the script ends.
    end = max((entry.at for entry in seen.of("fault")), default=inf)
    gaps = [
        round(after["at"] - one["at"], 1)
        for one, after in pairwise(runs)
        if after["at"] - one["at"] > (0.5 + seen.leeway) * max(seen.tick, _LATENESS)
        and after["at"] + offset < end
        and not _is_troubled(seen, after["at"] + offset)
    ]
    figures = {
        "runs": len(runs), "ticks": len(ids), "latest": _top([one["late"] for one in quiet]), "missed": gaps[:5],
        "unknown": unknown[:5], "late": late[:5], "never run": never[:5],
        "beside wrong clocks": any(entry.detail["is_run"] for entry in seen.of("clock")),
    }  # fmt: skip
    count = len(unknown) + len(doubles) + len(never) + len(late) + len(gaps)
    return Finding(name="V10", about="ticks of the schedule", violations=count, figures=figures)


def _is_troubled(seen: Evidence, at: float) -> bool:
    """Say whether the store was away around a moment, or all schedulers."""
    kinds = {"kill-schedulers", "deploy", "kill-store"}
    phases = [(one.at, after.at) for one, after in pairwise(seen.of("fault")) if one.detail["what"] in kinds]
    slack = seen.lease + seen.recovery
    return seen.is_near_outage(at, at) or any(start - 1 <= at <= end + slack for start, end in phases)


def _orphans_start_again(seen: Evidence) -> Finding:
    """Return V11: how long it takes until a job runs again whose process was killed."""
    waits = []
    for runs in seen.by_job.values():
        for one, after in pairwise(sorted(runs, key=lambda run: run.started)):
            if one.ended is None and one.pid in seen.killed and not seen.is_near_outage(one.started, after.started):
                waits.append(after.started - seen.killed[one.pid])
    late = [wait for wait in waits if wait > seen.lease + seen.recovery]
    figures = {"orphans": len(waits), "longest": _top(waits), "allowed": seen.lease + seen.recovery}
    return Finding(name="V11", about="orphans", violations=len(late), figures=figures)


def _nobody_is_needed(seen: Evidence) -> Finding:
    """Return V12: programs that ended by themselves, and how long after an outage the first job was begun."""
    surprises = [entry.detail for entry in seen.of("surprise")]
    waits = []
    starts = sorted(one.started for one in seen.executions)
    for (_, until, _what), (next_one, *_more) in pairwise([*seen.outages, (inf, inf, "")]):
        after = next((start for start in starts if start >= until), until)
        waits.append(min(after, next_one) - until)
    late = [wait for wait in waits if wait > _BACK_TO_WORK * seen.leeway]
    figures = {"ended by themselves": surprises[:5], "longest until work": _top(waits)}
    return Finding(name="V12", about="need for a human", violations=len(surprises) + len(late), figures=figures)


def _the_web_answers(seen: Evidence) -> Finding:
    """Return V13: how long dispatch took, and what it said that isn't an outage; where jobs have an outbox, no word."""
    took = [entry.detail["took"] for entry in seen.of("sent", "not sent")]
    slow = [
        round(entry.detail["took"], 2)
        for entry in seen.of("sent", "not sent")
        if entry.detail["took"] > seen.patience + _overlap(seen, entry)
    ]
    errors = Counter(entry.detail["error"] for entry in seen.of("not sent"))
    strange = [
        entry.detail
        for entry in seen.of("not sent")
        if seen.has_outbox or not seen.is_near_outage(entry.at - entry.detail["took"], entry.at)
    ]
    figures = {"longest": _top(took), "errors": dict(errors), "slow": slow[:5], "strange": strange[:3]}
    return Finding(name="V13", about="the web in an outage", violations=len(slow) + len(strange), figures=figures)


def _overlap(seen: Evidence, entry: Entry) -> float:
    """Return for how long a dispatch lay in a black hole of which only the kernel can know (see the package)."""
    if seen.store != "postgresql":
        return 0.0
    start: float = entry.at - entry.detail["took"]
    holes = [(since, until) for since, until, what in seen.outages if what in {"swallowed", "slow"}]
    overlaps = [max(min(until, entry.at) - max(since, start), 0.0) for since, until in holes]
    return sum(overlaps, start=0.0)


def _nothing_is_left(seen: Evidence) -> Finding:
    """Return V14."""
    # RQ's own pages show failed jobs for a week. What a failover has lost may be that a unique job has ended.
    forgiven = {*seen.state["failed"], *seen.list_lagging_groups()}
    left = [key for key in seen.state["keys"] if key.rpartition(":")[2] not in forgiven]
    rows, places = seen.state["rows"] + seen.state["outbox"], seen.state["places"]
    figures = {"keys": left[:5], "rows": rows, "places": places[:5]}
    return Finding(name="V14", about="what is left", violations=len(left) + rows + len(places), figures=figures)


def _top(numbers: Sequence[float]) -> float:
    return float(format(max(numbers, default=0.0), ".3f"))


def tell(findings: Iterable[Finding]) -> Iterator[str]:
    """Yield a line for each."""
    for one in findings:
        word = "not shown" if one.violations is None else "holds" if one.holds else f"BROKEN {one.violations} times"
        yield f"{one.name:4} {one.about:34} {word}  {dict(one.figures)}"
