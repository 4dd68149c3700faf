"""Having another e-mail address."""

from http import HTTPStatus

from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from accounts import services
from accounts.api import serializers
from accounts.api.views.endpoints import OpenView, OwnView, read
from accounts.drf import IsRecent, IsUser
from accounts.exceptions import SessionDoesNotExist
from accounts.throttles import AuthThrottle, Door, limit_account, note_success


class ChangeEmailView(OwnView):
    """Have a link sent to another address."""

    permission_classes = [IsUser, IsRecent]
    throttle_classes = [AuthThrottle]
    throttle_door = Door.CHANGE_EMAIL

    @extend_schema(
        operation_id="change_email",
        summary="Ask for another e-mail address",
        description="Nothing changes until the link is followed that is mailed to the new address. Answers alike "
        "whether that has an account. Needs an access token whose `auth_time` is at most five minutes ago.",
        request=serializers.Address,
        responses={202: serializers.Message},
        tags=["auth"],
    )
    def post(self, request: Request) -> Response:
        """Ask for the mail."""
        data = read(serializers.Address(data=request.data))
        limit_account(request, data["email"])
        if self.claims.session_id is None:
            raise SessionDoesNotExist
        services.request_email_change(user=self.user, email=data["email"], session_id=self.claims.session_id)
        detail = "We sent a link to the new address. Your address stays as it is until you follow the link."
        return Response({"detail": detail}, HTTPStatus.ACCEPTED)


class ConfirmEmailView(OpenView):
    """Take the address that a link was sent to."""

    throttle_door = Door.CONFIRM

    @extend_schema(
        operation_id="confirm_email_change",
        summary="Take the e-mail address that a link was mailed to",
        description="All sessions end. Signs nobody in. Answers 409 `email_in_use` where another account has the "
        "address by now.",
        request=serializers.LinkToken,
        responses={200: serializers.Message},
        tags=["auth"],
    )
    def post(self, request: Request) -> Response:
        """Use the token of the mailed link up and change the address."""
        data = read(serializers.LinkToken(data=request.data))
        now = timezone.now()
        user = services.confirm_email_change(token=data["token"], now=now)
        note_success(request, door=Door.CONFIRM, account=user.email, now=now)
        return Response({"detail": "Your e-mail address is changed. Sign in with the new one."})
