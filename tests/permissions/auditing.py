"""What the tests of the audit log share: events to look at, and SQL that goes past the house."""

from django.db import connection

from permissions import audit
from permissions.models import AuditEvent


def record_events(count: int) -> None:
    """Record some events that can be told apart."""
    for number in range(1, count + 1):
        audit.record("thing.happened", number=number)


def record_sealed(count: int) -> None:
    """Record some events and seal them: positions and numbers are the same in an empty log."""
    record_events(count)
    assert audit.seal() == count


def execute(sql: str, *parameters: str | int | None) -> None:
    """Run a statement on the tables behind everybody's back; ``{event}`` and ``{head}`` stand for them."""
    with connection.cursor() as cursor:
        cursor.execute(sql.format(event="permissions_auditevent", head="permissions_audithead"), parameters)


def find_fault() -> tuple[str, int | None] | None:
    """Return kind and position of what is wrong, or None."""
    fault = audit.verify().fault
    return None if fault is None else (fault.kind, fault.position)


def get_numbers() -> list[int]:
    """Return the numbers of the sealed events in the order of the chain."""
    sealed = AuditEvent.objects.exclude(position=None).order_by("position")
    return [event.data["number"] for event in sealed]
