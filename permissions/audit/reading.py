"""Looking events up."""

import json
from datetime import datetime

from django.db import connection
from django.db.models import Q, QuerySet, TextField
from django.db.models.functions import Cast

from permissions.models.audit import AuditEvent


def list_events(
    *,
    event: str = "",
    actor: str = "",
    subject: str = "",
    client: str = "",
    since: datetime | None = None,
    until: datetime | None = None,
    q: str = "",
) -> QuerySet[AuditEvent]:
    """Return events, newest first; every argument that is given narrows them.

    Args:
        event: How the event's name starts.
        actor: Id of who did it, or the e-mail address at the time.
        subject: Id of what it was done to, or model and id, such as ``permissions.role:5``.
        client: ``client_id``.
        since: Not before this moment.
        until: Before this moment.
        q: Words, each of which stands somewhere in the event.
    """
    found = AuditEvent.objects.filter(event__startswith=event)
    if actor:
        found = found.filter(Q(actor_label=actor) if "@" in actor else Q(actor_id=actor))
    if subject:
        subject_type, _, subject_id = subject.rpartition(":")
        found = found.filter(subject_id=subject_id)
        found = found.filter(subject_type=subject_type) if subject_type else found
    if client:
        found = found.filter(client_id=client)
    if since:
        found = found.filter(created_at__gte=since)
    if until:
        found = found.filter(created_at__lt=until)
    return search_events(found, q) if q else found


def search_events(events: QuerySet[AuditEvent], q: str) -> QuerySet[AuditEvent]:
    """Return those events in whose texts, ids or details each of the words stands."""
    found = events.annotate(details=Cast("data", TextField()))
    for word in q.split():
        # As the word stands in JSON, which SQLite keeps as it was written and PostgreSQL without \\u escapes.
        in_json = json.dumps(word, ensure_ascii=connection.vendor == "sqlite")[1:-1]
        texts = ("event", "actor_label", "subject_label", "ip_address")
        ids = Q(actor_id=word) | Q(subject_id=word) | Q(client_id=word) | Q(request_id=word)
        parts = Q(details__icontains=in_json)
        for name in texts:
            parts |= Q(**{f"{name}__icontains": word})
        found = found.filter(ids | parts)
    return found
