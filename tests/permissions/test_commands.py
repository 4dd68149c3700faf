"""Commands that make, give, show and explain."""

import json
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.test import override_settings

from accounts.models import User
from permissions.models import Permission, Role

pytestmark = pytest.mark.django_db


def run(*arguments: str) -> str:
    output = StringIO()
    call_command(*arguments, stdout=output)
    return output.getvalue()


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


def test_a_role_is_given_and_made_where_it_is_missing(user: User) -> None:
    assert run("assign_role", "editor", user.email) == f"Role `editor` assigned to user ID {user.pk} successfully.\n"
    assert User.objects.get(pk=user.pk).has_role("editor")


def test_a_role_is_given_in_one_team(user: User) -> None:
    with override_settings(PERMISSIONS={"TEAM_MODEL": "auth.Group"}):
        run("assign_role", "editor", str(user.pk), "--team-id", "7")
    assert list(user.role_assignments.values_list("team_id", flat=True)) == ["7"]
    assert not user.groups.exists()


def test_a_team_is_refused_where_there_are_none(user: User) -> None:
    with pytest.raises(CommandError):
        run("assign_role", "editor", user.email, "--team-id", "7")
    assert not Role.objects.exists()


def test_nobody_gets_a_role_who_is_not_there() -> None:
    with pytest.raises(CommandError):
        run("assign_role", "editor", "nobody@example.com")
    assert not Role.objects.exists()


def test_the_table_marks_what_a_role_permits() -> None:
    Permission.create("edit")
    Role.create("writer").give_permission_to("edit")
    Permission.create("publish")
    Role.create("chief").give_permission_to("edit", "publish")
    lines = [line.split("|") for line in run("show_permissions").splitlines()]
    cells = {line[0].strip(): [cell.strip() for cell in line[1:]] for line in lines}
    assert cells[""] == ["chief", "writer"]
    assert (cells["edit"], cells["publish"]) == (["✔", "✔"], ["✔", "·"])


def test_programs_read_what_a_role_permits() -> None:
    Permission.create("edit")
    Role.create("writer").give_permission_to("edit")
    assert json.loads(run("show_permissions", "--json"))["web"] == {
        "permissions": ["edit"],
        "roles": [{"name": "writer", "team": None, "permissions": ["edit"]}],
    }


def test_a_decision_is_explained(user: User) -> None:
    Permission.create("edit")
    user.assign_role(Role.create("writer").give_permission_to("edit"))
    assert "comes with the role `writer`" in run("explain_permission", user.email, "edit")


def test_a_decision_about_an_object_is_explained_to_programs(user: User) -> None:
    said = json.loads(run("explain_permission", user.email, "accounts.view_user", f"accounts.User:{user.pk}", "--json"))
    assert (said["is_allowed"], said["object"]) == (False, f"accounts.user {user.pk}")


@pytest.mark.parametrize("text", ["nope", "accounts.User:x", "no.Model:1"])
def test_no_object_is_said_so(user: User, text: str) -> None:
    with pytest.raises(CommandError, match=r"names no object|There is no"):
        run("explain_permission", user.email, "edit", text)
