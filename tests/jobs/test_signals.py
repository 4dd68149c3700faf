"""The catalogue of facts about jobs."""

import dataclasses
import re
from datetime import UTC, datetime, timedelta
from typing import get_type_hints
from uuid import UUID

import pytest

from jobs import signals
from project.signals import FactSignal
from tests.processes import ROOT

SIGNALS = {name: value for name, value in vars(signals).items() if isinstance(value, FactSignal)}
FACTS = {
    value.__name__: value
    for value in vars(signals).values()
    if dataclasses.is_dataclass(value) and isinstance(value, type) and not value.__name__.endswith("Fact")
}
NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
_VALUES = {
    UUID: UUID(int=1),
    str: "x",
    int: 1,
    datetime: NOON,
    timedelta: timedelta(seconds=1),
}


def _make(fact: type) -> object:
    hints = get_type_hints(fact)
    return fact(**{name: ValueError("secret") if "error" in name else _VALUES.get(hints[name]) for name in hints})


def _to_words(name: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


def _list_own_fields(fact: type) -> set[str]:
    """Return what a fact tells besides what all of its kind tell."""
    kinds = (signals.JobFact, signals.BatchFact, signals.QueueFact, signals.WorkerFact, signals.ScheduleFact)
    kind = next((kind for kind in kinds if issubclass(fact, kind)), object)
    return set(get_type_hints(fact)) - set(get_type_hints(kind))


def test_each_fact_has_one_signal_of_its_name() -> None:
    assert sorted(map(_to_words, FACTS)) == sorted(SIGNALS)


@pytest.mark.parametrize("name", sorted(FACTS))
def test_a_fact_can_not_be_changed_and_tells_nothing_that_an_exception_says(name: str) -> None:
    fact = _make(FACTS[name])
    with pytest.raises((dataclasses.FrozenInstanceError, TypeError)):
        fact.queue = "other"  # type: ignore[attr-defined]  # that is the point
    assert not hasattr(fact, "__dict__")
    assert "secret" not in repr(fact)


def test_the_docs_list_each_signal_with_its_fact_and_all_that_it_tells() -> None:
    text = (ROOT / "docs" / "jobs.md").read_text()
    table = text.partition("## Events")[2].partition("\n## ")[0]
    rows = [line.split("|")[1:] for line in table.splitlines() if line.startswith("| `")]
    listed = {row[0].strip(" `"): set(re.findall(r"`(\w+)`", row[2])) for row in rows}
    assert listed == {_to_words(name): _list_own_fields(fact) for name, fact in FACTS.items()}
