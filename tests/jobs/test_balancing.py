"""How many processes each queue gets: cases of Horizon's semantics, and what holds in all cases."""

from collections.abc import Mapping
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.worker.balancing import Load, Rules, balance, share_at_first

AUTO = Rules(balance="auto", strategy="time", min_processes=1, max_processes=10, shift=1)


def _work(size: int, runtime: float = 1) -> Load:
    return Load(size=size, seconds=size * runtime)


def _play(counts: Mapping[str, int], loads: Mapping[str, Load], rules: Rules, *, steps: int) -> list[tuple[int, ...]]:
    """Return the counts after each of so many steps with the same loads."""
    found = []
    for _ in range(steps):
        counts = balance(counts, loads, rules)
        found.append(tuple(counts.values()))
    return found


@pytest.mark.parametrize(
    ("counts", "loads", "changes", "wanted"),
    [
        pytest.param(
            {"a": 10, "b": 10},
            {"a": _work(20, 10), "b": _work(10, 10)},
            {"max_processes": 20},
            [(11, 9), (12, 8), (13, 7), (13, 7)],
            id="towards the shares of the time to clear, one at a time",
        ),
        pytest.param(
            {"a": 5, "b": 5}, {"a": _work(0), "b": _work(0)}, {}, [(4, 4), (3, 3), (2, 2), (1, 1), (1, 1)],
            id="idle queues fall to the minimum",
        ),
        pytest.param(
            {"a": 1, "b": 1}, {"a": _work(50, 50), "b": _work(0)}, {}, [(n, 1) for n in range(2, 10)] + [(9, 1)],
            id="a busy queue gets all but the minimum of the others",
        ),
        pytest.param(
            {"a": 10, "b": 10}, {"a": _work(100, 50), "b": _work(100, 50)}, {"max_processes": 20}, [(10, 10)] * 2,
            id="never more than the maximum, whatever waits",
        ),
        pytest.param(
            {"a": 3, "b": 2}, {"a": _work(0), "b": _work(1000, 50)}, {"max_processes": 5, "min_processes": 2},
            [(2, 3), (2, 3)],
            id="never less than the minimum, whatever waits elsewhere",
        ),
        pytest.param(
            {"a": 75, "b": 75}, {"a": _work(600, 75), "b": _work(300, 75)}, {"max_processes": 150, "shift": 10},
            [(85, 65), (95, 55), (100, 50), (100, 50)],
            id="by as many at a time as may be shifted",
        ),
        pytest.param(
            {"a": 1, "b": 1}, {"a": _work(10, 0), "b": _work(0)}, {"max_processes": 4}, [(2, 1), (3, 1), (3, 1)],
            id="jobs of which nobody knows how long they take",
        ),
        pytest.param(
            {"a": 5, "b": 5}, {"a": _work(10, 100), "b": _work(30, 1)}, {"strategy": "size", "shift": 10},
            [(3, 7), (3, 7)],
            id="by the number of jobs",
        ),
        pytest.param(
            {"a": 5, "b": 5}, {"a": Load(size=99, seconds=99, is_resting=True), "b": _work(3)}, {"shift": 10},
            [(1, 9), (1, 9)],
            id="a queue that rests frees its share",
        ),
        pytest.param({"a": 2}, {"a": _work(7)}, {"balance": "off", "shift": 3}, [(5,), (7,), (7,)], id="off: by jobs"),
        pytest.param({"a": 9}, {"a": _work(0)}, {"balance": "off", "min_processes": 4, "shift": 3}, [(6,), (4,)],
            id="off: down to the minimum"),
        pytest.param(
            {"a": 1, "b": 1, "c": 1}, {}, {"balance": "simple", "shift": 10}, [(4, 3, 3)], id="simple: evenly"
        ),
        pytest.param(
            {"a": 4, "b": 3, "c": 3}, {"a": Load(is_resting=True)}, {"balance": "simple", "shift": 10}, [(1, 5, 4)],
            id="simple: a queue that rests frees its share",
        ),
        pytest.param(
            {"a": 3, "b": 1}, {"a": _work(0), "b": _work(9)}, {"max_processes": 2}, [(2, 1), (1, 1), (1, 1)],
            id="what is too much goes first",
        ),
    ],
)  # fmt: skip
def test_processes_move(
    counts: dict[str, int], loads: dict[str, Load], changes: dict[str, object], wanted: list[tuple[int, ...]]
) -> None:
    rules = replace(AUTO, **changes)  # type: ignore[arg-type]  # each by its own name
    assert _play(counts, loads, rules, steps=len(wanted)) == wanted


def test_a_share_is_no_more_than_it_is_by_the_rounding_of_floats() -> None:
    loads = {name: Load(size=1, seconds=0.1) for name in "abc"}
    assert balance(dict.fromkeys("abc", 3), loads, replace(AUTO, max_processes=9, shift=9)) == dict.fromkeys("abc", 3)


@pytest.mark.parametrize(("groups", "largest", "first"), [(3, 10, 3), (1, 10, 10), (4, 4, 1)])
def test_processes_begin_in_equal_parts(groups: int, largest: int, first: int) -> None:
    assert share_at_first(groups, replace(AUTO, max_processes=largest)) == first


@st.composite
def _cases(draw: st.DrawFn) -> tuple[dict[str, int], dict[str, Load], Rules]:
    names = [f"q{number}" for number in range(draw(st.integers(1, 6)))]
    lowest = draw(st.integers(1, 3))
    rules = Rules(
        balance=draw(st.sampled_from(["off", "simple", "auto"]))
        if len(names) == 1
        else draw(st.sampled_from(["simple", "auto"])),
        strategy=draw(st.sampled_from(["time", "size"])),
        min_processes=lowest,
        max_processes=draw(st.integers(lowest * len(names), 40)),
        shift=draw(st.integers(1, 10)),
    )
    loads = {name: _work(draw(st.integers(0, 500)), draw(st.floats(0, 100))) for name in names}
    first = share_at_first(len(names), rules)
    return dict.fromkeys(names, first), loads, rules


@given(case=_cases())
def test_whatever_waits_the_limits_hold_and_the_movement_ends(
    case: tuple[dict[str, int], dict[str, Load], Rules],
) -> None:
    counts, loads, rules = case
    for _ in range(100):
        before, counts = counts, balance(counts, loads, rules)
        assert all(rules.min_processes <= count for count in counts.values())
        assert sum(counts.values()) <= rules.max_processes
        assert all(abs(counts[name] - before[name]) <= rules.shift for name in counts)
    assert balance(counts, loads, rules) == counts
