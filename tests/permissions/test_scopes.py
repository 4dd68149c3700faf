"""Scopes and rights together: what a token may is what its user may now, as far as its scopes go."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.urls import path
from django.utils import timezone
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.utils import extend_schema
from rest_framework.permissions import IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.test import APIRequestFactory
from rest_framework.views import APIView

from accounts.models import User
from accounts.tokens import FIRST_PARTY_CLIENT_ID, issue_access_token
from permissions.drf import HasPermission, HasReadWriteScopes, HasScopes, get_actor
from permissions.scopes import find_scopes
from tests.permissions.conftest import MakeUser

pytestmark = pytest.mark.django_db
VIEW, CHANGE = "accounts.view_user", "accounts.change_user"


class People(APIView):
    """Opens by scope and right, and tells what the caller can."""

    permission_classes = [HasPermission(GET=VIEW, POST=CHANGE, PUT=CHANGE), HasReadWriteScopes("users")]

    def get(self, request: Request) -> Response:
        return Response([name for name in (VIEW, CHANGE) if get_actor(request).can(name)])

    def post(self, request: Request) -> Response:
        return Response("changed")

    def put(self, request: Request) -> Response:
        return Response("changed")


def ask(user: User, scope: list[str] | None, method: str = "get", view: type[APIView] = People) -> Response:
    raw = issue_access_token(
        subject=str(user.pk),
        client_id=FIRST_PARTY_CLIENT_ID if scope is None else "app",
        now=timezone.now(),
        lifetime=timedelta(minutes=5),
        scope=scope,
    )
    request = getattr(APIRequestFactory(), method)("/api/v1/any", headers={"Authorization": f"Bearer {raw}"})
    response = view.as_view()(request)
    assert isinstance(response, Response)
    return response


@pytest.mark.compliance("ASVS 5.0", "10.3.2", "what a token may is decided by its scopes and by its user's rights")
@pytest.mark.parametrize("right", [VIEW, None])
@pytest.mark.parametrize("scope", [None, ["users:read"], ["users:read", "roles:read"], ["users:write"], []])
def test_a_token_needs_the_scope_and_its_user_the_right(
    make_user: MakeUser, right: str | None, scope: list[str] | None
) -> None:
    is_allowed = right is not None and (scope is None or "users:read" in scope)
    user = make_user(right) if right else make_user()
    assert (ask(user, scope).status_code == 200) is is_allowed


@pytest.mark.parametrize(("scope", "status"), [(None, 200), (["users:read"], 200), (["roles:read"], 403), ([], 403)])
def test_a_superuser_is_held_to_the_scopes(superuser: User, scope: list[str] | None, status: int) -> None:
    assert ask(superuser, scope).status_code == status


def test_inside_a_view_the_rights_are_the_users_own(make_user: MakeUser, superuser: User) -> None:
    assert ask(make_user(VIEW), ["users:read", "users:write"]).data == [VIEW]
    assert ask(superuser, ["users:read"]).data == [VIEW, CHANGE]


def test_a_right_that_is_lost_is_lost_to_the_token_at_once(make_user: MakeUser) -> None:
    user = make_user(VIEW)
    assert ask(user, ["users:read"]).status_code == 200
    user.revoke_permission_to(VIEW)
    assert ask(user, ["users:read"]).status_code == 403


@pytest.mark.parametrize("method", ["post", "put"])
def test_whoever_may_look_may_not_change(make_user: MakeUser, method: str) -> None:
    user = make_user(VIEW, CHANGE)
    assert ask(user, ["users:read"], method).status_code == 403
    assert ask(user, ["users:write"], method).status_code == 200
    assert ask(user, ["users:write"], "head").status_code == 403


@pytest.mark.parametrize(
    "rules", [[IsAuthenticated | HasScopes("a")], [~HasScopes("a")], [IsAuthenticated & ~HasScopes("a")]]
)
def test_scopes_as_a_way_in_are_an_error(rules: list[Any], superuser: User) -> None:  # Any: permission classes
    class OpenView(People):
        permission_classes = rules

    with pytest.raises(ImproperlyConfigured, match="joined by &"):
        ask(superuser, ["a"], view=OpenView)


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        ([HasScopes("a b"), IsAuthenticated], {"a", "b"}),
        ([HasScopes("a"), HasScopes(GET="b")], {"a", "b"}),
        ([HasScopes("a"), HasScopes(PUT="b")], None),
        ([IsAuthenticated & (HasScopes("a") & HasScopes("b"))], {"a", "b"}),
        ([HasScopes("")], set()),
        ([HasPermission("a.b") | HasPermission("c"), ~IsAuthenticated], None),
        ([], None),
    ],
)
def test_all_scopes_that_are_named_are_needed(rules: list[Any], expected: set[str] | None) -> None:  # Any: as above
    class RuledView(APIView):
        permission_classes = rules

    assert find_scopes(RuledView(), "GET") == find_scopes(RuledView(), "HEAD") == expected


@pytest.mark.parametrize("make", [HasScopes, lambda: HasScopes("a", GET="b")])
def test_scopes_are_named_once(make: Callable[[], HasScopes]) -> None:
    with pytest.raises(TypeError):
        make()


def test_another_way_of_authentication_is_held_to_scopes_too(superuser: User) -> None:
    request = Request(APIRequestFactory().get("/"))
    for auth, is_allowed in [(None, True), (_Granted("a"), True), (_Granted("b"), False)]:
        request.auth = auth
        assert HasScopes("a")().has_permission(request, APIView()) is is_allowed


class _Granted:
    def __init__(self, *scope: str) -> None:
        self.scope = frozenset(scope)


def test_the_schema_tells_the_scopes_of_both_kinds_of_token() -> None:
    class DescribedView(People):
        get = extend_schema(request=None, responses={200: None})(People.get)
        post = extend_schema(request=None, responses={200: None})(People.post)
        put = extend_schema(request=None, responses={200: None})(People.put)

    schema = SchemaGenerator(patterns=[path("people", DescribedView.as_view())]).get_schema(request=None, public=True)
    operation = schema["paths"]["/people"]["post"]
    assert operation["security"] == [{"bearer": []}, {"oauth2": ["users:write"]}, {"personalAccessToken": []}]
    assert operation["x-required-scopes"] == ["users:write"]
    assert schema["components"]["securitySchemes"]["personalAccessToken"]["scheme"] == "bearer"


def test_our_own_views_name_scopes_that_exist() -> None:
    schema = SchemaGenerator().get_schema(request=None, public=True)
    operations = [one for path_item in schema["paths"].values() for one in path_item.values()]
    named = {scope for operation in operations for scope in operation.get("x-required-scopes", ())}
    assert (
        {"profile", "users:read", "roles:read", "roles:write", "audit:read"} <= named <= set(settings.OAUTH["SCOPES"])
    )
