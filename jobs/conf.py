"""The settings of jobs, ``settings.JOBS``, typed."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final

from django.core.exceptions import ImproperlyConfigured

from project.settings_glance import read_setting

_YEAR: Final = 365 * 24 * 3600


@dataclass(frozen=True, slots=True, kw_only=True)
class JobSettings:
    """``settings.JOBS`` at the moment of the call."""

    #: Modules that define job classes; imported at start-up.
    modules: tuple[str, ...]
    #: Name of the connection that jobs take where nothing else is said.
    connection: str
    #: Options of each connection by its name; ``DRIVER`` is the import path of its driver.
    connections: Mapping[str, Mapping[str, Any]]  # Any: each driver has options of its own
    #: Queues by name, with the arguments of ``jobs.queues.define_queue``.
    queues: Mapping[str, Mapping[str, Any]]  # Any: as above
    #: Named pools of worker processes, with the arguments of ``jobs.worker.supervisors.SupervisorOptions``.
    supervisors: Mapping[str, Mapping[str, Any]]  # Any: as above
    #: Import paths of middleware that every job passes, the outermost first.
    middleware: tuple[str, ...]
    #: Where locks and limits are kept: name of a connection whose driver can, or "" for that of ``connection``.
    coordination: str
    #: What holds where neither the job nor its queue says anything.
    tries: int
    backoff: int | Sequence[int]
    timeout: int
    #: Whether dispatch waits for the end of the transaction.
    is_after_commit: bool
    #: Whether jobs for stores that take no part in transactions go through the outbox.
    has_outbox: bool
    #: Pause of an idle worker between two looks at the queue.
    sleep: timedelta
    #: Whether stores tell idle workers of new jobs, where they can.
    is_notifying: bool
    #: The oldest due job may wait this long before ``/readyz`` fails.
    max_wait: timedelta
    #: Where the oldest due job of a queue, or of the outbox, has waited for longer, that is told; 0: it isn't. The
    #: second one says so for single queues.
    long_wait: timedelta
    long_waits: Mapping[str, timedelta]
    #: Who gets a mail then, and how long it takes until the same queue is told of again.
    alert_emails: tuple[str, ...]
    alert_window: timedelta
    #: How long a worker holds what it has claimed; it renews that all the while, so a dead one holds nothing longer.
    lease: timedelta
    #: How many coroutines of jobs a worker process runs at a time.
    concurrency: int
    #: How often a worker may die, or lose its lease, under one job, before that goes to the failed jobs.
    max_crashes: int
    #: Longest stored record, in bytes.
    max_payload_bytes: int
    #: How long the figures of each minute are kept.
    metrics_kept: timedelta
    #: How long it stays listed that a job was done, and how many of those a process lists in a second.
    history_kept: timedelta
    history_per_second: int
    #: Names of classes, and tags, whose jobs are listed apart when they are done.
    silenced: frozenset[str]
    #: Who sends it as a bearer token may read ``/metrics``; empty: nobody may by a token.
    metrics_token: str = field(repr=False)


def get_job_settings() -> JobSettings:
    """Return the settings as they are now; whoever changes one puts another mapping in its place.

    Raises:
        ImproperlyConfigured: ``settings.JOBS`` lacks a key, has an unknown one or a wrong value; a line each.
    """
    values: Mapping[str, Any] = read_setting("JOBS")  # Any: each key has a type of its own
    if _Read.last is None or _Read.last[0] is not values:
        _Read.last = values, _read(values)
    return _Read.last[1]


class _Read:
    """What was read last, beside the mapping that it was read from: they are asked for many times for each job."""

    last: tuple[object, JobSettings] | None = None


def _read(values: Mapping[str, Any]) -> JobSettings:  # Any: as above
    if problems := [*_find_problems(values)]:
        message = "settings.JOBS is not usable yet:\n" + "\n".join(f"  {problem}" for problem in problems)
        raise ImproperlyConfigured(message)
    return JobSettings(
        modules=tuple(values["MODULES"]),
        connection=values["CONNECTION"],
        connections=values["CONNECTIONS"],
        queues=values["QUEUES"],
        supervisors=values["SUPERVISORS"],
        middleware=tuple(values["MIDDLEWARE"]),
        coordination=values["COORDINATION"],
        tries=values["TRIES"],
        backoff=values["BACKOFF"],
        timeout=values["TIMEOUT_SECONDS"],
        is_after_commit=values["AFTER_COMMIT"],
        has_outbox=values["OUTBOX"],
        sleep=timedelta(seconds=values["SLEEP_SECONDS"]),
        is_notifying=values["NOTIFY"],
        max_wait=timedelta(seconds=values["MAX_WAIT_SECONDS"]),
        long_wait=timedelta(seconds=values["LONG_WAIT_SECONDS"]),
        long_waits={name: timedelta(seconds=seconds) for name, seconds in values["LONG_WAITS"].items()},
        alert_emails=tuple(values["ALERT_EMAILS"]),
        alert_window=timedelta(seconds=values["ALERT_WINDOW_SECONDS"]),
        lease=timedelta(seconds=values["LEASE_SECONDS"]),
        concurrency=values["CONCURRENCY"],
        max_crashes=values["MAX_CRASHES"],
        max_payload_bytes=values["MAX_PAYLOAD_BYTES"],
        metrics_kept=timedelta(hours=values["METRICS_HOURS"]),
        history_kept=timedelta(minutes=values["HISTORY_MINUTES"]),
        history_per_second=values["HISTORY_PER_SECOND"],
        silenced=frozenset(values["SILENCED"]),
        metrics_token=values["METRICS_TOKEN"],
    )


def _find_problems(values: Mapping[str, object]) -> Iterator[str]:
    for name, (wanted, accepts) in _RULES.items():
        if name not in values:
            yield f"'{name}' is missing"
        elif not accepts(value := values[name]):  # texts and mappings may hold secrets
            shown = value if value is None or isinstance(value, int | float) else f"a {type(value).__name__}"
            yield f"'{name}' must be {wanted}, not {shown}"
    for name in sorted(values.keys() - _RULES.keys()):
        yield f"'{name}' is no key; docs/jobs.md has all"


def _is_number(lowest: float, highest: float = _YEAR) -> Callable[[object], bool]:
    return lambda value: isinstance(value, int | float) and not isinstance(value, bool) and lowest <= value <= highest


def _is_whole(lowest: int) -> Callable[[object], bool]:
    return lambda value: isinstance(value, int) and _is_number(lowest, 1_000_000_000)(value)


def _is_flag(value: object) -> bool:
    return isinstance(value, bool)


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _are_texts(value: object) -> bool:
    return isinstance(value, list | tuple | set | frozenset) and all(map(_is_text, value))


def _are_options(value: object) -> bool:
    return isinstance(value, Mapping) and all(isinstance(options, Mapping) for options in value.values())


def _are_waits(value: object) -> bool:
    return isinstance(value, Mapping) and all(map(_is_number(0), value.values()))


def _is_backoff(value: object) -> bool:
    if isinstance(value, list | tuple):
        return all(map(_is_number(0), value))
    return callable(value) or _is_number(0)(value)


_TEXTS: Final = ("a list of texts", _are_texts)
_OPTIONS: Final = ("a mapping of names to mappings", _are_options)
_FLAG: Final = ("True or False", _is_flag)
_SECONDS: Final = ("0 to 31,536,000 seconds", _is_number(0))
#: What each key may be, in words and as a function.
_RULES: Final[Mapping[str, tuple[str, Callable[[object], bool]]]] = {
    "MODULES": _TEXTS,
    "CONNECTION": ("the name of a connection", _is_text),
    "CONNECTIONS": _OPTIONS,
    "QUEUES": _OPTIONS,
    "SUPERVISORS": _OPTIONS,
    "MIDDLEWARE": _TEXTS,
    "COORDINATION": ("the name of a connection, or empty", _is_text),
    "TRIES": ("a whole number from 0 (without end)", _is_whole(0)),
    "BACKOFF": ("0 to 31,536,000 seconds, a list of such, or a function", _is_backoff),
    "TIMEOUT_SECONDS": ("0 (no limit) to 31,536,000 seconds", _is_number(0)),
    "AFTER_COMMIT": _FLAG,
    "OUTBOX": _FLAG,
    "SLEEP_SECONDS": ("0.01 to 3600 seconds", _is_number(0.01, 3600)),
    "NOTIFY": _FLAG,
    "MAX_WAIT_SECONDS": _SECONDS,
    "LONG_WAIT_SECONDS": _SECONDS,
    "LONG_WAITS": ("a mapping of queues to 0 to 31,536,000 seconds", _are_waits),
    "ALERT_EMAILS": _TEXTS,
    "ALERT_WINDOW_SECONDS": _SECONDS,
    "LEASE_SECONDS": ("0.1 to 31,536,000 seconds", _is_number(0.1)),
    "CONCURRENCY": ("a whole number from 1", _is_whole(1)),
    "MAX_CRASHES": ("a whole number from 0", _is_whole(0)),
    "MAX_PAYLOAD_BYTES": ("a whole number from 1", _is_whole(1)),
    "METRICS_HOURS": ("1 to 876,000 hours", _is_number(1, 876_000)),
    "HISTORY_MINUTES": ("1 to 525,600 minutes", _is_number(1, 525_600)),
    "HISTORY_PER_SECOND": ("a whole number from 0", _is_whole(0)),
    "SILENCED": _TEXTS,
    "METRICS_TOKEN": ("a text", _is_text),
}
