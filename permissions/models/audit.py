"""The audit log: what happened, once and for all.

Rows are written by ``permissions.audit`` alone. Nothing here changes or deletes one, and what is done behind Django's
back shows in ``manage.py audit_verify``.
"""

from typing import TYPE_CHECKING, ClassVar, NoReturn, override

from django.db import models
from django.db.models import Q

if TYPE_CHECKING:
    from collections.abc import Iterable

    AuditEventQuerySet = models.QuerySet["AuditEvent"]
else:  # generic in the stubs only
    AuditEventQuerySet = models.QuerySet

#: Longest text that a column of each kind holds; ``permissions.audit`` cuts what is longer.
MAX_EVENT_LENGTH = 100
MAX_LABEL_LENGTH = 254
MAX_ID_LENGTH = 255

_HASH_LENGTH = 64
_SIGNATURE_LENGTH = 80


class AppendOnlyQuerySet(AuditEventQuerySet):
    """Rows that are read and never touched."""

    @override
    def update(self, **kwargs: object) -> NoReturn:
        """Refuse.

        Raises:
            TypeError: Always.
        """
        _refuse()

    @override
    def delete(self) -> NoReturn:
        """Refuse.

        Raises:
            TypeError: Always.
        """
        _refuse()

    @override
    def bulk_update(self, objs: "Iterable[AuditEvent]", fields: object, batch_size: int | None = None) -> NoReturn:
        """Refuse.

        Raises:
            TypeError: Always.
        """
        _refuse()

    @override
    def bulk_create(self, objs: "Iterable[AuditEvent]", *args: object, **kwargs: object) -> NoReturn:
        """Refuse: it could overwrite rows.

        Raises:
            TypeError: Always.
        """
        _refuse()

    def append(self, events: "Iterable[AuditEvent]", *, batch_size: int) -> None:
        """Write new events, many with one INSERT; for ``permissions.audit`` alone."""
        super().bulk_create(events, batch_size=batch_size)


class AuditEvent(models.Model):
    """One thing that happened: what, who did it, to whom, from where.

    The texts were copied when it happened, and no column points to another table: the record outlives what it is about.
    """

    #: When it happened, UTC, to the millisecond: a dump as JSON keeps no more, and a restored log must verify.
    created_at = models.DateTimeField("time")
    #: What happened: a word for the kind of thing, a dot, and a verb in the past, such as ``role.attached``.
    event = models.CharField(max_length=MAX_EVENT_LENGTH)
    #: Key of the user who did it; empty where a command, a client on its own or a stranger did.
    actor_id = models.CharField("actor's id", max_length=MAX_ID_LENGTH, blank=True)
    #: What that user was called at the time, the e-mail address as a rule.
    actor_label = models.CharField("actor", max_length=MAX_LABEL_LENGTH, blank=True)
    #: Model of what it was done to, such as ``accounts.user``; empty where nothing stored was concerned.
    subject_type = models.CharField(max_length=MAX_EVENT_LENGTH, blank=True)
    #: Key of what it was done to.
    subject_id = models.CharField("subject's id", max_length=MAX_ID_LENGTH, blank=True)
    #: What that was called at the time.
    subject_label = models.CharField("subject", max_length=MAX_LABEL_LENGTH, blank=True)
    #: ``client_id`` of the program through which it happened; empty where the house's own pages or a command were used.
    client_id = models.CharField("client", max_length=MAX_ID_LENGTH, blank=True)
    #: Address of the caller, behind the trusted proxies; empty outside of a request.
    ip_address = models.CharField("IP address", max_length=45, blank=True)
    #: The request's id, as in the logs; empty outside of a request.
    request_id = models.CharField(max_length=64, blank=True)
    #: What else is to be known, by name; no secret, and nothing longer than ``permissions.audit`` lets through.
    data = models.JSONField("details", default=dict)
    #: Proves that the house wrote the row, and that it wrote it once: a random number and a keyed hash of all above.
    signature = models.CharField(max_length=_SIGNATURE_LENGTH, unique=True)

    #: Place in the chain, from 1 and without gaps; empty until the event is sealed.
    position = models.BigIntegerField(null=True, unique=True)
    #: ``hash`` of the event before it in the chain; empty for the first one and until it is sealed.
    previous_hash = models.CharField(max_length=_HASH_LENGTH, blank=True)
    #: Keyed hash of the row and ``previous_hash``; empty until it is sealed.
    hash = models.CharField(max_length=_HASH_LENGTH, blank=True)

    objects: ClassVar[models.Manager["AuditEvent"]] = models.Manager.from_queryset(AppendOnlyQuerySet)()

    class Meta:
        verbose_name = "audit event"
        default_permissions = ("view",)
        ordering = ["-id"]
        indexes = [
            models.Index(
                fields=["event", "id"], name="permissions_audit_event", opclasses=["varchar_pattern_ops", "int8_ops"]
            ),
            models.Index(fields=["actor_id", "id"], name="permissions_audit_actor"),
            models.Index(fields=["subject_id", "id"], name="permissions_audit_subject"),
            models.Index(fields=["created_at"], name="permissions_audit_time"),
            models.Index(fields=["id"], name="permissions_audit_unsealed", condition=Q(position=None)),
        ]

    def __str__(self) -> str:
        return f"{self.event} #{self.pk}"

    @override
    def save(self, *args: object, **kwargs: object) -> None:
        """Insert the row.

        Raises:
            TypeError: It is stored already.
        """
        if not self._state.adding:
            _refuse()
        super().save(force_insert=True)

    @override
    def delete(self, *args: object, **kwargs: object) -> NoReturn:
        """Refuse.

        Raises:
            TypeError: Always.
        """
        _refuse()


class AuditHead(models.Model):
    """Where the chain ends: the one row that shows when events were cut off its end. Written by the sealer alone."""

    #: Always 1.
    id = models.PositiveSmallIntegerField(primary_key=True, default=1)
    #: Position of the last sealed event, which is also how many there are.
    position = models.BigIntegerField()
    #: Hash of that event.
    hash = models.CharField(max_length=_HASH_LENGTH)
    #: Keyed hash of the two.
    signature = models.CharField(max_length=_HASH_LENGTH)

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return f"Audit log up to {self.position}"


def _refuse() -> NoReturn:
    message = "The audit log is append-only: write with permissions.audit.record, and change nothing."
    raise TypeError(message)
