"""What people see and change of their own: the clients that act for them, and their personal access tokens."""

from datetime import timedelta
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final, override
from uuid import UUID

from django.db.models import QuerySet
from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.exceptions import NotAuthenticated
from rest_framework.generics import ListAPIView
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.devices import describe_device
from accounts.drf import IsRecent, IsUser
from accounts.exceptions import SessionDoesNotExist
from accounts.services import Session
from accounts.tokens import AccessClaims
from oauth import selectors, services
from oauth.models import Application, PersonalAccessToken
from oauth.scopes import describe_scopes
from oauth.services.personal_tokens import DEFAULT_PERSONAL_TOKEN_DAYS, MAX_NAME_CHARACTERS, PERSONAL_TOKEN_DAYS
from permissions.drf import get_actor
from project.api import StringField

if TYPE_CHECKING:
    from rest_framework.permissions import _SupportsHasPermission  # a name of the stubs

_CLIENT: Final = OpenApiParameter("client_id", str, OpenApiParameter.PATH, description="The `client_id`.")
_TOKEN: Final = OpenApiParameter("token_id", UUID, OpenApiParameter.PATH, description="Id of the token.")


class GrantedScope(serializers.Serializer[Any]):
    """A scope, in words."""

    scope = serializers.CharField()
    sentence = serializers.CharField(help_text="What it allows.")
    is_dangerous = serializers.BooleanField(help_text="Whether it is a powerful one.")


class ConnectionSession(serializers.ModelSerializer[Session]):
    """One time that a client was let in."""

    device = serializers.SerializerMethodField(help_text="What the device says that it is; anybody can say anything.")

    class Meta:
        model = Session
        fields = ["id", "created_at", "last_used_at", "expires_at", "ip_address", "device"]
        read_only_fields = fields

    def get_device(self, session: Session) -> str:
        """Return words such as "Firefox on Linux"."""
        return describe_device(session.user_agent)


class ConnectionOut(serializers.Serializer[selectors.Connection]):
    """A client that may act for the user who asks."""

    client_id = serializers.CharField(source="application.client_id")
    name = serializers.CharField(source="application.name")
    homepage_url = serializers.CharField(source="application.homepage_url", help_text="Empty where unknown.")
    is_active = serializers.BooleanField(source="application.is_active", help_text="False where it is switched off.")
    scopes = serializers.SerializerMethodField(help_text="What it may do.")
    granted_at = serializers.DateTimeField()
    expires_at = serializers.SerializerMethodField(help_text="From then on it has to ask again; null is never.")
    last_used_at = serializers.DateTimeField(allow_null=True, help_text="When it got tokens last.")
    sessions = ConnectionSession(many=True, help_text="Those that are alive, at most 10, the one used last first.")
    session_count = serializers.IntegerField(help_text="How many are alive in all.")

    @extend_schema_field(GrantedScope(many=True))
    def get_scopes(self, connection: selectors.Connection) -> Any:  # Any: as DRF has it
        """Return them in words."""
        return GrantedScope(describe_scopes(connection.scopes), many=True).data

    @extend_schema_field(serializers.DateTimeField(allow_null=True))
    def get_expires_at(self, connection: selectors.Connection) -> Any:  # Any: as above
        """Return the end of the consent."""
        expires_at = connection.consent and connection.consent.expires_at
        return expires_at and serializers.DateTimeField().to_representation(expires_at)


class PersonalTokenOut(serializers.ModelSerializer[PersonalAccessToken]):
    """A personal access token, but not what it is."""

    scopes = serializers.SerializerMethodField()

    class Meta:
        model = PersonalAccessToken
        fields = ["id", "name", "hint", "scopes", "created_at", "expires_at", "last_used_at"]
        read_only_fields = fields

    def get_scopes(self, token: PersonalAccessToken) -> list[str]:
        """Return what it may do."""
        return token.scope.split()


class NewPersonalTokenOut(PersonalTokenOut):
    """A personal access token that was just made."""

    token = serializers.SerializerMethodField(help_text="Shown this once.")

    class Meta(PersonalTokenOut.Meta):
        fields = [*PersonalTokenOut.Meta.fields, "token"]
        read_only_fields = fields

    def get_token(self, token: PersonalAccessToken) -> str:
        """Return the token itself."""
        made: str = self.context["token"]
        return made


class DaysField(serializers.ChoiceField):
    """A lifetime. DRF's own field takes text for numbers too, against the schema that it publishes."""

    @override
    def to_internal_value(self, data: object) -> Any:  # Any: as DRF has it
        """Refuse what isn't a JSON number."""
        if not isinstance(data, int) or isinstance(data, bool):
            self.fail("invalid_choice", input=data)
        return super().to_internal_value(data)


class NewPersonalToken(serializers.Serializer[None]):
    """Body that makes a personal access token."""

    name = StringField(max_length=MAX_NAME_CHARACTERS, help_text="For its owner; none of theirs has the same.")
    scopes = serializers.ListField(
        child=StringField(max_length=100),
        max_length=100,
        help_text="At least one; all of them but those that only mean something to a client (`openid`).",
    )
    expires_in_days = DaysField(
        choices=PERSONAL_TOKEN_DAYS,
        allow_null=True,
        default=DEFAULT_PERSONAL_TOKEN_DAYS,
        help_text="Null for one that stays until it is revoked.",
    )


