"""What the pages of the terminal have in common: they read again and again, filter, ask, and tell of what is away."""

import asyncio
import signal
from abc import abstractmethod
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import ClassVar, Final, override

from rich.text import Text
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.screen import ModalScreen
from textual.widget import Widget
from textual.widgets import Input, Static

from jobs.exceptions import ConnectionsAwayError, JobOptionError
from jobs.terminal.stores import StoreThread
from jobs.terminal.table import Row, clean
from jobs.terminal.widgets import STYLES, LineTable
from jobs.worker.outages import get_reason, list_outage_errors
from project.exceptions import DomainError

_BOX: Final = """
{name} {{ align: center middle; }}
{name} > Static {{
    width: auto; max-width: 90%; height: auto; max-height: 90%; padding: 1 2; border: solid ansi_default;
}}
"""


class Question(ModalScreen[bool]):
    """Asks before something is done."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "answer(True)", "Yes"),
        Binding("n,escape,q", "answer(False)", "No"),
    ]
    DEFAULT_CSS = _BOX.format(name="Question")

    def __init__(self, question: str) -> None:
        super().__init__()
        self._question = question

    @override
    def compose(self) -> ComposeResult:
        yield Static(Text(f"{self._question}\n\ny  yes    n  no"))

    def action_answer(self, answer: bool) -> None:  # noqa: FBT001 - Textual calls it with what the binding says
        """Go back with the answer."""
        _ = self.dismiss(answer)  # not awaited: it ends this very call


class Help(ModalScreen[None]):
    """Tells what each key does."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,q,enter,question_mark", "close", "Close")]
    DEFAULT_CSS = _BOX.format(name="Help")

    def __init__(self, words: str) -> None:
        super().__init__()
        self._words = words

    @override
    def compose(self) -> ComposeResult:
        yield Static(Text(self._words))

    def action_close(self) -> None:
        """Go back."""
        _ = self.dismiss(None)


