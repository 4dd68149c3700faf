"""Roles, and who has them, over HTTP."""

from datetime import timedelta

import pytest
from django.utils import timezone
from drf_spectacular.generators import SchemaGenerator
from pytest_django import DjangoAssertNumQueries
from rest_framework.test import APIClient

from accounts.models import User
from accounts.tokens import FIRST_PARTY_CLIENT_ID, issue_access_token
from permissions.models import Role
from permissions.services import create_role
from tests.permissions.conftest import MakeUser

pytestmark = pytest.mark.django_db

#: Nobody's id, the same in every process of a run.
NOBODY = "00000000-0000-4000-8000-000000000000"


@pytest.fixture
def giver(make_user: MakeUser, api_client: APIClient) -> User:
    """The caller: may give roles, and see users."""
    giver = make_user("permissions.assign_role", "accounts.view_user")
    api_client.force_authenticate(giver)
    return giver


@pytest.fixture
def maker(make_user: MakeUser, api_client: APIClient) -> User:
    """The caller: may make roles, and see users."""
    maker = make_user("permissions.add_role", "accounts.view_user")
    api_client.force_authenticate(maker)
    return maker


def test_roles_are_listed_with_what_they_permit(make_user: MakeUser, api_client: APIClient) -> None:
    role = create_role(name="editor", permissions=["permissions.view_role", "accounts.view_user"])
    api_client.force_authenticate(make_user("permissions.view_role"))
    page = api_client.get("/api/v1/roles").json()
    assert page["count"] == 1
    listed = page["results"][0]
    assert (listed["id"], listed["name"]) == (role.pk, "editor")
    assert listed["permissions"] == ["accounts.view_user", "permissions.view_role"]


def test_a_list_of_many_roles_takes_as_many_queries_as_one(
    make_user: MakeUser, api_client: APIClient, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    for number in range(60):
        create_role(name=f"role {number:02}", permissions=["accounts.view_user", "permissions.view_role"])
    api_client.force_authenticate(make_user("permissions.view_role"))
    with django_assert_num_queries(5):  # the caller's permissions; count, roles, their permissions, their parents
        page = api_client.get("/api/v1/roles").json()
    assert len(page["results"]) == 50


def test_a_role_is_made(maker: User, api_client: APIClient) -> None:
    response = api_client.post("/api/v1/roles", {"name": "reader", "permissions": ["accounts.view_user"]})
    assert response.status_code == 201
    assert response.json()["permissions"] == ["accounts.view_user"]
    assert Role.objects.filter(name="reader").exists()


def test_a_role_without_permissions_is_made(maker: User, api_client: APIClient) -> None:
    assert api_client.post("/api/v1/roles", {"name": "reader"}).json()["permissions"] == []


def test_nobody_makes_a_role_that_permits_more_than_they_may(maker: User, api_client: APIClient) -> None:
    response = api_client.post("/api/v1/roles", {"name": "x", "permissions": ["accounts.delete_user"]})
    assert (response.status_code, response.json()["code"]) == (403, "escalation")
    assert not Role.objects.exists()


def test_an_unknown_permission_is_refused_by_name(maker: User, api_client: APIClient) -> None:
    response = api_client.post("/api/v1/roles", {"name": "x", "permissions": ["accounts.fly"]})
    error = {
        "field": "permissions",
        "code": "permission_does_not_exist",
        "message": "There is no permission named `accounts.fly` for guard `web`.",
    }
    assert (response.status_code, response.json()["errors"]) == (400, [error])


def test_a_name_in_use_is_a_conflict(maker: User, api_client: APIClient) -> None:
    create_role(name="editor")
    response = api_client.post("/api/v1/roles", {"name": "editor"})
    assert (response.status_code, response.json()["code"]) == (409, "role_already_exists")
    assert response.json()["errors"][0]["field"] == "name"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "name"),
        ({"name": ""}, "name"),
        ({"name": None}, "name"),
        ({"name": 5}, "name"),
        ({"name": True}, "name"),
        ({"name": ["x"]}, "name"),
        ({"name": "a|b"}, "name"),
        ({"name": "a\x00b"}, "name"),
        ({"name": "a\tb"}, "name"),
        ({"name": "x" * 101}, "name"),
        ({"name": "x", "permissions": "accounts.view_user"}, "permissions"),
        ({"name": "x", "permissions": {"a": 1}}, "permissions"),
        ({"name": "x", "permissions": None}, "permissions"),
        ({"name": "x", "permissions": ["accounts.view_user", 7]}, "permissions.1"),
        ({"name": "x", "permissions": ["a\x00.b"]}, "permissions.0"),
        ({"name": "x", "permissions": ["a.b"] * 1001}, "permissions"),
    ],
)
def test_bad_input_is_refused_by_its_field(
    maker: User, api_client: APIClient, body: dict[str, object], field: str
) -> None:
    response = api_client.post("/api/v1/roles", body)
    assert response.status_code == 400
    assert [error["field"] for error in response.json()["errors"]] == [field]
    assert not Role.objects.exists()


