"""How jobs get into the database, and how the workers that wait are told."""

import json
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Final

from django.db import connection

from jobs.conf import get_job_settings
from jobs.drivers.base import Message
from jobs.models import QueuedJob

#: Channel on which the names of queues are sent that have something due.
CHANNEL: Final = f"{QueuedJob._meta.db_table}_due"  # noqa: SLF001 - public, in spite of its name
_STORE: Final = """
    INSERT INTO jobs (job_id, queue, job_class, payload, priority, attempts, available_at, crashes, worker, created_at)
    SELECT job_id, queue, job_class, payload, priority, 0,
        CASE WHEN is_at_once THEN LEAST(available_at, clock_timestamp()) ELSE available_at END, 0, '', created_at
    FROM json_to_recordset(%s::json) AS pushed (
        job_id uuid, queue text, job_class text, payload text, priority smallint,
        available_at timestamptz, created_at timestamptz, is_at_once boolean
    )
    ON CONFLICT DO NOTHING
"""
_STORE_AND_TELL: Final = f"""
    WITH stored AS ({_STORE} RETURNING queue, available_at)
    SELECT pg_notify(%s, queue) FROM (SELECT DISTINCT queue FROM stored WHERE available_at <= clock_timestamp()) AS due
"""  # noqa: S608 - written above


def store(messages: Sequence[Message]) -> None:
    """Store jobs, and tell the workers that wait with the commit; those whose ids are stored already are left alone."""
    if connection.vendor == "postgresql":
        _store_together(messages)
    else:
        _store_each(messages)


def _store_together(messages: Sequence[Message]) -> None:
    """Store jobs and tell of them in one statement, which is the same for any number of them."""
    rows = [
        {
            "job_id": str(message.job_id),
            "queue": message.queue,
            "job_class": message.job_class,
            "payload": message.payload,
            "priority": message.priority,
            "available_at": message.available_at.isoformat(),
            "created_at": message.created_at.isoformat(),
            "is_at_once": message.is_at_once,
        }
        for message in messages
    ]
    with connection.cursor() as cursor:
        if is_notifying():
            cursor.execute(_STORE_AND_TELL, [json.dumps(rows), CHANNEL])
        else:
            cursor.execute(_STORE, [json.dumps(rows)])


def _store_each(messages: Sequence[Message]) -> None:
    """Store jobs in SQLite, which has no clock but the host's, and nobody to tell."""
    adapt = connection.ops.adapt_datetimefield_value
    rows = [
        (
            message.job_id.hex,
            message.queue,
            message.job_class,
            message.payload,
            message.priority,
            adapt(message.available_at),
            adapt(message.created_at),
        )
        for message in messages
    ]
    with connection.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO jobs (job_id, queue, job_class, payload, priority, attempts, available_at, crashes, worker,"
            " created_at) VALUES (%s, %s, %s, %s, %s, 0, %s, 0, '', %s) ON CONFLICT DO NOTHING",
            rows,
        )


def is_notifying() -> bool:
    """Say whether workers of this database are told of jobs."""
    return connection.vendor == "postgresql" and get_job_settings().is_notifying


def notify(pushed: Iterable[tuple[str, datetime]]) -> None:
    """Tell the workers that wait, with the commit, of queues that have something due now; in one statement."""
    if not is_notifying():
        return
    first: dict[str, datetime] = {}
    for queue, available_at in pushed:
        first[queue] = min(available_at, first.get(queue, available_at))
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_notify(%s, queue) FROM unnest(%s::text[], %s::timestamptz[]) AS pushed (queue, due)"
            " WHERE due <= clock_timestamp()",
            [CHANNEL, list(first), list(first.values())],
        )
