"""What is stored about the user who asks: all of it, and what was done with the account."""

import json
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from datetime import datetime
from tempfile import SpooledTemporaryFile
from typing import IO, TYPE_CHECKING, Final, override

from django.core.serializers.json import DjangoJSONEncoder
from django.db.models import QuerySet
from django.http import FileResponse
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.generics import ListAPIView
from rest_framework.request import Request
from rest_framework.response import Response

from accounts import selectors, services
from accounts.api import serializers
from accounts.api.views.endpoints import OwnView
from accounts.drf import IsRecent, IsUser
from accounts.models import User
from permissions.audit import AuditEvent

if TYPE_CHECKING:
    from accounts.exports import Row

#: An export that is larger waits on the disk, in a file without a name, until it is sent.
_MAX_MEMORY_BYTES: Final = 1_000_000


class ExportView(OwnView):
    """All that is stored about the user."""

    permission_classes = [IsUser, IsRecent]

    @extend_schema(
        operation_id="export_me",
        summary="Download all that is stored about me",
        description="A JSON file: profile, sessions, links, roles, permissions, events of the audit log, and what the "
        "user allowed to OAuth clients; no password, token or hash of one. Needs an access token whose `auth_time` is "
        "at most five minutes ago.",
        request=None,
        responses={200: OpenApiTypes.OBJECT},
        tags=["auth"],
    )
    def get(self, request: Request) -> FileResponse:
        """Write the file and send it."""
        return answer_export(user=self.user, now=timezone.now())


class SecurityEventListView(OwnView, ListAPIView[AuditEvent]):
    """What was done with the account."""

    serializer_class = serializers.SecurityEvent

    @override
    def get_queryset(self) -> QuerySet[AuditEvent]:
        """Return the user's own events, newest first."""
        return selectors.list_security_events(user=self.user)

    @override
    @extend_schema(operation_id="list_security_events", summary="List what was done with my account", tags=["auth"])
    def get(self, request: Request, *args: object, **kwargs: object) -> Response:
        """List what was done to the user, and by them to nobody else, newest first."""
        return super().get(request, *args, **kwargs)


def answer_export(*, user: User, now: datetime) -> FileResponse:
    """Return all that is stored about a user as a file to keep."""
    # It is whole before the first byte goes out: an error is answered as one, and no slow reader holds a
    # connection to the database.
    with ExitStack() as stack:
        file = stack.enter_context(SpooledTemporaryFile(max_size=_MAX_MEMORY_BYTES))
        _write(file, services.export_account(user=user, now=now))
        file.seek(0)
        stack.pop_all()  # from here on the response closes it
    name = f"gatehouse-export-{now:%Y-%m-%d}.json"
    return FileResponse(file, as_attachment=True, filename=name, content_type="application/json")


def _write(file: IO[bytes], parts: "Iterable[tuple[str, Row | Iterable[Row]]]") -> None:
    """Write one JSON object, row by row."""
    separator = b"{"
    for name, part in parts:
        file.write(separator + b"\n" + _encode(name) + b": ")
        separator = b","
        if isinstance(part, Mapping):
            file.write(_encode(part))
            continue
        comma = b""
        file.write(b"[")
        for row in part:
            file.write(comma + b"\n  " + _encode(row))
            comma = b","
        file.write(b"]")
    file.write(b"\n}\n")


def _encode(value: object) -> bytes:
    return json.dumps(value, cls=DjangoJSONEncoder, ensure_ascii=False, allow_nan=False).encode()
