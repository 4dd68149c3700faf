"""How many processes each queue gets: the arithmetic of Laravel's Horizon, without any process.

A supervisor has so many processes at most, and shares them out among groups, each of which serves a queue or a pattern.
By ``auto`` a group's share is that of its work in the work of all: by the time that one process would take, or by the
number of jobs. A share is rounded up, and the processes move towards it by a few at a time, those that give first.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

#: What a share may be above a whole number by the rounding of floats.
_ROUNDING: Final = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What waits for one group."""

    #: Jobs that are due and in nobody's hands.
    size: int = 0
    #: How long one process would take for them, by the mean run time of late; 0 where that isn't known.
    seconds: float = 0.0
    #: Whether nothing may be taken from any of its queues now.
    is_resting: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """How a supervisor balances."""

    #: ``off``: one group for all queues, as many processes as there are jobs; ``simple``: the same number for each
    #: group; ``auto``: by load.
    balance: Literal["off", "simple", "auto"]
    #: What the load of ``auto`` is measured by.
    strategy: Literal["time", "size"]
    #: Processes of each group, at least.
    min_processes: int
    #: Processes of all groups, at most.
    max_processes: int
    #: Processes that a group may win or lose at a time.
    shift: int


def balance(counts: Mapping[str, int], loads: Mapping[str, Load], rules: Rules) -> dict[str, int]:
    """Return how many processes each group is to have next.

    Args:
        counts: How many each has now, those included that were told to end and haven't yet.
        loads: What waits for each; a group that isn't named has nothing to do.
        rules: How to balance.
    """
    found = dict(counts)
    lowest = rules.min_processes
    highest = max(lowest, rules.max_processes - (len(found) - 1) * lowest)
    shares = find_shares({group: loads.get(group, Load()) for group in found}, rules)
    for group, share in sorted(shares.items(), key=lambda item: item[1]):
        count, wanted = found[group], math.ceil(share - _ROUNDING)
        if wanted > count:
            room = max(rules.max_processes - sum(found.values()), 0)
            found[group] = min(count + min(room, rules.shift), highest, wanted)
        elif wanted < count:
            spare = max(sum(found.values()) - lowest, 0)
            found[group] = max(count - min(spare, rules.shift), lowest, wanted)
    return found


def find_shares(loads: Mapping[str, Load], rules: Rules) -> dict[str, float]:
    """Return how many processes the load of each group is worth, before any rounding and limit."""
    heard = {group: Load() if load.is_resting else load for group, load in loads.items()}
    match rules.balance:
        case "off":
            return {
                group: min(rules.max_processes, max(rules.min_processes, load.size)) for group, load in heard.items()
            }
        case "simple":
            return _share_evenly(loads, rules)
        case "auto":
            return _share_by_load(heard, rules)


def share_at_first(groups: int, rules: Rules) -> int:
    """Return with how many processes each group begins: all there may be, in equal parts."""
    return max(rules.max_processes // groups, rules.min_processes)


def _share_evenly(loads: Mapping[str, Load], rules: Rules) -> dict[str, float]:
    """Give each group the same, but for those that rest."""
    busy = [group for group, load in loads.items() if not load.is_resting]
    left = rules.max_processes - (len(loads) - len(busy)) * rules.min_processes
    shares: dict[str, float] = dict.fromkeys(loads, rules.min_processes)
    for place, group in enumerate(busy):
        shares[group] = left // len(busy) + (place < left % len(busy))
    return shares


def _share_by_load(loads: Mapping[str, Load], rules: Rules) -> dict[str, float]:
    all_seconds = sum(load.seconds for load in loads.values())
    if all_seconds == 0:  # nobody knows how long any of it takes
        return {group: rules.max_processes if load.size else rules.min_processes for group, load in loads.items()}
    all_jobs = sum(load.size for load in loads.values())
    if rules.strategy == "size":
        return {group: load.size / all_jobs * rules.max_processes for group, load in loads.items()}
    return {group: load.seconds / all_seconds * rules.max_processes for group, load in loads.items()}
