"""One run: the house on a store, the script, a calm end, and what was found."""

import json
import shutil
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tests.faults.evidence import Evidence
from tests.faults.faults import FULL_SECONDS, run_script
from tests.faults.house import House
from tests.faults.invariants import Finding, check
from tests.faults.stores import open_store

#: What folders of runs begin with.
PREFIX: Final = "gatehouse-faults-"
_FULL_LEASE: Final = 20.0
_SHORTEST_LEASE: Final = 3.0
_FULL_RECOVERY: Final = 10.0
_SHORT_LEEWAY: Final = 3.0
_SHORTEST_RECOVERY: Final = 4.0
_FULL_SLOW: Final = 5.0
_SHORTEST_SLOW: Final = 2.0
_CALM: Final = 30.0
_LOOK: Final = 0.3
#: Within so many seconds all must be done when nothing is sent any more, beside two leases.
_DRAIN_SECONDS: Final = 90.0
#: What can be taken out of the engine.
MUTANTS: Final = ("fence", "lease", "outbox")
#: A mutant isn't waited for so long.
_MUTANT_SECONDS: Final = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is to be run."""

    store: str
    #: How long, without start and end.
    seconds: float
    #: Jobs dispatched in a second, members of batches and chains not counted.
    rate: float = 15.0
    #: What is taken out of the engine, one of ``MUTANTS``.
    mutant: str = ""
    #: Names of faults; empty means all.
    only: Sequence[str] = ()
    #: Where a copy of the ledger and of what the store held is left.
    kept_in: Path | None = None
    pools: int = 3
    processes: int = 2
    schedulers: int = 2

    @property
    def scale(self) -> float:
        """By how much all is shorter than in a run of ten minutes."""
        return self.seconds / FULL_SECONDS

    @property
    def lease(self) -> float:
        """The lease of a job, in seconds."""
        return max(_FULL_LEASE * min(self.scale, 1), _SHORTEST_LEASE)

    @property
    def leeway(self) -> float:
        """By how much waits may be longer than promised."""
        return 1.0 if self.seconds >= FULL_SECONDS else _SHORT_LEEWAY

    @property
    def recovery(self) -> float:
        """How long the effects of a fault may show beside the lease, in seconds."""
        return max(_FULL_RECOVERY * min(self.scale, 1), _SHORTEST_RECOVERY)


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What was found."""

    plan: Plan
    findings: Sequence[Finding]
    #: Seconds that the last job took after nothing was sent any more.
    drained_in: float
    log: str

    @property
    def holds(self) -> bool:
        """Whether all invariants hold."""
        return all(one.holds for one in self.findings)


def run(plan: Plan) -> Report:
    """Do all that and return what was found."""
    with (
        tempfile.TemporaryDirectory(prefix=PREFIX) as folder,
        open_store(plan.store, Path(folder)) as store,
    ):
        tick = max(1, round(10 * plan.scale))
        house = House(store, lease=plan.lease, tick=tick, mutant=plan.mutant, processes=plan.processes)
        slow = max(_FULL_SLOW * plan.scale, _SHORTEST_SLOW)
        with house.run(pools=plan.pools, schedulers=plan.schedulers, rate=plan.rate, slow_seconds=slow):
            house.wait_until_at_work()
            time.sleep(_CALM * plan.scale)
            run_script(house, seconds=plan.seconds, only=plan.only)
            house.ask_until_done("stop")
            drained_in, state = drain(house, plan)
            for program in house.programs:
                for code in program.surprises:
                    house.note("surprise", program=program.name, code=code)
            times = {"lease": plan.lease, "recovery": plan.recovery, "tick": tick, "patience": store.patience}
            times["leeway"] = plan.leeway
            seen = Evidence(house.ledger.read(), state, store=plan.store, **times)
            if plan.kept_in is not None:
                shutil.copytree(Path(folder) / "ledger", plan.kept_in / plan.store / "ledger", dirs_exist_ok=True)
                (plan.kept_in / plan.store / "programs.log").write_text(house.tell_log(length=None))
                (plan.kept_in / plan.store / "state.json").write_text(json.dumps(state))
            return Report(plan=plan, findings=check(seen), drained_in=drained_in, log=house.tell_log())


def drain(house: House, plan: Plan) -> tuple[float, dict[str, Any]]:  # Any: JSON
    """Wait until all jobs have ended, or it takes too long; return how long that was, and what the store holds."""
    started = time.monotonic()
    deadline = started + (_MUTANT_SECONDS if plan.mutant else _DRAIN_SECONDS + 2 * house.lease)
    while True:
        state: dict[str, Any] = house.ask("state")  # Any: JSON
        is_empty = "error" not in state and not state["held"] and not state["outbox"]
        if is_empty or (time.monotonic() > deadline and "error" not in state):
            break
        time.sleep(_LOOK)
    drained_in = time.monotonic() - started
    # What a dead worker left behind ends with its lease.
    time.sleep(_LOOK)
    ends_at = time.monotonic() + house.lease + _LOOK
    while is_empty and time.monotonic() < ends_at and (state["places"] or state["keys"] or state["rows"]):
        time.sleep(_LOOK)
        state = house.ask("state")
    return drained_in, state
