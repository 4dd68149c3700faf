"""The page of ``queue_top``: worker processes, as ``htop`` shows those of a host."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import ClassVar, Final, override

from textual.binding import Binding, BindingType
from textual.widget import Widget

from jobs.terminal.page import Page
from jobs.terminal.processes import PROCESSES, Processes, Sort, make_process_rows, sum_up
from jobs.terminal.table import to_clock
from jobs.terminal.widgets import LineTable

_HELP: Final = """\
q        leave
↑ ↓      select a line; Page up and down, Home, End too
c m t    sort by processor time, by memory, by how long the
         job in hand has run
a s n    sort by tries, by state, by name
r        read everything now
/        show lines that hold a text; Enter keeps, Escape ends it
?        this help

Workers report every five seconds; dead ones stay for an hour."""


class Top(Page[Processes]):
    """All worker processes."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("c", "sort('cpu')", "By processor time"),
        Binding("m", "sort('memory')", "By memory"),
        Binding("t", "sort('time')", "By time"),
        Binding("a", "sort('tries')", "By tries"),
        Binding("s", "sort('state')", "By state"),
        Binding("n", "sort('name')", "By name"),
    ]
    CSS = Page.CSS + "\n#processes { height: 1fr; margin: 1 0 0 0; }"
    name_of_page = "Gatehouse workers"
    keys = "q quit  sort: c CPU  m memory  t time  a tries  s state  n name  / filter  ? help"
    help_text = _HELP

    def __init__(self, *, source: Callable[[], Processes], refresh: timedelta, sort: Sort) -> None:
        """Make one that begins in an order; see ``Page``."""
        super().__init__(source=source, refresh=refresh)
        self.sort = sort

    @override
    def compose_body(self) -> Iterator[Widget]:
        yield LineTable(PROCESSES, otherwise="No worker runs. Start one with: queue_work", id="processes")

    @override
    def show(self, reading: Processes) -> None:
        self.query_one(LineTable).show(self.choose(make_process_rows(reading, self.sort)))

    @override
    def tell_time(self, reading: Processes) -> str:
        return f"{to_clock(reading.at)}   {sum_up(reading)}"

    def action_sort(self, sort: str) -> None:
        """Take another order."""
        self.sort = Sort(sort)
        self.redraw()
