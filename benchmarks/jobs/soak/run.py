"""The run of a soak: capacity, load, the end."""

import statistics
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from benchmarks.harness import Figure
from benchmarks.jobs.peers import StoreName, make_soaked
from benchmarks.jobs.processes import Visit, visit
from benchmarks.jobs.results import describe_machine
from benchmarks.jobs.soak.evidence import Held, Ledger, Sample, Soak, list_figures
from benchmarks.jobs.soak.mix import CYCLE
from benchmarks.jobs.soak.results import write_results
from benchmarks.jobs.stores import Stores, open_stores

#: Between two portions of the load, and between two looks at the ledger while everything drains, in seconds.
_STEP: Final = 0.05
#: Cycles that tell how many the measurement of the capacity needs for so many seconds, so many times.
_TRIAL_CYCLES: Final = 20
_DRAIN_SECONDS: Final = 3.0
_DRAINS: Final = 3
#: When so many of the jobs have ended a drain is over: others are delayed, or retried a second later.
_PROMPT_SHARE: Final = 0.9
#: Samples of one run, more or less, and the least pause between two, in seconds.
_SAMPLES: Final = 720
_LEAST_PERIOD: Final = 1.0
#: When nothing has ended for so long, what has not is lost: longer than a lease, in seconds.
_PATIENCE: Final = 60.0
#: How often the run says where it is, in seconds.
_WORD_PERIOD: Final = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class SoakPlan:
    """What is soaked, and how long."""

    minutes: float = 60.0
    stores: Sequence[StoreName] = ("redis",)
    #: Of the capacity.
    load: float = 0.6
    #: Whether the results are kept.
    is_published: bool = True


def measure(plan: SoakPlan) -> list[Figure]:
    """Soak one store after the other; keep what was found in ``benchmarks/results/`` where that is wanted."""
    where = describe_machine()
    with open_stores() as stores:
        versions = stores.tell_versions()
        soaks = [_soak(name, stores, plan) for name in plan.stores]
    where["load_after"] = describe_machine()["load_before"]
    if plan.is_published:
        write_results(soaks, share=plan.load, where=where, versions=versions)
    return [figure for soak in soaks for figure in list_figures(soak)]


def _soak(name: StoreName, stores: Stores, plan: SoakPlan) -> Soak:
    peer = make_soaked(name)
    stores.prepare(peer)
    with visit(peer, stores) as here:
        run, failed_before = _Run(here, Ledger(stores.ledger_path)), Held.read(here.look()).failed
        capacity = run.measure_capacity()
        _log(f"{peer.name}: {capacity:,.0f} jobs a second")
        wanted, seconds = capacity * plan.load, plan.minutes * 60
        samples = run.hold_load(wanted, seconds)
        run.drain()
        end = run.settle()
        end = replace(end, failed=end.failed - failed_before)  # stores that share a database share its failed jobs
        lost, doubled = run.ledger.list_lost(run.sent), run.ledger.list_doubled()
        for what, numbers in (("lost", lost), ("ended twice", doubled)):
            if numbers:
                _log(f"{peer.name}: {what}: {', '.join(map(str, numbers[:20]))}")
        if not end.is_empty:
            _log(f"{peer.name}: left: {end}")
        return Soak(
            name=peer.name, seconds=seconds, capacity=capacity, wanted=wanted, sent=run.sent, lost=lost,
            doubled=doubled, parent=here.workers.list_parents()[0], end=end, samples=samples,
        )  # fmt: skip


class _Run:
    """Ours at work on one store."""

    def __init__(self, here: Visit, ledger: Ledger) -> None:
        self._here, self.ledger = here, ledger
        #: Jobs that were sent.
        self.sent = 0

    def measure_capacity(self) -> float:
        """Return how many jobs a second the workers do, the median of a few drains."""
        rate = self._drain_once(_TRIAL_CYCLES)
        cycles = max(_TRIAL_CYCLES, round(rate * _DRAIN_SECONDS / CYCLE))
        return statistics.median(self._drain_once(cycles) for _ in range(_DRAINS))

    def hold_load(self, wanted: float, seconds: float) -> list[Sample]:
        """Send so many jobs a second for so long; return what was seen meanwhile."""
        samples: list[Sample] = []
        sent_before, ended_before = self.sent, self.ledger.read()
        period = max(_LEAST_PERIOD, seconds / _SAMPLES)
        most = max(1, round(wanted / CYCLE))  # in one portion, after a time in which this process had no turn
        next_sample, next_word = period, _WORD_PERIOD
        started = time.monotonic()
        while (at := time.monotonic() - started) < seconds:
            due = int((wanted * at - (self.sent - sent_before)) / CYCLE)
            if due > 0:
                self._send(min(due, most))
            if at >= next_sample:
                next_sample += period
                ended = self.ledger.read() - ended_before
                held, memory = Held.read(self._here.look()), self._here.workers.list_memory()
                samples.append(Sample(at=at, sent=self.sent - sent_before, ended=ended, memory=memory, held=held))
                if at >= next_word:
                    next_word += _WORD_PERIOD
                    _log(f"{at / 60:.0f} of {seconds / 60:g} minutes: {_tell(samples[-1])}")
            time.sleep(max(0.0, _STEP - (time.monotonic() - started - at)))
        self._here.workers.check()
        return samples

    def drain(self) -> None:
        """Wait until all that was sent has ended, or nothing ends any more."""
        ended, changed_at = self.ledger.read(), time.monotonic()
        while ended < self.sent and time.monotonic() - changed_at < _PATIENCE:
            time.sleep(_STEP)
            if (now_ended := self.ledger.read()) > ended:
                ended, changed_at = now_ended, time.monotonic()

    def settle(self) -> Held:
        """Wait until the store holds nothing any more; return what it holds when that takes too long."""
        end = time.monotonic() + _PATIENCE
        while not (held := Held.read(self._here.look(is_whole=True))).is_empty and time.monotonic() < end:
            time.sleep(_LEAST_PERIOD)
        self.ledger.read()
        return held

    def _send(self, cycles: int) -> None:
        self._here.send("bulk", "", cycles)
        self.sent += cycles * CYCLE

    def _drain_once(self, cycles: int) -> float:
        """Send while the workers stand still, then let these go; return how many jobs a second end."""
        self._here.hold()
        self._send(cycles)
        before, started = self.ledger.read(), time.monotonic()
        count = round(cycles * CYCLE * _PROMPT_SHARE)
        self._here.workers.resume()
        while self.ledger.read() < before + count:
            time.sleep(_STEP / 10)
            if time.monotonic() - started > _PATIENCE:
                message = f"{self.ledger.noted} of {self.sent} jobs have ended in time."
                raise RuntimeError(message)
        rate = count / (time.monotonic() - started)
        self.drain()
        return rate


def _tell(sample: Sample) -> str:
    memory = ", ".join(f"{one / 1e6:.1f}" for one in sample.memory.values())
    held = sample.held
    return (
        f"{sample.sent:,} sent, {sample.ended:,} ended, {held.waiting:,} wait, {held.leases:,} leases, {memory} MB,"
        f" store {held.store_bytes / 1e6:.1f} MB"
    )


def _log(text: str) -> None:
    """Say where the run is; it takes an hour."""
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()
