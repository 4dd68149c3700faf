"""In which state the row of a job is, as conditions; and which queues rest."""

from datetime import datetime
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import BooleanField, Exists, Func, Q
from django.db.models.sql.compiler import SQLCompiler

from jobs.models import QueuePause
from jobs.models.queued import EVERY_QUEUE


class Unreadable(Func):
    """Whether a column holds no moment, or one that Python doesn't know. SQLite keeps any value in any column."""

    arity = 1
    output_field = BooleanField()
    template = """(%(expressions)s IS NOT NULL AND
        %(expressions)s NOT BETWEEN '0001-01-01 00:00:00+00' AND '9999-12-31 23:59:59.999999+00')"""

    def as_sqlite(
        self,
        compiler: SQLCompiler,
        connection: BaseDatabaseWrapper,
        **context: Any,  # Any: as Django has it
    ) -> tuple[str, tuple[str | int, ...]]:
        """Ask for text as Django writes it; strftime lets a 31st of February pass until it has to add to it."""
        template = """(%(expressions)s IS NOT NULL AND (
            typeof(%(expressions)s) <> 'text' OR substr(%(expressions)s, 1, 4) = '0000' OR
            strftime('%%%%Y-%%%%m-%%%%d %%%%H:%%%%M:%%%%S', substr(%(expressions)s, 1, 19), '+0 days')
                IS NOT substr(%(expressions)s, 1, 19) OR
            length(%(expressions)s) <> 19 AND
                substr(%(expressions)s, 20) NOT GLOB '.[0-9][0-9][0-9][0-9][0-9][0-9]'))"""
        return self.as_sql(compiler, connection, template=template, **context)


def is_unreadable() -> Q:
    """Choose jobs of which can't be said when they are due; a worker takes them, to set them apart."""
    unreadable = Q(Unreadable("available_at")), Q(Unreadable("lease_expires_at"))
    return Q(lease_expires_at__isnull=True) & unreadable[0] | unreadable[1]


def is_due(now: datetime) -> Q:
    """Choose jobs that may be claimed."""
    is_waiting = Q(lease_expires_at__isnull=True, available_at__lte=now)
    return is_waiting | Q(lease_expires_at__lte=now) | is_unreadable()


def is_delayed(now: datetime) -> Q:
    """Choose jobs that are not due yet."""
    return Q(lease_expires_at__isnull=True, available_at__gt=now) & ~Q(Unreadable("available_at"))


def is_running(now: datetime) -> Q:
    """Choose jobs in the hands of workers."""
    return Q(lease_expires_at__gt=now) & ~Q(Unreadable("lease_expires_at"))


def is_free(now: datetime) -> Q:
    """Choose jobs in nobody's hands."""
    return Q(lease_expires_at__isnull=True) | Q(lease_expires_at__lte=now) | Q(Unreadable("lease_expires_at"))


def is_lasting(now: datetime) -> Q:
    """Choose pauses that have not ended."""
    return Q(until__isnull=True) | Q(until__gt=now)


def is_paused(now: datetime) -> Q:
    """Choose jobs whose queues rest."""
    lasting = QueuePause.objects.filter(is_lasting(now))
    return Q(queue__in=lasting.values("queue")) | Q(Exists(lasting.filter(queue=EVERY_QUEUE)))
