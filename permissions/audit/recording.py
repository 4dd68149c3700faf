"""Writing an event."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Self

import structlog
from django.db import models
from django.utils import timezone

from permissions.audit.details import to_details, to_text
from permissions.audit.signing import sign_event
from permissions.models.audit import MAX_EVENT_LENGTH, MAX_ID_LENGTH, MAX_LABEL_LENGTH, AppendOnlyQuerySet, AuditEvent
from project.current_request import get_client_id, get_client_ip, get_current_request, get_known_user

#: How many events one statement may write.
_CHUNK = 1000
_EVENT = re.compile(r"[a-z][a-z_]*(\.[a-z][a-z_]*)+")


@dataclass(frozen=True, slots=True)
class Reference:
    """A row that isn't at hand, or is gone already, as actor or subject."""

    #: Such as ``accounts.user``.
    model: str
    id: object
    #: What people call it, if that is known.
    label: str = ""

    @classmethod
    def to(cls, model: type[models.Model], pk: object, label: str = "") -> Self:
        """Return the reference to a row of a model."""
        return cls((model._meta.concrete_model or model)._meta.label_lower, pk, label)  # noqa: SLF001 - Django's documented name of it


def record(
    event: str, *, actor: object | None = None, subject: object | None = None, client: str | None = None, **data: object
) -> None:
    """Write one event, with one INSERT, as part of the caller's transaction: it lives and dies with the change.

    Time, address and request id are added. Values of ``data`` whose names say that they are secret are left out, and
    what is too long is cut.

    Args:
        event: What happened, such as ``role.attached``: the kind of thing, and a verb in the past.
        actor: The user who did it, or a ``Reference``; without one, who is known to send the current request.
        subject: The row that it was done to, or a ``Reference``.
        client: ``client_id`` of the program through which it was done; without one, that of the request's access token.
        data: What else is to be known: text, finite numbers, aware times, UUIDs, enums, and lists, sets and mappings
            of them.

    Raises:
        ValueError: ``event`` is no such name.
        TypeError: Something isn't of a type that can be recorded. Nothing was written.
    """
    _make(event, actor=actor, subject=subject, client=client, data=data).save(force_insert=True)


def record_each(
    event: str, *, subjects: Iterable[tuple[object, Mapping[str, object]]], actor: object | None = None
) -> None:
    """Write one event for each subject and what else is to be known of it, all with one INSERT; see ``record``."""
    rows = [_make(event, actor=actor, subject=subject, client=None, data=data) for subject, data in subjects]
    AppendOnlyQuerySet(AuditEvent).append(rows, batch_size=_CHUNK)


def _make(
    event: str, *, actor: object | None, subject: object | None, client: str | None, data: Mapping[str, object]
) -> AuditEvent:
    """Return the signed event, not written yet. Raises as ``record`` does."""
    if not _EVENT.fullmatch(event) or len(event) > MAX_EVENT_LENGTH:
        message = f"{event!r} is no name of an event: write small letters and a dot, such as role.attached."
        raise ValueError(message)
    request = get_current_request()
    doer = _refer(actor) or (_refer(get_known_user(request)) if request else None)
    client = client or str(getattr(actor, "client_id", "")) or (get_client_id(request) if request else "")
    target = _refer(subject)
    now = timezone.now()
    row = AuditEvent(
        created_at=now.replace(microsecond=now.microsecond // 1000 * 1000),
        event=event,
        actor_id=to_text(doer.id, MAX_ID_LENGTH) if doer else "",
        actor_label=to_text(doer.label, MAX_LABEL_LENGTH) if doer else "",
        subject_type=to_text(target.model, MAX_EVENT_LENGTH) if target else "",
        subject_id=to_text(target.id, MAX_ID_LENGTH) if target else "",
        subject_label=to_text(target.label, MAX_LABEL_LENGTH) if target else "",
        client_id=to_text(client, MAX_ID_LENGTH),
        ip_address=(get_client_ip(request) or "") if request else "",
        request_id=str(structlog.contextvars.get_contextvars().get("request_id", "")) if request else "",
        data=to_details(data),
    )
    row.signature = sign_event(row)
    return row


def _refer(thing: object | None) -> Reference | None:
    """Return what to write about an actor or a subject; None where it is nobody that is stored.

    Raises:
        TypeError: It is neither a row nor a reference.
    """
    match thing:
        case None | Reference():
            return thing
        case models.Model():
            return Reference.to(thing.__class__, thing.pk, str(thing))
        case _ if getattr(thing, "pk", thing) is None:  # a stranger, or a client that acts for itself
            return None
        case _:
            message = f"{type(thing).__qualname__} is neither a model object nor a Reference."
            raise TypeError(message)
