"""What the views of jobs have in common: outside of teams, and plain about a store that is away."""

from datetime import timedelta
from typing import Final, override

import structlog
from django.db import InterfaceError, OperationalError
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.utils.urls import replace_query_param

from jobs.exceptions import ConnectionAwayError, ConnectionsAwayError
from jobs.selectors import PAGE_SIZE
from jobs.worker.outages import list_outage_errors
from permissions.drf import OutsideTeams
from project.api import StringField

#: Longest names, as the tables have them.
MAX_QUEUE: Final = 100
MAX_CLASS: Final = 200
_MAX_CURSOR: Final = 2_000
_MAX_PAGE_SIZE: Final = 200
#: What it takes to read, and, with another right, to change anything: what isn't there is told to readers alone.
SEE: Final = "jobs.view_dashboard"
#: What is said of ``away`` in a list.
AWAY: Final = "Connections that don't answer, of which nothing is told."
_log = structlog.get_logger("gatehouse.jobs")


class JobsView(OutsideTeams):
    """A view of jobs, which belong to the whole installation. What a store raises that is away is a 503."""

    @override
    def handle_exception(self, exc: Exception) -> Response:
        """Answer; of the database the edge of the API itself says that it is away."""
        if isinstance(exc, ConnectionsAwayError):
            exc = ConnectionAwayError(str(exc))
        elif isinstance(exc, list_outage_errors()) and not isinstance(exc, OperationalError | InterfaceError):
            _log.warning("store_unavailable", error=type(exc).__qualname__)
            exc = ConnectionAwayError()
        return super().handle_exception(exc)


class PageFilter(serializers.Serializer[None]):
    """Which page of a list is asked for."""

    cursor = StringField(
        required=False, allow_blank=True, max_length=_MAX_CURSOR, help_text="From `next` of the page before."
    )
    limit = serializers.IntegerField(min_value=1, max_value=_MAX_PAGE_SIZE, default=PAGE_SIZE)

    @classmethod
    def read(cls, request: Request) -> tuple[str, int]:
        """Return the cursor and the limit of a request.

        Raises:
            ValidationError: One of them can't be.
        """
        asked = cls(data=request.query_params)
        asked.is_valid(raise_exception=True)
        return asked.validated_data.get("cursor", ""), asked.validated_data["limit"]


class PageOut(serializers.Serializer[None]):
    """What a page says beside its rows."""

    next = serializers.CharField(allow_null=True, help_text="Address of the next page; null at the end.")


def make_next(request: Request, cursor: str) -> str | None:
    """Return the address of the page that begins at a cursor; None where there is none."""
    return replace_query_param(request.build_absolute_uri(), "cursor", cursor) if cursor else None


@extend_schema_field(OpenApiTypes.DOUBLE)
class SecondsField(serializers.Field[timedelta, None, float, timedelta]):
    """A duration, told in seconds."""

    @override
    def to_representation(self, value: timedelta) -> float:
        """Return the seconds."""
        return value.total_seconds()
