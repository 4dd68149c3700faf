"""What the views of jobs have in common: outside of teams, and plain about a store that is away."""

from datetime import timedelta
from typing import Final, override

import structlog
from django.db import InterfaceError, OperationalError
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.response import Response

from jobs.exceptions import ConnectionAwayError, ConnectionsAwayError
from jobs.worker.outages import list_outage_errors
from permissions.drf import OutsideTeams

#: Longest names, as the tables have them.
MAX_QUEUE: Final = 100
MAX_CLASS: Final = 200
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


@extend_schema_field(OpenApiTypes.DOUBLE)
class SecondsField(serializers.Field[timedelta, None, float, timedelta]):
    """A duration, told in seconds."""

    @override
    def to_representation(self, value: timedelta) -> float:
        """Return the seconds."""
        return value.total_seconds()
