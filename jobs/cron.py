"""When an entry of the schedule is due: cron expressions and intervals, in a time zone, and the same in words.

A time of day that the clocks leave out counts once, at the moment when they go on; one that they show twice counts
the first time. An expression that names every hour means elapsed time, so it goes on through a repeated hour.
"""

import difflib
import re
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from itertools import islice
from typing import Final
from zoneinfo import ZoneInfo, available_timezones

from cronsim import CronSim, CronSimError

from jobs.exceptions import ScheduleTimingError

MAX_INTERVAL: Final = timedelta(days=3_650)
MAX_EXPRESSION_LENGTH: Final = 100
_ALIASES: Final = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
_FIELDS: Final = ("minute", "hour", "day of the month", "month", "day of the week")
_WINDOW: Final = timedelta(hours=1)
_SECOND: Final = timedelta(seconds=1)
_UNITS: Final = (("day", 86_400), ("hour", 3_600), ("minute", 60), ("second", 1))
_STEP: Final = re.compile(r"\*/([1-9][0-9]?)")


@dataclass(frozen=True, slots=True)
class Timing:
    """When an entry is due: a cron expression in a zone, or an interval."""

    cron: str = ""
    interval: timedelta | None = None
    timezone: str = "UTC"

    def check(self) -> None:
        """Make sure that it says when.

        Raises:
            ScheduleTimingError: It says nothing, both, or something that never comes.
        """
        if bool(self.cron) == (self.interval is not None):
            raise ScheduleTimingError("Say either a cron expression or an interval.", field="cron")
        get_zone(self.timezone)
        if self.interval is not None:
            check_interval(self.interval)
        else:
            self.get_next(datetime.now(UTC))

    def get_next(self, after: datetime) -> datetime:
        """Return the first moment after this one; of an interval the one that ends it.

        Raises:
            ScheduleTimingError: It can't be read, or never comes.
        """
        if self.interval is not None:
            return after.astimezone(UTC) + self.interval  # sums in a zone would be sums on its walls
        return get_next_run(self.cron, zone=self.timezone, after=after)

    def list_next(self, after: datetime, *, count: int) -> list[datetime]:
        """Return the next moments, fewer where the calendar ends. Raises as ``get_next`` does."""
        return list(islice(self._iterate(after), count))

    def list_due(self, first: datetime, now: datetime, *, last: int) -> list[datetime]:
        """Return the last moments from ``first``, which is one, until now. Raises as ``get_next`` does.

        A long time may lie between, so it is looked at from its end.
        """
        first, now = first.astimezone(UTC), now.astimezone(UTC)
        if self.interval is not None:
            count = (now - first) // self.interval
            return [first + self.interval * number for number in range(max(count - last + 1, 0), count + 1)]
        window = _WINDOW
        while now - window > first:
            if len(found := self._list_between(now - window, now, last)) >= last:
                return found
            window *= 4
        return self._list_between(first - _SECOND, now, last)

    def get_next_after(self, run_at: datetime, now: datetime) -> datetime:
        """Return the first moment after now, in step with ``run_at``, which was one. Raises as ``get_next`` does."""
        run_at, now = run_at.astimezone(UTC), now.astimezone(UTC)
        if self.interval is None or run_at > now:
            return self.get_next(max(run_at, now))
        return run_at + self.interval * ((now - run_at) // self.interval + 1)

    def describe(self) -> str:
        """Return it in words, such as ``every day at 03:00, Europe/Berlin``."""
        if self.interval is not None:
            return f"every {_describe_duration(self.interval)}"
        return f"{describe_cron(self.cron)}, {self.timezone}"

    def _iterate(self, after: datetime) -> Iterator[datetime]:
        while True:
            after = self.get_next(after)
            yield after

    def _list_between(self, after: datetime, end: datetime, last: int) -> list[datetime]:
        found: deque[datetime] = deque(maxlen=last)
        for moment in self._iterate(after):
            if moment > end:
                break
            found.append(moment)
        return list(found)


def get_zone(name: str) -> ZoneInfo:
    """Return a time zone.

    Raises:
        ScheduleTimingError: There is none of that name; the text says which is meant, perhaps.
    """
    try:
        if name in _list_zones():
            return ZoneInfo(name)
    except (OSError, ValueError):  # the files of the system lack it after all
        pass
    near = difflib.get_close_matches(name.strip().title(), _list_zones(), n=1)
    hint = f" Did you mean {near[0]}?" if near else " Write it as Europe/Berlin, or UTC."
    message = f"There is no time zone {name!r}.{hint}"
    raise ScheduleTimingError(message, field="timezone")


def check_interval(interval: timedelta) -> None:
    """Make sure that an interval makes sense.

    Raises:
        ScheduleTimingError: It is shorter than a second, longer than ten years, or has a part of a second.
    """
    if not _SECOND <= interval <= MAX_INTERVAL or interval.microseconds:
        message = "An interval is a whole number of seconds, from 1 to 315,360,000 (ten years)."
        raise ScheduleTimingError(message, field="interval_seconds")


def get_next_run(expression: str, *, zone: str, after: datetime) -> datetime:
    """Return the first moment after this one that an expression means, in UTC.

    Raises:
        ScheduleTimingError: The expression or the zone can't be read, or the moment never comes.
    """
    fields = split_expression(expression)
    place = get_zone(zone)
    start = after.astimezone(place)
    if is_hourly(fields):
        # Minute by minute through real time; the star keeps the library from reading a clock that jumps.
        return _step(CronSim(" ".join([fields[0], "*", *fields[2:]]), start), expression).astimezone(UTC)
    clock = CronSim(" ".join(fields), start.replace(tzinfo=None))
    while True:
        moment = _to_moment(_step(clock, expression), place)
        # Times that the clocks leave out fall together, and the second showing of an hour lies behind the first.
        if moment > after:
            return moment


def split_expression(expression: str) -> list[str]:
    """Return the five fields of an expression.

    Raises:
        ScheduleTimingError: They aren't five, or one of them can't be read; the text says which.
    """
    text = _ALIASES.get(expression.strip().lower(), expression)
    if len(text) > MAX_EXPRESSION_LENGTH:
        raise ScheduleTimingError("A cron expression has at most 100 characters.", field="cron")
    fields = text.split()
    if len(fields) != len(_FIELDS):
        known = ", ".join(sorted(_ALIASES))
        message = (
            f"{expression!r} has {len(fields)} fields. A cron expression has five (minute, hour, day, month, weekday), "
            f"such as '0 3 * * *', or is one of {known}."
        )
        raise ScheduleTimingError(message, field="cron")
    for number, (name, field) in enumerate(zip(_FIELDS, fields, strict=True)):
        try:
            _read(" ".join(field if place == number else "*" for place in range(len(_FIELDS))))
        except CronSimError:
            message = f"The field {field!r} can't be the {name}. {_HINTS[number]}"
            raise ScheduleTimingError(message, field="cron") from None
    try:
        _read(" ".join(fields))
    except CronSimError:
        raise _never(expression) from None
    return fields


def is_hourly(fields: list[str]) -> bool:
    """Say whether an expression names every hour of the day."""
    return len(_read(f"* {fields[1]} * * *").hours) == 24


def describe_cron(expression: str) -> str:
    """Return an expression in words; the expression itself where there are none that are shorter."""
    try:
        fields = split_expression(expression)
        words = _describe_plain(fields) or _read(" ".join(fields)).explain()
    except (ScheduleTimingError, CronSimError, ValueError):
        return expression
    return words[:1].lower() + words[1:] if len(words) <= MAX_EXPRESSION_LENGTH else expression


_HINTS: Final = (
    "It takes 0-59, lists (0,30), ranges (10-20) and steps (*/5).",
    "It takes 0-23, lists (9,18), ranges (9-17) and steps (*/2).",
    "It takes 1-31, L (the last day), LW (the last one from Monday to Friday), lists, ranges and steps.",
    "It takes 1-12 or JAN-DEC, lists, ranges and steps.",
    "It takes 0-7 or SUN-SAT (0 and 7 are Sunday), MON#2 (the second Monday), 5L (the last Friday), lists, ranges.",
)


@lru_cache(maxsize=1)
def _list_zones() -> frozenset[str]:
    return frozenset(available_timezones())


def _read(expression: str) -> CronSim:
    return CronSim(expression, datetime(2000, 1, 1))  # noqa: DTZ001 - a time on the wall


def _step(clock: CronSim, expression: str) -> datetime:
    try:
        return next(clock)
    except (StopIteration, OverflowError):
        raise _never(expression) from None


def _never(expression: str) -> ScheduleTimingError:
    return ScheduleTimingError(f"The moment that {expression!r} means never comes.", field="cron")


def _to_moment(wall: datetime, zone: ZoneInfo) -> datetime:
    """Return when clocks show this for the first time; where they leave it out, when they go on."""
    while True:
        moment = wall.replace(tzinfo=zone).astimezone(UTC)
        if moment.astimezone(zone).replace(tzinfo=None, fold=0) == wall:
            return moment
        wall += timedelta(minutes=1)


def _describe_plain(fields: list[str]) -> str:
    """Return words for the expressions that most entries have; nothing for others."""
    minute, hour, *days = fields
    if days != ["*", "*", "*"]:
        return ""
    if hour == "*" and minute == "*":
        return "every minute"
    if hour == "*" and (step := _STEP.fullmatch(minute)) and 60 % int(step[1]) == 0:
        return f"every {_count(int(step[1]), 'minute')}"
    if minute == "0" and hour == "*":
        return "every hour"
    if minute.isdigit() and hour.isdigit():
        return f"every day at {int(hour):02}:{int(minute):02}"
    return ""


def _describe_duration(duration: timedelta) -> str:
    left = int(duration.total_seconds())
    parts = []
    for name, size in _UNITS:
        count, left = divmod(left, size)
        if count:
            parts.append((count, name))
    if len(parts) == 1:
        return _count(*parts[0])
    return " ".join(f"{count} {name}{'s' if count != 1 else ''}" for count, name in parts)


def _count(count: int, name: str) -> str:
    return name if count == 1 else f"{count} {name}s"
