"""The users."""

from typing import override

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework.generics import ListAPIView
from rest_framework.request import Request
from rest_framework.response import Response

from accounts import selectors
from accounts.api import serializers
from accounts.models import User
from permissions.drf import GUARD, TEAM, HasPermission, HasScopes, InTeam, get_guard
from permissions.scope import get_team


class UserListView(InTeam, ListAPIView[User]):
    """All users, or those who have a role in a team."""

    permission_classes = [HasPermission("accounts.view_user"), HasScopes("users:read")]
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
