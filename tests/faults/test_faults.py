"""A short run of the whole script on each store, a few kills, and the engine with a safeguard taken out.

Waits may be three times as long here as in a run of ten minutes, which has a machine to itself (``Plan.leeway``).
"""

import pytest

from tests.faults.invariants import tell
from tests.faults.kills import run_kills
from tests.faults.run import Plan, Report, run

pytestmark = [pytest.mark.process, pytest.mark.house, pytest.mark.timeout(600)]

_STORES = ["redis", "postgresql", "sqlite"]


def _tell(report: Report) -> str:
    return "\n".join(["", *tell(report.findings), report.log])


def _list_broken(report: Report) -> set[str]:
    return {one.name for one in report.findings if not one.holds}


@pytest.mark.parametrize("store", _STORES)
def test_all_that_was_promised_holds_under_every_kind_of_fault(store: str) -> None:
    report = run(Plan(store=store, seconds=20, rate=15, pools=2))
    assert report.holds, _tell(report)


@pytest.mark.parametrize("store", _STORES)
def test_nothing_is_lost_by_kills(store: str) -> None:
    report = run_kills(store=store, kills=20)
    assert report.holds, _tell(report)


@pytest.mark.parametrize("store", ["redis", "postgresql"])
def test_a_removed_fence_is_noticed(store: str) -> None:
    report = run(Plan(store=store, seconds=5, rate=15, pools=2, mutant="fence", only=["stop-workers"]))
    assert "V2" in _list_broken(report), _tell(report)


@pytest.mark.parametrize("store", ["sqlite"])
def test_a_removed_lease_is_noticed(store: str) -> None:
    report = run(Plan(store=store, seconds=20, rate=15, pools=2, mutant="lease", only=["kill-workers", "kill-store"]))
    assert "V1" in _list_broken(report), _tell(report)


def test_a_removed_outbox_is_noticed() -> None:
    report = run(Plan(store="redis", seconds=20, rate=15, pools=2, mutant="outbox", only=["cut-off", "kill-producer"]))
    assert {"V4", "V13"} & _list_broken(report), _tell(report)
