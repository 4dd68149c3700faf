"""What views of the API can ask of their callers."""

import pytest
from django.contrib.auth.models import AnonymousUser
from django.test import override_settings
from rest_framework.permissions import IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.test import APIRequestFactory, force_authenticate
from rest_framework.views import APIView

from accounts.drf import BearerAuthentication, ClientPrincipal
from accounts.models import User
from permissions.drf import HasPermission, HasRole
from permissions.services import create_role
from tests.permissions.conftest import MakeUser

pytestmark = pytest.mark.django_db


class PermissionView(APIView):
    authentication_classes = [BearerAuthentication]
    permission_classes = [HasPermission("accounts.view_user|permissions.view_role")]

    def get(self, request: Request) -> Response:
        return Response()


class RoleView(PermissionView):
    permission_classes = [HasRole("admin|editor")]


class MethodsView(PermissionView):
    permission_classes = [HasPermission(GET="accounts.view_user", POST="accounts.add_user")]

    def post(self, request: Request) -> Response:
        return Response()

    def put(self, request: Request) -> Response:
        return Response()


class NotView(PermissionView):
    permission_classes = [IsAuthenticated & ~HasRole("editor")]


def call(view: type[APIView], user: object = None, method: str = "get") -> Response:
    request = getattr(APIRequestFactory(), method)("/")
    if user is not None:
        force_authenticate(request, user)  # type: ignore[arg-type] # a client is no user
    response = view.as_view()(request)
    assert isinstance(response, Response)
    return response


@pytest.mark.parametrize("view", [PermissionView, RoleView, MethodsView])
def test_the_unknown_get_401_with_a_challenge(view: type[APIView]) -> None:
    response = call(view)
    assert response.status_code == 401
    assert response["WWW-Authenticate"].startswith("Bearer")


@pytest.mark.parametrize("view", [PermissionView, RoleView, MethodsView])
def test_the_known_get_403(view: type[APIView], user: User) -> None:
    assert call(view, user).status_code == 403


@pytest.mark.parametrize("view", [PermissionView, RoleView, MethodsView])
def test_a_client_that_acts_for_itself_gets_403(view: type[APIView]) -> None:
    assert call(view, ClientPrincipal("x")).status_code == 403


def test_a_refusal_keeps_what_is_necessary_to_itself(user: User) -> None:
    assert call(PermissionView, user).data["detail"] == "User does not have the right permissions."
    assert call(RoleView, user).data["detail"] == "User does not have the right roles."


@override_settings(PERMISSIONS={"DISPLAY_PERMISSION_IN_EXCEPTION": True, "DISPLAY_ROLE_IN_EXCEPTION": True})
def test_a_refusal_names_what_is_necessary_where_the_settings_say_so(user: User) -> None:
    assert call(PermissionView, user).data["detail"] == (
        "User does not have the right permissions. Necessary permissions are accounts.view_user, permissions.view_role."
    )
    assert call(RoleView, user).data["detail"] == (
        "User does not have the right roles. Necessary roles are admin, editor."
    )


@pytest.mark.parametrize("name", ["accounts.view_user", "permissions.view_role"])
def test_one_of_the_permissions_is_enough(make_user: MakeUser, name: str) -> None:
    assert call(PermissionView, make_user(name)).status_code == 200


def test_one_of_the_roles_is_enough(user: User) -> None:
    create_role(name="editor")
    user.assign_role("editor")
    assert call(RoleView, user).status_code == 200


def test_a_superuser_has_every_permission_but_no_role(superuser: User) -> None:
    assert call(PermissionView, superuser).status_code == 200
    assert call(RoleView, superuser).status_code == 403


def test_each_method_can_require_a_permission_of_its_own(make_user: MakeUser) -> None:
    reader = make_user("accounts.view_user")
    assert [call(MethodsView, reader, method).status_code for method in ("get", "head", "post")] == [200, 200, 403]


def test_a_handler_without_a_requirement_is_closed_to_everybody(superuser: User) -> None:
    assert call(MethodsView, superuser, "put").status_code == 403


def test_a_method_without_a_handler_is_405(superuser: User) -> None:
    assert call(MethodsView, superuser, "delete").status_code == 405


def test_requirements_join_with_drfs_own_operators(user: User) -> None:
    assert call(NotView, user).status_code == 200
    create_role(name="editor")
    user.assign_role("editor")
    assert call(NotView, user).status_code == 403
    assert call(NotView, AnonymousUser()).status_code == 403
