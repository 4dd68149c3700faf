"""The audit log over HTTP."""

from typing import override

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.generics import ListAPIView
from rest_framework.request import Request
from rest_framework.response import Response

from permissions import audit
from permissions.drf import HasPermission, HasScopes, OutsideTeams
from permissions.models import AuditEvent
from project.api import StringField

_MAX_FILTER_LENGTH = 300


class AuditEventOut(serializers.ModelSerializer[AuditEvent]):
    """One event of the audit log."""

    event = serializers.CharField(help_text="Such as `role.attached`.")
    actor_id = serializers.CharField(help_text="Id of who did it; empty where no user did.")
    actor = serializers.CharField(source="actor_label", help_text="The e-mail address at the time.")
    subject = serializers.CharField(source="subject_label", help_text="What it was called at the time.")
    subject_type = serializers.CharField(help_text="Such as `accounts.user`; empty where nothing stored was concerned.")
    client_id = serializers.CharField(help_text="The client through which it happened.")
    ip_address = serializers.CharField(help_text="Empty where it happened outside of a request.")
    details = serializers.DictField(source="data", help_text="What else is to be known; depends on the event.")
    position = serializers.IntegerField(allow_null=True, help_text="Place in the chain; null until it is sealed.")
    hash = serializers.CharField(help_text="Covers the event and all before it; empty until it is sealed.")

    class Meta:
        model = AuditEvent
        fields = [
            "id", "created_at", "event", "actor_id", "actor", "subject_type", "subject_id", "subject", "client_id",
            "ip_address", "request_id", "details", "position", "hash",
        ]  # fmt: skip
        read_only_fields = fields


class AuditFilter(serializers.Serializer[None]):
    """What narrows the list."""

    event = StringField(
        required=False, allow_blank=True, max_length=_MAX_FILTER_LENGTH, help_text="How the event's name starts."
    )
    actor = StringField(
        required=False,
        allow_blank=True,
        max_length=_MAX_FILTER_LENGTH,
        help_text="Id of who did it, or the e-mail address at the time.",
    )
    subject = StringField(
        required=False,
        allow_blank=True,
        max_length=_MAX_FILTER_LENGTH,
        help_text="Id of what it was done to, or model and id such as `permissions.role:5`.",
    )
    client = StringField(required=False, allow_blank=True, max_length=_MAX_FILTER_LENGTH, help_text="`client_id`.")
    since = serializers.DateTimeField(required=False, help_text="Not before this moment.")
    until = serializers.DateTimeField(required=False, help_text="Before this moment.")
    q = StringField(
        required=False,
        allow_blank=True,
        max_length=_MAX_FILTER_LENGTH,
        help_text="Words, each of which stands somewhere in the event.",
    )


class AuditView(OutsideTeams, ListAPIView[AuditEvent]):
    """The audit log."""

    permission_classes = [HasPermission("permissions.view_auditevent"), HasScopes("audit:read")]
    serializer_class = AuditEventOut

    @override
    def get_queryset(self) -> QuerySet[AuditEvent]:
        """Return the events that the query asks for."""
        asked = AuditFilter(data=self.request.query_params)
        asked.is_valid(raise_exception=True)
        return audit.list_events(**asked.validated_data)

    @override
    @extend_schema(
        operation_id="list_audit_events",
        summary="Search the audit log",
        parameters=[AuditFilter],
        tags=["audit"],
    )
    def get(self, request: Request, *args: object, **kwargs: object) -> Response:
        """List what happened, newest first."""
        return super().get(request, *args, **kwargs)