class OwnView(APIView):
    """A view about what belongs to the user who asks; it takes a token from sign-in, and no cache keeps its answers."""

    permission_classes = [IsUser]

    @property
    def user_id(self) -> UUID:
        """Who asks."""
        key: UUID = get_actor(self.request).pk
        return key

    @override
    def finalize_response(self, request: Request, response: Response, *args: object, **kwargs: object) -> Response:
        """Add the header."""
        finalized = super().finalize_response(request, response, *args, **kwargs)
        finalized["Cache-Control"] = "no-store"
        return finalized


class ConnectionListView(OwnView, ListAPIView[Any]):  # Any: pages of clients, told of as connections
    """The clients that may act for the user who asks."""

    serializer_class = ConnectionOut

    @override
    def get_queryset(self) -> QuerySet[Application]:
        """Return the clients, by name."""
        return selectors.list_connected_clients(user_id=self.user_id, now=timezone.now())

    @extend_schema(
        operation_id="list_connections",
        summary="List the apps that may use my account",
        description="By name. `DELETE` of one ends all that it may do.",
        tags=["oauth"],
    )
    @override
    def get(self, request: Request, *args: object, **kwargs: object) -> Response:
        """List them."""
        page = self.paginate_queryset(self.get_queryset()) or []
        found = selectors.describe_connections(user_id=self.user_id, clients=page, now=timezone.now())
        return self.get_paginated_response([ConnectionOut(connection).data for connection in found])


class ConnectionView(OwnView):
    """One client that may act for the user who asks."""

    @extend_schema(
        operation_id="revoke_connection",
        summary="Take back what an app may do",
        description="Its consent, sessions, tokens and codes are dead at once.",
        parameters=[_CLIENT],
        request=None,
        responses={204: None},
        tags=["oauth"],
    )
    def delete(self, request: Request, client_id: str) -> Response:
        """End it."""
        services.revoke_connection(user_id=self.user_id, client_id=client_id, now=timezone.now())
        return Response(status=HTTPStatus.NO_CONTENT)


class PersonalTokenListView(OwnView, ListAPIView[PersonalAccessToken]):
    """The personal access tokens of the user who asks."""

    serializer_class = PersonalTokenOut

    @override
    def get_permissions(self) -> "list[_SupportsHasPermission]":
        """Ask for a recent sign-in before a token is made."""
        recent = [IsRecent()] if self.request.method == "POST" else []
        return [*super().get_permissions(), *recent]

    @override
    def get_queryset(self) -> QuerySet[PersonalAccessToken]:
        """Return those that weren't revoked, the newest first."""
        return selectors.list_personal_tokens(user_id=self.user_id)

    @extend_schema(
        operation_id="list_personal_tokens",
        summary="List my personal access tokens",
        description="Those that weren't revoked, the newest first; one that has expired is listed for 30 days more.",
        tags=["oauth"],
    )
    @override
    def get(self, request: Request, *args: object, **kwargs: object) -> Response:
        """List them."""
        return super().get(request, *args, **kwargs)

    @extend_schema(
        operation_id="create_personal_token",
        summary="Make a personal access token",
        description="The answer holds the token, which can't be had again. Needs an access token whose `auth_time` is "
        "at most five minutes ago.",
        request=NewPersonalToken,
        responses={201: NewPersonalTokenOut},
        tags=["oauth"],
    )
    def post(self, request: Request) -> Response:
        """Make one."""
        body = NewPersonalToken(data=request.data)
        body.is_valid(raise_exception=True)
        days: int | None = body.validated_data["expires_in_days"]
        made = services.create_personal_token(
            user_id=self.user_id,
            session_id=_get_session_id(request),
            name=body.validated_data["name"],
            scopes=body.validated_data["scopes"],
            lifetime=None if days is None else timedelta(days=days),
            now=timezone.now(),
        )
        answer = NewPersonalTokenOut(made.row, context={"token": made.token})
        return Response(answer.data, HTTPStatus.CREATED)


class PersonalTokenView(OwnView):
    """One personal access token of the user who asks."""

    @extend_schema(
        operation_id="revoke_personal_token",
        summary="Revoke a personal access token",
        description="It is dead at once.",
        parameters=[_TOKEN],
        request=None,
        responses={204: None},
        tags=["oauth"],
    )
    def delete(self, request: Request, token_id: UUID) -> Response:
        """Revoke it."""
        services.revoke_own_token(user_id=self.user_id, token_id=token_id, now=timezone.now())
        return Response(status=HTTPStatus.NO_CONTENT)


def _get_session_id(request: Request) -> UUID:
    """Return the session of the access token.

    Raises:
        NotAuthenticated: There is no token.
        SessionDoesNotExist: The token belongs to none.
    """
    if not isinstance(request.auth, AccessClaims):
        raise NotAuthenticated
    if request.auth.session_id is None:
        raise SessionDoesNotExist
    return request.auth.session_id
