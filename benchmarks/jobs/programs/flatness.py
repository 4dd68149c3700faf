"""How long one claim takes among few jobs and among very many, on the connection of ours that the environment names.

Prints JSON: for each of waiting, delayed and failed jobs in the store two medians in seconds, few jobs first.
"""

import json
import statistics
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from itertools import batched
from uuid import uuid4

import django
from django.conf import settings
from django.db import connection
from django.utils import timezone
from redis import Redis

django.setup()

from benchmarks.jobs.programs.house_jobs import NoopJob  # noqa: E402 - after Django is set up
from jobs.drivers.base import get_driver  # noqa: E402 - as above
from jobs.models import FailedJob, QueuedJob  # noqa: E402 - as above
from jobs.services import make_messages  # noqa: E402 - as above

_FEW = 1_000
_CHUNK = 1_000
_CLAIMS = 300
_driver = get_driver()
_client = Redis.from_url(settings.REDIS_URL) if settings.REDIS_URL else None
[_pattern] = make_messages([NoopJob().make_record()], now=timezone.now())


def _push(count: int, *, delay: timedelta = timedelta(0)) -> None:
    due_at = timezone.now() + delay
    for chunk in batched(range(count), _CHUNK, strict=False):
        messages = [replace(_pattern, job_id=uuid4(), available_at=due_at) for _ in chunk]
        while True:
            with suppress(*_driver.outage_errors):  # a server of so much memory stands still while it forks to save
                _driver.push(messages)
                break


def _push_delayed(count: int) -> None:
    _push(count, delay=timedelta(days=1))
    _push(_FEW)


def _push_failed(count: int) -> None:
    """Store failed jobs as the driver does: a row each and, in Redis, an entry of RQ's registry with its hash."""
    now = timezone.now()
    for chunk in batched(range(count), _CHUNK, strict=False):
        rows = [
            FailedJob(
                job_id=uuid4(), connection=_driver.name, queue=_pattern.queue, job_class=_pattern.job_class,
                payload=_pattern.payload, attempts=1, exception="ValueError", failed_at=now,
            )
            for _ in chunk
        ]  # fmt: skip
        FailedJob.objects.bulk_create(rows)
        if _client is not None:
            pipeline = _client.pipeline(transaction=False)
            end = now.timestamp() + 7 * 24 * 3600
            pipeline.zadd(f"rq:failed:{_pattern.queue}", {str(row.job_id): end for row in rows})
            for row in rows:
                pipeline.hset(f"rq:job:{row.job_id}", mapping={"status": "failed", "origin": _pattern.queue})
            pipeline.execute()
    _push(_FEW)


def _empty() -> None:
    if _client is not None:
        _client.flushdb(asynchronous=False)  # else the server is busy with it for a while
    verb = "TRUNCATE" if connection.vendor == "postgresql" else "DELETE FROM"
    with connection.cursor() as cursor:
        for model in (QueuedJob, FailedJob):
            cursor.execute(f"{verb} {model._meta.db_table}")  # noqa: SLF001 - public, in spite of its name
        cursor.execute("VACUUM" if connection.vendor == "sqlite" else "CHECKPOINT")


def _claim() -> float:
    """Return how long a claim takes: the median of many, each of which is finished at once."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:  # what autovacuum does within a minute
            cursor.execute("VACUUM ANALYZE")
    taken = []
    for _ in range(_CLAIMS):
        started = time.perf_counter()
        [claim] = _driver.claim(queues=[_pattern.queue], worker="benchmark")
        taken.append(time.perf_counter() - started)
        _driver.finish(claim)
    return statistics.median(taken)


def main(many: int) -> None:
    """Measure and print."""
    ways: dict[str, Callable[[int], None]] = {"waiting": _push, "delayed": _push_delayed, "failed": _push_failed}
    found: dict[str, list[float]] = {}
    for name, fill in ways.items():
        found[name] = []
        for count in (_FEW, many):
            _empty()
            fill(count)
            found[name].append(_claim())
    _empty()
    sys.stdout.write(json.dumps(found))


if __name__ == "__main__":
    main(int(sys.argv[1]))
