"""The side of the web: dispatches jobs all the while and tells what it was promised; and what the store holds then.

A program that reads a word on each line of its input: ``ready`` asks whether it dispatches, ``stop`` ends that,
``poison`` sends what nobody can run, ``state`` prints what the store holds as JSON.
"""

import json
import os
import random
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from itertools import count
from typing import Any, Final, override
from uuid import UUID, uuid4

import django

django.setup()

from django.conf import settings  # noqa: E402 - Django is set up first
from django.db import connection, connections, transaction  # noqa: E402 - as above
from django.db.models import Q  # noqa: E402 - as above
from django.utils import timezone  # noqa: E402 - as above

from jobs.batch import batch  # noqa: E402 - as above
from jobs.chain import chain  # noqa: E402 - as above
from jobs.clock import get_database_now  # noqa: E402 - as above
from jobs.drivers.base import Message, get_driver  # noqa: E402 - as above
from jobs.exceptions import JobArgumentError  # noqa: E402 - as above
from jobs.job import Job, dispatch_many  # noqa: E402 - as above
from jobs.models import Batch, FailedJob, OutboxJob, QueuedJob, Schedule, ScheduleRun, Slot  # noqa: E402 - as above
from jobs.scheduler import disable_schedules  # noqa: E402 - as above
from tests.faults import workload  # noqa: E402 - as above
from tests.faults.ledger import Entry, get_ledger  # noqa: E402 - as above
from tests.faults.plan import BATCH_JOBS, CHAIN_JOBS  # noqa: E402 - as above

#: How many keys there are of what is limited by key.
_GROUPS: Final = {"unique": 40, "alone": 3, "limited": 3}
#: How many of a limit are sent at once, more than it lets through.
_BURSTS: Final = {"alone": 3, "limited": 7}
_CLASSES: Final[Mapping[str, type[workload.TimedJob]]] = {
    "flaky": workload.FlakyJob, "hopeless": workload.HopelessJob, "unique": workload.UniqueJob,
    "alone": workload.AloneJob, "limited": workload.LimitedJob,
}  # fmt: skip
#: Shares of what is dispatched in a transaction that is taken back, or in any.
_ROLLED_BACK: Final = 0.05
_COMMITTED: Final = 0.35
#: What the transactions that are committed say themselves: key, id of the job or of what it belongs to, and the moment.
_COMMITS: Final = (
    "CREATE TABLE IF NOT EXISTS committed (id varchar(100) PRIMARY KEY, job varchar(100), noted_at double precision)"
)
#: How often each kind is dispatched.
_KINDS: Final[Mapping[str, float]] = {
    "quick": 60, "slow": 6, "flaky": 12, "hopeless": 4, "unique": 8, "alone": 1, "limited": 1, "delayed": 3,
    "batch": 0.5, "chain": 0.5,
}  # fmt: skip


class KnownHereOnlyJob(Job):
    """What no worker can import."""

    queue = "work"

    @override
    def handle(self) -> None:
        """Do nothing."""


class Producer:
    """Dispatches so many jobs a second, whatever happens."""

    def __init__(self, *, rate: float, slow_seconds: float, seed: int) -> None:
        """Take the rate, the longest run of a job in seconds, and what chance begins with."""
        self._rate = rate
        self._slow = slow_seconds
        self._chance = random.Random(seed)  # noqa: S311 - no secret
        self._numbers = count()
        self.is_over = threading.Event()

    def run(self) -> None:
        """Dispatch until told to stop."""
        try:
            while not self.is_over.wait(self._chance.expovariate(self._rate)):
                (kind,) = self._chance.choices(list(_KINDS), weights=list(_KINDS.values()))
                self._send(kind)
        finally:
            connections.close_all()

    def _send(self, kind: str) -> None:
        name = f"{kind}-{os.getpid()}-{next(self._numbers)}"
        keys, dispatch = self._prepare(kind, name)
        share = self._chance.random()
        ledger, started = get_ledger(), time.monotonic()
        try:
            if share < _COMMITTED:
                with transaction.atomic():
                    found = dispatch()
                    if found is not None:
                        _note_commit(found, keys)
                    transaction.set_rollback(share < _ROLLED_BACK)
            else:
                found = dispatch()
        except Exception as error:  # noqa: BLE001 - whatever is wrong, the web goes on
            detail = {"error": type(error).__name__, "text": str(error)[:200], "took": time.monotonic() - started}
            ledger.note(Entry(phase="not sent", group=name, detail=detail))
            connections.close_all()
        else:
            phase = "rolled back" if share < _ROLLED_BACK else "sent"
            detail = {"took": time.monotonic() - started}
            if found is not None:
                ledger.note(*(Entry(phase=phase, job=found, key=key, group=name, detail=detail) for key in keys))

    def _prepare(self, kind: str, name: str) -> tuple[list[str], Callable[[], str | None]]:
        """Return the keys of jobs, and what sends them: it returns the id of a single one, None where it isn't sent."""
        if kind == "batch":
            keys = [f"{name}/{number}" for number in range(BATCH_JOBS)]
            pending = batch([workload.TimedJob(key, name, 0.005) for key in keys]).name(name)
            pending.then(workload.on_then).finally_(workload.on_finally)
            return keys, lambda: str(pending.dispatch().id)
        if kind == "chain":
            keys = [f"{name}/{number}" for number in range(CHAIN_JOBS)]
            links = chain([workload.TimedJob(key, name, 0.005) for key in keys])
            return keys, lambda: str(links.dispatch())
        group = f"{kind}-{self._chance.randrange(_GROUPS[kind])}" if kind in _GROUPS else name
        if kind in _BURSTS:
            keys = [f"{group}/{name}-{number}" for number in range(_BURSTS[kind])]
            many = [_CLASSES[kind](key, group, self._chance.uniform(0.1, 0.2)) for key in keys]
            return keys, lambda: str(dispatch_many(many)[0])
        key = f"{group}/{name}" if kind in _GROUPS else name
        job = self._make(kind, key, group)
        return [key], lambda: _send_one(job)

    def _make(self, kind: str, key: str, group: str) -> Job:
        seconds = self._chance.uniform(0.4, 1) * self._slow if kind == "slow" else self._chance.uniform(0.005, 0.05)
        job = _CLASSES.get(kind, workload.TimedJob)(key, group, seconds)
        return job.delay_until(self._chance.uniform(0.5, 3)).get_job() if kind == "delayed" else job


