"""Permissions, who holds them directly, and who may what, over HTTP."""

import pytest
from guardian.shortcuts import assign_perm
from pytest_django import DjangoAssertNumQueries, Settings
from rest_framework.test import APIClient

from accounts.models import User
from permissions.models import Permission, Role
from permissions.scope import use_team
from tests.articles.models import Article, Team
from tests.permissions.conftest import MakeUser

pytestmark = pytest.mark.django_db


@pytest.fixture
def keeper(make_user: MakeUser, api_client: APIClient) -> User:
    """The caller: may see roles, and give permissions, one of which it holds."""
    names = "permissions.view_role", "permissions.assign_permission", "accounts.view_user"
    keeper = make_user(*names, "auth.add_permission", "auth.delete_permission", email="keeper@example.com")
    api_client.force_authenticate(keeper)
    return keeper


def test_permissions_are_listed_and_searched(keeper: User, api_client: APIClient) -> None:
    Permission.create("edit articles")
    page = api_client.get("/api/v1/permissions").json()
    assert page["count"] == Permission.objects.count()
    (found,) = api_client.get("/api/v1/permissions?q=edit art").json()["results"]
    assert (found["name"], found["guard"], found["is_free"]) == ("edit articles", "web", True)
    (declared,) = api_client.get("/api/v1/permissions?q=accounts.view_user").json()["results"]
    assert (declared["name"], declared["is_free"]) == ("accounts.view_user", False)


def test_permissions_of_a_guard_are_listed(keeper: User, api_client: APIClient, settings: Settings) -> None:
    settings.PERMISSIONS = {"GUARDS": ["web", "api"]}
    Permission.create("edit articles", guard="api")
    assert [one["name"] for one in api_client.get("/api/v1/permissions?guard=api").json()["results"]] == [
        "edit articles"
    ]


def test_a_permission_is_made_and_deleted(keeper: User, api_client: APIClient) -> None:
    made = api_client.post("/api/v1/permissions", {"name": "edit articles"})
    assert (made.status_code, made.json()["name"]) == (201, "edit articles")
    assert api_client.post("/api/v1/permissions", {"name": "edit articles"}).status_code == 409
    path = f"/api/v1/permissions/{made.json()['id']}"
    assert [api_client.delete(path).status_code for _ in range(2)] == [204, 404]


def test_what_a_model_declares_stays(keeper: User, api_client: APIClient) -> None:
    declared = Permission.find_by_name("accounts.view_user")
    response = api_client.delete(f"/api/v1/permissions/{declared.pk}")
    assert (response.status_code, response.json()["code"]) == (409, "permission_is_declared")
    (error,) = api_client.post("/api/v1/permissions", {"name": "accounts.fly"}).json()["errors"]
    assert (error["field"], error["code"]) == ("name", "invalid_permission_name")


@pytest.mark.parametrize("key", ["0", "x", "-5", "99999999999999999999"])
def test_a_permission_that_is_not_there_is_404(keeper: User, api_client: APIClient, key: str) -> None:
    assert api_client.delete(f"/api/v1/permissions/{key}").status_code == 404


def test_permissions_are_given_set_and_taken(keeper: User, user: User, api_client: APIClient) -> None:
    path = f"/api/v1/users/{user.pk}/permissions"
    answer = api_client.post(path, {"permissions": ["accounts.view_user"]}).json()
    assert answer["permissions"] == ["accounts.view_user"]
    assert answer["direct"] == [{"permission": "accounts.view_user", "guard": "web", "team": None, "is_denied": False}]
    answer = api_client.put(path, {"permissions": ["permissions.view_role"]}).json()
    assert answer["permissions"] == ["permissions.view_role"]
    for _ in range(2):
        assert api_client.delete(f"{path}/permissions.view_role").status_code == 204
    assert api_client.get(path).json()["direct"] == []
    assert api_client.delete(f"{path}/nope").status_code == 404


def test_nobody_gives_what_they_lack(keeper: User, user: User, api_client: APIClient) -> None:
    path = f"/api/v1/users/{user.pk}/permissions"
    for method in (api_client.post, api_client.put):
        response = method(path, {"permissions": ["accounts.view_user", "accounts.delete_user"]})
        assert (response.status_code, response.json()["code"]) == (403, "escalation")
    assert api_client.get(path).json()["direct"] == []


