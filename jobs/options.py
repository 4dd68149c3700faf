"""What can be said about how a job runs: for one job, for its class, for its queue, for all; the first one holds."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from jobs.backoff import MAX_SECONDS, Backoff, Exponential
from jobs.callables import find_callable, name_callable
from jobs.exceptions import JobOptionError, PayloadError
from project.printable import to_storable

MAX_PRIORITY: Final = 255
MAX_QUEUE_NAME_LENGTH: Final = 100
_MAX_TRIES: Final = 1_000_000
_MAX_TAGS: Final = 50
_MAX_TAG_LENGTH: Final = 200

#: A wait: seconds, or a duration, or the moment at which it ends.
type Delay = int | float | timedelta | datetime


@dataclass(slots=True, kw_only=True)
class JobOptions:
    """What was said for one job alone; None leaves it to the class, the queue and the settings."""

    queue: str | None = None
    connection: str | None = None
    #: How often it is tried in all; 0 means without end.
    tries: int | None = None
    backoff: Backoff | None = None
    #: Seconds; 0 means no limit.
    timeout: int | float | None = None
    #: 0 to 255; of the due jobs of one queue the highest runs first.
    priority: int | None = None
    delay: Delay | None = None
    #: Fails when it has raised so often, however many tries are left.
    max_exceptions: int | None = None
    #: Tried until then, a moment or a duration from dispatch, however often; ``tries`` is not asked.
    retry_until: timedelta | datetime | None = None
    #: Whether a try that takes too long is the last one.
    is_failed_on_timeout: bool | None = None
    #: Whether dispatch waits for the end of the transaction.
    is_after_commit: bool | None = None
    tags: tuple[str, ...] = field(default=())
    #: Queue and connection of what is chained to it.
    chain_queue: str | None = None
    chain_connection: str | None = None

    def check(self, *, about: str = "") -> None:
        """Make sure that all that was said is in range.

        Raises:
            JobOptionError: Something isn't; the text says what, and what may be.
        """
        for name, rule in _RULES.items():
            value = getattr(self, name)
            if value is not None and not rule.accepts(value):
                subject = f"{about}: " if about else ""
                message = f"{subject}{name} must be {rule.words}, not {_show(value)}."
                raise JobOptionError(message)

    def encode(self) -> dict[str, object]:
        """Return what was said as JSON values, without what a driver keeps in columns of its own.

        Raises:
            JobDefinitionError: The back-off is a function that can't travel.
        """
        encoded: dict[str, object] = {}
        for name in _STORED:
            value = getattr(self, name)
            if value is not None and (name != "tags" or value):
                encoded[name] = _encode(value)
        return encoded

    @classmethod
    def decode(cls, encoded: Mapping[str, Any]) -> "JobOptions":  # Any: checked at once
        """Return what ``encode`` was called on.

        Raises:
            PayloadError: It is nothing that ``encode`` returns.
        """
        if not encoded:
            return cls()
        try:
            options = cls(**{name: _decode(name, value) for name, value in encoded.items()})
            options.check()
        except (TypeError, ValueError, KeyError) as error:
            message = f"The options of the record can't be read ({type(error).__name__})."
            raise PayloadError(message) from None
        return options


def is_queue_name(name: object) -> bool:
    """Say whether this can be the name of a queue: 1 to 100 characters without comma, space, ``*`` or ``:p``."""
    return (
        isinstance(name, str)
        and 0 < len(name) <= MAX_QUEUE_NAME_LENGTH
        and name.isprintable()
        and ":p" not in name  # with this the queues of single priorities are called on Redis
        and not any(character.isspace() or character in ",*" for character in name)
    )


def is_queue_pattern(pattern: object) -> bool:
    """Say whether this can be a pattern of queues' names: one in which ``*`` may stand for any characters."""
    return isinstance(pattern, str) and is_queue_name(pattern.replace("*", "x"))


def serves_queue(patterns: Sequence[str], name: str) -> bool:
    """Say whether a queue is among those that these names and patterns mean; none means every queue."""
    return not patterns or any(matches_queue(pattern, name) for pattern in patterns)


def matches_queue(pattern: str, name: str) -> bool:
    """Say whether a pattern, in which ``*`` stands for any characters, or none, means this queue."""
    first, *others = pattern.split("*")
    if not others:
        return name == pattern
    *middle, last = others
    if not name.startswith(first) or not name.endswith(last) or len(name) < len(first) + len(last):
        return False
    place, end = len(first), len(name) - len(last)
    for part in middle:
        found = name.find(part, place, end)
        if found < 0:
            return False
        place = found + len(part)
    return True


