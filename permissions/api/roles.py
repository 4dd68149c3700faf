"""Roles over HTTP."""

from http import HTTPStatus
from typing import override

from django.db.models import QuerySet
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.exceptions import NotFound
from rest_framework.generics import ListAPIView
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from permissions import scope, selectors, services
from permissions.drf import GUARD, TEAM, HasPermission, HasReadWriteScopes, InTeam, get_actor, get_guard
from permissions.exceptions import RoleDoesNotExist
from permissions.models import Role
from permissions.selectors import MAX_NAME_LENGTH
from project.api import StringField

MAX_PERMISSION_NAME_LENGTH = 201  # app label, dot, codename
MAX_PERMISSIONS = 1000
_MAX_PARENTS = 100
_NAME_HELP = "Printable characters without `|`, no space at either end. Unique in its guard and team."
_PERMISSIONS_HELP = "Names such as `accounts.view_user`. You can give only what you hold."
_ID = OpenApiParameter("role_id", int, OpenApiParameter.PATH, description="Id of the role.")


class RoleOut(serializers.ModelSerializer[Role]):
    """A role and what it permits."""

    id = serializers.IntegerField(source="pk", read_only=True)
    team = serializers.SerializerMethodField(help_text="Key of the one team that can use it; null where all can.")
    parents = serializers.SerializerMethodField(help_text="Names of the roles that it inherits from, sorted.")
    permissions = serializers.SerializerMethodField(help_text="Its own, as `app_label.codename` or free names, sorted.")

    class Meta:
        model = Role
        fields = ["id", "name", "guard", "team", "parents", "permissions", "created_at"]
        read_only_fields = fields

    def get_team(self, role: Role) -> str | None:
        """Return the key of the role's team."""
        return role.team_id or None

    def get_parents(self, role: Role) -> list[str]:
        """Return the names of the role's parents."""
        return selectors.get_parent_names(role=role)

    def get_permissions(self, role: Role) -> list[str]:
        """Return the names of the role's permissions."""
        return selectors.get_permission_names(role=role)


def _names(*, max_length: int, max_items: int, help_text: str, **options: object) -> serializers.ListField:
    child = StringField(max_length=max_length)
    return serializers.ListField(child=child, max_length=max_items, help_text=help_text, **options)  # type: ignore[arg-type] # required or default


class NewRole(serializers.Serializer[None]):
    """Body that makes a role."""

    name = StringField(max_length=MAX_NAME_LENGTH, help_text=_NAME_HELP)
    permissions = _names(
        max_length=MAX_PERMISSION_NAME_LENGTH, max_items=MAX_PERMISSIONS, help_text=_PERMISSIONS_HELP, default=list
    )
    parents = _names(
        max_length=MAX_NAME_LENGTH,
        max_items=_MAX_PARENTS,
        help_text="Names of roles whose permissions it has too.",
        default=list,
    )


class RoleChange(serializers.Serializer[None]):
    """Body that changes a role; what it leaves out stays."""

    name = StringField(max_length=MAX_NAME_LENGTH, required=False, help_text=f"{_NAME_HELP} Superusers alone rename.")
    permissions = _names(
        max_length=MAX_PERMISSION_NAME_LENGTH,
        max_items=MAX_PERMISSIONS,
        help_text=f"Exactly these. {_PERMISSIONS_HELP}",
        required=False,
    )
    parents = _names(
        max_length=MAX_NAME_LENGTH,
        max_items=_MAX_PARENTS,
        help_text="Names of exactly the roles whose permissions it has too.",
        required=False,
    )


class RoleListView(InTeam, ListAPIView[Role]):
    """All roles."""

    permission_classes = [
        HasPermission(GET="permissions.view_role", POST="permissions.add_role"),
        HasReadWriteScopes("roles"),
    ]
    serializer_class = RoleOut

    @override
    def get_queryset(self) -> QuerySet[Role]:
        """Return the roles with their permissions."""
        return selectors.list_roles(team_id=scope.get_team(), guard=get_guard(self.request))

    @override
    @extend_schema(operation_id="list_roles", summary="List the roles", parameters=[GUARD, TEAM], tags=["roles"])
    def get(self, request: Request, *args: object, **kwargs: object) -> Response:
        """List the roles by name, each with what it permits: in a team those that it can use, otherwise all."""
        return super().get(request, *args, **kwargs)

    @extend_schema(
        operation_id="create_role",
        summary="Make a role",
        description="In a team the role is the team's own. Nobody can make a role that permits more than they may "
        "themselves (403 `escalation`).",
        parameters=[GUARD, TEAM],
        request=NewRole,
        responses={201: RoleOut},
        tags=["roles"],
    )
    def post(self, request: Request) -> Response:
        """Make a role."""
        body = NewRole(data=request.data)
        body.is_valid(raise_exception=True)
        guard = get_guard(request)
        role = services.create_role(
            name=body.validated_data["name"],
            permissions=body.validated_data["permissions"],
            parents=selectors.find_roles(*body.validated_data["parents"], guard=guard, field="parents"),
            guard=guard,
            created_by=get_actor(request),
        )
        return Response(RoleOut(role).data, HTTPStatus.CREATED)


class RoleView(InTeam, APIView):
    """One role. A role that all teams can use is changed outside of teams alone, and a team's own in its team."""

    permission_classes = [
        HasPermission(GET="permissions.view_role", PATCH="permissions.change_role", DELETE="permissions.delete_role"),
        HasReadWriteScopes("roles"),
    ]

    @extend_schema(
        operation_id="get_role", summary="Show a role", parameters=[_ID, TEAM], responses={200: RoleOut}, tags=["roles"]
    )
    def get(self, request: Request, role_id: str) -> Response:
        """Show one role."""
        return Response(RoleOut(_find(role_id, is_written=False)).data)

    @extend_schema(
        operation_id="update_role",
        summary="Change a role",
        description="Nobody can add what they don't hold themselves (403 `escalation`).",
        parameters=[_ID, TEAM],
        request=RoleChange,
        responses={200: RoleOut},
        tags=["roles"],
    )
    def patch(self, request: Request, role_id: str) -> Response:
        """Change what the body names, all or nothing."""
        role = _find(role_id, is_written=True)
        body = RoleChange(data=request.data)
        body.is_valid(raise_exception=True)
        changes = body.validated_data
        if (names := changes.get("parents")) is not None:
            changes["parents"] = selectors.find_roles(*names, guard=role.guard, field="parents")
        services.update_role(role=role, **changes, changed_by=get_actor(request))
        return Response(RoleOut(_find(role_id, is_written=True)).data)

    @extend_schema(
        operation_id="delete_role",
        summary="Delete a role",
        description="Takes it from everybody who has it.",
        parameters=[_ID, TEAM],
        request=None,
        responses={204: None},
        tags=["roles"],
    )
    def delete(self, request: Request, role_id: str) -> Response:
        """Delete the role."""
        role = _find(role_id, is_written=True)
        try:
            services.delete_role(role=role, deleted_by=get_actor(request))
        except RoleDoesNotExist as error:
            raise NotFound(error.message, error.code) from error
        return Response(status=HTTPStatus.NO_CONTENT)


def _find(role_id: str, *, is_written: bool) -> Role:
    """Return the role of an id.

    Raises:
        NotFound: There is none in the scope of the request, or it can only be read there.
    """
    try:
        return selectors.get_role_by_key(key=role_id, team_id=scope.get_team(), is_own=is_written)
    except RoleDoesNotExist as error:
        raise NotFound(error.message, error.code) from error
