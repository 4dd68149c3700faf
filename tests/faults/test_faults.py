"""A short run of the whole script on each store, a few kills, and the engine with a safeguard taken out.

Waits may be three times as long here as in a run of ten minutes, which has a machine to itself (``Plan.leeway``). What
is about time alone must hold in one of two runs, for a machine may stand still; and a safeguard that is taken out must
be missed in one of two, for in so short a time it may not be needed.
"""

from collections.abc import Callable, Collection
from typing import Final

import pytest

from tests.faults.invariants import tell
from tests.faults.kills import run_kills
from tests.faults.run import Plan, Report, run

pytestmark = [pytest.mark.process, pytest.mark.house, pytest.mark.timeout(600)]

_STORES = ["redis", "postgresql", "sqlite"]
#: Extra runs, waits, ticks, orphans, the return of workers, and the web.
_ABOUT_TIME: Final = frozenset({"V3", "V5", "V10", "V11", "V12", "V13"})


def _tell(report: Report) -> str:
    return "\n".join(["", *tell(report.findings), report.log])


def _list_broken(report: Report) -> set[str]:
    return {one.name for one in report.findings if not one.holds}


def _run_up_to_twice(run_once: Callable[[], Report], *, is_enough: Callable[[Collection[str]], bool]) -> Report:
    """Return the report of the first run, or of the second where what was broken in the first one isn't enough."""
    report = run_once()
    return report if is_enough(_list_broken(report)) else run_once()


def _is_settled(broken: Collection[str]) -> bool:
    """Say whether there is nothing to learn from a second run."""
    return not broken or not _ABOUT_TIME.issuperset(broken)


def _breaks(*names: str) -> Callable[[Collection[str]], bool]:
    return lambda broken: not set(names).isdisjoint(broken)


@pytest.mark.parametrize("store", _STORES)
def test_all_that_was_promised_holds_under_every_kind_of_fault(store: str) -> None:
    plan = Plan(store=store, seconds=20, rate=15, pools=2)
    report = _run_up_to_twice(lambda: run(plan), is_enough=_is_settled)
    assert report.holds, _tell(report)


@pytest.mark.parametrize("store", _STORES)
def test_nothing_is_lost_by_kills(store: str) -> None:
    report = _run_up_to_twice(lambda: run_kills(store=store, kills=20), is_enough=_is_settled)
    assert report.holds, _tell(report)


@pytest.mark.parametrize("store", ["redis", "postgresql"])
def test_a_removed_fence_is_noticed(store: str) -> None:
    plan = Plan(store=store, seconds=5, rate=15, pools=2, mutant="fence", only=["stop-workers"])
    report = _run_up_to_twice(lambda: run(plan), is_enough=_breaks("V2"))
    assert "V2" in _list_broken(report), _tell(report)


@pytest.mark.parametrize("store", ["sqlite"])
def test_a_removed_lease_is_noticed(store: str) -> None:
    plan = Plan(store=store, seconds=20, rate=15, pools=2, mutant="lease", only=["kill-workers", "kill-store"])
    report = _run_up_to_twice(lambda: run(plan), is_enough=_breaks("V1"))
    assert "V1" in _list_broken(report), _tell(report)


def test_a_removed_outbox_is_noticed() -> None:
    plan = Plan(store="redis", seconds=20, rate=15, pools=2, mutant="outbox", only=["cut-off", "kill-producer"])
    report = _run_up_to_twice(lambda: run(plan), is_enough=_breaks("V4", "V13"))
    assert {"V4", "V13"} & _list_broken(report), _tell(report)
