"""Roles that are shown, changed and deleted, and who has them where and until when, over HTTP."""

from datetime import timedelta

import pytest
from django.utils import timezone
from pytest_django import Settings
from rest_framework.test import APIClient

from accounts.models import User
from permissions.models import AuditEvent, Role
from permissions.scope import use_team
from tests.articles.models import Team
from tests.permissions.conftest import MakeUser

pytestmark = pytest.mark.django_db


@pytest.fixture
def keeper(make_user: MakeUser, api_client: APIClient) -> User:
    """The caller: may see, change, delete and give roles, and see users."""
    names = [f"permissions.{action}_role" for action in ("view", "add", "change", "delete", "assign")]
    keeper = make_user(*names, "accounts.view_user", email="keeper@example.com")
    api_client.force_authenticate(keeper)
    return keeper


@pytest.fixture
def teams(settings: Settings) -> tuple[Team, Team]:
    settings.PERMISSIONS = {"TEAM_MODEL": "articles.Team"}
    return Team.objects.create(name="north"), Team.objects.create(name="south")


@pytest.fixture
def local(teams: tuple[Team, Team], make_user: MakeUser, api_client: APIClient) -> User:
    """The caller: may do with roles what there is to do, in the first team alone."""
    local = make_user(email="local@example.com")
    names = [f"permissions.{action}_role" for action in ("view", "add", "change", "delete", "assign")]
    with use_team(teams[0]):
        local.give_permission_to(*names, "accounts.view_user")
    api_client.force_authenticate(local)
    return local


def test_a_role_is_shown(keeper: User, api_client: APIClient) -> None:
    reader = Role.create("reader").give_permission_to("accounts.view_user")
    editor = Role.create("editor").inherit_from(reader)
    shown = api_client.get(f"/api/v1/roles/{editor.pk}").json()
    assert (shown["name"], shown["guard"], shown["team"]) == ("editor", "web", None)
    assert (shown["parents"], shown["permissions"]) == (["reader"], [])


@pytest.mark.parametrize("key", ["0", "-1", "x", "99999999999999999999", "%00", "%EF%BC%91"])
@pytest.mark.parametrize("method", ["get", "patch", "delete"])
def test_a_role_that_is_not_there_is_404(keeper: User, api_client: APIClient, key: str, method: str) -> None:
    response = getattr(api_client, method)(f"/api/v1/roles/{key}")
    assert response.status_code in {400, 404} if key == "%00" else response.status_code == 404


def test_a_change_leaves_what_it_does_not_name(keeper: User, api_client: APIClient) -> None:
    reader = Role.create("reader").give_permission_to("accounts.view_user")
    editor = Role.create("editor").inherit_from(reader)
    path = f"/api/v1/roles/{editor.pk}"
    changed = api_client.patch(path, {"permissions": ["permissions.view_role"]}).json()
    assert (changed["name"], changed["parents"], changed["permissions"]) == (
        "editor",
        ["reader"],
        ["permissions.view_role"],
    )
    changed = api_client.patch(path, {"parents": []}).json()
    assert (changed["parents"], changed["permissions"]) == ([], ["permissions.view_role"])
    assert api_client.patch(path, {"parents": ["reader"]}).json()["parents"] == ["reader"]
    assert api_client.patch(path, {}).json()["parents"] == ["reader"]


def test_a_role_cannot_inherit_from_itself(keeper: User, api_client: APIClient) -> None:
    editor = Role.create("editor")
    response = api_client.patch(
        f"/api/v1/roles/{editor.pk}", {"parents": ["editor"], "permissions": ["accounts.view_user"]}
    )
    assert (response.status_code, response.json()["code"]) == (400, "inheritance_cycle")
    assert editor.get_permission_names() == []


def test_an_unknown_parent_is_blamed_on_its_field(keeper: User, api_client: APIClient) -> None:
    editor = Role.create("editor")
    for response in (
        api_client.patch(f"/api/v1/roles/{editor.pk}", {"parents": ["nope"]}),
        api_client.post("/api/v1/roles", {"name": "x", "parents": ["nope"]}),
    ):
        assert (response.status_code, response.json()["errors"][0]["field"]) == (400, "parents")


