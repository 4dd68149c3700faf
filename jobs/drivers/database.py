"""The driver that keeps jobs in the default database: no other service, and dispatch is part of the transaction."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from functools import cache, reduce
from itertools import batched
from operator import or_
from typing import Any, ClassVar, Final, override
from uuid import UUID, uuid4

from django.db import DEFAULT_DB_ALIAS, InterfaceError, OperationalError, connection, transaction
from django.db.models import (
    Case,
    F,
    Q,
    QuerySet,
    When,
)
from django.db.models.expressions import RawSQL
from django.db.models.functions import Greatest

from jobs.clock import get_database_now
from jobs.conf import get_job_settings
from jobs.drivers.base import UNKNOWN, Burial, Claim, Message, QueueDriver
from jobs.drivers.failures import has_stored, store_failure
from jobs.drivers.inventory import JobSearch, JobState, QueueFigures, StoredJob
from jobs.drivers.listening import Listener, PostgreSQLListener
from jobs.drivers.pushing import CHANNEL, is_notifying, notify, store
from jobs.drivers.reading import MAX_ATTEMPTS, MAX_CRASHES, Reader
from jobs.drivers.states import is_due, is_free, is_lasting, is_paused
from jobs.drivers.stored import (
    CLAIMED,
    ORDER,
    READ,
    as_stored,
    browse_stored,
    find_stored,
    list_stored,
    measure_stored,
    to_bytes,
)
from jobs.exceptions import QueueFull
from jobs.models import QueuedJob, QueuePause
from jobs.models.queued import EVERY_QUEUE

_CHUNK = 1_000
#: What a try leaves that was never begun.
_ONE_TRY_LESS: Final = Greatest(F("attempts") - 1, 0)
#: Goes from one name to the next on the index, past the rows between.
_NAMES = """
    WITH RECURSIVE found (queue) AS (
        SELECT min(queue) FROM jobs
        UNION ALL SELECT (SELECT min(jobs.queue) FROM jobs WHERE jobs.queue > found.queue) FROM found
        WHERE found.queue IS NOT NULL
    )
    SELECT queue FROM found WHERE queue IS NOT NULL
