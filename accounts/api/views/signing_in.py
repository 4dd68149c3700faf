"""Signing in, staying so, and showing once more who one is."""

from typing import override

from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.exceptions import ErrorDetail, ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from accounts import services
from accounts.api import serializers
from accounts.api.cookies import check_origin, clear_cookies, has_refresh_cookie, read_refresh_cookie
from accounts.api.views.endpoints import (
    OpenView,
    OwnPasswordView,
    answer_access_token,
    answer_pair,
    get_device,
    read,
)
from accounts.exceptions import InvalidRefreshToken, SessionDoesNotExist
from accounts.throttles import Door, LateThrottle, limit_account, note_success


class LoginView(OpenView):
    """Sign in."""

    throttle_door = Door.LOGIN
    throttle_classes = [LateThrottle]

    @extend_schema(
        operation_id="login",
        summary="Sign in",
        description="With `cookie` the refresh token is answered in an `HttpOnly` cookie instead of the body, beside "
        "a second cookie whose value a refresh must send as `X-CSRF-Token`.",
        request=serializers.Credentials,
        responses={200: serializers.TokenPair},
        tags=["auth"],
    )
    def post(self, request: Request) -> Response:
        """Exchange e-mail and password for tokens."""
        try:
            data = read(serializers.Credentials(data=request.data))
            if data["cookie"]:
                check_origin(request)
        except Exception:
            limit_account(request, "")  # what makes no sense counts for its address
            raise
        device = get_device(request, is_known=limit_account(request, data["email"]))
        now = timezone.now()
        pair = services.sign_in(email=data["email"], password=data["password"], device=device, now=now)
        note_success(request, door=Door.LOGIN, account=data["email"], is_session=True, now=now)
        return answer_pair(pair, in_cookie=data["cookie"], now=now)


class RefreshView(OpenView):
    """Refresh."""

    throttle_door = Door.REFRESH
    _is_cookie_dead = False

    @extend_schema(
        operation_id="refresh",
        summary="Exchange a refresh token for a new pair",
        description="A refresh token works once; for a few seconds after that it gives the same successor again, so "
        "that requests which race all get one pair. Using it later ends the session. A token in the body wins over "
        "one in the cookie; by cookie, the header `X-CSRF-Token` is required, and the next token comes in the cookie.",
        parameters=[
            OpenApiParameter(
                "X-CSRF-Token", OpenApiTypes.STR, OpenApiParameter.HEADER, description="Value of the CSRF cookie."
            )
        ],
        request=serializers.Refreshing,
        responses={200: serializers.TokenPair},
        tags=["auth"],
    )
    def post(self, request: Request) -> Response:
        """Exchange a refresh token for the next pair."""
        started_at = timezone.now()
        token = read(serializers.Refreshing(data=request.data)).get("refresh_token")
        in_cookie = token is None
        if token is None:
            if not has_refresh_cookie(request):
                raise ValidationError({"refresh_token": [ErrorDetail("Send it here, or in its cookie.", "required")]})
            token = self._read_cookie(request)
        now = timezone.now()
        try:
            pair = services.refresh(refresh_token=token, started_at=started_at, now=now)
        except InvalidRefreshToken:
            self._is_cookie_dead = in_cookie
            raise
        return answer_pair(pair, in_cookie=in_cookie, now=now)

    @override
    def finalize_response(self, request: Request, response: Response, *args: object, **kwargs: object) -> Response:
        """Let the browser forget a cookie that opens nothing any more."""
        finalized = super().finalize_response(request, response, *args, **kwargs)
        if self._is_cookie_dead:
            clear_cookies(finalized)
        return finalized

    def _read_cookie(self, request: Request) -> str:
        try:
            return read_refresh_cookie(request)
        except InvalidRefreshToken:
            self._is_cookie_dead = True
            raise


class ReauthenticateView(OwnPasswordView):
    """Show once more who one is."""

    @extend_schema(
        operation_id="reauthenticate",
        summary="Give the password again",
        description="Answers another access token of the same session, whose `auth_time` is now. Changing the e-mail "
        "address, deleting the account and the export need one that is at most five minutes old.",
        request=serializers.OwnPassword,
        responses={200: serializers.AccessToken},
        tags=["auth"],
    )
    def post(self, request: Request) -> Response:
        """Exchange the password for a fresh access token."""
        data = read(serializers.OwnPassword(data=request.data))
        limit_account(request, self.user.email)
        if self.claims.session_id is None:
            raise SessionDoesNotExist
        now = timezone.now()
        session = services.reauthenticate(
            user=self.user, session_id=self.claims.session_id, password=data["password"], now=now
        )
        note_success(request, door=Door.REAUTHENTICATE, account=self.user.email, now=now)
        return answer_access_token(*services.issue_session_token(session=session, now=now))
