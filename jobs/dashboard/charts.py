"""Charts as inline SVG: geometry is worked out here, and the template only draws it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from django.utils.timezone import localtime

from jobs.selectors import Point

WIDTH: Final = 720
HEIGHT: Final = 200
_LEFT, _RIGHT, _TOP, _BOTTOM = 56, 8, 10, 24
#: Round numbers whose quarters are round too.
_STEPS: Final = (1.0, 1.2, 1.6, 2.0, 2.4, 3.2, 4.0, 6.0, 8.0, 10.0)
_TICKS: Final = 4
_LABELS: Final = 6


@dataclass(frozen=True, slots=True)
class Bar:
    """A rectangle, in the units of the drawing."""

    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class Tick:
    """A mark on an axis."""

    at: float
    label: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """One row of values: as bars that stand on those before, or as a line through those that there are."""

    name: str
    #: Number of its colour, from 1.
    number: int
    values: Sequence[float | None]
    bars: Sequence[Bar] = ()
    #: Path of the line, as SVG has it.
    path: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """What is drawn, and the table behind it."""

    key: str
    title: str
    #: What is seen, in a sentence.
    summary: str
    unit: str
    series: Sequence[Series]
    x_ticks: Sequence[Tick]
    y_ticks: Sequence[Tick]
    #: A moment, and the value of each series then.
    rows: Sequence[tuple[datetime, Sequence[str]]]
    width: int = WIDTH
    height: int = HEIGHT
    left: int = _LEFT
    right: int = WIDTH - _RIGHT
    bottom: int = HEIGHT - _BOTTOM


def draw_throughput(points: Sequence[Point], *, step: timedelta, by_day: bool) -> Chart:
    """Return how many tries were done, put back and given up in each step."""
    names = ("done", "put back", "failed")
    columns = [
        [float(count) for count in counts]
        for counts in zip(
            *((p.tries.processed_count, p.tries.released_count, p.tries.failed_count) for p in points), strict=True
        )
    ] or [[], [], []]
    top = _get_top(max((sum(values) for values in zip(*columns, strict=True)), default=0.0))
    series, floors = [], [0.0] * len(points)
    for number, (name, values) in enumerate(zip(names, columns, strict=True), start=1):
        bars = [
            _make_bar(place, floors[place], value, len(points), top) for place, value in enumerate(values) if value > 0
        ]
        floors = [floor + value for floor, value in zip(floors, values, strict=True)]
        series.append(Series(name=name, number=number, values=values, bars=bars))
    total, failed = sum(columns[0]), sum(columns[2])
    return _make_chart(
        "throughput",
        f"Tries in {_describe(step)}",
        summary=f"{total:,.0f} done and {failed:,.0f} failed in this time.",
        unit="tries",
        series=series,
        points=points,
        top=top,
        by_day=by_day,
    )


def draw_times(points: Sequence[Point], *, kind: str, step: timedelta, by_day: bool) -> Chart:
    """Return the median, the 95th and the 99th percentile of run times or waits (``kind``) in each step, in seconds."""
    shares = ((0.5, "half"), (0.95, "95 %"), (0.99, "99 %"))
    series = []
    for number, (share, name) in enumerate(shares, start=1):
        found = [
            one.tries.get_run_percentile(share) if kind == "run" else one.tries.get_wait_percentile(share)
            for one in points
        ]
        values = [None if value is None else value.total_seconds() for value in found]
        series.append((number, name, values))
    longest = max((value for _, _, values in series for value in values if value is not None), default=0.0)
    top = _get_top(longest)
    lines = [
        Series(name=name, number=number, values=values, path=_draw_line(values, top)) for number, name, values in series
    ]
    title = "Run time" if kind == "run" else "Wait from due to begin"
    summary = f"The 99th percentile is at most {longest:,.3g} s in this time." if longest else "Nothing was tried."
    return _make_chart(
        kind,
        f"{title}, {_describe(step)} each",
        summary=summary,
        unit="s",
        series=lines,
        points=points,
        top=top,
        by_day=by_day,
    )


def _make_chart(
    key: str,
    title: str,
    *,
    summary: str,
    unit: str,
    series: Sequence[Series],
    points: Sequence[Point],
    top: float,
    by_day: bool,
) -> Chart:
    marks = [top * part / _TICKS for part in range(_TICKS + 1)]
    labelled = range(0, len(points), max(1, -(-len(points) // _LABELS)))
    form = "%d %b" if by_day else "%H:%M"
    rows = [
        (point.at, [_to_text(one.values[place], unit) for one in series])
        for place, point in enumerate(points)
        if any(one.values[place] for one in series)
    ]
    return Chart(
        key=key,
        title=title,
        summary=summary,
        unit=unit,
        series=series,
        x_ticks=[Tick(_x(place, len(points)), localtime(points[place].at).strftime(form)) for place in labelled],
        y_ticks=[Tick(_y(value, top), _label(value, unit)) for value in marks],
        rows=rows[::-1],
    )


def _label(value: float, unit: str) -> str:
    if unit != "s" or not value:
        return f"{value:,.4g}"
    return f"{value * 1000:,.3g} ms" if value < 1 else f"{value:,.3g} s"


def _get_top(value: float) -> float:
    """Return a round number that is no smaller; 1 for nothing."""
    if value <= 0:
        return 1.0
    power = 10.0 ** len(str(int(value))) / 10 if value >= 1 else 1.0
    while power > value:
        power /= 10
    return next(step * power for step in _STEPS if step * power >= value)


def _x(place: float, count: int) -> float:
    return round(_LEFT + (WIDTH - _LEFT - _RIGHT) * place / max(count, 1), 1)


def _y(value: float, top: float) -> float:
    return round(HEIGHT - _BOTTOM - (HEIGHT - _TOP - _BOTTOM) * min(value / top, 1.0), 1)


def _make_bar(place: int, floor: float, value: float, count: int, top: float) -> Bar:
    left, upper, lower = _x(place, count), _y(floor + value, top), _y(floor, top)
    width = max(_x(place + 1, count) - left - 1, 0.5)
    return Bar(left, upper, round(width, 1), round(max(lower - upper, 0.5), 1))


def _draw_line(values: Sequence[float | None], top: float) -> str:
    """Return the path through the values; a gap where there is none, and a dot where one stands alone."""
    parts, is_drawing = [], False
    for place, value in enumerate(values):
        if value is None:
            is_drawing = False
            continue
        parts.append(f"{'L' if is_drawing else 'M'}{_x(place + 0.5, len(values))} {_y(value, top)}")
        if not is_drawing:
            parts.append("h0.1")
        is_drawing = True
    return "".join(parts)


def _describe(step: timedelta) -> str:
    minutes = round(step.total_seconds() / 60)
    if minutes % 1440 == 0:
        return "a day" if minutes == 1440 else f"{minutes // 1440} days"
    if minutes % 60 == 0:
        return "an hour" if minutes == 60 else f"{minutes // 60} hours"
    return "a minute" if minutes == 1 else f"{minutes} minutes"


def _to_text(value: float | None, unit: str) -> str:
    if value is None:
        return "-"
    return f"{value:,.3f} s" if unit == "s" else f"{value:,.0f}"