def test_nobody_adds_what_they_lack_nor_inherits_it(keeper: User, api_client: APIClient) -> None:
    chief = Role.create("chief").give_permission_to("accounts.delete_user")
    editor = Role.create("editor")
    path = f"/api/v1/roles/{editor.pk}"
    for body in ({"permissions": ["accounts.delete_user"]}, {"parents": ["chief"]}):
        response = api_client.patch(path, body)
        assert (response.status_code, response.json()["code"]) == (403, "escalation")
    assert editor.parents.count() == 0
    assert api_client.patch(f"/api/v1/roles/{chief.pk}", {"permissions": []}).status_code == 200


def test_superusers_alone_rename(keeper: User, superuser: User, api_client: APIClient) -> None:
    editor = Role.create("editor")
    path = f"/api/v1/roles/{editor.pk}"
    assert api_client.patch(path, {"name": "admin"}).json()["code"] == "escalation"
    api_client.force_authenticate(superuser)
    assert api_client.patch(path, {"name": "author"}).json()["name"] == "author"


def test_a_role_is_deleted_and_taken_from_everybody(keeper: User, user: User, api_client: APIClient) -> None:
    editor = Role.create("editor")
    user.assign_role("editor")
    assert api_client.delete(f"/api/v1/roles/{editor.pk}").status_code == 204
    assert api_client.delete(f"/api/v1/roles/{editor.pk}").status_code == 404
    assert User.objects.get(pk=user.pk).get_role_names() == []
    event = AuditEvent.objects.get(event="role.deleted")
    assert event.actor_id == str(keeper.pk)


def test_roles_of_another_guard_are_kept_apart(keeper: User, api_client: APIClient, settings: Settings) -> None:
    settings.PERMISSIONS = {"GUARDS": ["web", "api"]}
    Role.create("editor")
    made = api_client.post("/api/v1/roles?guard=api", {"name": "editor"})
    assert (made.status_code, made.json()["guard"]) == (201, "api")
    listed = api_client.get("/api/v1/roles?guard=api").json()["results"]
    assert [role["id"] for role in listed] == [made.json()["id"]]
    response = api_client.get("/api/v1/roles?guard=nope")
    assert (response.status_code, response.json()["errors"][0]["code"]) == (400, "guard_does_not_exist")


def test_a_role_is_given_until_a_moment(keeper: User, user: User, api_client: APIClient) -> None:
    Role.create("editor")
    end = timezone.now() + timedelta(hours=1)
    answer = api_client.post(f"/api/v1/users/{user.pk}/roles", {"role": "editor", "expires_at": end.isoformat()})
    assert answer.json()["roles"] == ["editor"]
    assert user.role_assignments.get().expires_at == end
    assert not user.groups.exists()
    # Given again without an end it has none.
    answer = api_client.post(f"/api/v1/users/{user.pk}/roles", {"role": "editor"})
    assert answer.json()["assignments"][0]["expires_at"] is None


@pytest.mark.parametrize("end", ["2001-01-01T00:00:00Z", "tomorrow", 5, True])
def test_an_end_that_is_none_is_blamed_on_its_field(
    keeper: User, user: User, api_client: APIClient, end: object
) -> None:
    Role.create("editor")
    response = api_client.post(f"/api/v1/users/{user.pk}/roles", {"role": "editor", "expires_at": end})
    assert (response.status_code, response.json()["errors"][0]["field"]) == (400, "expires_at")
    assert not user.role_assignments.exists()


def test_roles_are_set(keeper: User, user: User, api_client: APIClient) -> None:
    for name in ("author", "editor", "reader"):
        Role.create(name)
    user.assign_role("author", "editor")
    path = f"/api/v1/users/{user.pk}/roles"
    assert api_client.put(path, {"roles": ["editor", "reader"]}).json()["roles"] == ["editor", "reader"]
    response = api_client.put(path, {"roles": ["author", "nope"]})
    assert (response.status_code, response.json()["errors"][0]["field"]) == (400, "roles")
    assert [one["role"] for one in api_client.get(path).json()["assignments"]] == ["editor", "reader"]
    assert api_client.put(path, {"roles": []}).json()["roles"] == []


