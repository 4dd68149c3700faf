"""Queues: what holds for all jobs of one, and letting one rest.

A queue needs no definition. One that is defined may say what holds for its jobs where they say nothing themselves, how
many jobs it may hold, and how fast it is worked off.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from jobs.backoff import Backoff
from jobs.conf import get_job_settings
from jobs.drivers.base import QueueDriver, get_driver
from jobs.exceptions import ConnectionsAwayError, JobOptionError, UnknownQueueError
from jobs.limits import RateLimit, is_count, is_span
from jobs.models.queued import EVERY_QUEUE
from jobs.options import JobOptions, is_queue_name
from jobs.signals import QueueBusy, QueuePaused, QueueResumed, queue_busy, queue_paused, queue_resumed

if TYPE_CHECKING:
    from jobs.middleware import Middleware

_NAMING: Final = "1 to 100 characters without comma, space, '*' or ':p'"


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueDefinition:
    """What holds for the jobs of one queue; None where it says nothing."""

    name: str
    #: Connection that its jobs take.
    connection: str | None = None
    #: How many jobs it may hold, waiting, delayed and running ones together.
    max_jobs: int | None = None
    #: How long dispatch waits for room before it raises ``QueueFull``, in seconds.
    wait_for_room_seconds: float = 0
    #: How many of its jobs may start in a while.
    rate_limit: RateLimit | None = None
    #: How many of its jobs may run at the same time.
    max_running: int | None = None
    #: Whether each of its jobs has a process to itself, which ends with it.
    isolate: bool = False
    tries: int | None = None
    backoff: Backoff | None = None
    timeout: int | float | None = None
    #: What its jobs pass, after what all jobs pass and before their own.
    middleware: Sequence["Middleware"] = field(default=())


_defined: Final[dict[str, QueueDefinition]] = {}
#: Those of the settings, each with the settings that it was made of.
_of_settings: Final[dict[str, tuple[object, QueueDefinition]]] = {}
#: Names that job classes brought along.
_mentioned: Final[set[str]] = set()


def define_queue(
    name: str,
    *,
    connection: str | None = None,
    max_jobs: int | None = None,
    wait_for_room_seconds: float = 0,
    rate_limit_enabled: bool = False,
    rate_limit_max_attempts: int = 100,
    rate_limit_per_seconds: float = 3600,
    max_running: int | None = None,
    isolate: bool = False,
    tries: int | None = None,
    backoff: Backoff | None = None,
    timeout: int | float | None = None,
    middleware: Sequence["Middleware"] = (),
) -> QueueDefinition:
    """Say what holds for the jobs of a queue; a second definition takes the place of the first.

    Args:
        name: 1 to 100 characters without comma, space, ``*`` or ``:p``.
        connection: Where its jobs go, unless they say so themselves.
        max_jobs: How many it may hold; dispatch beyond it raises ``QueueFull``.
        wait_for_room_seconds: How long dispatch waits for room before that.
        rate_limit_enabled: Whether the next two count.
        rate_limit_max_attempts: How many of its jobs may start …
        rate_limit_per_seconds: … in any so many seconds, over all workers.
        max_running: How many of its jobs may run at the same time, over all workers.
        isolate: Whether each of its jobs has a process to itself: none runs beside it, and the process ends with it.
        tries: See ``JobOptions``.
        backoff: See ``JobOptions``.
        timeout: See ``JobOptions``.
        middleware: What its jobs pass.

    Raises:
        JobOptionError: A value is out of range.
        UnknownConnectionError: There is no such connection.
    """
    JobOptions(queue=name, connection=connection, tries=tries, backoff=backoff, timeout=timeout).check(
        about=f"queue {name}"
    )
    if connection is not None:
        get_driver(connection)
    _check_words(
        name,
        max_jobs=max_jobs,
        max_running=max_running,
        isolate=isolate,
        wait_for_room_seconds=wait_for_room_seconds,
        middleware=middleware,
    )
    try:
        rate_limit = RateLimit(rate_limit_max_attempts, rate_limit_per_seconds)
    except ValueError as error:
        message = f"queue {name}: {error}"
        raise JobOptionError(message) from None
    definition = QueueDefinition(
        name=name,
        connection=connection,
        max_jobs=max_jobs,
        wait_for_room_seconds=wait_for_room_seconds,
        rate_limit=rate_limit if rate_limit_enabled else None,
        max_running=max_running,
        isolate=isolate,
        tries=tries,
        backoff=backoff,
        timeout=timeout,
        middleware=tuple(middleware),
    )
    _defined[name] = definition
    return definition


def _check_words(name: str, **words: object) -> None:
    for word, value in words.items():
        wanted, accepts = _WORDS[word]
        if value is not None and not accepts(value):
            message = f"queue {name}: {word} must be {wanted}, not {value!r:.50}."
            raise JobOptionError(message)


def _is_middleware(value: object) -> bool:
    """Say whether these are objects with a ``handle``; their class stands above this module."""
    return isinstance(value, Sequence) and all(
        not isinstance(one, type) and callable(getattr(one, "handle", None)) for one in value
    )


_WORDS: Final[Mapping[str, tuple[str, Callable[[object], bool]]]] = {
    "max_jobs": ("a whole number from 1", is_count),
    "max_running": ("a whole number from 1", is_count),
    "isolate": ("True or False", lambda value: isinstance(value, bool)),
    "wait_for_room_seconds": ("0 to 31,536,000 seconds", lambda value: value == 0 or is_span(value)),
    "middleware": ("objects with a method handle", _is_middleware),
}


def forget_queue(name: str) -> None:
    """Drop a definition that code has made; one from the settings holds again."""
    _defined.pop(name, None)


def mention_queue(name: str) -> None:
    """Take note of a queue that a job class names, which thereby is known."""
    _mentioned.add(name)


def get_queue(name: str) -> QueueDefinition:
    """Return what holds for a queue; nothing but its name where it isn't defined."""
    if (definition := _defined.get(name)) is not None:
        return definition
    queues = get_job_settings().queues
    known = _of_settings.get(name)
    if known is None or known[0] is not queues:
        known = _of_settings[name] = queues, _define_by_settings(name, queues.get(name, {}))
    return known[1]