def test_a_role_is_given(giver: User, user: User, api_client: APIClient) -> None:
    create_role(name="editor", permissions=["accounts.view_user"])
    response = api_client.post(f"/api/v1/users/{user.pk}/roles", {"role": "editor"})
    assert response.status_code == 200
    answer = response.json()
    (assignment,) = answer["assignments"]
    assert (answer["user"], answer["roles"]) == (str(user.pk), ["editor"])
    assert (assignment["role"], assignment["team"], assignment["expires_at"]) == ("editor", None, None)
    assert assignment["granted_by"] == str(giver.pk)
    assert user.role_assignments.get().granted_by == giver


def test_giving_a_role_twice_is_harmless(giver: User, user: User, api_client: APIClient) -> None:
    create_role(name="editor")
    answers = [api_client.post(f"/api/v1/users/{user.pk}/roles", {"role": "editor"}) for _ in range(2)]
    assert [answer.json()["roles"] for answer in answers] == [["editor"], ["editor"]]


def test_nobody_gives_a_role_that_permits_more_than_they_may(giver: User, api_client: APIClient) -> None:
    create_role(name="admin", permissions=["accounts.delete_user"])
    response = api_client.post(f"/api/v1/users/{giver.pk}/roles", {"role": "admin"})
    assert (response.status_code, response.json()["code"]) == (403, "escalation")
    assert giver.get_role_names() == []


@pytest.mark.parametrize("role", ["nope", "a|b", "x" * 100])
def test_an_unknown_role_is_a_400_about_the_field(giver: User, user: User, api_client: APIClient, role: str) -> None:
    response = api_client.post(f"/api/v1/users/{user.pk}/roles", {"role": role})
    assert response.status_code == 400
    assert [(error["field"], error["code"]) for error in response.json()["errors"]] == [("role", "role_does_not_exist")]


@pytest.mark.parametrize("user_id", [NOBODY, "1", "x", "%ED%A0%80"])
def test_an_unknown_user_is_404(giver: User, api_client: APIClient, user_id: str) -> None:
    create_role(name="editor")
    given = api_client.post(f"/api/v1/users/{user_id}/roles", {"role": "editor"})
    taken = api_client.delete(f"/api/v1/users/{user_id}/roles/editor")
    assert (given.status_code, taken.status_code) == (404, 404)
    assert given.json()["code"] == "user_does_not_exist"


def test_a_role_is_taken_as_often_as_one_likes(giver: User, user: User, api_client: APIClient) -> None:
    create_role(name="editor / chief")
    user.assign_role("editor / chief")
    for _ in range(2):
        response = api_client.delete(f"/api/v1/users/{user.pk}/roles/editor%20%2F%20chief")
        assert (response.status_code, response.content) == (204, b"")
    assert user.get_role_names() == []


@pytest.mark.parametrize("name", ["nope", "%ff", "a%7Cb"])
def test_taking_an_unknown_role_is_404(giver: User, user: User, api_client: APIClient, name: str) -> None:
    response = api_client.delete(f"/api/v1/users/{user.pk}/roles/{name}")
    assert (response.status_code, response.json()["code"]) == (404, "role_does_not_exist")


