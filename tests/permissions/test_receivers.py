"""Roles and Django's groups are one thing, whichever of the two is written."""

import io
from pathlib import Path

import pytest
from django.contrib.auth.models import Group
from django.core.management import call_command
from pytest_django import Settings

from accounts.models import User
from permissions.exceptions import InvalidRoleName
from permissions.models import AuditEvent, Role, RoleAssignment
from permissions.services import create_role

pytestmark = pytest.mark.django_db


def test_a_group_made_elsewhere_is_a_role(user: User) -> None:
    user.groups.add(Group.objects.create(name="editor"))
    assert user.has_role("editor")
    assert list(user.roles.values_list("name", flat=True)) == ["editor"]


def test_a_group_whose_name_no_role_may_have_stays_a_mere_group(user: User) -> None:
    user.groups.add(Group.objects.create(name="a|b"))
    assert not Role.objects.exists()
    assert user.get_role_names() == []


def test_renaming_the_group_renames_the_role() -> None:
    group = create_role(name="editor").group
    group.name = "author"
    group.save()
    assert Role.objects.get().name == "author"


def test_renaming_the_role_renames_the_group() -> None:
    role = create_role(name="editor")
    role.name = "author"
    role.save()
    assert Group.objects.get().name == "author"


def test_a_group_of_a_role_cannot_get_a_name_that_no_role_may_have() -> None:
    group = create_role(name="editor").group
    group.name = "x" * 101
    with pytest.raises(InvalidRoleName):
        group.save()
    assert Group.objects.get().name == "editor"


def test_deleting_the_group_deletes_the_role() -> None:
    create_role(name="editor").group.delete()
    assert not Role.objects.exists()


def test_deleting_the_role_ends_what_its_group_granted(user: User) -> None:
    create_role(name="editor", permissions=["accounts.view_user"])
    user.assign_role("editor")
    Role.objects.all().delete()
    assert not Group.objects.exists()
    assert not User.objects.get(pk=user.pk).has_perm("accounts.view_user")


def test_a_membership_ended_elsewhere_ends_the_role(user: User) -> None:
    group = create_role(name="editor").group
    user.assign_role("editor")
    user.groups.remove(group)
    assert not user.has_role("editor")
    assert not RoleAssignment.objects.exists()


def test_clearing_the_groups_of_a_user_takes_only_that_users_roles(user: User, superuser: User) -> None:
    create_role(name="editor")
    for member in (user, superuser):
        member.assign_role("editor")
    user.groups.clear()
    assert [row.user for row in RoleAssignment.objects.all()] == [superuser]


def test_members_added_and_cleared_from_the_groups_side_are_recorded(user: User, superuser: User) -> None:
    group = create_role(name="editor").group
    group.user_set.add(user, superuser)
    assert RoleAssignment.objects.count() == 2
    group.user_set.clear()
    assert not RoleAssignment.objects.exists()


def test_setting_the_groups_of_a_user_keeps_the_records_of_those_that_stay(user: User, superuser: User) -> None:
    kept, new = create_role(name="kept").group, create_role(name="new").group
    user.assign_role("kept", granted_by=superuser)
    user.groups.set([kept, new])
    assert RoleAssignment.objects.get(role__name="kept").granted_by == superuser
    assert user.get_role_names() == ["kept", "new"]


def test_a_permission_given_to_the_group_elsewhere_counts(user: User) -> None:
    group = create_role(name="editor").group
    user.assign_role("editor")
    group.permissions.set(list(create_role(name="x", permissions=["accounts.view_user"]).group.permissions.all()))
    assert user.has_permission_to("accounts.view_user")


def test_a_role_cannot_be_added_past_its_group(user: User) -> None:
    role = create_role(name="editor")
    with pytest.raises(TypeError, match="assign_role"):
        user.roles.add(role)


def test_a_membership_written_behind_djangos_back_counts_and_is_repaired(user: User) -> None:
    Group.objects.bulk_create([Group(name="editor")])
    User.groups.through.objects.create(user=user, group=Group.objects.get())
    out = io.StringIO()
    call_command("sync_roles", stdout=out)
    assert out.getvalue() == "1 roles made, 1 records of assignments repaired.\n"
    assert user.has_role("editor")
    assert RoleAssignment.objects.get().user == user


def test_a_record_without_a_membership_is_deleted_by_the_repair(user: User) -> None:
    RoleAssignment.objects.create(user=user, role=create_role(name="editor"))
    assert not user.has_role("editor")
    call_command("sync_roles", stdout=io.StringIO())
    assert not RoleAssignment.objects.exists()


def test_a_dump_of_the_database_can_be_loaded_again(user: User, superuser: User, tmp_path: Path) -> None:
    create_role(name="editor", permissions=["accounts.view_user"])
    user.assign_role("editor", granted_by=superuser)
    # Another key than the one that the mirror would choose.
    RoleAssignment.objects.update(id=4711)
    dump = tmp_path / "dump.json"
    call_command("dumpdata", "auth", "accounts", "permissions", output=str(dump))
    for model in (User, Group):
        model.objects.all().delete()
    call_command("loaddata", str(dump), stdout=io.StringIO())
    assert RoleAssignment.objects.get().granted_by == superuser
    assert user.has_permission_to("accounts.view_user")


def test_a_model_that_stands_for_teams_no_more_is_let_go(settings: Settings) -> None:
    settings.PERMISSIONS = {"TEAM_MODEL": "auth.Group"}
    settings.PERMISSIONS = {}
    Group.objects.create(name="editor").delete()
    assert not AuditEvent.objects.filter(event="team.forgotten").exists()