def test_unknown_permissions_change_nothing(keeper: User, user: User, api_client: APIClient) -> None:
    path = f"/api/v1/users/{user.pk}/permissions"
    for method in (api_client.post, api_client.put):
        response = method(path, {"permissions": ["accounts.view_user", "nope"]})
        assert (response.status_code, response.json()["errors"][0]["field"]) == (400, "permissions")
    assert api_client.get(path).json()["direct"] == []


def test_what_is_forbidden_wins_until_it_is_lifted(keeper: User, user: User, api_client: APIClient) -> None:
    Role.create("reader").give_permission_to("accounts.view_user")
    user.assign_role("reader")
    path = f"/api/v1/users/{user.pk}/denials"
    answer = api_client.post(path, {"permissions": ["accounts.view_user"]}).json()
    assert (answer["permissions"], answer["direct"][0]["is_denied"]) == ([], True)
    assert api_client.delete(f"{path}/accounts.view_user").status_code == 204
    assert api_client.get(f"/api/v1/users/{user.pk}/permissions").json()["permissions"] == ["accounts.view_user"]


def test_nobody_lifts_what_they_lack(keeper: User, user: User, api_client: APIClient) -> None:
    user.forbid_permission_to("accounts.delete_user")
    response = api_client.delete(f"/api/v1/users/{user.pk}/denials/accounts.delete_user")
    assert (response.status_code, response.json()["code"]) == (403, "escalation")


def test_permissions_are_given_in_one_team(keeper: User, user: User, api_client: APIClient, settings: Settings) -> None:
    settings.PERMISSIONS = {"TEAM_MODEL": "articles.Team"}
    north, south = Team.objects.create(name="north"), Team.objects.create(name="south")
    path = f"/api/v1/users/{user.pk}/permissions"
    answer = api_client.post(f"{path}?team={north.pk}", {"permissions": ["accounts.view_user"]}).json()
    assert (answer["permissions"], answer["direct"][0]["team"]) == (["accounts.view_user"], str(north.pk))
    assert api_client.get(f"{path}?team={south.pk}").json()["permissions"] == []


def check(api_client: APIClient, *checks: object, **body: object) -> list[bool]:
    response = api_client.post("/api/v1/permissions/check", {"checks": list(checks), **body})
    assert response.status_code == 200, response.json()
    return [one["is_allowed"] for one in response.json()["results"]]


def test_everybody_checks_the_own_permissions(user: User, api_client: APIClient) -> None:
    user.give_permission_to("accounts.view_user")
    api_client.force_authenticate(user)
    asked = [{"permission": name} for name in ("accounts.view_user", "accounts.delete_user", "no such thing")]
    assert check(api_client, *asked) == [True, False, False]


def test_rows_are_checked(user: User, api_client: APIClient) -> None:
    mine, other = (Article.objects.create(title=title) for title in ("mine", "other"))
    assign_perm("articles.change_article", user, mine)
    api_client.force_authenticate(user)
    asked = [
        {"permission": "articles.change_article", "object": {"type": "articles.Article", "id": key}}
        for key in (str(mine.pk), str(other.pk), "0", "x", "9" * 30)
    ]
    assert check(api_client, *asked) == [True, False, False, False, False]


def test_a_row_that_is_not_there_is_nobodys(superuser: User, api_client: APIClient) -> None:
    api_client.force_authenticate(superuser)
    asked = {"permission": "articles.change_article", "object": {"type": "articles.article", "id": "0"}}
    assert check(api_client, asked) == [False]


@pytest.mark.compliance("ASVS 5.0", "8.2.2", "Access to a single object is decided by the rights for that object")
def test_a_row_is_decided_in_its_team(user: User, api_client: APIClient, settings: Settings) -> None:
    settings.PERMISSIONS = {"TEAM_MODEL": "articles.Team"}
    north, south = Team.objects.create(name="north"), Team.objects.create(name="south")
    with use_team(north):
        user.give_permission_to("articles.change_article")
    rows = [Article.objects.create(title="x", team=team) for team in (north, south, None)]
    api_client.force_authenticate(user)
    asked = [
        {"permission": "articles.change_article", "object": {"type": "articles.article", "id": str(row.pk)}}
        for row in rows
    ]
    assert check(api_client, *asked, {"permission": "articles.change_article"}) == [True, False, False, False]
    response = api_client.post(
        f"/api/v1/permissions/check?team={north.pk}", {"checks": [{"permission": "articles.change_article"}]}
    )
    assert response.json()["results"] == [{"is_allowed": True}]