def _define_by_settings(name: str, arguments: Mapping[str, Any]) -> QueueDefinition:  # Any: those of define_queue
    if not arguments:
        return QueueDefinition(name=name)
    try:
        return define_queue(name, **arguments)
    finally:
        _defined.pop(name, None)  # the settings may change


def list_queue_names() -> list[str]:
    """Return the names of all known queues, sorted."""
    return sorted({*_defined, *_mentioned, *get_job_settings().queues})


def describe_unknown_queues(names: Iterable[str]) -> str:
    """Return a sentence that names those to which no job of this code goes; empty where there are none."""
    known = list_queue_names()
    strange = [name for name in names if "*" not in name and name not in known]
    return f"No job goes to {', '.join(strange)}; known are {', '.join(known)}." if strange else ""


def list_isolated_queues() -> frozenset[str]:
    """Return the defined queues whose jobs each have a process to themselves."""
    return frozenset(name for name in {*_defined, *get_job_settings().queues} if get_queue(name).isolate)


def check_queue_is_known(name: str) -> None:
    """Make sure that some worker may be expected to serve a queue.

    Raises:
        UnknownQueueError: It is neither defined, nor in the settings, nor the queue of a job class.
    """
    if name in _defined or name in _mentioned or name in get_job_settings().queues:
        return
    if not is_queue_name(name):
        message = f"queue must be {_NAMING}."
        raise JobOptionError(message)
    message = (
        f"There is no queue {name!r}. Define it (jobs.queues.define_queue); known: {', '.join(list_queue_names())}."
    )
    raise UnknownQueueError(message)


