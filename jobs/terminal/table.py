"""Tables as lines of text, for a page of the terminal and for a pipe alike."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal

from django.utils import timezone
from rich.cells import cell_len, set_cell_size

from project.printable import to_printable

#: How a line looks: ``dim`` is for what is over or rests.
type Tone = Literal["", "good", "warning", "bad", "dim"]

#: No text is looked at beyond this, in characters: a name may be as long as a record.
_MOST_SHOWN: Final = 500
_GAP: Final = " "
_ELLIPSIS: Final = "\N{HORIZONTAL ELLIPSIS}"
_DAY: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Column:
    """One column."""

    title: str
    #: In cells of the terminal; 0 takes a part of what is left.
    width: int = 0
    is_number: bool = False


@dataclass(frozen=True, slots=True)
class Row:
    """One line, and what it is about."""

    #: By which it is found again when the table is read anew.
    key: str
    cells: Sequence[str]
    tone: Tone = ""

    def holds(self, text: str) -> bool:
        """Say whether one of its cells holds a text, in letters of either case."""
        return any(text.casefold() in cell.casefold() for cell in self.cells)


def clean(text: str) -> str:
    """Return a text of strangers in printable characters, with an ellipsis where it is longer than 500."""
    return to_printable(text[:_MOST_SHOWN]) + (_ELLIPSIS if len(text) > _MOST_SHOWN else "")


def fit(text: str, width: int, *, is_number: bool = False) -> str:
    """Return a text of strangers in exactly so many cells: cut with an ellipsis, or filled with spaces."""
    shown = clean(text)
    length = cell_len(shown)
    if length > width:
        return set_cell_size(shown, width - 1) + _ELLIPSIS if width > 0 else ""
    filling = " " * (width - length)
    return filling + shown if is_number else shown + filling


def measure(columns: Sequence[Column], rows: Sequence[Row], *, width: int | None) -> list[int]:
    """Return the width of each column in a line of ``width`` cells; None: as wide as what they hold."""
    if width is None:
        return [
            max(cell_len(clean(text)) for text in (column.title, *(row.cells[number] for row in rows)))
            for number, column in enumerate(columns)
        ]
    left = width - sum(column.width for column in columns) - len(_GAP) * (len(columns) - 1)
    growing = [number for number, column in enumerate(columns) if not column.width]
    widths = [column.width for column in columns]
    for place, number in enumerate(growing):
        widths[number] = max((left + place) // len(growing), 4)
    return widths


def join(columns: Sequence[Column], cells: Sequence[str], widths: Sequence[int]) -> str:
    """Return one line."""
    places = zip(columns, cells, widths, strict=True)
    return _GAP.join(fit(cell, width, is_number=column.is_number) for column, cell, width in places)


def lay_out(columns: Sequence[Column], rows: Sequence[Row], *, width: int | None = None) -> list[str]:
    """Return a whole table, its head first, without spaces at the ends of lines."""
    widths = measure(columns, rows, width=width)
    lines = [[column.title for column in columns], *(row.cells for row in rows)]
    return [join(columns, cells, widths).rstrip() for cells in lines]


def to_span(span: timedelta | None) -> str:
    """Return a duration in few characters; ``-`` where there is none."""
    if span is None:
        return "-"
    seconds = max(span.total_seconds(), 0.0)
    if seconds < 10:
        return f"{seconds:.2f} s"
    if seconds < 60:
        return f"{seconds:.0f} s"
    if seconds < 3600:
        return f"{seconds // 60:.0f} m {seconds % 60:02.0f}" if seconds % 60 < 59.5 else f"{seconds // 60 + 1:.0f} m 00"
    if span < _DAY:
        return f"{seconds // 3600:.0f} h {seconds % 3600 // 60:02.0f}"
    return f"{span // _DAY} d {span % _DAY // timedelta(hours=1):02d}"


def to_count(count: int) -> str:
    """Return a number in at most seven characters."""
    return str(count) if count < 10_000_000 else f"{count // 1_000_000}M"


def to_rate(rate: float) -> str:
    """Return a number, with a decimal where it is below a thousand."""
    return f"{rate:.1f}" if rate < 1_000 else to_count(round(rate))


def to_clock(moment: datetime) -> str:
    """Return the time of day, in the time zone of the house."""
    return timezone.localtime(moment).strftime("%H:%M:%S")