def test_a_thousand_checks_take_as_many_queries_as_two(
    user: User, api_client: APIClient, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    Role.create("reader").give_permission_to("accounts.view_user")
    user.assign_role("reader")
    rows = [Article.objects.create(title=str(number)) for number in range(333)]
    asked = [
        {"permission": f"articles.{action}_article", "object": {"type": "articles.article", "id": str(row.pk)}}
        for row in rows
        for action in ("view", "change", "delete")
    ]
    api_client.force_authenticate(user)
    counts = []
    for some in (asked[:2], asked):
        with django_assert_max_num_queries(10) as found:
            check(api_client, *some)
        counts.append(len(found.captured_queries))
    assert counts[1] <= counts[0]


def test_others_are_checked_by_who_may_see_roles(keeper: User, user: User, api_client: APIClient) -> None:
    user.give_permission_to("accounts.view_user")
    asked = {"permission": "accounts.view_user"}
    assert check(api_client, asked, user=str(user.pk)) == [True]
    api_client.force_authenticate(user)
    response = api_client.post("/api/v1/permissions/check", {"checks": [asked], "user": str(keeper.pk)})
    assert response.status_code == 403
    assert check(api_client, asked, user=str(user.pk)) == [True]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "checks"),
        ({"checks": []}, "checks"),
        ({"checks": [{"permission": "x"}] * 1001}, "checks"),
        ({"checks": [{}]}, "checks.0.permission"),
        ({"checks": [{"permission": 5}]}, "checks.0.permission"),
        ({"checks": [{"permission": "x" * 202}]}, "checks.0.permission"),
        ({"checks": [{"permission": "x", "object": {"type": "nope.nope", "id": "1"}}]}, "checks.0.object.type"),
        ({"checks": [{"permission": "x", "object": {"type": "nope", "id": "1"}}]}, "checks.0.object.type"),
        ({"checks": [{"permission": "x", "object": {"type": "accounts.user"}}]}, "checks.0.object.id"),
        ({"checks": [{"permission": "x", "object": "accounts.user:1"}]}, "checks.0.object"),
        ({"checks": [{"permission": "x"}], "user": "nobody"}, "user"),
    ],
)
def test_a_wrong_question_is_blamed_on_its_field(
    keeper: User, api_client: APIClient, body: dict[str, object], field: str
) -> None:
    response = api_client.post("/api/v1/permissions/check", body)
    assert response.status_code == 400
    (error,) = response.json()["errors"]
    assert error["field"].startswith(field)


def test_checking_wants_credentials(api_client: APIClient) -> None:
    assert api_client.post("/api/v1/permissions/check", {}).status_code == 401


def test_a_decision_is_explained(keeper: User, user: User, api_client: APIClient) -> None:
    Role.create("reader").give_permission_to("accounts.view_user")
    user.assign_role("reader")
    query = {"permission": "accounts.view_user", "user": str(user.pk)}
    decision = api_client.get("/api/v1/permissions/explain", query_params=query).json()
    assert (decision["user"], decision["is_allowed"], decision["guard"]) == (user.email, True, "web")
    assert decision["steps"][-1] == {
        "rule": "held",
        "answer": True,
        "reason": "`accounts.view_user` comes with the role `reader`",
    }


def test_a_decision_about_a_row_is_explained(keeper: User, api_client: APIClient) -> None:
    article = Article.objects.create(title="x")
    assign_perm("articles.change_article", keeper, article)
    query = {"permission": "articles.change_article", "object": f"articles.article:{article.pk}"}
    decision = api_client.get("/api/v1/permissions/explain", query_params=query).json()
    assert (decision["object"], decision["is_allowed"]) == (f"articles.article {article.pk}", True)
    for missing in ("articles.article:0", "articles.article", "nope:1", "articles.article:x"):
        response = api_client.get("/api/v1/permissions/explain", query_params=query | {"object": missing})
        assert (response.status_code, response.json()["code"]) == (404, "object_does_not_exist")


def test_an_explanation_needs_a_permission_to_explain(keeper: User, api_client: APIClient) -> None:
    response = api_client.get("/api/v1/permissions/explain")
    assert (response.status_code, response.json()["errors"][0]["field"]) == (400, "permission")
