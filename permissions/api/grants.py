"""What users may, or may not, directly, over HTTP."""

from http import HTTPStatus

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response

from permissions import scope, selectors
from permissions.api.assignments import USER_ID
from permissions.api.roles import MAX_PERMISSION_NAME_LENGTH, MAX_PERMISSIONS
from permissions.drf import GUARD, TEAM, HasPermission, HasReadWriteScopes, InTeam, get_actor, get_guard, get_user
from permissions.exceptions import PermissionDoesNotExist
from permissions.mixins import HasRoles
from project.api import StringField

_NAME = OpenApiParameter("name", str, OpenApiParameter.PATH, description="Name of the permission.")
_GIVE = "permissions.assign_permission"
_SEE = f"permissions.view_role|{_GIVE}"


class GrantOut(serializers.Serializer[None]):
    """A permission that a user was given or forbidden directly."""

    permission = serializers.CharField(help_text="Its name.")
    guard = serializers.CharField()
    team = serializers.CharField(allow_null=True, help_text="Key of the team in which it holds; null where in all.")
    is_denied = serializers.BooleanField(help_text="Whether it is forbidden, whatever gives it, rather than given.")


class UserPermissions(serializers.Serializer[None]):
    """The permissions of a user."""

    user = serializers.UUIDField()
    permissions = serializers.ListField(
        child=serializers.CharField(),
        help_text="Names of all that the user holds in the team of the request, directly or through roles, sorted.",
    )
    direct = GrantOut(many=True, help_text="In a team those of that team and of all teams; outside of teams all.")


class PermissionNames(serializers.Serializer[None]):
    """Body that names permissions."""

    permissions = serializers.ListField(
        child=StringField(max_length=MAX_PERMISSION_NAME_LENGTH),
        max_length=MAX_PERMISSIONS,
        help_text="Names such as `accounts.view_user`. You can give only what you hold.",
    )


class UserPermissionsView(InTeam):
    """What one user was given directly."""

    permission_classes = [HasPermission(GET=_SEE, POST=_GIVE, PUT=_GIVE), HasReadWriteScopes("roles")]

    @extend_schema(
        operation_id="get_user_permissions",
        summary="Show a user's permissions",
        parameters=[USER_ID, TEAM],
        responses={200: UserPermissions},
        tags=["permissions"],
    )
    def get(self, request: Request, user_id: str) -> Response:
        """Show what a user holds, and what of it directly."""
        return _answer(get_user(user_id))

    @extend_schema(
        operation_id="give_user_permissions",
        summary="Give a user permissions",
        description="In a team they are given there, otherwise in all. Nobody can give what they don't hold "
        "(403 `escalation`).",
        parameters=[USER_ID, GUARD, TEAM],
        request=PermissionNames,
        responses={200: UserPermissions},
        tags=["permissions"],
    )
    def post(self, request: Request, user_id: str) -> Response:
        """Give permissions directly; those had already stay."""
        user = get_user(user_id)
        user.give_permission_to(_read(request), guard=get_guard(request), granted_by=get_actor(request))
        return _answer(user)

    @extend_schema(
        operation_id="sync_user_permissions",
        summary="Set a user's direct permissions",
        description="Gives those that are missing and takes all others, in exactly the team of the request.",
        parameters=[USER_ID, GUARD, TEAM],
        request=PermissionNames,
        responses={200: UserPermissions},
        tags=["permissions"],
    )
    def put(self, request: Request, user_id: str) -> Response:
        """Give exactly these permissions directly."""
        user = get_user(user_id)
        user.sync_permissions(_read(request), guard=get_guard(request), granted_by=get_actor(request))
        return _answer(user)


class UserPermissionView(InTeam):
    """One permission of one user."""

    permission_classes = [HasPermission(_GIVE), HasReadWriteScopes("roles")]

    @extend_schema(
        operation_id="revoke_user_permission",
        summary="Take a direct permission from a user",
        description="In exactly the team of the request. What a role gives stays.",
        parameters=[USER_ID, _NAME, GUARD, TEAM],
        request=None,
        responses={204: None},
        tags=["permissions"],
    )
    def delete(self, request: Request, user_id: str, name: str) -> Response:
        """Take the permission away."""
        user = get_user(user_id)
        try:
            permission = selectors.get_permission(name, guard=get_guard(request))
        except PermissionDoesNotExist as error:
            raise NotFound(error.message, error.code) from error
        user.revoke_permission_to(permission, taken_by=get_actor(request))
        return Response(status=HTTPStatus.NO_CONTENT)


class UserDenialsView(InTeam):
    """What one user is forbidden."""

    permission_classes = [HasPermission(_GIVE), HasReadWriteScopes("roles")]

    @extend_schema(
        operation_id="forbid_user_permissions",
        summary="Forbid a user permissions",
        description="Whatever gives them, in the team of the request or in all.",
        parameters=[USER_ID, GUARD, TEAM],
        request=PermissionNames,
        responses={200: UserPermissions},
        tags=["permissions"],
    )
    def post(self, request: Request, user_id: str) -> Response:
        """Forbid permissions."""
        user = get_user(user_id)
        user.forbid_permission_to(_read(request), guard=get_guard(request), granted_by=get_actor(request))
        return _answer(user)


class UserDenialView(InTeam):
    """One permission that a user is forbidden."""

    permission_classes = [HasPermission(_GIVE), HasReadWriteScopes("roles")]

    @extend_schema(
        operation_id="unforbid_user_permission",
        summary="No longer forbid a user a permission",
        description="In exactly the team of the request. Nobody can lift what they don't hold (403 `escalation`).",
        parameters=[USER_ID, _NAME, GUARD, TEAM],
        request=None,
        responses={204: None},
        tags=["permissions"],
    )
    def delete(self, request: Request, user_id: str, name: str) -> Response:
        """Lift what is forbidden."""
        user = get_user(user_id)
        try:
            permission = selectors.get_permission(name, guard=get_guard(request))
        except PermissionDoesNotExist as error:
            raise NotFound(error.message, error.code) from error
        user.unforbid_permission_to(permission, granted_by=get_actor(request))
        return Response(status=HTTPStatus.NO_CONTENT)


def _read(request: Request) -> list[str]:
    body = PermissionNames(data=request.data)
    body.is_valid(raise_exception=True)
    names: list[str] = body.validated_data["permissions"]
    return names


def _answer(user: HasRoles) -> Response:
    held = selectors.list_all_permissions(user=user)
    return Response(
        {
            "user": user.pk,
            "permissions": sorted({permission.identifier for permission in held}),
            "direct": selectors.list_grants(user=user, team_id=scope.get_team()),
        }
    )
