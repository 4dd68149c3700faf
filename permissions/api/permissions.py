"""Permissions themselves over HTTP."""

from http import HTTPStatus
from typing import override

from django.db.models import QuerySet
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.exceptions import NotFound
from rest_framework.generics import ListAPIView
from rest_framework.request import Request
from rest_framework.response import Response

from permissions import selectors, services
from permissions.drf import GUARD, HasPermission, HasReadWriteScopes, OutsideTeams, get_actor, get_guard
from permissions.exceptions import PermissionDoesNotExist
from permissions.models import Permission
from permissions.selectors import MAX_NAME_LENGTH
from project.api import StringField

_ID = OpenApiParameter("permission_id", int, OpenApiParameter.PATH, description="Id of the permission.")
_MAX_FILTER_LENGTH = 100


class PermissionOut(serializers.ModelSerializer[Permission]):
    """A permission."""

    name = serializers.CharField(source="identifier", help_text="What code calls it: `accounts.view_user`, or free.")
    guard = serializers.CharField()
    title = serializers.CharField(source="name", help_text="What people call it.")
    is_free = serializers.BooleanField(help_text="Whether no model declares it, so that it can be deleted.")

    class Meta:
        model = Permission
        fields = ["id", "name", "guard", "title", "is_free"]
        read_only_fields = fields


class PermissionFilter(serializers.Serializer[None]):
    """What narrows the list."""

    q = StringField(
        required=False, allow_blank=True, max_length=_MAX_FILTER_LENGTH, help_text="Stands somewhere in name or title."
    )


class NewPermission(serializers.Serializer[None]):
    """Body that makes a permission."""

    name = StringField(
        max_length=MAX_NAME_LENGTH,
        help_text="Printable characters without `|`, no space at either end, and no app's label in front.",
    )


class PermissionListView(OutsideTeams, ListAPIView[Permission]):
    """All permissions. They are of the whole installation, so they are seen and made outside of teams."""

    permission_classes = [
        HasPermission(GET="permissions.view_role", POST="auth.add_permission"),
        HasReadWriteScopes("roles"),
    ]
    serializer_class = PermissionOut

    @override
    def get_queryset(self) -> QuerySet[Permission]:
        """Return the permissions that the query asks for."""
        asked = PermissionFilter(data=self.request.query_params)
        asked.is_valid(raise_exception=True)
        return selectors.list_permissions(guard=get_guard(self.request), text=asked.validated_data.get("q", ""))

    @override
    @extend_schema(
        operation_id="list_permissions",
        summary="List the permissions",
        parameters=[PermissionFilter, GUARD],
        tags=["permissions"],
    )
    def get(self, request: Request, *args: object, **kwargs: object) -> Response:
        """List what there is to give, by name."""
        return super().get(request, *args, **kwargs)

    @extend_schema(
        operation_id="create_permission",
        summary="Make a permission",
        description="One that no model declares. Who makes it doesn't hold it yet.",
        parameters=[GUARD],
        request=NewPermission,
        responses={201: PermissionOut},
        tags=["permissions"],
    )
    def post(self, request: Request) -> Response:
        """Make a free permission."""
        body = NewPermission(data=request.data)
        body.is_valid(raise_exception=True)
        permission = services.create_permission(
            name=body.validated_data["name"], guard=get_guard(request), created_by=get_actor(request)
        )
        return Response(PermissionOut(permission).data, HTTPStatus.CREATED)


class PermissionView(OutsideTeams):
    """One permission."""

    permission_classes = [HasPermission(DELETE="auth.delete_permission"), HasReadWriteScopes("roles")]

    @extend_schema(
        operation_id="delete_permission",
        summary="Delete a permission",
        description="Takes it from every role and user. What a model declares can't be deleted (409).",
        parameters=[_ID],
        request=None,
        responses={204: None},
        tags=["permissions"],
    )
    def delete(self, request: Request, permission_id: str) -> Response:
        """Delete a free permission."""
        try:
            permission = selectors.get_permission_by_key(key=permission_id)
            services.delete_permission(permission=permission, deleted_by=get_actor(request))
        except PermissionDoesNotExist as error:
            raise NotFound(error.message, error.code) from error
        return Response(status=HTTPStatus.NO_CONTENT)
