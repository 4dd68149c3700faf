"""Commands that make, give, show and explain."""

import json
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.test import override_settings
from pytest_django import Settings

from accounts.models import User
from permissions.models import Permission, Role
from permissions.scope import get_team, use_team
from tests.articles.models import Team

pytestmark = pytest.mark.django_db


def run(*arguments: str) -> str:
    output = StringIO()
    call_command(*arguments, stdout=output)
    return output.getvalue()


GUARDS = {"GUARDS": ["web", "api", "admin"]}
TEAMS = {"TEAM_MODEL": "articles.Team"}


@pytest.fixture
def teams(settings: Settings) -> tuple[Team, Team]:
    """Turn teams on and make two."""
    settings.PERMISSIONS = TEAMS
    return Team.objects.create(name="one"), Team.objects.create(name="two")


def read_table(text: str) -> list[list[str]]:
    """Return the cells of a table, a list for each line."""
    return [[cell.strip() for cell in line.split("|")] for line in text.splitlines()]


# Roles and permissions are made


def test_a_role_without_permissions_is_made() -> None:
    assert run("create_role", "editor") == "Role `editor` of guard `web` is there.\n"
    assert Role.find_by_name("editor").get_permission_names() == []


@pytest.mark.parametrize("guard", [None, "web", "api"])
def test_a_role_is_made_in_its_guard_or_the_default_one(guard: str | None) -> None:
    with override_settings(PERMISSIONS=GUARDS):
        run("create_role", "editor", *([guard] if guard else []))
        assert list(Role.objects.values_list("name", "guard")) == [("editor", guard or "web")]


@pytest.mark.parametrize("guard", [None, "web", "api"])
def test_a_permission_is_made_in_its_guard_or_the_default_one(guard: str | None) -> None:
    with override_settings(PERMISSIONS=GUARDS):
        said = run("create_permission", "edit articles", *([guard] if guard else []))
        assert said == f"Permission `edit articles` of guard `{guard or 'web'}` is there.\n"
        made = Permission.objects.filter(codename="edit articles")
        assert [permission.guard for permission in made] == [guard or "web"]


def test_a_role_and_its_permissions_are_made_in_one_guard() -> None:
    with override_settings(PERMISSIONS=GUARDS):
        run("create_role", "editor", "api", "edit articles|publish articles")
        made = Permission.objects.filter(codename__endswith=" articles")
        assert {permission.guard for permission in made} == {"api"}
        assert Role.find_by_name("editor", guard="api").has_permission_to("edit articles")


def test_a_guard_need_not_be_named_where_a_program_names_permissions() -> None:
    call_command("create_role", "editor", permissions="edit articles | publish articles", stdout=StringIO())
    assert Role.find_by_name("editor").get_permission_names() == ["edit articles", "publish articles"]


def test_making_a_role_again_keeps_what_it_permits_and_adds_to_it() -> None:
    run("create_role", "editor", "web", "edit articles")
    run("create_role", "editor")
    assert Role.find_by_name("editor").get_permission_names() == ["edit articles"]
    assert "It permits: edit articles, publish articles." in run("create_role", "editor", "web", "publish articles")


def test_programs_read_what_was_made(teams: tuple[Team, Team]) -> None:
    said = json.loads(run("create_role", "editor", "web", "edit", "--team-id", str(teams[0].pk), "--json"))
    role = Role.objects.get()
    assert said == {
        "id": role.pk,
        "name": "editor",
        "guard": "web",
        "team": str(teams[0].pk),
        "permissions": ["edit"],
    }


def test_each_team_can_have_a_role_of_the_same_name(teams: tuple[Team, Team]) -> None:
    keys = [str(team.pk) for team in teams]
    for key in keys * 2:
        run("create_role", "editor", "--team-id", key)
    assert sorted(Role.objects.values_list("team_id", flat=True)) == sorted(keys)


def test_a_role_is_made_for_all_teams_whatever_team_holds(teams: tuple[Team, Team]) -> None:
    with use_team(teams[0]):
        run("create_role", "editor")
    assert Role.objects.get().team_id == ""


@pytest.mark.parametrize("command", ["create_role", "assign_role"])
def test_what_can_be_no_team_is_refused(command: str, user: User, teams: tuple[Team, Team]) -> None:
    with pytest.raises(CommandError, match="no such team"):
        run(command, "editor", *([user.email] if command == "assign_role" else []), "--team-id", "nope")
    assert not Role.objects.exists()


def test_a_role_of_a_team_is_refused_where_there_are_none() -> None:
    with pytest.raises(CommandError, match="There are no teams"):
        run("create_role", "editor", "--team-id", "7")
    assert not Role.objects.exists()


def test_a_role_is_made_with_permissions_that_were_missing() -> None:
    said = run("create_role", "editor", "web", "edit articles | publish articles")
    assert Role.find_by_name("editor").get_permission_names() == ["edit articles", "publish articles"]
    assert "edit articles, publish articles" in said


