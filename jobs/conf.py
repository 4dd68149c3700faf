"""The settings of jobs, ``settings.JOBS``, typed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from django.core.exceptions import ImproperlyConfigured

from project.settings_glance import read_setting


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
        ImproperlyConfigured: ``settings.JOBS`` lacks a key.
    """
    values: Mapping[str, Any] = read_setting("JOBS")  # Any: each key has a type of its own
    if _Read.last is None or _Read.last[0] is not values:
        _Read.last = values, _read(values)
    return _Read.last[1]


class _Read:
    """What was read last, beside the mapping that it was read from: they are asked for many times for each job."""

    last: tuple[object, JobSettings] | None = None


def _read(values: Mapping[str, Any]) -> JobSettings:  # Any: as above
    try:
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
    except KeyError as error:
        message = f"settings.JOBS lacks {error}."
        raise ImproperlyConfigured(message) from error
