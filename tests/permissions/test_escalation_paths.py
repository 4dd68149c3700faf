"""The ways by which somebody might come by more than they were given: each is closed."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from guardian.shortcuts import assign_perm
from pytest_django import Settings
from rest_framework.test import APIClient

from accounts.models import User
from permissions.models import Permission, Role
from permissions.scope import use_team
from tests.articles.models import Article, Team
from tests.permissions.conftest import MakeUser

pytestmark = pytest.mark.django_db


@pytest.fixture
def teams(settings: Settings) -> tuple[Team, Team]:
    settings.PERMISSIONS = {"TEAM_MODEL": "articles.Team"}
    return Team.objects.create(name="north"), Team.objects.create(name="south")


@pytest.fixture
def giver(make_user: MakeUser, api_client: APIClient) -> User:
    giver = make_user("permissions.assign_role", "permissions.add_role", "permissions.change_role")
    api_client.force_authenticate(giver)
    return giver


# --- Through single objects ------------------------------------------------------------------------------------------


def test_a_role_with_rights_over_an_object_is_given_by_who_has_them(giver: User, api_client: APIClient) -> None:
    article = Article.objects.create(title="x")
    editor = Role.create("editor")
    assign_perm("articles.delete_article", editor.group, article)
    path = f"/api/v1/users/{giver.pk}/roles"
    assert api_client.post(path, {"role": "editor"}).json()["code"] == "escalation"
    own = Role.create("own")
    giver.assign_role("own")
    response = api_client.patch(f"/api/v1/roles/{own.pk}", {"parents": ["editor"]})
    assert response.json()["code"] == "escalation"
    assert not User.objects.get(pk=giver.pk).can("articles.delete_article", article)
    giver.give_permission_to("articles.delete_article")
    assert api_client.post(path, {"role": "editor"}).status_code == 200


def test_who_has_a_role_passes_on_what_it_may_with_objects(giver: User, user: User, api_client: APIClient) -> None:
    editor = Role.create("editor")
    assign_perm("articles.delete_article", editor.group, Article.objects.create(title="x"))
    giver.assign_role("editor")
    assert api_client.post(f"/api/v1/users/{user.pk}/roles", {"role": "editor"}).status_code == 200


# --- Through time ----------------------------------------------------------------------------------------------------


def test_nobody_prolongs_what_they_have_for_a_while(user: User, make_user: MakeUser, api_client: APIClient) -> None:
    end = timezone.now() + timedelta(hours=1)
    Role.create("temp").give_permission_to("permissions.assign_role", "permissions.assign_permission")
    user.assign_role("temp", expires_at=end)
    api_client.force_authenticate(user)
    path = f"/api/v1/users/{user.pk}"
    for body in ({"role": "temp"}, {"role": "temp", "expires_at": (end + timedelta(seconds=1)).isoformat()}):
        assert api_client.post(f"{path}/roles", body).json()["code"] == "escalation"
    names = {"permissions": ["permissions.assign_role"]}
    assert api_client.post(f"{path}/permissions", names).json()["code"] == "escalation"
    assert user.role_assignments.get().expires_at == end
    other = make_user(email="other@example.com")
    body = {"role": "temp", "expires_at": (end - timedelta(seconds=1)).isoformat()}
    assert api_client.post(f"/api/v1/users/{other.pk}/roles", body).status_code == 200


# --- Through names ---------------------------------------------------------------------------------------------------


def test_a_team_makes_no_role_that_would_be_taken_for_one_of_all_teams(
    user: User, api_client: APIClient, teams: tuple[Team, Team]
) -> None:
    Role.create("admin", team=None)
    with use_team(teams[0]):
        user.give_permission_to("permissions.add_role", "permissions.assign_role")
    api_client.force_authenticate(user)
    response = api_client.post(f"/api/v1/roles?team={teams[0].pk}", {"name": "admin"})
    assert (response.status_code, response.json()["code"]) == (409, "role_already_exists")
    assert api_client.post(f"/api/v1/roles?team={teams[0].pk}", {"name": "local"}).status_code == 201


def test_a_name_of_a_super_admin_is_taken(
    giver: User, api_client: APIClient, settings: Settings, superuser: User
) -> None:
    settings.PERMISSIONS = {"SUPER_ADMIN_ROLES": ["root"]}
    assert api_client.post("/api/v1/roles", {"name": "root"}).status_code == 409
    api_client.force_authenticate(superuser)
    assert api_client.post("/api/v1/roles", {"name": "root"}).status_code == 201


def test_a_role_of_all_teams_is_not_called_like_one_of_a_team(
    giver: User, api_client: APIClient, teams: tuple[Team, Team]
) -> None:
    Role.create("local", team=teams[0])
    assert api_client.post("/api/v1/roles", {"name": "local"}).status_code == 409


def test_a_role_is_taken_that_stands_behind_one_of_the_same_name(
    giver: User, user: User, api_client: APIClient, teams: tuple[Team, Team]
) -> None:
    everywhere = Role.create("editor", team=None).give_permission_to("accounts.view_user")
    user.assign_role(everywhere, team=teams[0])
    Role.create("editor", team=teams[0])
    assert api_client.delete(f"/api/v1/users/{user.pk}/roles/editor?team={teams[0].pk}").status_code == 204
    with use_team(teams[0]):
        assert User.objects.get(pk=user.pk).get_role_names() == []


# --- Through teams ---------------------------------------------------------------------------------------------------


def test_nobody_is_told_about_others_in_a_team_in_which_they_see_nothing(
    user: User, make_user: MakeUser, api_client: APIClient, teams: tuple[Team, Team]
) -> None:
    other = make_user(email="other@example.com")
    Role.create("secret", team=teams[1]).give_permission_to("articles.view_article")
    other.assign_role("secret", team=teams[1])
    articles = [Article.objects.create(title=team.name, team=team) for team in teams]
    with use_team(teams[0]):
        user.give_permission_to("permissions.view_role")
    api_client.force_authenticate(user)
    statuses = []
    for article in articles:
        name = {"type": "articles.article", "id": str(article.pk)}
        body = {"user": str(other.pk), "checks": [{"permission": "articles.view_article", "object": name}]}
        here = f"?team={teams[0].pk}"
        statuses.append(api_client.post(f"/api/v1/permissions/check{here}", body).status_code)
        query = {"permission": "articles.view_article", "user": str(other.pk)}
        query |= {"object": f"articles.article:{article.pk}", "team": str(teams[0].pk)}
        statuses.append(api_client.get("/api/v1/permissions/explain", query_params=query).status_code)
    assert statuses == [200, 200, 403, 403]


def test_checks_in_many_teams_take_as_many_queries_as_in_one(
    user: User, api_client: APIClient, settings: Settings
) -> None:
    settings.PERMISSIONS = {"TEAM_MODEL": "articles.Team"}
    api_client.force_authenticate(user)
    editor = Role.create("editor", team=None)
    article, names = Article(), []
    for number in range(30):
        team = Team.objects.create(name=str(number))
        user.assign_role("editor", team=team)
        article = Article.objects.create(title="x", team=team)
        names.append({"type": "articles.article", "id": str(article.pk)})
    assign_perm("articles.change_article", editor.group, article)
    counts, results = [], []
    for some in (names[:1], names):
        checks = [{"permission": "articles.change_article", "object": name} for name in some]
        with CaptureQueriesContext(connection) as queries:
            results = api_client.post("/api/v1/permissions/check", {"checks": checks}).json()["results"]
        counts.append(len(queries))
    assert counts[1] <= counts[0]
    assert [result["is_allowed"] for result in results] == [False] * 29 + [True]


# --- Through the admin -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "way", ["role", "inherited", "ending", "in a team", "super admin", "directly", "directly in a team", "object"]
)
def test_staff_do_not_take_over_somebody_who_holds_more(
    make_user: MakeUser, user: User, client: Client, settings: Settings, way: str
) -> None:
    settings.PERMISSIONS = {"TEAM_MODEL": "articles.Team", "SUPER_ADMIN_ROLES": ["root"]}
    team = Team.objects.create(name="north")
    boss = Role.create("boss", team=None).give_permission_to("accounts.delete_user")
    match way:
        case "role":
            user.assign_role(boss)
        case "inherited":
            user.assign_role(Role.create("heir", team=None).inherit_from(boss))
        case "ending":
            user.assign_role(boss, expires_at=timezone.now() + timedelta(hours=1))
        case "in a team":
            user.assign_role(boss, team=team)
        case "super admin":
            user.assign_role(Role.create("root", team=None))
        case "directly":
            user.give_permission_to("accounts.delete_user")
        case "directly in a team":
            user.give_permission_to("accounts.delete_user", team=team)
        case _:
            assign_perm("articles.delete_article", user, Article.objects.create(title="x"))
    client.force_login(make_user("accounts.view_user", "accounts.change_user", is_staff=True))
    # Whoever has the address can have the password reset.
    data = {"email": "evil@example.com", "name": "", "is_active": "on"}
    assert client.post(f"/admin/accounts/user/{user.pk}/change/", data).status_code == 403
    assert User.objects.get(pk=user.pk).email == user.email


def test_the_permissions_that_one_gives_come_before_those_that_go(make_user: MakeUser, client: Client) -> None:
    boss = Role.create("boss").give_permission_to("permissions.escalate")
    staff = make_user("permissions.view_role", "permissions.change_role", is_staff=True)
    staff.assign_role("boss")
    client.force_login(staff)
    wanted = Permission.find_by_name("accounts.delete_user")
    response = client.post(f"/admin/permissions/role/{boss.pk}/change/", {"permissions": [wanted.pk]})
    assert response.status_code == 302
    assert boss.get_permission_names() == ["accounts.delete_user"]


# --- What must not break ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("label", ["auth.user", "oauth2_provider.accesstoken", "oauth2_provider.application"])
def test_a_model_that_another_one_stands_in_for_is_none(superuser: User, api_client: APIClient, label: str) -> None:
    api_client.force_authenticate(superuser)
    checks = [{"permission": "x", "object": {"type": label, "id": "1"}}]
    assert api_client.post("/api/v1/permissions/check", {"checks": checks}).status_code == 400
    query = {"permission": "x", "object": f"{label}:1"}
    assert api_client.get("/api/v1/permissions/explain", query_params=query).status_code == 404


@pytest.mark.parametrize("path", ["roles", "permissions"])
def test_an_id_of_many_digits_is_nobodys(superuser: User, api_client: APIClient, path: str) -> None:
    api_client.force_authenticate(superuser)
    assert api_client.delete(f"/api/v1/{path}/{'9' * 5000}").status_code == 404


def test_a_team_has_one_name_in_addresses_however_it_is_spelt(
    user: User, superuser: User, api_client: APIClient, teams: tuple[Team, Team]
) -> None:
    Role.create("editor", team=None)
    user.assign_role("editor", team=teams[0])
    api_client.force_authenticate(superuser)
    listed = api_client.get(f"/api/v1/teams/0{teams[0].pk}/members").json()["results"]
    assert [one["user"] for one in listed] == [str(user.pk)]


def test_the_list_of_users_names_the_roles_that_count_in_the_team(
    user: User, superuser: User, api_client: APIClient, teams: tuple[Team, Team]
) -> None:
    for name in ("editor", "guest", "other"):
        Role.create(name, team=None)
    user.assign_role("editor", team=teams[0]).assign_role("other", team=teams[1]).assign_role("guest", team=None)
    user.assign_role(Role.create("soon over", team=None), expires_at=timezone.now() + timedelta(hours=1), team=None)
    api_client.force_authenticate(superuser)
    (listed,) = api_client.get(f"/api/v1/users?team={teams[0].pk}").json()["results"]
    assert listed["roles"] == ["editor", "guest", "soon over"]
    everywhere = {one["id"]: one["roles"] for one in api_client.get("/api/v1/users").json()["results"]}
    assert everywhere[str(user.pk)] == ["guest", "soon over"]