def test_a_role_is_given_and_taken_in_one_team(
    keeper: User, user: User, api_client: APIClient, teams: tuple[Team, Team]
) -> None:
    Role.create("editor")
    path = f"/api/v1/users/{user.pk}/roles"
    answer = api_client.post(f"{path}?team={teams[0].pk}", {"role": "editor"}).json()
    assert (answer["roles"], answer["assignments"][0]["team"]) == (["editor"], str(teams[0].pk))
    assert api_client.get(f"{path}?team={teams[1].pk}").json()["assignments"] == []
    assert api_client.get(path).json()["roles"] == []
    assert len(api_client.get(path).json()["assignments"]) == 1
    assert api_client.delete(f"{path}/editor?team={teams[1].pk}").status_code == 204
    assert user.role_assignments.exists()
    assert api_client.delete(f"{path}/editor?team={teams[0].pk}").status_code == 204
    assert not user.role_assignments.exists()


@pytest.mark.compliance("ASVS 5.0", "8.4.1", "What one tenant may do touches no other tenant")
def test_who_may_in_one_team_may_nothing_elsewhere(
    local: User, user: User, api_client: APIClient, teams: tuple[Team, Team]
) -> None:
    Role.create("editor", team=None)
    here, there = (f"?team={team.pk}" for team in teams)
    path = f"/api/v1/users/{user.pk}/roles"
    assert api_client.post(path + here, {"role": "editor"}).status_code == 200
    for elsewhere in (there, "", "?team="):
        assert api_client.post(path + elsewhere, {"role": "editor"}).status_code == 403
        assert api_client.put(path + elsewhere, {"roles": []}).status_code == 403
        assert api_client.get(path + elsewhere).status_code == 403
        assert api_client.get("/api/v1/roles" + elsewhere).status_code == 403
        assert api_client.delete(f"{path}/editor{elsewhere}").status_code == 403
    assert [one.team_id for one in user.role_assignments.all()] == [str(teams[0].pk)]


def test_a_team_changes_its_own_roles_and_not_those_of_all_teams(
    local: User, api_client: APIClient, teams: tuple[Team, Team]
) -> None:
    everywhere = Role.create("editor", team=None)
    here = f"?team={teams[0].pk}"
    own = api_client.post(f"/api/v1/roles{here}", {"name": "local"}).json()
    assert own["team"] == str(teams[0].pk)
    assert {role["name"] for role in api_client.get(f"/api/v1/roles{here}").json()["results"]} == {"editor", "local"}
    assert api_client.get(f"/api/v1/roles/{everywhere.pk}{here}").status_code == 200
    for method, body in (("patch", {"permissions": []}), ("delete", None)):
        assert getattr(api_client, method)(f"/api/v1/roles/{everywhere.pk}{here}", body).status_code == 404
        assert getattr(api_client, method)(f"/api/v1/roles/{own['id']}{here}", body).status_code in {200, 204}
    assert Role.objects.filter(pk=everywhere.pk).exists()


def test_what_belongs_to_the_whole_house_is_closed_to_who_may_in_one_team(
    local: User, api_client: APIClient, teams: tuple[Team, Team]
) -> None:
    with use_team(teams[0]):
        local.give_permission_to("auth.add_permission", "auth.delete_permission", "permissions.view_auditevent")
    here = f"?team={teams[0].pk}"
    assert api_client.get(f"/api/v1/permissions{here}").status_code == 403
    assert api_client.post(f"/api/v1/permissions{here}", {"name": "fly"}).status_code == 403
    assert api_client.delete(f"/api/v1/permissions/1{here}").status_code == 403
    assert api_client.get(f"/api/v1/audit{here}").status_code == 403


