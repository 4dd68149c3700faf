"""The table of behaviours is held to the tests that it names."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

HERE = Path(__file__).parent
SECTION = re.compile(r"^## (?P<file>[^:\n]+): (?P<count>\d+)$\n(?P<rows>(?:^(?!## ).*\n?)*)", re.MULTILINE)
README = (HERE / "README.md").read_text()


def sections() -> Iterator[tuple[str, int, list[str]]]:
    """Give title, announced number and rows of each table."""
    for found in SECTION.finditer(README):
        lines = [line for line in found["rows"].splitlines() if line.startswith("| ")]
        yield found["file"], int(found["count"]), lines[1:]


@pytest.mark.parametrize(("title", "count", "rows"), [pytest.param(*one, id=one[0]) for one in sections()])
def test_a_section_has_as_many_rows_as_it_says(title: str, count: int, rows: list[str]) -> None:
    assert len(rows) == count


def test_every_named_test_is_there() -> None:
    named = set(re.findall(r"`((?:\.\./)*[\w/]+\.py)::(\w+)`", README))
    missing = {
        (file, name)
        for file, name in named
        if not any(
            isinstance(node, ast.FunctionDef) and node.name == name
            for node in ast.parse((HERE / file).read_text()).body
        )
    }
    assert not missing


def test_every_row_names_a_test_or_a_reason() -> None:
    assert [
        row for _, _, rows in sections() for row in rows if "::test_" not in row and "not applicable: " not in row
    ] == []
