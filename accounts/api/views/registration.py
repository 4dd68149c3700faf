"""New accounts, and showing that an address is one's own."""

from http import HTTPStatus

from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from accounts import services
from accounts.api import serializers
from accounts.api.views.endpoints import OpenView, read
from accounts.throttles import Door, limit_account, note_success


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
        data = read(serializers.Registration(data=request.data))
        limit_account(request, data["email"])
        services.register_user(email=data["email"], password=data["password"], name=data["name"], now=timezone.now())
        return Response({"detail": "Check your mail: we sent a link to confirm the address."}, HTTPStatus.ACCEPTED)


class ResendVerificationView(OpenView):
    """Have the link that verifies an address sent again."""

    throttle_door = Door.RESEND

    @extend_schema(
        operation_id="resend_verification",
        summary="Have another link sent that verifies an e-mail address",
        description="Answers alike for every address; a link is mailed where an account waits for one.",
        request=serializers.Address,
        responses={202: serializers.Message},
        tags=["auth"],
    )
    def post(self, request: Request) -> Response:
        """Ask for the mail."""
        data = read(serializers.Address(data=request.data))
        limit_account(request, data["email"])
        services.resend_verification(email=data["email"])
        detail = "Check your mail: we sent another link, if this address has an account that waits for one."
        return Response({"detail": detail}, HTTPStatus.ACCEPTED)


class VerifyEmailView(OpenView):
    """Verify an e-mail address."""

    throttle_door = Door.VERIFY

    @extend_schema(
        operation_id="verify_email",
        summary="Verify an e-mail address",
        description="Signs nobody in.",
        request=serializers.LinkToken,
        responses={200: serializers.Message},
        tags=["auth"],
    )
    def post(self, request: Request) -> Response:
        """Use the token of the mailed link up."""
        data = read(serializers.LinkToken(data=request.data))
        now = timezone.now()
        user = services.verify_email(token=data["token"], now=now)
        note_success(request, door=Door.VERIFY, account=user.email, now=now)
        return Response({"detail": "The address is confirmed. You can sign in now."})