def test_a_team_that_is_not_there_is_a_400(keeper: User, api_client: APIClient, teams: tuple[Team, Team]) -> None:
    for key in ("0", "x", "99999999999999999999999", "a b"):
        response = api_client.get("/api/v1/roles", query_params={"team": key})
        assert (response.status_code, response.json()["errors"][0]["code"]) == (400, "team_does_not_exist")


def test_a_team_where_there_are_none_is_a_400(keeper: User, api_client: APIClient) -> None:
    response = api_client.get("/api/v1/roles?team=1")
    assert (response.status_code, response.json()["code"]) == (400, "teams_not_enabled")
    assert api_client.get("/api/v1/teams").json()["code"] == "teams_not_enabled"


def test_the_unknown_learn_nothing_about_teams(api_client: APIClient, teams: tuple[Team, Team]) -> None:
    for key in (teams[0].pk, 0):
        assert api_client.get(f"/api/v1/roles?team={key}").status_code == 401


def test_the_caller_sees_the_own_teams(keeper: User, api_client: APIClient, teams: tuple[Team, Team]) -> None:
    Role.create("editor", team=None)
    Role.create("guest", team=None)
    keeper.assign_role("editor", team=teams[1])
    keeper.assign_role("guest", team=None)
    listed = api_client.get("/api/v1/teams").json()["results"]
    assert listed == [{"id": str(teams[1].pk), "name": "south", "roles": ["editor", "guest"]}]


def test_the_members_of_a_team_are_listed_to_who_may_see_roles_there(
    local: User, user: User, api_client: APIClient, teams: tuple[Team, Team]
) -> None:
    Role.create("editor", team=None)
    user.assign_role("editor", team=teams[0])
    local.assign_role("editor", team=teams[1])
    listed = api_client.get(f"/api/v1/teams/{teams[0].pk}/members").json()["results"]
    assert [(one["user"], one["user_name"], one["role"]) for one in listed] == [(str(user.pk), user.email, "editor")]
    assert api_client.get(f"/api/v1/teams/{teams[1].pk}/members").status_code == 403
    assert api_client.get("/api/v1/teams/0/members").status_code == 404


def test_users_are_listed_by_what_they_hold(
    keeper: User, user: User, make_user: MakeUser, api_client: APIClient
) -> None:
    Role.create("reader").give_permission_to("accounts.view_user")
    user.assign_role("reader")
    make_user(email="nobody@example.com")

    def list_by(**query: str) -> set[str]:
        return {one["email"] for one in api_client.get("/api/v1/users", query_params=query).json()["results"]}

    assert list_by(permission="accounts.view_user") == {keeper.email, user.email}
    assert list_by(permission="accounts.view_user", role="reader") == {user.email}
    assert list_by(role="reader") == {user.email}
    user.forbid_permission_to("accounts.view_user")
    assert list_by(permission="accounts.view_user") == {keeper.email}
    assert len(list_by()) == 3


@pytest.mark.parametrize(
    ("query", "field", "code"),
    [
        ({"permission": "nope"}, "permission", "permission_does_not_exist"),
        ({"role": "nope"}, "role", "role_does_not_exist"),
        ({"permission": "x" * 202}, "permission", "max_length"),
    ],
)
def test_a_wrong_filter_is_blamed_on_its_field(
    keeper: User, api_client: APIClient, query: dict[str, str], field: str, code: str
) -> None:
    response = api_client.get("/api/v1/users", query_params=query)
    assert response.status_code == 400
    assert [(error["field"], error["code"]) for error in response.json()["errors"]] == [(field, code)]


def test_in_a_team_its_members_are_listed_alone(
    local: User, user: User, api_client: APIClient, teams: tuple[Team, Team]
) -> None:
    Role.create("editor", team=None)
    user.assign_role("editor", team=teams[0])
    listed = api_client.get(f"/api/v1/users?team={teams[0].pk}").json()["results"]
    assert [one["email"] for one in listed] == [user.email]
    assert api_client.get("/api/v1/users").status_code == 403