class Page[R](App[None]):
    """A page that shows what it reads every few seconds; ``R`` is what it reads."""

    ENABLE_COMMAND_PALETTE = False
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("q,ctrl+c", "quit", "Quit"),
        Binding("r", "read", "Refresh"),
        Binding("slash", "filter", "Filter"),
        Binding("question_mark", "help", "Help"),
        Binding("escape", "forget_filter", "All"),
    ]
    CSS = """
    #head, #keys { height: 1; text-style: bold; }
    #notice { height: auto; max-height: 3; display: none; }
    #filter { height: 1; border: none; padding: 0; display: none; }
    """
    #: Its name; what its keys do, in a line and in full.
    name_of_page: ClassVar[str]
    keys: ClassVar[str]
    help_text: ClassVar[str]

    def __init__(self, *, source: Callable[[], R], refresh: timedelta) -> None:
        """Make one that asks ``source``, in a thread of its own, each time that ``refresh`` has passed."""
        super().__init__(ansi_color=True)  # the colours of the terminal, or with NO_COLOR none
        self.theme = "ansi-dark"
        self._source = source
        self._refresh = refresh
        self._is_reading = False
        self._told = ""
        self.stores = StoreThread()
        self.wanted = ""
        self.reading: R | None = None
        #: Why the last reading failed; empty where it didn't.
        self.fault = ""

    @abstractmethod
    def compose_body(self) -> Iterator[Widget]:
        """Return what stands between head and keys."""

    @abstractmethod
    def show(self, reading: R) -> None:
        """Show what was read."""

    @abstractmethod
    def tell_time(self, reading: R) -> str:
        """Return the time of what was read."""

    def list_faults(self, _reading: R) -> list[str]:
        """Return what couldn't be read of it."""
        return []

    @override
    def compose(self) -> ComposeResult:
        yield Static(id="head", markup=False)
        yield Static(id="notice", markup=False)
        yield from self.compose_body()
        yield Input(id="filter", placeholder="Show lines with …")
        yield Static(self.keys, id="keys", markup=False)

    def on_mount(self) -> None:
        """Begin to read."""
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, self.exit)  # the terminal is left as it was
        self.query(LineTable).first().focus()
        self.set_interval(self._refresh.total_seconds(), self.action_read)
        self.redraw()
        self.action_read()

    def on_unmount(self) -> None:
        """Give the connections back."""
        self.stores.close()

    def action_read(self) -> None:
        """Read now, unless that goes on."""
        if not self._is_reading:
            self._is_reading = True
            self.run_worker(self._read())

    async def _read(self) -> None:
        try:
            self.reading = await self.stores.do(self._source)
            self.fault = ""
        except list_outage_errors() as error:
            self.fault = f"A store does not answer: {type(error).__name__}: {get_reason(error)}"
        finally:
            self._is_reading = False
        self.redraw()

    def redraw(self) -> None:
        """Show what was read last, as it is filtered now."""
        head = [self.name_of_page, f"every {self._refresh.total_seconds():g} s"]
        if self.reading is not None:
            head.insert(1, self.tell_time(self.reading))
            self.show(self.reading)
        elif not self.fault:
            head.append("reading …")
        if self.wanted:
            head.append(f"lines with {self.wanted}")
        self.query_one("#head", Static).update(Text(clean("   ".join(head)), no_wrap=True))
        self._tell_notice()

    def _tell_notice(self) -> None:
        lines = [(line, STYLES["bad"]) for line in self._list_all_faults()]
        if self._told:
            lines.append((self._told, STYLES["warning"]))
        notice = self.query_one("#notice", Static)
        notice.update(Text("\n").join(Text(clean(line), style) for line, style in lines))
        notice.display = bool(lines)

    def _list_all_faults(self) -> list[str]:
        faults = [] if self.reading is None else self.list_faults(self.reading)
        if self.fault:
            since = "" if self.reading is None else f" What is shown is of {self.tell_time(self.reading)}."
            faults = [f"{self.fault.rstrip('.')}.{since}"]
        return faults

    def tell(self, words: str) -> None:
        """Say something in the line below the head, until there is something else to say."""
        self._told = words
        self._tell_notice()

    def choose(self, rows: list[Row]) -> list[Row]:
        """Return those lines that are looked for."""
        return [row for row in rows if row.holds(self.wanted)]

    # --- Filter and help

    def action_filter(self) -> None:
        """Ask for a text; lines that don't hold it are left out."""
        field = self.query_one("#filter", Input)
        field.display = True
        field.focus()

    def action_forget_filter(self) -> None:
        """Show all lines again."""
        field = self.query_one("#filter", Input)
        field.value = self.wanted = ""
        self._leave_filter()
        self.tell("")
        self.redraw()

    def on_input_changed(self, event: Input.Changed) -> None:
        """Filter while somebody types."""
        self.wanted = event.value
        self.redraw()

    def on_input_submitted(self) -> None:
        """Keep the filter."""
        self._leave_filter()

    def _leave_filter(self) -> None:
        self.query_one("#filter", Input).display = False
        if not isinstance(self.focused, LineTable):
            self.query(LineTable).first().focus()

    def action_help(self) -> None:
        """Tell what each key does."""
        _ = self.push_screen(Help(self.help_text))

    # --- What people do

    def ask(self, question: str, errand: Callable[[], str]) -> None:
        """Ask, then do it in the thread of the stores, and say what became of it."""
        self.run_worker(self._ask(question, errand))

    async def _ask(self, question: str, errand: Callable[[], str]) -> None:
        if not await self.push_screen_wait(Question(question)):
            return
        try:
            words = await self.stores.do(errand)
        except DomainError as error:
            words = error.message
        except (ConnectionsAwayError, JobOptionError) as error:
            words = str(error)
        except list_outage_errors() as error:
            words = f"That failed, for a store does not answer: {type(error).__name__}: {get_reason(error)}"
        self.tell(words)
        self.action_read()
