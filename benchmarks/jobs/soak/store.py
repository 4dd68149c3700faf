"""What the store holds, through the settings of the program that asks."""

import time
from collections.abc import Iterator
from typing import Final

from django.db import connection
from django.utils import timezone
from redis import Redis
from rq.defaults import RQ_KEY_PREFIX

from benchmarks.jobs.soak.evidence import Held
from jobs.conf import get_job_settings
from jobs.drivers.base import get_driver
from jobs.models import Batch, Counter, FailedJob, Hit, OutboxJob, QueuedJob, Slot
from jobs.redis_scripts import OURS

#: Keys that are no job's: names of queues, the last ends of workers, when entries were relayed, how far senders came
#: within the last hour, counts of limits.
_KEPT: Final = ("queues", "sequence", "ended:", "hits:", "number:", "lines:", "paused", "pushed:", "relayed")
#: A lock that nobody gives back: its life is the pause until the next round.
_SWEEP: Final = "sweep"
_ALERTS: Final = "alerts"


def look(*, is_whole: bool = False) -> Held:
    """Return what the store holds now; with what else was left where all of it is asked for, which takes longer."""
    now = timezone.now()
    figures = get_driver().measure(now=now).values()
    client = _connect()
    return Held(
        waiting=sum(one.waiting for one in figures),
        delayed=sum(one.delayed for one in figures),
        running=sum(one.running for one in figures),
        leases=QueuedJob.objects.filter(lease_id__isnull=False).count() + (_count_leases(client) if client else 0),
        outbox=OutboxJob.objects.count(),
        batches=Batch.objects.filter(finished_at=None).count(),
        failed=FailedJob.objects.count(),
        store_bytes=client.info("memory")["used_memory"] if client else _measure_database(),
        left=[*_list_rows(), *(_list_keys(client) if client else ())] if is_whole else [],
    )


def _connect() -> "Redis | None":
    if get_job_settings().connection != "redis":
        return None
    from django_rq import get_connection  # noqa: PLC0415 - reads its settings at import

    return get_connection("default")


def _count_leases(client: "Redis") -> int:
    return sum(client.zcard(f"{OURS}leases:{queue}") for queue in get_driver().list_queues())


def _measure_database() -> int:
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("SELECT pg_database_size(current_database())")
        else:
            cursor.execute("SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()")
        return int(cursor.fetchone()[0])


def _list_rows() -> Iterator[str]:
    now = timezone.now()
    for model in (QueuedJob, OutboxJob):
        yield from (f"{model.__name__} {key}" for key in model.objects.values_list("job_id", flat=True))
    for slot in (
        Slot.objects.exclude(key__endswith=_SWEEP).exclude(key__startswith=_ALERTS).exclude(expires_at__lte=now)
    ):
        yield f"Slot {slot.key}"
    for lasting in (Hit, Counter):
        yield from (
            f"{lasting.__name__} {key}" for key in lasting.objects.filter(expires_at__gt=now).values_list("key")
        )


def _list_keys(client: "Redis") -> Iterator[str]:
    now = time.time() * 1_000_000
    for raw in client.scan_iter(f"{RQ_KEY_PREFIX}:*", count=1_000):
        key = raw.decode()
        name = key.removeprefix(OURS)
        if name.startswith("places:"):
            # Redis forgets places a minute after the last of them is free.
            yield from [key] * (0 if name == f"places:{_SWEEP}" else client.zcount(key, now, "+inf"))
        elif key.startswith(OURS) and name.startswith(_KEPT):
            continue
        elif key != f"{RQ_KEY_PREFIX}:queues" and not key.startswith(f"{RQ_KEY_PREFIX}:failed:"):
            yield key