def pause_queue(
    name: str = EVERY_QUEUE, *, connection: str | None = None, until: datetime | timedelta | None = None
) -> None:
    """Let no worker take a job from a queue, or from any, until a moment, or until it is resumed.

    Jobs in hand are finished, and dispatch goes on.

    Args:
        name: Of the queue; ``*`` stands for all.
        connection: That of ``JOBS["CONNECTION"]`` by default.
        until: A moment with a time zone, or a duration of at most a year from now; None: until ``resume_queue``.

    Raises:
        JobOptionError: No queue can be called so, or ``until`` is something else.
        UnknownConnectionError: There is no such connection.
        ConnectionsAwayError: One of a failover didn't answer; the queue rests in the others.
    """
    if name != EVERY_QUEUE and not is_queue_name(name):
        message = f"No queue can be called {name!r:.120}: {_NAMING}."
        raise JobOptionError(message)
    driver = get_driver(connection)
    end = _find_end(until, driver)
    away: ConnectionsAwayError | None = None
    try:
        driver.pause(name, until=end)
    except ConnectionsAwayError as error:
        away = error
    queue_paused.announce(QueuePaused(connection=driver.name, queue=name, until=end))
    if away is not None:
        raise away


def _find_end(until: object, driver: QueueDriver) -> datetime | None:
    """Return when a rest is over.

    Raises:
        JobOptionError: That is no moment.
    """
    match until:
        case None:
            return None
        case timedelta() if is_span(until.total_seconds()):
            return driver.get_now() + until
        case datetime() if until.utcoffset() is not None:
            with suppress(OverflowError):  # before the year 1 or after 9999 there
                return until.astimezone(UTC)
    shown = until if isinstance(until, datetime | timedelta) else type(until).__name__
    message = f"until must be a moment with a time zone, or a duration above 0 and of at most a year, not {shown}."
    raise JobOptionError(message)


def resume_queue(name: str = EVERY_QUEUE, *, connection: str | None = None) -> bool:
    """Let workers take jobs again; False where nothing rested. ``*`` ends the rest of all, not of single queues.

    Raises:
        UnknownConnectionError: There is no such connection.
        ConnectionsAwayError: One of a failover didn't answer, where the queue may rest on; the others go on.
    """
    driver = get_driver(connection)
    if "\x00" in name:  # PostgreSQL can't even look for it
        return False
    away: ConnectionsAwayError | None = None
    try:
        has_rested = driver.resume(name)
    except ConnectionsAwayError as error:
        away, has_rested = error, error.has_changed
    if has_rested:
        queue_resumed.announce(QueueResumed(connection=driver.name, queue=name))
    if away is not None:
        raise away
    return has_rested


def is_paused(name: str, *, connection: str | None = None) -> bool:
    """Say whether no worker takes jobs from a queue now."""
    pauses = get_driver(connection).list_pauses()
    return name in pauses or EVERY_QUEUE in pauses


def list_pauses(*, connection: str | None = None) -> dict[str, datetime | None]:
    """Return the queues that rest (``*`` for all), and until when."""
    return dict(get_driver(connection).list_pauses())


def monitor_queues(
    *,
    max_size: int,
    queues: Collection[str] | None = None,
    connection: str | None = None,
    now: datetime | None = None,
) -> dict[str, int]:
    """Tell, by the signal ``queue_busy``, of each queue that holds more jobs than that, running ones among them.

    ``queues``: only these; None looks at all.

    Returns:
        Those queues by name, and how many jobs each holds.
    """
    driver = get_driver(connection)
    figures = driver.measure(now=now or driver.get_now())
    sizes = {name: one.waiting + one.delayed + one.running for name, one in sorted(figures.items())}
    busy = {name: size for name, size in sizes.items() if size > max_size and (queues is None or name in queues)}
    for name, size in busy.items():
        queue_busy.announce(QueueBusy(connection=driver.name, queue=name, size=size))
    return busy
