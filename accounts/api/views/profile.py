"""The user who asks."""

from typing import TYPE_CHECKING, override

from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from accounts import services
from accounts.api import serializers
from accounts.api.views.endpoints import OwnView, answer_end, read
from accounts.drf import IsRecent, IsUser
from permissions.drf import HasScopes

if TYPE_CHECKING:
    from rest_framework.permissions import _SupportsHasPermission  # a name of the stubs


class MeView(OwnView):
    """The user who asks."""

    permission_classes = [IsUser, HasScopes(GET="profile")]

    @override
    def get_permissions(self) -> "list[_SupportsHasPermission]":
        """Ask for a recent sign-in before the account is deleted."""
        recent = [IsRecent()] if self.request.method == "DELETE" else []
        return [*super().get_permissions(), *recent]

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
        is_first_party = self.claims.scope is None
        return Response(serializers.Me(self.user).data if is_first_party else serializers.Profile(self.user).data)

    @extend_schema(
        operation_id="change_me",
        summary="Change my name",
        description="Everything else has a way of its own, or isn't the user's to change.",
        request=serializers.ProfileChange,
        responses={200: serializers.Me},
        tags=["auth"],
    )
    def patch(self, request: Request) -> Response:
        """Change what is named."""
        data = read(serializers.ProfileChange(data=request.data))
        if "name" in data:
            services.update_profile(user=self.user, name=data["name"])
        return Response(serializers.Me(self.user).data)

    @extend_schema(
        operation_id="delete_me",
        summary="Delete my account",
        description="At once and for good. Needs an access token whose `auth_time` is at most five minutes ago.",
        request=None,
        responses={204: None},
        tags=["auth"],
    )
    def delete(self, request: Request) -> Response:
        """Delete the user who asks."""
        services.delete_account(user=self.user, now=timezone.now())
        return answer_end(request)
