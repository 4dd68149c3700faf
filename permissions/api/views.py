"""Roles, and who has them, over HTTP."""

from http import HTTPStatus
from typing import ClassVar, override
from uuid import UUID

from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.exceptions import NotFound
from rest_framework.generics import ListAPIView
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from permissions import selectors, services
from permissions.api import serializers
from permissions.drf import HasPermission
from permissions.exceptions import RoleDoesNotExist
from permissions.mixins import HasRoles
from permissions.models import Role

_USER_ID = OpenApiParameter("user_id", UUID, OpenApiParameter.PATH, description="Id of the user.")
_ROLE_NAME = OpenApiParameter("name", str, OpenApiParameter.PATH, description="Name of the role.")


class RoleListView(ListAPIView[Role]):
    """All roles."""

    permission_classes = [HasPermission(GET="permissions.view_role", POST="permissions.add_role")]
    required_scopes: ClassVar[dict[str, frozenset[str]]] = {
        "GET": frozenset({"roles:read"}),
        "POST": frozenset({"roles:write"}),
    }
    serializer_class = serializers.RoleOut

    @override
    def get_queryset(self) -> QuerySet[Role]:
        """Return all roles with their permissions."""
        return selectors.list_roles()

    @override
    @extend_schema(operation_id="list_roles", summary="List the roles", tags=["roles"])
    def get(self, request: Request, *args: object, **kwargs: object) -> Response:
        """List the roles by name, each with what it permits."""
        return super().get(request, *args, **kwargs)

    @extend_schema(
        operation_id="create_role",
        summary="Make a role",
        description="Nobody can make a role that permits more than they may themselves (403 `escalation`).",
        request=serializers.NewRole,
        responses={201: serializers.RoleOut},
        tags=["roles"],
    )
    def post(self, request: Request) -> Response:
        """Make a role."""
        body = serializers.NewRole(data=request.data)
        body.is_valid(raise_exception=True)
        role = services.create_role(**body.validated_data, created_by=_get_actor(request))
        return Response(serializers.RoleOut(role).data, HTTPStatus.CREATED)


class UserRolesView(APIView):
    """The roles of one user."""

    permission_classes = [HasPermission("permissions.assign_role")]
    required_scopes: ClassVar[dict[str, frozenset[str]]] = {"POST": frozenset({"roles:write"})}

    @extend_schema(
        operation_id="assign_role",
        summary="Give a user a role",
        description="Harmless where the user has it. Nobody can give a role that permits more than they may themselves "
        "(403 `escalation`).",
        parameters=[_USER_ID],
        request=serializers.NewAssignment,
        responses={200: serializers.UserRoles},
        tags=["roles"],
    )
    def post(self, request: Request, user_id: str) -> Response:
        """Give the role and answer all roles that the user has now."""
        user = selectors.get_user(user_id=user_id)
        body = serializers.NewAssignment(data=request.data)
        body.is_valid(raise_exception=True)
        services.assign_role(user=user, role=body.validated_data["role"], granted_by=_get_actor(request))
        return Response({"user": user.pk, "roles": selectors.get_role_names(user=user)})


class UserRoleView(APIView):
    """One role of one user."""

    permission_classes = [HasPermission("permissions.assign_role")]
    required_scopes: ClassVar[dict[str, frozenset[str]]] = {"DELETE": frozenset({"roles:write"})}

    @extend_schema(
        operation_id="remove_role",
        summary="Take a role from a user",
        description="Harmless where the user doesn't have it.",
        parameters=[_USER_ID, _ROLE_NAME],
        request=None,
        responses={204: None},
        tags=["roles"],
    )
    def delete(self, request: Request, user_id: str, name: str) -> Response:
        """Take the role away."""
        user = selectors.get_user(user_id=user_id)
        try:
            services.remove_role(user=user, role=name)
        except RoleDoesNotExist as error:
            raise NotFound(error.message, error.code) from error
        return Response(status=HTTPStatus.NO_CONTENT)


def _get_actor(request: Request) -> HasRoles:
    """Return the user who asks, in the name of whom rights are handed out."""
    if not isinstance(request.user, HasRoles):
        raise PermissionDenied
    return request.user