"""


class DatabaseDriver(QueueDriver):
    """PostgreSQL with SKIP LOCKED, or SQLite with its one writer."""

    outage_errors: ClassVar[tuple[type[Exception], ...]] = (OperationalError, InterfaceError)
    is_transactional: ClassVar[bool] = True
    #: Whether the last claim found nothing, so that the next one had better look whether there is something at all.
    _is_idle = False

    @override
    def get_now(self) -> datetime:
        return get_database_now()

    @override
    def push(self, messages: Sequence[Message], *, limits: Mapping[str, int] | None = None) -> None:
        if not messages:
            return
        if not limits and len(messages) == 1:  # one statement is a transaction by itself
            with transaction.mark_for_rollback_on_error(DEFAULT_DB_ALIAS):
                store(messages)
            return
        with transaction.atomic():
            # In one order, so that two who fill the same queues don't wait for each other.
            for queue, limit in sorted((limits or {}).items()):
                _check_room(queue, limit, new=sum(message.queue == queue for message in messages))
            for some in batched(messages, _CHUNK, strict=False):
                store(some)

    @override
    def claim(
        self, *, queues: Sequence[str], worker: str, count: int = 1, now: datetime | None = None
    ) -> Sequence[Claim]:
        now = now or self.get_now()
        # SQLite's transaction takes the write lock at BEGIN, which an idle worker must not do.
        if not connection.features.has_select_for_update and not _within(_list_due(now), queues).exists():
            return []
        # One look per queue keeps each on its index; one look for all would sort every due job.
        take = _update_returning if connection.vendor == "postgresql" else _update_locked
        wanted: Sequence[str | None] = queues or [None]
        if self._is_idle and len(queues) > 1 and connection.vendor == "postgresql":
            wanted = _find_due_queues(queues, now)
        looks = (take(queue, worker, count, now, self.name) for queue in wanted)
        found: Sequence[Claim] = next((claims for claims in looks if claims), [])
        self._is_idle = not found
        return found

    @override
    def listen(self, queues: Sequence[str]) -> Sequence[Listener]:
        return [PostgreSQLListener(queues, channel=CHANNEL)] if is_notifying() else []

    @override
    def finish(self, claim: Claim, *, followers: Sequence[Message] = ()) -> bool:
        if not followers:
            return _delete(claim)
        with transaction.atomic():
            if not _delete(claim):
                return False
            self.push(followers)
        return True

    @override
    def exchange(
        self, done: Sequence[Claim], *, queues: Sequence[str], worker: str, count: int, now: datetime | None = None
    ) -> tuple[int, Sequence[Claim]]:
        if not done:
            return 0, self.claim(queues=queues, worker=worker, count=count, now=now)
        with transaction.atomic():  # one commit for both
            return super().exchange(done, queues=queues, worker=worker, count=count, now=now)

    @override
    def finish_all(self, claims: Sequence[Claim]) -> int:
        return len(claims) - _held_of(claims).delete()[0] if claims else 0

    @override
    def give_back(self, claims: Sequence[Claim]) -> None:
        if not claims:
            return
        back = {"lease_id": None, "lease_expires_at": None, "worker": ""}
        sound = [claim for claim in claims if not claim.fault]
        with transaction.atomic():
            _held_of(sound).update(attempts=_ONE_TRY_LESS, **back)
            # What can't be read stays as it is, to be set apart.
            _held_of([claim for claim in claims if claim.fault]).update(**back)
            notify([(claim.queue, claim.claimed_at) for claim in claims])

    @override
    def renew_all(self, claims: Sequence[Claim], *, now: datetime | None = None) -> int:
        if not claims:
            return 0
        ends = (now or self.get_now()) + get_job_settings().lease
        return len(claims) - _held_of(claims).update(lease_expires_at=ends)

    @override
    def release(
        self, claim: Claim, *, available_at: datetime, payload: str | None = None, is_unbegun: bool = False
    ) -> bool:
        changes: dict[str, object] = {} if payload is None else {"payload": payload}
        if is_unbegun:
            changes["attempts"] = _ONE_TRY_LESS
        released = _held(claim).update(
            available_at=available_at, lease_id=None, lease_expires_at=None, worker="", **changes
        )
        if released:
            notify([(claim.queue, available_at)])
        return released > 0

    @override
    def renew(self, claim: Claim, *, lease_expires_at: datetime, payload: str | None = None) -> bool:
        changes = {} if payload is None else {"payload": payload}
        return _held(claim).update(lease_expires_at=lease_expires_at, **changes) > 0

    @override
    def bury(self, claim: Claim, burial: Burial, *, followers: Sequence[Message] = ()) -> bool:
        with transaction.atomic():
            if self.finish(claim, followers=followers):
                store_failure(claim, burial)
                return True
        return has_stored(claim, burial)

    @override
    def remove(self, job_ids: Collection[UUID]) -> int:
        free = QueuedJob.objects.filter(is_free(self.get_now()), job_id__in=job_ids)
        return free.delete()[0]

    @override
    def clear(self, *, queue: str | None, now: datetime | None = None) -> int:
        jobs = QueuedJob.objects.filter(is_free(now or self.get_now()))
        return (jobs if queue is None else jobs.filter(queue=queue)).delete()[0]

    @override
    def measure(self, *, now: datetime | None = None) -> Mapping[str, QueueFigures]:
        return measure_stored(now=now or self.get_now())

    @override
    def list_queues(self) -> Sequence[str]:
        with connection.cursor() as cursor:
            cursor.execute(_NAMES)
            return [str(name) for (name,) in cursor.fetchall()]

    @override
    def list_jobs(
        self, *, queue: str | None = None, state: JobState | None = None, limit: int = 100, now: datetime | None = None
    ) -> Sequence[StoredJob]:
        return list_stored(queue=queue, state=state, limit=limit, now=now or self.get_now())

    @override
    def browse(
        self, search: JobSearch, *, place: int = 0, limit: int = 50, now: datetime | None = None
    ) -> tuple[Sequence[StoredJob], int | None]:
        return browse_stored(search, place=place, limit=limit, now=now or self.get_now())

    @override
    def find_job(self, job_id: UUID, *, now: datetime | None = None) -> StoredJob | None:
        return find_stored(job_id, now=now or self.get_now())

    @override
    def pause(self, queue: str, *, until: datetime | None = None) -> None:
        QueuePause.objects.update_or_create(queue=queue, defaults={"until": until})

    @override
    def resume(self, queue: str) -> bool:
        rows = QueuePause.objects.filter(queue=queue)
        was_paused = rows.filter(is_lasting(self.get_now())).exists()
        rows.delete()
        return was_paused

    @override
    def list_pauses(self, *, now: datetime | None = None) -> Mapping[str, datetime | None]:
        rows = QueuePause.objects.filter(is_lasting(now or self.get_now())).order_by("queue")
        return dict(rows.values_list("queue", "until"))


def _within(jobs: QuerySet[QueuedJob], queues: Sequence[str]) -> QuerySet[QueuedJob]:
    return jobs.filter(queue__in=queues) if queues else jobs


def _list_due(now: datetime, queue: str | None = None) -> QuerySet[QueuedJob]:
    """Choose what may be claimed, of one queue or of any."""
    due = QueuedJob.objects.filter(is_due(now), ~is_paused(now))
    return due if queue is None else due.filter(queue=queue)


@cache
def _write_claim(*, has_queue: bool) -> tuple[str, tuple[Any, ...]]:  # Any: whatever a driver of Python takes
    """Return the statement that claims, and its parameters up to the limit; that is written once, for it takes long.

    Where the moment and the queue belong among the parameters stand those of nobody.
    """
    chosen = _list_due(UNKNOWN, EVERY_QUEUE * 2 if has_queue else None).order_by(*ORDER).values("pk")
    chosen_sql, params = chosen.query.sql_with_params()
    fields = ", ".join(f"CAST({name} AS text)" for name in CLAIMED).replace("attempts", "attempts - 1")
    return (
        f"""
        WITH chosen (id) AS MATERIALIZED ({chosen_sql} LIMIT %s FOR UPDATE OF jobs SKIP LOCKED), claimed AS (
            UPDATE jobs SET attempts = LEAST(attempts, %s) + 1, lease_id = %s, worker = %s, lease_expires_at = %s,
                crashes = LEAST(crashes, %s) + CASE WHEN lease_id IS NULL THEN 0 ELSE 1 END
            WHERE id IN (SELECT chosen.id FROM chosen)
            RETURNING *
        )
        SELECT {fields} FROM claimed ORDER BY priority DESC, available_at, id
        """,  # noqa: S608 - the parts are written by Django
        params,
    )


@cache
def _write_look() -> tuple[str, tuple[Any, ...]]:  # Any: as above
    """Return the statement that finds the queues of a list in which something is due, in its order; see above."""
    first = _list_due(UNKNOWN).filter(queue=RawSQL("named.queue", ())).order_by(*ORDER).values("pk")
    first_sql, params = first.query.sql_with_params()
    return (
        f"""
        SELECT named.queue FROM unnest(%s::text[]) WITH ORDINALITY AS named (queue, place)
        CROSS JOIN LATERAL ({first_sql} LIMIT 1) AS first ORDER BY named.place
        """,  # noqa: S608 - the parts are written by Django
        params,
    )


def _find_due_queues(queues: Sequence[str], now: datetime) -> list[str]:
    """Return those of some queues in which a job is due, in their order; one statement, of PostgreSQL."""
    sql, places = _write_look()
    with connection.cursor() as cursor:
        cursor.execute(sql, [list(queues), *(now if place == UNKNOWN else place for place in places)])
        return [str(queue) for (queue,) in cursor.fetchall()]


def _update_returning(queue: str | None, worker: str, count: int, now: datetime, name: str) -> list[Claim]:
    """Claim in one statement; jobs that another worker is claiming are passed over.

    Django writes FOR UPDATE within transactions only, but one statement is one by itself.
    """
    lease_id, lease = uuid4(), get_job_settings().lease
    sql, places = _write_claim(has_queue=queue is not None)
    known: dict[Any, Any] = {UNKNOWN: now, EVERY_QUEUE * 2: queue}  # Any: as above
    params = [known.get(place, place) for place in places]
    with connection.cursor() as cursor:
        cursor.execute(sql, [*params, count, MAX_ATTEMPTS, lease_id, worker, now + lease, MAX_CRASHES])
        rows = cursor.fetchall()
    return [
        Reader(dict(zip(CLAIMED, map(to_bytes, values), strict=True))).read_claim(
            lease_id=lease_id, claimed_at=now, lease_expires_at=now + lease, worker=worker, connection=name
        )
        for values in rows
    ]


def _update_locked(queue: str | None, worker: str, count: int, now: datetime, name: str) -> list[Claim]:
    """Claim in a short transaction that nobody else can write in.

    SQLite keeps any value in any column, so they are read as bytes. What can't be read stays as it is, but for the id:
    by that the job is set apart.
    """
    lease_id, lease = uuid4(), get_job_settings().lease
    held = {"lease_id": lease_id, "lease_expires_at": now + lease, "worker": worker}
    claims, sound = [], []
    with transaction.atomic():
        fields = (as_stored(name) for name in READ)
        crashes = Case(When(lease_id=None, then=F("crashes")), default=F("crashes") + 1)
        for pk, *values in (
            _list_due(now, queue).order_by(*ORDER).values_list("pk", *fields, as_stored(crashes))[:count]
        ):
            reader = Reader(dict(zip(CLAIMED, values, strict=True)))
            claim = reader.read_claim(
                lease_id=lease_id, claimed_at=now, lease_expires_at=now + lease, worker=worker, connection=name
            )
            if claim.fault:
                QueuedJob.objects.filter(pk=pk).update(job_id=claim.job_id, **held)
            else:
                sound.append(pk)
            claims.append(claim)
        QueuedJob.objects.filter(pk__in=sound).update(attempts=F("attempts") + 1, crashes=crashes, **held)
    return claims


def _held_of(claims: Sequence[Claim]) -> QuerySet[QueuedJob]:
    """Choose the jobs that are held by these claims; those of one claim share its id.

    A job may have been claimed again since, together with others: each counts with its own lease alone.
    """
    by_lease: dict[UUID, list[UUID]] = {}
    for claim in claims:
        by_lease.setdefault(claim.lease_id, []).append(claim.job_id)
    pairs = [Q(lease_id=lease_id, job_id__in=job_ids) for lease_id, job_ids in by_lease.items()]
    return QueuedJob.objects.filter(reduce(or_, pairs)) if pairs else QueuedJob.objects.none()


def _held(claim: Claim) -> QuerySet[QueuedJob]:
    return QueuedJob.objects.filter(job_id=claim.job_id, lease_id=claim.lease_id)


def _delete(claim: Claim) -> bool:
    return _held(claim).delete()[0] > 0


def _check_room(queue: str, limit: int, *, new: int) -> None:
    """Make sure that a queue has room; on PostgreSQL, who else fills that queue waits for the end of the transaction.

    Raises:
        QueueFull: It hasn't.
    """
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [f"jobs:room:{queue}"])
    count = QueuedJob.objects.filter(queue=queue).count()
    if count + new > limit:
        raise QueueFull.named(queue, count=count, max_jobs=limit)