@pytest.mark.compliance("ASVS 5.0", "8.2.1", "Functions are open to those with the explicit permission alone")
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("get", "/api/v1/roles"),
        ("post", "/api/v1/roles"),
        ("post", f"/api/v1/users/{NOBODY}/roles"),
        ("delete", f"/api/v1/users/{NOBODY}/roles/x"),
        ("get", f"/api/v1/users/{NOBODY}/roles"),
        ("put", f"/api/v1/users/{NOBODY}/roles"),
        ("get", "/api/v1/roles/1"),
        ("patch", "/api/v1/roles/1"),
        ("delete", "/api/v1/roles/1"),
        ("get", "/api/v1/permissions"),
        ("post", "/api/v1/permissions"),
        ("delete", "/api/v1/permissions/1"),
        ("get", "/api/v1/permissions/explain"),
        ("get", f"/api/v1/users/{NOBODY}/permissions"),
        ("post", f"/api/v1/users/{NOBODY}/permissions"),
        ("put", f"/api/v1/users/{NOBODY}/permissions"),
        ("delete", f"/api/v1/users/{NOBODY}/permissions/x"),
        ("post", f"/api/v1/users/{NOBODY}/denials"),
        ("delete", f"/api/v1/users/{NOBODY}/denials/x"),
    ],
)
def test_every_address_wants_credentials_and_the_right_permission(
    user: User, api_client: APIClient, method: str, path: str
) -> None:
    assert getattr(api_client, method)(path).status_code == 401
    api_client.force_authenticate(user)
    assert getattr(api_client, method)(path).status_code == 403


def bearer(user: User, *, scope: list[str] | None = None) -> str:
    client_id = FIRST_PARTY_CLIENT_ID if scope is None else "some-client"
    return "Bearer " + issue_access_token(
        subject=str(user.pk), client_id=client_id, now=timezone.now(), lifetime=timedelta(minutes=5), scope=scope
    )


def test_a_real_token_opens_the_list_to_who_has_the_permission(make_user: MakeUser, api_client: APIClient) -> None:
    reader = make_user("permissions.view_role")
    assert api_client.get("/api/v1/roles", headers={"Authorization": bearer(reader)}).status_code == 200


@pytest.mark.parametrize(
    ("scope", "statuses"), [(["roles:read"], [200, 403]), (["roles:write"], [403, 201]), (["profile"], [403, 403])]
)
def test_an_oauth_token_needs_the_scope_as_well(
    make_user: MakeUser, api_client: APIClient, scope: list[str], statuses: list[int]
) -> None:
    user = make_user("permissions.view_role", "permissions.add_role")
    headers = {"Authorization": bearer(user, scope=scope)}
    read = api_client.get("/api/v1/roles", headers=headers)
    written = api_client.post("/api/v1/roles", {"name": "x"}, headers=headers)
    assert [read.status_code, written.status_code] == statuses


@pytest.mark.compliance("ASVS 5.0", "8.3.2", "A change of rights applies to the next request")
def test_a_role_taken_closes_the_next_request_of_the_same_token(user: User, api_client: APIClient) -> None:
    create_role(name="reader", permissions=["permissions.view_role"])
    user.assign_role("reader")
    headers = {"Authorization": bearer(user)}
    assert api_client.get("/api/v1/roles", headers=headers).status_code == 200
    user.remove_role("reader")
    assert api_client.get("/api/v1/roles", headers=headers).status_code == 403


def test_the_schema_says_which_permission_each_operation_requires() -> None:
    paths = SchemaGenerator().get_schema(public=True)["paths"]
    required = {
        operation["operationId"]: operation.get("x-required-permissions")
        for path in paths.values()
        for operation in path.values()
        if {"roles", "permissions", "teams"} & set(operation.get("tags", []))
    }
    assert required == {
        "list_roles": ["permissions.view_role"],
        "create_role": ["permissions.add_role"],
        "assign_role": ["permissions.assign_role"],
        "remove_role": ["permissions.assign_role"],
        "get_role": ["permissions.view_role"],
        "update_role": ["permissions.change_role"],
        "delete_role": ["permissions.delete_role"],
        "get_user_roles": ["permissions.view_role|permissions.assign_role"],
        "sync_user_roles": ["permissions.assign_role"],
        "list_permissions": ["permissions.view_role"],
        "create_permission": ["auth.add_permission"],
        "delete_permission": ["auth.delete_permission"],
        "get_user_permissions": ["permissions.view_role|permissions.assign_permission"],
        "give_user_permissions": ["permissions.assign_permission"],
        "sync_user_permissions": ["permissions.assign_permission"],
        "revoke_user_permission": ["permissions.assign_permission"],
        "forbid_user_permissions": ["permissions.assign_permission"],
        "unforbid_user_permission": ["permissions.assign_permission"],
        "check_permissions": None,
        "explain_permission": ["permissions.view_role"],
        "list_teams": None,
        "list_team_members": ["permissions.view_role|permissions.assign_role"],
    }
