"""Teams, as far as rights go, over HTTP."""

from typing import override

from django.db.models import QuerySet
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.exceptions import NotFound
from rest_framework.generics import ListAPIView
from rest_framework.permissions import IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from permissions import scope, selectors
from permissions.api.assignments import AssignmentOut
from permissions.drf import HasPermission, HasScopes, InTeam, get_actor
from permissions.exceptions import TeamDoesNotExist
from permissions.models import RoleAssignment

_ID = OpenApiParameter("team_id", str, OpenApiParameter.PATH, description="Key of the team.")


class TeamOut(serializers.Serializer[None]):
    """A team in which the caller has a role."""

    id = serializers.CharField(help_text="Its key, as `X-Team` and `?team=` take it.")
    name = serializers.CharField()
    roles = serializers.ListField(
        child=serializers.CharField(), help_text="Names of the caller's roles there, and in all teams, sorted."
    )


class Teams(serializers.Serializer[None]):
    """The teams of a user."""

    results = TeamOut(many=True)


class Member(AssignmentOut):
    """A role that somebody has in a team."""

    user = serializers.UUIDField(source="user_id", help_text="Id of the user.")
    user_name = serializers.CharField(source="user", help_text="How the user signs in.")

    class Meta(AssignmentOut.Meta):
        fields = ["user", "user_name", *AssignmentOut.Meta.fields]
        read_only_fields = fields


class TeamListView(APIView):
    """The caller's teams."""

    permission_classes = [IsAuthenticated, HasScopes("roles:read")]

    @extend_schema(
        operation_id="list_teams",
        summary="List your teams",
        description="Those in which you have a role now, by name. 400 `teams_not_enabled` where there are no teams.",
        responses={200: Teams},
        tags=["teams"],
    )
    def get(self, request: Request) -> Response:
        """List the caller's teams with the roles that count there."""
        found = selectors.list_team_roles(user=get_actor(request))
        return Response({"results": [{"id": key, "name": name, "roles": roles} for key, name, roles in found]})


class TeamMembersView(InTeam, ListAPIView[RoleAssignment]):
    """Who has a role in a team."""

    permission_classes = [HasPermission("permissions.view_role|permissions.assign_role"), HasScopes("roles:read")]
    serializer_class = Member

    @override
    def find_team(self, request: Request) -> str | None:
        """Return the team in the address.

        Raises:
            NotFound: There is no such team.
        """
        key: str = self.kwargs["team_id"]
        try:
            selectors.get_team(key=key)
        except TeamDoesNotExist as error:
            raise NotFound(error.message, error.code) from error
        return key

    @override
    def get_queryset(self) -> QuerySet[RoleAssignment]:
        """Return the assignments in the team that count now."""
        return selectors.list_members(team_id=scope.get_team() or "")

    @override
    @extend_schema(
        operation_id="list_team_members",
        summary="List the members of a team",
        parameters=[_ID],
        tags=["teams"],
    )
    def get(self, request: Request, *args: object, **kwargs: object) -> Response:
        """List who has which role in the team now; who has roles in all teams is not listed."""
        return super().get(request, *args, **kwargs)