def get_due_time(delay: Delay | None, *, now: datetime) -> datetime:
    """Return the moment at which a wait that begins now is over; now where there is none."""
    if delay is None:
        return now
    if isinstance(delay, datetime):
        return max(delay.astimezone(UTC), now)
    return now + (delay if isinstance(delay, timedelta) else timedelta(seconds=delay))


@dataclass(frozen=True, slots=True)
class _Rule:
    words: str
    accepts: Callable[[Any], bool]  # Any: whatever somebody set


def _is_whole(lowest: int, highest: int) -> Callable[[Any], bool]:  # Any: as above
    return lambda value: isinstance(value, int) and not isinstance(value, bool) and lowest <= value <= highest


def _is_wait(value: Any) -> bool:  # Any: as above
    if isinstance(value, timedelta):
        value = value.total_seconds()
    return (
        isinstance(value, int | float)
        and not isinstance(value, bool)
        and math.isfinite(value)
        and 0 <= value <= MAX_SECONDS
    )


def _is_delay(value: Any) -> bool:  # Any: as above
    return value.tzinfo is not None if isinstance(value, datetime) else _is_wait(value)


def _is_backoff(value: Any) -> bool:  # Any: as above
    if isinstance(value, list | tuple):
        return all(_is_wait(wait) for wait in value)
    return callable(value) or (_is_wait(value) and not isinstance(value, timedelta))


def _are_tags(value: Any) -> bool:  # Any: as above
    return len(value) <= _MAX_TAGS and all(map(_is_tag, value))


def _is_tag(value: Any) -> bool:  # Any: as above
    return isinstance(value, str) and 0 < len(value) <= _MAX_TAG_LENGTH and to_storable(value) == value


def _is_flag(value: Any) -> bool:  # Any: as above
    return isinstance(value, bool)


_RULES: Final[Mapping[str, _Rule]] = {
    "queue": _Rule("1 to 100 characters without comma, space, '*' or ':p'", is_queue_name),
    "connection": _Rule("the name of a connection", lambda value: isinstance(value, str) and value != ""),
    "chain_queue": _Rule("1 to 100 characters without comma, space, '*' or ':p'", is_queue_name),
    "chain_connection": _Rule("the name of a connection", lambda value: isinstance(value, str) and value != ""),
    "tries": _Rule("a whole number from 0 (without end)", _is_whole(0, _MAX_TRIES)),
    "backoff": _Rule("0 to 31,536,000 seconds, a list of such, or a function", _is_backoff),
    "timeout": _Rule(
        "0 (no limit) to 31,536,000 seconds", lambda value: _is_wait(value) and not isinstance(value, timedelta)
    ),
    "priority": _Rule("a whole number from 0 to 255", _is_whole(0, MAX_PRIORITY)),
    "delay": _Rule("0 to 31,536,000 seconds, a duration, or a moment with a time zone", _is_delay),
    "max_exceptions": _Rule("a whole number from 1", _is_whole(1, _MAX_TRIES)),
    "retry_until": _Rule(
        "a duration or a moment with a time zone",
        lambda value: isinstance(value, timedelta | datetime) and _is_delay(value),
    ),
    "is_failed_on_timeout": _Rule("True or False", _is_flag),
    "is_after_commit": _Rule("True or False", _is_flag),
    "tags": _Rule("at most 50 texts of 1 to 200 characters without NUL and lone surrogates", _are_tags),
}
#: Options that travel in the record; a driver keeps queue, priority and delay.
_STORED: Final = tuple(
    one.name
    for one in fields(JobOptions)
    if one.name
    not in {"queue", "connection", "priority", "delay", "is_after_commit", "chain_queue", "chain_connection"}
)


def _encode(value: object) -> object:
    match value:
        case Exponential():
            return {one.name: getattr(value, one.name) for one in fields(value)}
        case timedelta():
            return {"seconds": value.total_seconds()}
        case datetime():
            return {"at": value.isoformat()}
        case tuple() | list():
            return list(value)
        case _ if callable(value):
            return {"function": name_callable(value)}
        case _:
            return value


def _decode(name: str, value: Any) -> Any:  # Any: JSON in, whatever the option is out
    match name, value:
        case ("backoff", {"function": path}):
            return find_callable(path)
        case ("backoff", dict()):
            return Exponential(**value)
        case (_, {"seconds": seconds}):
            return timedelta(seconds=seconds)
        case (_, {"at": text}):
            return datetime.fromisoformat(text)
        case ("tags" | "backoff", list()):
            return tuple(value)
        case _:
            return value


def _show(value: object) -> str:
    return repr(value) if isinstance(value, int | float | str | Sequence | timedelta) else type(value).__name__
