"""The driver that keeps jobs in the default database: no other service, and dispatch is part of the transaction."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import ClassVar, override
from uuid import uuid4

from django.db import InterfaceError, OperationalError, connection, transaction
from django.db.models import Count, Min, Q, QuerySet
from django.db.models.functions import Coalesce

from jobs.drivers.base import Claim, Message, QueueDriver, QueueFigures
from jobs.models import FailedJob, QueuedJob

_REPLACED_AT_FAILURE = ["queue", "job_class", "payload", "priority", "attempts", "exception", "traceback", "failed_at"]


class DatabaseDriver(QueueDriver):
    """PostgreSQL with SKIP LOCKED, or SQLite with its one writer."""

    outage_errors: ClassVar[tuple[type[Exception], ...]] = (OperationalError, InterfaceError)

    @override
    def push(self, message: Message) -> None:
        QueuedJob.objects.create(**asdict(message))

    @override
    def claim(
        self, *, queues: Sequence[str], worker: str, now: datetime, get_lease: Callable[[str], timedelta]
    ) -> Claim | None:
        due = QueuedJob.objects.filter(_due(now))
        # SQLite's transaction takes the write lock at BEGIN, which an idle worker must not do.
        if not connection.features.has_select_for_update and not _within(due, queues).exists():
            return None
        with transaction.atomic():
            row = _first(due, queues)
            if row is None:
                return None
            row.attempts += 1
            row.lease_id = uuid4()
            row.lease_expires_at = now + get_lease(row.job_class)
            row.worker = worker
            row.save(update_fields=["attempts", "lease_id", "lease_expires_at", "worker"])
            return Claim(
                job_id=row.job_id,
                queue=row.queue,
                job_class=row.job_class,
                payload=row.payload,
                priority=row.priority,
                attempts=row.attempts,
                lease_id=row.lease_id,
                lease_expires_at=row.lease_expires_at,
            )

    @override
    def finish(self, claim: Claim) -> bool:
        deleted, _ = _held(claim).delete()
        return deleted > 0

    @override
    def release(self, claim: Claim, *, available_at: datetime) -> bool:
        released = _held(claim).update(available_at=available_at, lease_id=None, lease_expires_at=None, worker="")
        return released > 0

    @override
    def bury(self, claim: Claim, *, attempts: int, exception: str, traceback: str, now: datetime) -> bool:
        with transaction.atomic():
            if not self.finish(claim):
                return False
            failed = FailedJob(
                job_id=claim.job_id,
                queue=claim.queue,
                job_class=claim.job_class,
                payload=claim.payload,
                priority=claim.priority,
                attempts=attempts,
                exception=exception,
                traceback=traceback,
                failed_at=now,
            )
            # Were there already one of this id (a record put back by hand), a clash would stop the worker.
            FailedJob.objects.bulk_create(
                [failed], update_conflicts=True, unique_fields=["job_id"], update_fields=_REPLACED_AT_FAILURE
            )
            return True

    @override
    def clear(self, *, queue: str | None, now: datetime) -> int:
        jobs = QueuedJob.objects.filter(Q(lease_expires_at__isnull=True) | Q(lease_expires_at__lte=now))
        deleted, _ = (jobs if queue is None else jobs.filter(queue=queue)).delete()
        return deleted

    @override
    def measure(self, *, now: datetime) -> Mapping[str, QueueFigures]:
        rows = (
            QueuedJob.objects.values("queue")
            .annotate(
                waiting=Count("id", filter=_due(now)),
                delayed=Count("id", filter=Q(lease_expires_at__isnull=True, available_at__gt=now)),
                running=Count("id", filter=Q(lease_expires_at__gt=now)),
                oldest_due_at=Min(Coalesce("lease_expires_at", "available_at"), filter=_due(now)),
            )
            .order_by("queue")
        )
        return {
            row["queue"]: QueueFigures(
                waiting=row["waiting"],
                delayed=row["delayed"],
                running=row["running"],
                oldest_due_at=row["oldest_due_at"],
            )
            for row in rows
        }


def _due(now: datetime) -> Q:
    return Q(lease_expires_at__isnull=True, available_at__lte=now) | Q(lease_expires_at__lte=now)


def _within(jobs: QuerySet[QueuedJob], queues: Sequence[str]) -> QuerySet[QueuedJob]:
    return jobs.filter(queue__in=queues) if queues else jobs


def _first(due: QuerySet[QueuedJob], queues: Sequence[str]) -> QueuedJob | None:
    """Return the first due job, locked; jobs that another worker is claiming are passed over."""
    ordered = due.select_for_update(skip_locked=True).order_by("-priority", "available_at", "id")
    if not queues:
        return ordered.first()
    # One look per queue keeps each on its index; one look for all would sort every due job.
    return next((row for queue in queues if (row := ordered.filter(queue=queue).first())), None)


def _held(claim: Claim) -> QuerySet[QueuedJob]:
    return QueuedJob.objects.filter(job_id=claim.job_id, lease_id=claim.lease_id)
