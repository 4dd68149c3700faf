"""Nothing but ``kill -9``: of processes under a parent, and of pools with their parents, as fast as they come back."""

import tempfile
import time
from itertools import count
from pathlib import Path
from typing import Final

from tests.faults.evidence import Evidence
from tests.faults.house import House
from tests.faults.invariants import check
from tests.faults.run import PREFIX, Plan, Report, drain
from tests.faults.stores import open_store

_LEASE: Final = 3.0
_TICK: Final = 5
#: So long all processes work, in seconds, before they are killed: one that died sooner is taken for a breakdown, after
#: which the next one waits, and a loop of these would only show that nothing is done where nobody lives.
_LIFE: Final = 1.2
#: The longest job takes less, or none would ever end.
_SLOW: Final = 1.0
_RATE: Final = 10.0
#: So often a pool is killed with its parent, where only the lease tells of what they held; else all processes.
_POOL_EVERY: Final = 3
#: What of the invariants a loop of kills can show.
_SHOWN: Final = ("V1", "V2", "V3", "V4", "V6", "V7", "V8", "V9", "V11", "V14")


def run_kills(*, store: str, kills: int, mutant: str = "") -> Report:
    """Kill so many processes under load and return what was found."""
    plan = Plan(store=store, seconds=kills * _LIFE, rate=_RATE, mutant=mutant, pools=2)
    with tempfile.TemporaryDirectory(prefix=PREFIX) as folder, open_store(store, Path(folder)) as opened:
        house = House(opened, lease=_LEASE, tick=_TICK, mutant=mutant, processes=3)
        with house.run(pools=plan.pools, schedulers=1, rate=plan.rate, slow_seconds=_SLOW):
            killed = 0
            for number in count(1):
                if killed >= kills:
                    break
                house.wait_until_at_work()
                time.sleep(_LIFE)
                if number % _POOL_EVERY == 2:
                    killed += house.kill_pool_whole(house.find_busy_pool())
                else:
                    victims = house.list_workers()
                    house.kill_processes(victims)
                    killed += len(victims)
            house.ask_until_done("stop")
            drained_in, state = drain(house, plan)
            times = {"lease": _LEASE, "recovery": plan.recovery, "tick": _TICK, "patience": opened.patience}
            times["leeway"] = plan.leeway
            seen = Evidence(house.ledger.read(), state, store=store, **times)
            found = [one for one in check(seen) if one.name in _SHOWN]
            return Report(plan=plan, findings=found, drained_in=drained_in, log=house.tell_log())
