"""Joining events to the chain."""

from collections.abc import Iterable

import structlog
from django.db import connection, transaction
from django.db.models import Max

from permissions.audit.signing import BROKEN, chain_event, is_genuine, is_genuine_head, sign_head
from permissions.models.audit import AuditEvent, AuditHead

#: How many events one transaction seals.
BATCH_SIZE = 500
#: Number of PostgreSQL's advisory lock that elects the sealer.
_LOCK = int.from_bytes(b"gh-audit")
_log = structlog.get_logger("gatehouse.audit")


def seal() -> int:
    """Join the committed events that aren't sealed yet to the chain, in the order of their ids; return how many.

    Never waits for who writes events, nor lets them wait: on PostgreSQL one sealer is elected by a lock that nobody
    else takes, and a second one returns at once. An event whose transaction commits late is sealed later than its id
    says.
    """
    total = 0
    while sealed := _seal_batch():
        total += sealed
    return total


def _seal_batch() -> int:
    waiting = AuditEvent.objects.filter(position=None).order_by("pk")
    # SQLite's transaction takes the write lock at BEGIN, which an idle sealer must not do.
    if not waiting.exists():
        return 0
    with transaction.atomic():
        if not _is_elected():
            return 0
        head = _get_head()
        events = list(waiting[:BATCH_SIZE])
        for event in events:
            if not is_genuine(event):
                _log.error("audit_event_forged", event_id=event.pk)  # sealed all the same: it must not get lost
            event.position, event.previous_hash = head.position + 1, head.hash
            event.hash = chain_event(event)
            head.position, head.hash = event.position, event.hash
        _write(events)
        head.signature = sign_head(head)
        head.save()
    # Whoever keeps the logs elsewhere keeps the chain's end out of reach of who can write the database.
    _log.info("audit_events_sealed", count=len(events), position=head.position, hash=head.hash)
    return len(events)


def _write(events: Iterable[AuditEvent]) -> None:
    """Write places and hashes. The model refuses to, and Django's way for many rows takes 20 times as long."""
    quote = connection.ops.quote_name
    table, columns = AuditEvent._meta.db_table, ("position", "previous_hash", "hash")  # noqa: SLF001 - Django's name of it
    changes = ", ".join(f"{quote(column)} = %s" for column in columns)
    statement = f"UPDATE {quote(table)} SET {changes} WHERE {quote('id')} = %s"  # noqa: S608 - names of ours
    with connection.cursor() as cursor:
        rows = [(event.position, event.previous_hash, event.hash, event.pk) for event in events]
        cursor.executemany(statement, rows)


def _is_elected() -> bool:
    """Say whether this sealer may work, until the end of the transaction. SQLite has one writer at a time anyway."""
    if connection.vendor != "postgresql":
        return True
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [_LOCK])
        return bool(cursor.fetchone()[0])


def _get_head() -> AuditHead:
    """Return where the chain ends. An end that is gone or forged isn't mended: the break stays visible for ever."""
    head = AuditHead.objects.first()
    last: int = AuditEvent.objects.aggregate(last=Max("position"))["last"] or 0
    if head is None:
        head = AuditHead(position=last, hash=BROKEN if last else "")
    elif not is_genuine_head(head):
        head.position, head.hash = last, BROKEN
    if head.hash == BROKEN:
        _log.error("audit_head_forged", position=last)
    head.position = max(head.position, last)  # rows beyond the end are forged, and leave no room
    return head
