"""The catalogue of facts about accounts."""

import dataclasses
import re

import pytest

from accounts import signals
from project.signals import FactSignal
from tests.processes import ROOT

SIGNALS = {name: value for name, value in vars(signals).items() if isinstance(value, FactSignal)}
FACTS = {
    value.__name__: value
    for value in vars(signals).values()
    if dataclasses.is_dataclass(value) and isinstance(value, type) and not value.__name__.endswith("Fact")
}


def list_fields(fact: type) -> set[str]:
    assert dataclasses.is_dataclass(fact)
    return {field.name for field in dataclasses.fields(fact)}


def to_words(name: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


def test_each_fact_has_one_signal_of_its_name() -> None:
    assert sorted(map(to_words, FACTS)) == sorted(SIGNALS)


@pytest.mark.parametrize("name", sorted(FACTS))
def test_a_fact_can_not_be_changed(name: str) -> None:
    fact = FACTS[name](**dict.fromkeys(list_fields(FACTS[name])))
    for field in list_fields(FACTS[name]):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(fact, field, "other")
    assert not hasattr(fact, "__dict__")


def test_the_docs_list_each_signal_with_its_fact_and_all_that_it_tells() -> None:
    text = (ROOT / "docs" / "accounts.md").read_text()
    table = text.partition("## Signals")[2].partition("\n## ")[0]
    rows = [line.split("|")[1:] for line in table.splitlines() if line.startswith("| `")]
    listed = {row[0].strip(" `"): set(re.findall(r"`(\w+)`", row[2])) for row in rows}
    assert listed == {to_words(name): list_fields(fact) for name, fact in FACTS.items()}