def _send_one(job: Job) -> str | None:
    job_id = job.send()
    return str(job_id) if job.was_sent else None


def _note_commit(job: str, keys: Sequence[str]) -> None:
    """Let the transaction itself say that it was committed, whoever is killed then."""
    with connection.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO committed (id, job, noted_at) VALUES (%s, %s, %s)",
            [(key, job, time.monotonic()) for key in keys],
        )


def _list_committed() -> list[list[Any]]:  # Any: JSON
    """Return the key, the job and the moment of what was committed."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT id, job, noted_at FROM committed ORDER BY noted_at")
        return [list(row) for row in cursor.fetchall()]


def send_poison() -> None:
    """Send what can't be run: nonsense, a class that no worker has, too much; and a job that kills its process."""
    driver, now = get_driver(), get_driver().get_now()
    ids: list[UUID] = [uuid4(), KnownHereOnlyJob.dispatch()]
    row = Message(
        job_id=ids[0], queue="work", job_class="tests.TimedJob", payload='["os.system", null, ["true"], {}]',
        priority=0, available_at=now, created_at=now,
    )  # fmt: skip
    driver.push([row])
    get_ledger().note(*(Entry(phase="poison", job=str(one)) for one in ids))
    try:
        workload.TimedJob.dispatch("x" * 10_000_000, "", 0.0)
    except JobArgumentError:
        get_ledger().note(Entry(phase="too much"))
    deadly = workload.DeadlyJob("deadly", "deadly", 0.0)
    deadly.send()
    get_ledger().note(Entry(phase="sent", job=str(deadly.job_id), key="deadly", group="deadly", detail={"took": 0.0}))


def get_state() -> dict[str, Any]:  # Any: JSON
    """Return what the store holds."""
    figures = get_driver().measure()
    places = Slot.objects.filter(Q(expires_at=None) | Q(expires_at__gt=get_database_now())).exclude(
        Q(key="sweep") | Q(key__startswith="alerts")
    )
    runs = ScheduleRun.objects.order_by("run_at").values_list("run_at", "created_at", "job_id", "state")
    return {
        "held": {name: [one.waiting, one.delayed, one.running] for name, one in figures.items()},
        "jobs": [f"{one.job_id} {one.job_class} {one.state}" for one in get_driver().list_jobs(limit=20)],
        "rows": QueuedJob.objects.count(),
        "outbox": OutboxJob.objects.count(),
        "committed": _list_committed(),
        "failed": {str(one.job_id): one.is_quarantined for one in FailedJob.objects.all()},
        "batches": [
            {
                "name": one.name, "total": one.total_jobs, "pending": one.pending_jobs, "failed": one.failed_jobs,
                "is_finished": one.finished_at is not None,
            }
            for one in Batch.objects.all()
        ],
        "runs": [
            {"at": at.timestamp(), "late": (made - at).total_seconds(), "job": str(job), "state": state}
            for at, made, job, state in runs
        ],
        "places": list(places.values_list("key", flat=True)),
        "keys": _list_left_keys(),
        "wall": timezone.now().timestamp(),
        "monotonic": time.monotonic(),
    }  # fmt: skip


def _list_left_keys() -> list[str]:
    """Return the keys of Redis that belong to a job, a lease or a place that lasts."""
    if not settings.REDIS_URL or get_driver().name != "redis":
        return []
    from jobs.redis_scripts import OURS  # noqa: PLC0415 - a house without Redis has no such settings
    from tests.faults.redis_keys import list_left  # noqa: PLC0415 - as above

    return list_left(OURS)


def main() -> None:
    """Serve until the input ends."""
    rate, slow = sys.argv[1:]
    with connection.cursor() as cursor:
        cursor.execute(_COMMITS)
    producer = Producer(rate=float(rate), slow_seconds=float(slow), seed=os.getpid())
    thread = threading.Thread(target=producer.run)
    thread.start()
    for line in sys.stdin:
        answer: object = {"ok": True}
        try:
            match line.strip():
                case "ready":
                    pass
                case "stop":
                    producer.is_over.set()
                    thread.join()
                    disable_schedules(ids=Schedule.objects.values_list("pk", flat=True))
                case "poison":
                    send_poison()
                case _:
                    answer = get_state()
        except Exception as error:  # noqa: BLE001 - whoever asks may ask again
            connections.close_all()
            answer = {"error": f"{type(error).__name__}: {error}"[:500]}
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()
    producer.is_over.set()


if __name__ == "__main__":
    main()