def test_making_a_role_again_changes_nothing() -> None:
    run("create_role", "editor", "web", "edit articles")
    run("create_role", "editor", "web", "edit articles")
    assert Role.objects.count() == 1
    assert Role.find_by_name("editor").get_permission_names() == ["edit articles"]


def test_a_wrong_permission_leaves_no_role_behind() -> None:
    with pytest.raises(CommandError):
        run("create_role", "editor", "web", f"edit articles|{'x' * 101}")
    assert not Role.objects.exists()


def test_a_permission_is_made_once() -> None:
    run("create_permission", "edit articles")
    assert json.loads(run("create_permission", "edit articles", "--json"))["name"] == "edit articles"
    assert Permission.objects.filter(codename="edit articles").count() == 1


def test_an_unknown_guard_is_refused() -> None:
    for arguments in (("create_permission", "x", "nope"), ("create_role", "x", "nope"), ("show_permissions", "nope")):
        with pytest.raises(CommandError, match="nope"):
            run(*arguments)


# Roles are given


def test_a_role_is_given_and_made_where_it_is_missing(user: User) -> None:
    assert run("assign_role", "editor", user.email) == f"Role `editor` assigned to user ID {user.pk} successfully.\n"
    assert User.objects.get(pk=user.pk).has_role("editor")


def test_a_role_that_is_there_is_given(user: User) -> None:
    role = Role.create("editor")
    run("assign_role", "editor", str(user.pk), "web")
    assert list(Role.objects.all()) == [role]
    assert user.get_role_names() == ["editor"]


def test_giving_a_role_again_changes_nothing(user: User) -> None:
    said = {run("assign_role", "editor", user.email) for _ in range(2)}
    assert said == {f"Role `editor` assigned to user ID {user.pk} successfully.\n"}
    assert (Role.objects.count(), user.role_assignments.count()) == (1, 1)


def test_giving_a_role_leaves_the_others(user: User) -> None:
    for name in ("editor", "writer"):
        run("assign_role", name, user.email)
    assert user.get_role_names() == ["editor", "writer"]


