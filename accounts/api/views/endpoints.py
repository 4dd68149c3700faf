"""What the endpoints of accounts share: who may come, and how bodies are read and tokens answered."""

from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Any, ClassVar, override

from django.http import HttpRequest
from rest_framework.exceptions import NotAuthenticated
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import Serializer
from rest_framework.views import APIView

from accounts import services
from accounts.api.cookies import clear_cookies, has_refresh_cookie, set_cookies
from accounts.drf import IsUser
from accounts.models import User
from accounts.throttles import AuthThrottle, Door
from accounts.tokens import AccessClaims
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


class OwnView(AuthView):
    """A view about the account of the user who asks; for first-party tokens alone, unless it lists scopes."""

    permission_classes = [IsUser]

    @property
    def user(self) -> User:
        """The user who asks.

        Raises:
            NotAuthenticated: Nobody does, which ``IsUser`` has seen to.
        """
        user = self.request.user
        if not isinstance(user, User):
            raise NotAuthenticated
        return user

    @property
    def claims(self) -> AccessClaims:
        """What the access token of the request says.

        Raises:
            NotAuthenticated: There is none, which ``IsUser`` has seen to.
        """
        claims = self.request.auth
        if not isinstance(claims, AccessClaims):
            raise NotAuthenticated
        return claims


class OwnPasswordView(OwnView):
    """A view that asks for the user's present password; how often one may try is limited."""

    throttle_door: ClassVar[Door] = Door.REAUTHENTICATE
    throttle_classes = [AuthThrottle]


def read(serializer: Serializer[None]) -> dict[str, Any]:  # Any: what the fields of the serializer give
    """Return the checked body.

    Raises:
        ValidationError: It is not as it should be.
    """
    serializer.is_valid(raise_exception=True)
    data: dict[str, Any] = serializer.validated_data  # Any: as above
    return data


def get_device(request: Request, *, is_known: bool = False) -> services.Device:
    """Return from where the request comes."""
    return services.Device(get_client_ip(request), request.headers.get("User-Agent", ""), is_known)


def answer_pair(pair: services.TokenPair, *, in_cookie: bool, now: datetime) -> Response:
    """Answer both tokens, the refresh token in the body or in its cookie."""
    response = answer_access_token(pair.access_token, pair.expires_in)
    if in_cookie:
        set_cookies(response, pair, now=now)
    else:
        response.data["refresh_token"] = pair.refresh_token
    return response


def answer_access_token(access_token: str, lifetime: timedelta) -> Response:
    """Answer an access token."""
    body = {"access_token": access_token, "token_type": "Bearer", "expires_in": int(lifetime.total_seconds())}
    return Response(body)


def answer_end(request: HttpRequest) -> Response:
    """Answer that the session has ended, and let a browser forget its refresh token."""
    response = Response(status=HTTPStatus.NO_CONTENT)
    if has_refresh_cookie(request):
        clear_cookies(response)
    return response
