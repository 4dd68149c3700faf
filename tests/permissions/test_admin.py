"""Roles in the admin."""

import pytest
from django.contrib.auth.models import Permission
from django.test import Client

from accounts.models import User
from permissions.models import Role, RoleAssignment
from permissions.selectors import get_permission_names, get_role
from permissions.services import create_role
from tests.permissions.conftest import MakeUser

pytestmark = pytest.mark.django_db


def key(name: str) -> int:
    app_label, codename = name.split(".")
    return Permission.objects.get(content_type__app_label=app_label, codename=codename).pk


@pytest.fixture
def root(superuser: User, client: Client) -> User:
    client.force_login(superuser)
    return superuser


@pytest.fixture
def staff(make_user: MakeUser, client: Client) -> User:
    """A member of staff who may do all with roles, and hardly anything else."""
    names = ("add_role", "change_role", "view_role", "delete_role", "assign_role")
    staff = make_user(*(f"permissions.{name}" for name in names), is_staff=True)
    client.force_login(staff)
    return staff


def test_a_role_is_made_with_its_permissions(root: User, client: Client) -> None:
    client.post("/admin/permissions/role/add/", {"name": "editor", "permissions": [key("accounts.view_user")]})
    assert get_permission_names(role=get_role(name="editor")) == ["accounts.view_user"]


def test_a_role_is_renamed_and_its_permissions_replaced(root: User, client: Client) -> None:
    role = create_role(name="editor", permissions=["accounts.view_user"])
    data = {"name": "author", "permissions": [key("permissions.view_role")]}
    client.post(f"/admin/permissions/role/{role.pk}/change/", data)
    assert get_permission_names(role=get_role(name="author")) == ["permissions.view_role"]


def test_staff_change_what_a_role_permits_but_not_its_name(staff: User, client: Client) -> None:
    role = create_role(name="user")
    path = f"/admin/permissions/role/{role.pk}/change/"
    data = {"name": "admin", "permissions": [key("permissions.view_role")]}
    assert client.post(path, data).status_code == 302
    assert get_permission_names(role=get_role(name="user")) == ["permissions.view_role"]
    assert 'name="name"' not in client.get(path).content.decode()


def test_the_form_starts_from_what_the_role_permits(root: User, client: Client) -> None:
    role = create_role(name="editor", permissions=["accounts.view_user"])
    page = client.get(f"/admin/permissions/role/{role.pk}/change/").content.decode()
    assert f'<option value="{key("accounts.view_user")}" selected>' in page


@pytest.mark.parametrize("name", ["a|b", "taken", "x" * 101])
def test_a_name_that_cannot_be_is_shown_beside_the_field(root: User, client: Client, name: str) -> None:
    create_role(name="taken")
    response = client.post("/admin/permissions/role/add/", {"name": name})
    assert list(response.context["adminform"].form.errors) == ["name"]
    assert Role.objects.count() == 1


def test_staff_cannot_put_into_a_role_what_they_do_not_hold(staff: User, client: Client) -> None:
    data = {"name": "x", "permissions": [key("accounts.delete_user")]}
    response = client.post("/admin/permissions/role/add/", data)
    assert "only give permissions that you hold" in response.content.decode()
    assert not Role.objects.exists()


def test_staff_cannot_give_a_role_that_permits_more_than_they_may(staff: User, client: Client) -> None:
    role = create_role(name="admin", permissions=["accounts.delete_user"])
    response = client.post("/admin/permissions/roleassignment/add/", {"user": staff.pk, "role": role.pk})
    assert "only give permissions that you hold" in response.content.decode()
    assert staff.get_role_names() == []


def test_a_role_that_is_given_shows_who_gave_it(staff: User, user: User, client: Client) -> None:
    role = create_role(name="editor")
    client.post("/admin/permissions/roleassignment/add/", {"user": user.pk, "role": role.pk})
    assert user.has_role("editor")
    page = client.get("/admin/permissions/roleassignment/?q=user@").content.decode()
    assert f'<td class="field-granted_by nowrap">{staff.email}</td>' in page


def test_giving_a_role_twice_is_shown_as_a_mistake(staff: User, user: User, client: Client) -> None:
    role = create_role(name="editor")
    user.assign_role("editor")
    response = client.post("/admin/permissions/roleassignment/add/", {"user": user.pk, "role": role.pk})
    assert "already exists" in response.content.decode()


@pytest.mark.parametrize("by_action", [True, False])
def test_an_assignment_that_is_deleted_takes_the_role(staff: User, user: User, client: Client, by_action: bool) -> None:
    create_role(name="editor")
    user.assign_role("editor")
    pk = RoleAssignment.objects.get().pk
    if by_action:
        data = {"action": "delete_selected", "_selected_action": [pk], "post": "yes"}
        client.post("/admin/permissions/roleassignment/", data)
    else:
        client.post(f"/admin/permissions/roleassignment/{pk}/delete/", {"post": "yes"})
    assert not user.has_role("editor")
    assert not RoleAssignment.objects.exists()


def test_a_role_that_is_deleted_is_gone_with_its_group(staff: User, user: User, client: Client) -> None:
    role = create_role(name="editor")
    user.assign_role("editor")
    client.post(f"/admin/permissions/role/{role.pk}/delete/", {"post": "yes"})
    assert not user.groups.exists()


def test_assignments_cannot_be_edited(root: User, user: User, client: Client) -> None:
    create_role(name="editor")
    user.assign_role("editor")
    pk = RoleAssignment.objects.get().pk
    assert client.post(f"/admin/permissions/roleassignment/{pk}/change/", {"user": root.pk}).status_code == 403


def test_groups_have_no_page_of_their_own(root: User, client: Client) -> None:
    assert client.get("/admin/auth/group/").status_code == 404
