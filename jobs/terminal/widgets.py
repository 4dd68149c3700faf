"""What pages of the terminal are made of: a table with a selected line, and a field of tiles."""

from collections.abc import Sequence
from typing import ClassVar, Final, override

from rich.segment import Segment
from rich.style import Style
from rich.text import Text
from textual.binding import Binding, BindingType
from textual.events import Click
from textual.geometry import Size
from textual.reactive import reactive
from textual.scroll_view import ScrollView
from textual.strip import Strip
from textual.widget import Widget

from jobs.terminal.house import Tile
from jobs.terminal.table import Column, Row, Tone, fit, join, measure

STYLES: Final[dict[Tone, Style]] = {
    "": Style(),
    "good": Style(color="green"),
    "warning": Style(color="yellow"),
    "bad": Style(color="red", bold=True),
    "dim": Style(dim=True),
}
#: Before each line; that of the selected one is told without colours as well.
_MARK: Final = "> "
_NO_MARK: Final = "  "
_TILES_IN_A_LINE: Final = 4


class LineTable(ScrollView, can_focus=True):
    """A table of which one line is selected. It draws what is seen of it alone, however long it is."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "move(-1)", "Up", show=False),
        Binding("down", "move(1)", "Down", show=False),
        Binding("pageup", "turn(-1)", "Page up", show=False),
        Binding("pagedown", "turn(1)", "Page down", show=False),
        Binding("home", "move(-1000000)", "First", show=False),
        Binding("end", "move(1000000)", "Last", show=False),
    ]
    DEFAULT_CSS = """
    LineTable { height: auto; margin-bottom: 1; overflow-x: hidden; overflow-y: auto; scrollbar-size-vertical: 1; }
    """
    place = reactive(0)

    def __init__(self, columns: Sequence[Column], *, otherwise: str, id: str) -> None:  # noqa: A002 - Textual's word
        """Make an empty one; ``otherwise`` is told where there are no rows."""
        super().__init__(id=id)
        self._columns = columns
        self._otherwise = otherwise
        self._rows: Sequence[Row] = ()

    @property
    def selected(self) -> Row | None:
        """The selected line; None where there is none."""
        return self._rows[self.place] if self.place < len(self._rows) else None

    def show(self, rows: Sequence[Row]) -> None:
        """Take other rows; what was selected stays so, wherever it is now."""
        if rows == self._rows:
            return
        selected, is_as_long = self.selected, len(rows) == len(self._rows)
        self._rows = rows
        places = {row.key: place for place, row in enumerate(rows)}
        place = min(self.place, max(len(rows) - 1, 0))
        self.place = place if selected is None else places.get(selected.key, place)
        self.virtual_size = Size(self.size.width, len(rows) + 1)
        self.refresh(layout=not is_as_long)

    @override
    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        return max(len(self._rows), 1) + 1

    @override
    def render_line(self, y: int) -> Strip:
        width = self.scrollable_content_region.width
        if y == 0:
            return self._draw_head(width)
        place = y - 1 + round(self.scroll_y)
        if place >= len(self._rows):
            text = self._otherwise if not self._rows and y == 1 else ""
            return Strip([Segment(fit(_NO_MARK + text, width), STYLES["dim"])], width)
        row, is_selected = self._rows[place], place == self.place
        style = STYLES[row.tone] + Style(reverse=is_selected and self.has_focus)
        return self._draw(_MARK if is_selected else _NO_MARK, row.cells, style, width)

    def _draw_head(self, width: int) -> Strip:
        style = Style(bold=True, underline=True, reverse=self.has_focus)
        return self._draw(_NO_MARK, [column.title for column in self._columns], style, width)

    def _draw(self, mark: str, cells: Sequence[str], style: Style, width: int) -> Strip:
        widths = measure(self._columns, (), width=width - len(mark))
        return Strip([Segment(fit(mark + join(self._columns, cells, widths), width), style)], width)

    def watch_place(self) -> None:
        """Bring the selected line into sight."""
        top, seen = round(self.scroll_y), max(self.size.height - 1, 1)
        if self.place < top:
            self.scroll_to(y=self.place, animate=False)
        elif self.place >= top + seen:
            self.scroll_to(y=self.place - seen + 1, animate=False)
        self.refresh()

    def action_move(self, lines: int) -> None:
        """Select another line."""
        self.place = min(max(self.place + lines, 0), max(len(self._rows) - 1, 0))

    def action_turn(self, pages: int) -> None:
        """Select a line a page further on."""
        self.action_move(pages * max(self.size.height - 1, 1))

    def on_click(self, event: Click) -> None:
        """Select the line that was clicked at."""
        if event.y > 0 and (place := event.y - 1 + round(self.scroll_y)) < len(self._rows):
            self.place = place


class Tiles(Widget):
    """Figures with their names, four in a line."""

    DEFAULT_CSS = "Tiles { height: 4; }"

    def __init__(self, *, id: str) -> None:  # noqa: A002 - Textual's word
        super().__init__(id=id)
        self._tiles: Sequence[Tile] = ()

    def show(self, tiles: Sequence[Tile]) -> None:
        """Take other figures."""
        if tiles != self._tiles:
            self._tiles = tiles
            self.refresh()

    @override
    def render(self) -> Text:
        width = self.size.width // _TILES_IN_A_LINE
        lines = []
        for start in range(0, len(self._tiles), _TILES_IN_A_LINE):
            some = self._tiles[start : start + _TILES_IN_A_LINE]
            lines.append(Text.assemble(*((fit(tile.title, width - 1) + " ", STYLES["dim"]) for tile in some)))
            values = ((fit(tile.value, width - 1) + " ", STYLES[tile.tone] + Style(bold=True)) for tile in some)
            lines.append(Text.assemble(*values))
        return Text("\n", no_wrap=True).join(lines)