def test_a_role_of_another_guard_is_given(user: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(User, "get_guard_names", lambda self: ("web", "api"))
    with override_settings(PERMISSIONS=GUARDS):
        run("assign_role", "editor", user.email, "api")
        assert [user.has_role("editor", guard=guard) for guard in ("web", "api")] == [False, True]


def test_a_role_is_not_given_in_a_guard_that_is_not_the_users(user: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(User, "get_guard_names", lambda self: ("web", "api"))
    with override_settings(PERMISSIONS=GUARDS):
        with pytest.raises(CommandError, match="should use guard `web, api` instead of `admin`"):
            run("assign_role", "editor", user.email, "admin")
        with pytest.raises(CommandError, match="There is no guard `nope`"):
            run("assign_role", "editor", user.email, "nope")
    assert not Role.objects.exists()


def test_programs_read_what_was_given(user: User, teams: tuple[Team, Team]) -> None:
    said = json.loads(run("assign_role", "editor", user.email, "--team-id", str(teams[0].pk), "--json"))
    assert said == {"user": str(user.pk), "role": "editor", "guard": "web", "team": str(teams[0].pk)}


def test_other_roles_are_given_in_each_team(user: User, teams: tuple[Team, Team]) -> None:
    for name, team in zip(("editor", "writer"), teams, strict=True):
        run("assign_role", name, user.email, "--team-id", str(team.pk))
    found = []
    for team in teams:
        with use_team(team):
            found.append(user.get_role_names())
    assert found == [["editor"], ["writer"]]


def test_a_role_of_all_teams_is_given_in_one(user: User, teams: tuple[Team, Team]) -> None:
    role = Role.create("editor")
    run("assign_role", "editor", user.email, "--team-id", str(teams[0].pk))
    assert list(Role.objects.all()) == [role]
    assert [one.team_id for one in user.role_assignments.all()] == [str(teams[0].pk)]


def test_without_a_team_a_role_is_given_everywhere_whatever_team_holds(user: User, teams: tuple[Team, Team]) -> None:
    with use_team(teams[0]):
        run("assign_role", "editor", user.email)
    assert list(user.role_assignments.values_list("team_id", "role__team_id")) == [("", "")]


def test_the_team_that_holds_is_the_same_behind_a_command(user: User, teams: tuple[Team, Team]) -> None:
    with use_team(teams[1]):
        run("create_role", "writer", "--team-id", str(teams[0].pk))
        run("assign_role", "editor", user.email, "--team-id", str(teams[0].pk))
        with pytest.raises(CommandError):
            run("assign_role", "editor", "nobody@example.com", "--team-id", str(teams[0].pk))
        assert get_team() == str(teams[1].pk)
    assert get_team() is None


def test_a_role_is_given_in_one_team(user: User) -> None:
    with override_settings(PERMISSIONS={"TEAM_MODEL": "auth.Group"}):
        run("assign_role", "editor", str(user.pk), "--team-id", "7")
    assert list(user.role_assignments.values_list("team_id", flat=True)) == ["7"]
    assert not user.groups.exists()


def test_a_team_is_refused_where_there_are_none(user: User) -> None:
    with pytest.raises(CommandError, match="There are no teams"):
        run("assign_role", "editor", user.email, "--team-id", "7")
    assert not Role.objects.exists()


@pytest.mark.parametrize("text", ["nobody@example.com", "99999", "00000000-0000-4000-8000-000000000000", ""])
def test_nobody_gets_a_role_who_is_not_there(text: str, user: User) -> None:
    with pytest.raises(CommandError, match=f"There is no user with the e-mail address or id `{text}`"):
        run("assign_role", "editor", text)
    assert not Role.objects.exists()


# What roles permit is shown


def test_the_table_marks_what_a_role_permits() -> None:
    Permission.create("edit")
    Role.create("writer").give_permission_to("edit")
    Permission.create("publish")
    Role.create("chief").give_permission_to("edit", "publish")
    lines = [line.split("|") for line in run("show_permissions").splitlines()]
    cells = {line[0].strip(): [cell.strip() for cell in line[1:]] for line in lines}
    assert cells[""] == ["chief", "writer"]
    assert (cells["edit"], cells["publish"]) == (["✔", "✔"], ["✔", "·"])


def test_each_guard_has_a_table_of_its_own() -> None:
    with override_settings(PERMISSIONS=GUARDS):
        Role.create("writer").give_permission_to(Permission.create("edit"))
        Role.create("reader", guard="api")
        Role.create("chief", guard="admin").give_permission_to(Permission.create("rule", guard="admin"))
        tables = run("show_permissions").strip().split("\n\n")
        assert [read_table(table) for table in tables] == [
            [["Guard: web"], ["", "writer"], ["edit", "✔"]],
            [["Guard: api"], ["", "reader"]],
            [["Guard: admin"], ["", "chief"], ["rule", "✔"]],
        ]


@pytest.mark.parametrize("guard", ["web", "api", "admin"])
def test_the_table_of_one_guard_is_shown_alone(guard: str) -> None:
    with override_settings(PERMISSIONS=GUARDS):
        said = run("show_permissions", guard)
    assert [line for line in said.splitlines() if line.startswith("Guard")] == [f"Guard: {guard}"]


def test_what_no_role_permits_is_shown_where_it_is_asked_for() -> None:
    Permission.create("edit")
    for name in ("testRole", "testRole_2"):
        Role.create(name)
    assert read_table(run("show_permissions")) == [["Guard: web"], ["", "testRole", "testRole_2"]]
    assert ["edit", "·", "·"] in read_table(run("show_permissions", "--all"))
    Role.find_by_name("testRole").give_permission_to("edit")
    assert ["edit", "✔", "·"] in read_table(run("show_permissions", "--all"))


def test_the_table_names_the_team_of_a_role(teams: tuple[Team, Team]) -> None:
    Role.create("editor")
    for team in teams:
        Role.create("writer", team=team).give_permission_to(Permission.find_or_create(f"edit {team.name}"))
    one, two = (team.pk for team in teams)
    assert read_table(run("show_permissions"))[1:] == [
        ["", "editor", f"writer ({one})", f"writer ({two})"],
        ["edit one", "·", "✔", "·"],
        ["edit two", "·", "·", "✔"],
    ]
    roles = json.loads(run("show_permissions", "--json"))["web"]["roles"]
    assert [role["team"] for role in roles] == [None, str(one), str(two)]


def test_the_cells_of_the_table_stand_below_each_other() -> None:
    Role.create("writer").give_permission_to(Permission.create("edit articles"), Permission.create("see"))
    Role.create("x").give_permission_to("see")
    _, *lines = run("show_permissions").splitlines()
    assert {tuple(at for at, sign in enumerate(line) if sign == "|") for line in lines} == {(14, 23)}


def test_programs_read_what_a_role_permits() -> None:
    Permission.create("edit")
    Role.create("writer").give_permission_to("edit")
    assert json.loads(run("show_permissions", "--json"))["web"] == {
        "permissions": ["edit"],
        "roles": [{"name": "writer", "team": None, "permissions": ["edit"]}],
    }


# Decisions are explained


def test_a_decision_is_explained(user: User) -> None:
    Permission.create("edit")
    user.assign_role(Role.create("writer").give_permission_to("edit"))
    assert "comes with the role `writer`" in run("explain_permission", user.email, "edit")


def test_a_decision_about_an_object_is_explained_to_programs(user: User) -> None:
    said = json.loads(run("explain_permission", user.email, "accounts.view_user", f"accounts.User:{user.pk}", "--json"))
    assert (said["is_allowed"], said["object"]) == (False, f"accounts.user {user.pk}")


@pytest.mark.parametrize(
    "text",
    [
        "nope",
        "accounts.User:x",
        "no.Model:1",
        "auth.User:1",
        "permissions.Role:99999999999999999999",
        "permissions.Role:1\x00",
    ],
)
def test_no_object_is_said_so(user: User, text: str) -> None:
    with pytest.raises(CommandError, match=r"names no object|There is no"):
        run("explain_permission", user.email, "edit", text)
