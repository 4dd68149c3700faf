"""Where one is signed in, and ending that."""

from http import HTTPStatus
from typing import Any, override
from uuid import UUID

from django.db.models import QuerySet
from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework.generics import ListAPIView
from rest_framework.request import Request
from rest_framework.response import Response

from accounts import selectors, services
from accounts.api import serializers
from accounts.api.views.endpoints import OwnView, answer_end
from accounts.models import Session


class LogoutView(OwnView):
    """Sign out."""

    @extend_schema(
        operation_id="logout",
        summary="Sign out",
        description="Ends the session of the token: it, its siblings and the refresh token are dead at once.",
        request=None,
        responses={204: None},
        tags=["auth"],
    )
    def post(self, request: Request) -> Response:
        """End the session."""
        services.sign_out(claims=self.claims, now=timezone.now())
        return answer_end(request)


class LogoutAllView(OwnView):
    """Sign out everywhere."""

    @extend_schema(
        operation_id="logout_all",
        summary="Sign out on every device",
        description="Ends all sessions of the user, on pages and of OAuth clients too: each of their tokens is dead at "
        "once.",
        request=None,
        responses={204: None},
        tags=["auth"],
    )
    def post(self, request: Request) -> Response:
        """End all sessions."""
        services.sign_out_everywhere(user=self.user, now=timezone.now())
        return answer_end(request)


class SessionListView(OwnView, ListAPIView[Session]):
    """The sessions that are alive."""

    serializer_class = serializers.OwnSession

    @override
    def get_queryset(self) -> QuerySet[Session]:
        """Return them, the one used last first."""
        return selectors.list_sessions(user=self.user, now=timezone.now())

    @override
    def get_serializer_context(self) -> dict[str, Any]:  # Any: as DRF has it
        """Tell which session asks."""
        return {**super().get_serializer_context(), "session_id": self.claims.session_id}

    @override
    @extend_schema(
        operation_id="list_sessions",
        summary="List where I am signed in",
        description="The living sessions of programs and of browsers, the one used last first; those of OAuth clients "
        "are none of them.",
        tags=["auth"],
    )
    def get(self, request: Request, *args: object, **kwargs: object) -> Response:
        """List the living sessions of programs and of browsers, the one used last first."""
        return super().get(request, *args, **kwargs)


class SessionView(OwnView):
    """One session."""

    @extend_schema(
        operation_id="end_session",
        summary="Sign a device out",
        description="Its tokens are dead at once. The session that asks can be ended too, as by signing out. Only what "
        "`GET sessions` lists can be ended here; what OAuth clients may do is not among it, and goes on.",
        request=None,
        responses={204: None},
        tags=["auth"],
    )
    def delete(self, request: Request, session_id: UUID) -> Response:
        """End it."""
        now = timezone.now()
        if session_id == self.claims.session_id:
            services.sign_out(claims=self.claims, now=now)
            return answer_end(request)
        services.end_own_session(user=self.user, session_id=session_id, now=now)
        return Response(status=HTTPStatus.NO_CONTENT)
