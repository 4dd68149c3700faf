"""Roles and permissions by themselves: making, finding, granting, deleting, and the roles above a role."""

import enum

import pytest
from django.db.models import Count, Q
from pytest_django import DjangoAssertNumQueries

from accounts.models import User
from permissions.exceptions import (
    GuardDoesNotExist,
    GuardDoesNotMatch,
    PermissionAlreadyExists,
    PermissionDoesNotExist,
    RoleAlreadyExists,
    RoleDoesNotExist,
)
from permissions.models import Permission, Role, RoleAssignment


class Name(enum.Enum):
    """Names as a project writes them down once."""

    ROLE = "test-role"
    PERMISSION = "test-permission"


ROLE_NAMES = pytest.mark.parametrize("name", ["test-role", Name.ROLE])
PERMISSION_NAMES = pytest.mark.parametrize("name", ["test-permission", Name.PERMISSION])


# The users of a role


def test_the_users_of_a_role_are_loaded_along(
    user: User, role: Role, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    user.assign_role(role)
    with django_assert_num_queries(2):
        found = Role.objects.prefetch_related("users").get(pk=role.pk)
        assert [one.pk for one in found.users.all()] == [user.pk]


def test_the_users_of_a_role_are_users(user: User, admin: User, role: Role, admin_role: Role) -> None:
    user.assign_role(role)
    admin.assign_role(admin_role)
    assert list(role.users.all()) == [user]
    assert list(admin_role.users.all()) == [admin]


# Making roles


@ROLE_NAMES
def test_a_role_is_made(name: str | Name) -> None:
    assert Role.create(name).name == "test-role"


@ROLE_NAMES
def test_a_role_is_not_made_twice(name: str | Name) -> None:
    Role.create(name)
    with pytest.raises(RoleAlreadyExists, match=r"A role `test-role` already exists for guard `web`\."):
        Role.create(name)


def test_a_role_of_the_same_name_is_made_in_another_guard() -> None:
    assert Role.create("testRole", guard="admin").guard == "admin"


def test_a_role_belongs_to_the_guard_it_was_made_in() -> None:
    assert Role.create("admin", guard="admin").guard == "admin"


def test_a_role_belongs_to_the_default_guard_otherwise(role: Role) -> None:
    assert role.guard == "web"


def test_a_role_is_not_made_in_an_unknown_guard() -> None:
    with pytest.raises(GuardDoesNotExist):
        Role.create("test-role", guard="no-such-guard")


def test_a_role_may_be_called_zero(user: User) -> None:
    Role.create("0")
    assert user.assign_role("0").has_role("0")


# Finding roles


@ROLE_NAMES
def test_a_role_is_found_by_its_name(name: str | Name) -> None:
    role = Role.create(name)
    assert Role.find_by_name(name) == role


def test_a_role_is_found_by_its_id(role: Role) -> None:
    assert Role.find_by_id(role.pk) == role


def test_an_unknown_name_finds_no_role() -> None:
    with pytest.raises(RoleDoesNotExist, match=r"There is no role named `test-role` for guard `web`\."):
        Role.find_by_name("test-role")


def test_an_unknown_id_finds_no_role() -> None:
    with pytest.raises(RoleDoesNotExist, match=r"ID `1000000` for guard `web`\."):
        Role.find_by_id(1_000_000)


def test_an_id_of_another_guard_finds_no_role(admin_role: Role) -> None:
    with pytest.raises(RoleDoesNotExist):
        Role.find_by_id(admin_role.pk)


@ROLE_NAMES
def test_a_role_that_cannot_be_found_is_made(name: str | Name) -> None:
    assert Role.find_or_create(name).name == "test-role"


@ROLE_NAMES
def test_a_role_that_can_be_found_is_not_made(name: str | Name) -> None:
    role = Role.create(name)
    assert Role.find_or_create(name) == role


# The permissions of a role


def test_a_role_is_given_a_permission(role: Role) -> None:
    role.give_permission_to("edit-articles")
    assert role.has_permission_to("edit-articles")


def test_a_role_cannot_be_given_an_unknown_permission(role: Role) -> None:
    with pytest.raises(PermissionDoesNotExist):
        role.give_permission_to("create-evil-empire")


def test_a_role_cannot_be_given_a_name_of_another_guard(role: Role) -> None:
    with pytest.raises(PermissionDoesNotExist):
        role.give_permission_to("admin-permission")


def test_a_role_cannot_be_given_a_permission_object_of_another_guard(role: Role) -> None:
    with pytest.raises(GuardDoesNotMatch):
        role.give_permission_to(Permission.find_by_name("admin-permission", guard="admin"))


def test_naming_another_guard_gives_a_role_no_permission_of_it(role: Role) -> None:
    with pytest.raises(GuardDoesNotMatch):
        role.give_permission_to("admin-permission", guard="admin")
    assert not role.group.permissions.exists()


def test_a_role_is_given_a_list_of_permissions(role: Role) -> None:
    role.give_permission_to(["edit-articles", "edit-news"])
    assert role.get_permission_names() == ["edit-articles", "edit-news"]


def test_a_role_is_given_several_permissions(role: Role) -> None:
    role.give_permission_to("edit-articles", "edit-news")
    assert role.get_permission_names() == ["edit-articles", "edit-news"]


def test_the_permissions_of_a_role_are_exchanged(role: Role) -> None:
    role.give_permission_to("edit-articles").sync_permissions("edit-news")
    assert role.get_permission_names() == ["edit-news"]


def test_permissions_are_not_exchanged_for_unknown_ones(role: Role) -> None:
    with pytest.raises(PermissionDoesNotExist):
        role.sync_permissions("unknown")


def test_permissions_are_not_exchanged_for_a_name_of_another_guard(role: Role) -> None:
    with pytest.raises(PermissionDoesNotExist):
        role.sync_permissions("admin-permission")


def test_permissions_are_not_exchanged_for_an_object_of_another_guard(role: Role) -> None:
    with pytest.raises(GuardDoesNotMatch):
        role.sync_permissions(Permission.find_by_name("admin-permission", guard="admin"))


def test_an_empty_list_takes_all_permissions_of_a_role(role: Role) -> None:
    role.give_permission_to("edit-articles", "edit-news").sync_permissions([])
    assert role.get_permission_names() == []


def test_an_exchange_that_fails_takes_no_permission(role: Role) -> None:
    role.give_permission_to("edit-news")
    with pytest.raises(PermissionDoesNotExist):
        role.sync_permissions("edit-articles", "unknown")
    assert Role.objects.get(pk=role.pk).has_direct_permission("edit-news")


def test_a_permission_of_a_role_is_taken(role: Role) -> None:
    role.give_permission_to("edit-articles").revoke_permission_to("edit-articles")
    assert not Role.objects.get(pk=role.pk).has_permission_to("edit-articles")


def test_a_role_is_given_a_permission_object(role: Role) -> None:
    permission = Permission.find_by_name("edit-articles")
    assert role.give_permission_to(permission).has_permission_to(permission)


def test_a_role_does_not_hold_a_name_that_it_was_not_given(role: Role) -> None:
    assert not role.has_permission_to("edit-blog")


def test_a_role_does_not_hold_an_object_that_it_was_not_given(role: Role) -> None:
    assert not role.has_permission_to(Permission.find_by_name("edit-blog"))


def test_asking_a_role_for_an_unknown_permission_is_an_error(role: Role) -> None:
    with pytest.raises(PermissionDoesNotExist):
        role.has_permission_to("unknown")


def test_asking_a_role_for_an_object_of_another_guard_is_an_error(role: Role) -> None:
    with pytest.raises(GuardDoesNotMatch):
        role.has_permission_to(Permission.find_by_name("admin-permission", guard="admin"))


def test_a_role_does_not_hold_a_permission_that_was_just_made(role: Role) -> None:
    assert not role.has_permission_to(Permission.find_or_create("another-permission"))


def test_a_role_is_given_a_permission_that_was_just_made(role: Role) -> None:
    role.give_permission_to(Permission.find_or_create("another-permission"))
    assert Role.objects.get(pk=role.pk).has_permission_to("another-permission")


# Deleting a role


def test_a_deleted_role_leaves_no_grant(role: Role) -> None:
    permission = Permission.find_by_name("edit-articles").assign_role(role)
    role.delete()
    assert not permission.roles.exists()


def test_a_deleted_role_leaves_no_assignment(user: User, role: Role) -> None:
    user.assign_role(role)
    role.delete()
    assert not RoleAssignment.objects.exists()
    assert not user.groups.exists()


@pytest.mark.parametrize("holders", [1, 5])
def test_a_role_is_deleted_without_needless_queries(
    role: Role, holders: int, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    role.give_permission_to("edit-articles").assign_to_models(
        User.objects.create(email=f"{number}@example.com") for number in range(holders)
    )
    # Spatie's three delete the role and its rows in two tables. Ours: a look at its holders, twice, and at its heirs;
    # its links, assignments and itself; its group, which Django looks at, with what guardian and Django keep about it;
    # and the stamps of the holders and of the role. For the audit log: two looks at who holds it, two INSERTs.
    with django_assert_num_queries(18):
        role.delete()


def test_a_user_is_without_a_role_that_was_deleted(user: User, role: Role) -> None:
    user.assign_role(role.give_permission_to("edit-articles"))
    assert user.can("edit-articles")
    role.delete()
    assert not user.can("edit-articles")


# Permissions


def test_the_users_of_a_permission_are_loaded_along(
    user: User, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    user.give_permission_to("edit-articles")
    with django_assert_num_queries(2):
        found = Permission.objects.prefetch_related("user_set").get(codename="edit-articles")
        assert [one.pk for one in found.users.all()] == [user.pk]


def test_the_users_of_a_permission_are_users(user: User, admin: User) -> None:
    user.give_permission_to("edit-articles")
    admin.give_permission_to("admin-permission")
    assert list(Permission.find_by_name("edit-articles").users.all()) == [user]


@PERMISSION_NAMES
def test_a_permission_is_made(name: str | Name) -> None:
    assert Permission.create(name).identifier == "test-permission"


@PERMISSION_NAMES
def test_a_permission_is_not_made_twice(name: str | Name) -> None:
    Permission.create(name)
    with pytest.raises(
        PermissionAlreadyExists, match=r"A permission `test-permission` already exists for guard `web`\."
    ):
        Permission.create(name)


@PERMISSION_NAMES
def test_a_permission_is_found_by_its_name(name: str | Name) -> None:
    permission = Permission.create(name)
    assert Permission.find_by_name(name) == permission


@PERMISSION_NAMES
def test_a_permission_that_cannot_be_found_is_made(name: str | Name) -> None:
    assert Permission.find_or_create(name).identifier == "test-permission"


@PERMISSION_NAMES
def test_a_permission_that_can_be_found_is_not_made(name: str | Name) -> None:
    permission = Permission.create(name)
    assert Permission.find_or_create(name) == permission


def test_a_permission_belongs_to_the_guard_it_was_made_in() -> None:
    assert Permission.create("can-edit", guard="admin").guard == "admin"


def test_a_permission_belongs_to_the_default_guard_otherwise() -> None:
    assert Permission.find_by_name("edit-articles").guard == "web"


def test_a_permission_is_found_by_its_id() -> None:
    permission = Permission.find_by_name("edit-articles")
    assert Permission.find_by_id(permission.pk) == permission


def test_an_unknown_name_finds_no_permission() -> None:
    with pytest.raises(PermissionDoesNotExist, match=r"There is no permission named `unknown` for guard `web`\."):
        Permission.find_by_name("unknown")


def test_an_unknown_id_finds_no_permission() -> None:
    with pytest.raises(PermissionDoesNotExist, match=r"ID `1000000` for guard `web`\."):
        Permission.find_by_id(1_000_000)


def test_a_permission_that_checks_already_know_can_be_deleted(user: User) -> None:
    assert user.give_permission_to("edit-articles").can("edit-articles")
    Permission.find_by_name("edit-articles").delete()
    with pytest.raises(PermissionDoesNotExist):
        Permission.find_by_name("edit-articles")


def test_nobody_may_what_a_deleted_permission_allowed(user: User) -> None:
    assert user.give_permission_to("edit-articles").can("edit-articles")
    Permission.find_by_name("edit-articles").delete()
    assert not user.can("edit-articles")


def test_a_permission_may_be_called_zero(user: User) -> None:
    Permission.create("0")
    assert user.give_permission_to("0").has_permission_to("0")


# Roles above a role


@pytest.fixture
def family() -> dict[str, Role]:
    """Make roles that inherit from none, one and three others."""
    made = {name: Role.create(name) for name in ("alone", "heir", "heir of three", "first", "second", "third")}
    made["heir"].inherit_from(made["first"])
    made["heir of three"].inherit_from(made["first"], made["second"], made["third"])
    return made


@pytest.mark.parametrize(("name", "count"), [("alone", 0), ("heir", 1), ("heir of three", 3)])
def test_the_roles_above_a_role_are_counted_in_the_database(family: dict[str, Role], name: str, count: int) -> None:
    parents = Count("ancestor_links", filter=Q(ancestor_links__is_parent=True))
    assert Role.objects.annotate(number=parents).get(name=name).number == count


@pytest.mark.parametrize(("name", "count"), [("alone", 0), ("second", 1), ("first", 2)])
def test_the_roles_below_a_role_are_counted_in_the_database(family: dict[str, Role], name: str, count: int) -> None:
    children = Count("descendant_links", filter=Q(descendant_links__is_parent=True))
    assert Role.objects.annotate(number=children).get(name=name).number == count
