"""How the pages of jobs write numbers, durations, and texts that anybody may have written."""

from datetime import timedelta
from hashlib import blake2s
from typing import Final

from django import template

from jobs.exceptions import ScheduleTimingError
from jobs.models import Schedule
from jobs.selectors import JobStatus, TryStatistics
from project.printable import to_printable

register = template.Library()
#: Longest text that stands in a line, and longest that stands in a block.
_MAX_LINE: Final = 300
_MAX_BLOCK: Final = 60_000


@register.filter
def shown(text: object) -> str:
    """Return a text in one line: cut, and with what can't be seen written out; the template escapes it."""
    return _write_out(str("" if text is None else text), _MAX_LINE, kept="")


@register.filter
def shown_lines(text: object) -> str:
    """Return a text with its lines kept."""
    return _write_out(str("" if text is None else text).replace("\r\n", "\n"), _MAX_BLOCK, kept="\n\t")


def _write_out(text: str, limit: int, *, kept: str) -> str:
    cut = text if len(text) <= limit else f"{text[:limit]}…"
    return "".join(one if one in kept else to_printable(one) for one in cut) if kept else to_printable(cut)


@register.filter
def fingerprint(text: object, more: object = "") -> str:
    """Return letters and digits that stand for texts: the same for the same, so that an element keeps its id."""
    return blake2s(f"{text}\x00{more}".encode("utf-8", "backslashreplace"), digest_size=8).hexdigest()


@register.filter
def number(value: float | None) -> str:
    """Return a number with its thousands apart, and with one digit behind the point where it is small."""
    if value is None:
        return "-"
    is_whole = float(value).is_integer() or value >= 100
    return f"{value:,.0f}" if is_whole else f"{value:,.1f}"


@register.filter
def duration(value: timedelta | float | None) -> str:
    """Return a duration in its two greatest units."""
    if value is None or value == "":
        return "-"
    seconds = value.total_seconds() if isinstance(value, timedelta) else float(value)
    if seconds < 1:
        return f"{seconds * 1000:,.1f} ms" if seconds < 0.1 else f"{seconds * 1000:,.0f} ms"
    if seconds < 60:
        return f"{seconds:,.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes} min"
    return f"{hours // 24} days {hours % 24} h"


@register.filter
def run_percentile(tries: TryStatistics, share: float) -> timedelta | None:
    """Return what that share of the tries ran no longer than."""
    return tries.get_run_percentile(share)


@register.filter
def list_of(state: str) -> str:
    """Return the list in which a job of that state stands."""
    if state in JobStatus:
        return state
    return {"released": "waiting", "gone": "done"}.get(state, "failed")


@register.filter
def timing(row: Schedule) -> str:
    """Return when an entry is due, in words."""
    try:
        return row.timing.describe()
    except ScheduleTimingError:
        return "never: its timing can't be read"


@register.filter
def pairs(text: str) -> list[list[str]]:
    """Return ``value|word,value|word`` as pairs."""
    return [one.split("|", 1) for one in text.split(",")]
