"""Who has which role, over HTTP."""

from http import HTTPStatus
from uuid import UUID

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from permissions import scope, selectors
from permissions.drf import GUARD, TEAM, HasPermission, HasReadWriteScopes, InTeam, get_actor, get_guard, get_user
from permissions.exceptions import RoleDoesNotExist
from permissions.mixins import HasRoles
from permissions.models import RoleAssignment
from permissions.selectors import MAX_NAME_LENGTH
from project.api import StringField

USER_ID = OpenApiParameter("user_id", UUID, OpenApiParameter.PATH, description="Id of the user.")
_ROLE_NAME = OpenApiParameter("name", str, OpenApiParameter.PATH, description="Name of the role.")
_MAX_ROLES = 100


class AssignmentOut(serializers.ModelSerializer[RoleAssignment]):
    """That a user has a role: where, until when and by whom."""

    role = serializers.CharField(source="role.name", help_text="Name of the role.")
    role_id = serializers.IntegerField()
    guard = serializers.CharField(source="role.guard")
    team = serializers.SerializerMethodField(help_text="Key of the team in which it holds; null where in all.")
    granted_by = serializers.UUIDField(
        source="granted_by_id", allow_null=True, help_text="Id of who gave it; null where a command did."
    )

    class Meta:
        model = RoleAssignment
        fields = ["role", "role_id", "guard", "team", "expires_at", "granted_by", "created_at"]
        read_only_fields = fields

    def get_team(self, assignment: RoleAssignment) -> str | None:
        """Return the key of the team."""
        return assignment.team_id or None


class UserRoles(serializers.Serializer[None]):
    """The roles of a user."""

    user = serializers.UUIDField()
    roles = serializers.ListField(
        child=serializers.CharField(), help_text="Names of those that count now in the team of the request, sorted."
    )
    assignments = AssignmentOut(
        many=True, help_text="In a team those of that team and of all teams; outside of teams all, also expired ones."
    )


class NewAssignment(serializers.Serializer[None]):
    """Body that gives a role."""

    role = StringField(max_length=MAX_NAME_LENGTH, help_text="Name of the role.")
    expires_at = serializers.DateTimeField(
        required=False, allow_null=True, default=None, help_text="From then on it counts for nothing; null is never."
    )


class RoleSet(serializers.Serializer[None]):
    """Body that names all roles."""

    roles = serializers.ListField(
        child=StringField(max_length=MAX_NAME_LENGTH), max_length=_MAX_ROLES, help_text="Names of the roles."
    )


class UserRolesView(InTeam, APIView):
    """The roles of one user."""

    permission_classes = [
        HasPermission(
            GET="permissions.view_role|permissions.assign_role",
            POST="permissions.assign_role",
            PUT="permissions.assign_role",
        ),
        HasReadWriteScopes("roles"),
    ]

    @extend_schema(
        operation_id="get_user_roles",
        summary="Show a user's roles",
        parameters=[USER_ID, TEAM],
        responses={200: UserRoles},
        tags=["roles"],
    )
    def get(self, request: Request, user_id: str) -> Response:
        """Show the roles that a user has."""
        return _answer(get_user(user_id))

    @extend_schema(
        operation_id="assign_role",
        summary="Give a user a role",
        description="In a team the role is given there, otherwise in all. Harmless where the user has it; the end is "
        "then the one named last. Nobody can give a role that permits more than they may themselves "
        "(403 `escalation`).",
        parameters=[USER_ID, GUARD, TEAM],
        request=NewAssignment,
        responses={200: UserRoles},
        tags=["roles"],
    )
    def post(self, request: Request, user_id: str) -> Response:
        """Give the role and answer all roles that the user has now."""
        user = get_user(user_id)
        body = NewAssignment(data=request.data)
        body.is_valid(raise_exception=True)
        role = selectors.get_role(name=body.validated_data["role"], guard=get_guard(request))
        user.assign_role(role, expires_at=body.validated_data["expires_at"], granted_by=get_actor(request))
        return _answer(user)

    @extend_schema(
        operation_id="sync_user_roles",
        summary="Set a user's roles",
        description="Gives the roles that are missing and takes all others, in exactly the team of the request. "
        "A role that the user has until some moment keeps its end.",
        parameters=[USER_ID, GUARD, TEAM],
        request=RoleSet,
        responses={200: UserRoles},
        tags=["roles"],
    )
    def put(self, request: Request, user_id: str) -> Response:
        """Give exactly these roles."""
        user = get_user(user_id)
        body = RoleSet(data=request.data)
        body.is_valid(raise_exception=True)
        roles = selectors.find_roles(*body.validated_data["roles"], guard=get_guard(request), field="roles")
        user.sync_roles(roles, granted_by=get_actor(request))
        return _answer(user)


class UserRoleView(InTeam, APIView):
    """One role of one user."""

    permission_classes = [HasPermission("permissions.assign_role"), HasReadWriteScopes("roles")]

    @extend_schema(
        operation_id="remove_role",
        summary="Take a role from a user",
        description="In exactly the team of the request, whether it is the team's own or one of all teams. "
        "Harmless where the user doesn't have it there.",
        parameters=[USER_ID, _ROLE_NAME, GUARD, TEAM],
        request=None,
        responses={204: None},
        tags=["roles"],
    )
    def delete(self, request: Request, user_id: str, name: str) -> Response:
        """Take the role away."""
        user = get_user(user_id)
        try:
            roles = selectors.list_roles_named(name=name, guard=get_guard(request), team_id=scope.get_team() or "")
        except RoleDoesNotExist as error:
            raise NotFound(error.message, error.code) from error
        user.remove_role(roles, taken_by=get_actor(request))
        return Response(status=HTTPStatus.NO_CONTENT)


def _answer(user: HasRoles) -> Response:
    assignments = selectors.list_assignments(user=user, team_id=scope.get_team())
    return Response(
        {
            "user": user.pk,
            "roles": selectors.get_role_names(user=user),
            "assignments": AssignmentOut(assignments, many=True).data,
        }
    )
