"""Registration, sign-in and the users over HTTP."""

from http import HTTPStatus
from typing import ClassVar, override

from django.db.models import QuerySet
from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework.generics import ListAPIView
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import Serializer
from rest_framework.views import APIView

from accounts import selectors, services
from accounts.api import serializers
from accounts.drf import IsUser
from accounts.models import User
from accounts.throttles import AuthThrottle, Door, limit_account, note_success
from accounts.tokens import AccessClaims
from permissions.drf import GUARD, TEAM, HasPermission, InTeam, get_guard
from permissions.scope import get_team
from project.current_request import get_client_ip


class AuthView(APIView):
    """A view whose answers are about credentials: no cache keeps them."""

    @override
    def finalize_response(self, request: Request, response: Response, *args: object, **kwargs: object) -> Response:
        """Add the header."""
        finalized = super().finalize_response(request, response, *args, **kwargs)
        finalized["Cache-Control"] = "no-store"
        return finalized


class OpenView(AuthView):
    """A view for people who have no token yet; how often one may try is limited."""

    throttle_door: ClassVar[Door]
    authentication_classes = []
    permission_classes = [AllowAny]
    throttle_classes = [AuthThrottle]


class RegisterView(OpenView):
    """Make an account."""

    throttle_door = Door.REGISTER

    @extend_schema(
        operation_id="register",
        summary="Register",
        description="Answers alike whether the address has an account already; only a mail to the address tells.",
        request=serializers.Registration,
        responses={202: serializers.Message},
        tags=["auth"],
    )
    def post(self, request: Request) -> Response:
        """Register and have the address verified by mail."""
        data = _read(serializers.Registration(data=request.data))
        limit_account(request, data["email"])
        services.register_user(email=data["email"], password=data["password"], name=data["name"], now=timezone.now())
        return Response({"detail": "Check your mail: we sent a link to confirm the address."}, HTTPStatus.ACCEPTED)


class VerifyEmailView(OpenView):
    """Verify an e-mail address."""

    throttle_door = Door.VERIFY

    @extend_schema(
        operation_id="verify_email",
        summary="Verify an e-mail address",
        request=serializers.EmailVerification,
        responses={200: serializers.Message},
        tags=["auth"],
    )
    def post(self, request: Request) -> Response:
        """Use the token of the mailed link up."""
        data = _read(serializers.EmailVerification(data=request.data))
        now = timezone.now()
        user = services.verify_email(token=data["token"], now=now)
        note_success(request, door=Door.VERIFY, account=user.email, now=now)
        return Response({"detail": "The address is confirmed. You can sign in now."})


class LoginView(OpenView):
    """Sign in."""

    throttle_door = Door.LOGIN

    @extend_schema(
        operation_id="login",
        summary="Sign in",
        request=serializers.Credentials,
        responses={200: serializers.TokenPair},
        tags=["auth"],
    )
    def post(self, request: Request) -> Response:
        """Exchange e-mail and password for tokens."""
        data = _read(serializers.Credentials(data=request.data))
        limit_account(request, data["email"])
        now = timezone.now()
        pair = services.sign_in(
            email=data["email"],
            password=data["password"],
            device=services.Device(get_client_ip(request), request.headers.get("User-Agent", "")),
            now=now,
        )
        note_success(request, door=Door.LOGIN, account=data["email"], now=now)
        return _answer_tokens(pair)


class RefreshView(OpenView):
    """Refresh."""

    throttle_door = Door.REFRESH

    @extend_schema(
        operation_id="refresh",
        summary="Exchange a refresh token for a new pair",
        description="A refresh token works once. Using it a second time ends the session, unless both uses were "
        "under way at the same time: then one gets the pair and the other is refused.",
        request=serializers.Refreshing,
        responses={200: serializers.TokenPair},
        tags=["auth"],
    )
    def post(self, request: Request) -> Response:
        """Exchange a refresh token for the next pair."""
        started_at = timezone.now()
        data = _read(serializers.Refreshing(data=request.data))
        pair = services.refresh(refresh_token=data["refresh_token"], started_at=started_at, now=timezone.now())
        return _answer_tokens(pair)


class LogoutView(AuthView):
    """Sign out."""

    permission_classes = [IsUser]

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
        if isinstance(request.auth, AccessClaims):
            services.sign_out(claims=request.auth, now=timezone.now())
        return Response(status=HTTPStatus.NO_CONTENT)


class MeView(AuthView):
    """The user who asks."""

    permission_classes = [IsUser]
    required_scopes: ClassVar[dict[str, frozenset[str]]] = {"GET": frozenset({"profile"})}

    @extend_schema(
        operation_id="get_me",
        summary="Who am I",
        description="An OAuth token with the scope `profile` gets id, name and address; a first-party token gets all.",
        request=None,
        responses={200: serializers.Me},
        tags=["auth"],
    )
    def get(self, request: Request) -> Response:
        """Describe the user who asks."""
        user = request.user if isinstance(request.user, User) else None
        is_first_party = isinstance(request.auth, AccessClaims) and request.auth.scope is None
        return Response(serializers.Me(user).data if is_first_party else serializers.Profile(user).data)


class UserListView(InTeam, ListAPIView[User]):
    """All users, or those who have a role in a team."""

    permission_classes = [HasPermission("accounts.view_user")]
    required_scopes: ClassVar[dict[str, frozenset[str]]] = {"GET": frozenset({"users:read"})}
    serializer_class = serializers.UserSummary

    @override
    def get_queryset(self) -> QuerySet[User]:
        """Return the users that the query asks for, with their roles."""
        asked = serializers.UserFilter(data=self.request.query_params)
        asked.is_valid(raise_exception=True)
        return selectors.list_users(**asked.validated_data, team_id=get_team(), guard=get_guard(self.request))

    @override
    @extend_schema(
        operation_id="list_users",
        summary="List the users",
        parameters=[serializers.UserFilter, GUARD, TEAM],
        tags=["users"],
    )
    def get(self, request: Request, *args: object, **kwargs: object) -> Response:
        """List the users, oldest first: in a team those who have a role there, otherwise all."""
        return super().get(request, *args, **kwargs)


def _read(serializer: Serializer[None]) -> dict[str, str]:
    serializer.is_valid(raise_exception=True)
    data: dict[str, str] = serializer.validated_data
    return data


def _answer_tokens(pair: services.TokenPair) -> Response:
    return Response(
        {
            "access_token": pair.access_token,
            "refresh_token": pair.refresh_token,
            "token_type": "Bearer",
            "expires_in": int(pair.expires_in.total_seconds()),
        }
    )
