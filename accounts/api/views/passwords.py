"""Choosing another password."""

from http import HTTPStatus

from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from accounts import services
from accounts.api import serializers
from accounts.api.cookies import has_refresh_cookie
from accounts.api.views.endpoints import OpenView, OwnPasswordView, answer_pair, get_device, read
from accounts.exceptions import PasswordRefused
from accounts.throttles import Door, limit_account, note_success


class ChangePasswordView(OwnPasswordView):
    """Choose another password by showing the present one."""

    @extend_schema(
        operation_id="change_password",
        summary="Change the password",
        description="All sessions end, this one too; the answer is the pair of a new one for this device, with the "
        "refresh token in the cookie if the request brings that cookie.",
        request=serializers.PasswordChange,
        responses={200: serializers.TokenPair},
        tags=["auth"],
    )
    def post(self, request: Request) -> Response:
        """Change it and begin a new session."""
        data = read(serializers.PasswordChange(data=request.data))
        user, now = self.user, timezone.now()
        limit_account(request, user.email)
        try:
            services.change_password(
                user=user, current_password=data["current_password"], new_password=data["new_password"], now=now
            )
        except PasswordRefused:  # the present one was right
            note_success(request, door=Door.REAUTHENTICATE, account=user.email, now=now)
            raise
        note_success(request, door=Door.REAUTHENTICATE, account=user.email, now=now)
        now = timezone.now()  # a token counts from after the moment up to which all others are dead
        pair = services.open_api_session(proof=services.Proof(user, now), device=get_device(request), now=now)
        return answer_pair(pair, in_cookie=has_refresh_cookie(request), now=now)


class RequestPasswordResetView(OpenView):
    """Have a link sent with which a new password can be chosen."""

    throttle_door = Door.RESET

    @extend_schema(
        operation_id="request_password_reset",
        summary="Have a link sent that lets a new password be chosen",
        description="Answers alike for every address; a link is mailed where there is an account.",
        request=serializers.Address,
        responses={202: serializers.Message},
        tags=["auth"],
    )
    def post(self, request: Request) -> Response:
        """Ask for the mail."""
        data = read(serializers.Address(data=request.data))
        limit_account(request, data["email"])
        services.request_password_reset(email=data["email"])
        detail = "Check your mail: we sent a link to choose a new password, if this address has an account."
        return Response({"detail": detail}, HTTPStatus.ACCEPTED)


class ResetPasswordView(OpenView):
    """Choose a new password with a mailed link."""

    throttle_door = Door.CONFIRM

    @extend_schema(
        operation_id="reset_password",
        summary="Choose a new password with a mailed link",
        description="All sessions end. Signs nobody in.",
        request=serializers.PasswordReset,
        responses={200: serializers.Message},
        tags=["auth"],
    )
    def post(self, request: Request) -> Response:
        """Use the token of the mailed link up and change the password."""
        data = read(serializers.PasswordReset(data=request.data))
        now = timezone.now()
        user = services.reset_password(token=data["token"], password=data["password"], now=now)
        note_success(request, door=Door.CONFIRM, account=user.email, now=now)
        return Response({"detail": "The password is changed. Sign in with the new one."})
