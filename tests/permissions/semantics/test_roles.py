"""Roles of users: giving, taking and exchanging them, asking for them, and finding users by them.

Every test runs twice, outside of any team and inside of one: what holds for roles holds there alike.
"""

import enum
from collections.abc import Iterator

import pytest
from django.db import connection
from django.db.models import FETCH_RAISE
from pytest_django import DjangoAssertNumQueries, DjangoCaptureOnCommitCallbacks

from accounts.models import User
from permissions.exceptions import GuardDoesNotMatch, RoleDoesNotExist
from permissions.models import Permission, Role, RoleAssignment
from permissions.scope import get_team
from permissions.signals import RoleAttached, RoleDetached, role_attached, role_detached
from tests.permissions.semantics.conftest import RoleName, fresh

pytestmark = pytest.mark.usefixtures("anywhere")

type Facts = list[tuple[str, set[str]]]


class TextName(enum.StrEnum):
    """Names that are strings as well."""

    WRITER = "writer"


@pytest.fixture
def facts() -> Iterator[Facts]:
    """Collect what is announced about roles, in order."""
    heard: Facts = []

    def hear_attached(fact: RoleAttached) -> None:
        heard.append(("attached", set(fact.roles)))

    def hear_detached(fact: RoleDetached) -> None:
        heard.append(("detached", set(fact.roles)))

    role_attached.listen(hear_attached)
    role_detached.listen(hear_detached)
    yield heard
    role_attached.unlisten(hear_attached)
    role_detached.unlisten(hear_detached)


# Asking for one role


def test_a_user_has_no_role_that_was_not_given(user: User) -> None:
    assert not user.has_role("testRole")


def test_a_user_does_not_have_a_role_object_that_was_not_given(user: User, role: Role) -> None:
    assert not user.has_role(role)


def test_a_user_does_not_have_another_role_of_the_same_guard(user: User, role: Role, role2: Role) -> None:
    user.assign_role(role)
    assert not user.has_role(role2)


def test_a_role_object_is_found(user: User, role: Role) -> None:
    user.assign_role(role)
    assert user.has_role(role)


def test_a_role_is_found_by_its_name(user: User, role: Role) -> None:
    user.assign_role(role)
    assert user.has_role("testRole")


def test_a_role_is_found_by_its_name_in_its_guard(user: User, role: Role) -> None:
    user.assign_role(role)
    assert user.has_role("testRole", guard="web")


def test_a_role_is_found_by_its_id_in_its_guard(user: User, role: Role) -> None:
    user.assign_role(role)
    assert user.has_role(role.pk, guard="web")


def test_one_name_of_a_list_is_enough(user: User, role: Role) -> None:
    user.assign_role(role)
    assert user.has_role(["testRole", "unknown"], guard="web")


def test_one_id_of_a_list_is_enough(user: User, role: Role) -> None:
    user.assign_role(role)
    assert user.has_role([role.pk, "unknown"], guard="web")


def test_a_name_is_not_found_in_another_guard(user: User, role: Role) -> None:
    user.assign_role(role)
    assert not user.has_role("testRole", guard="admin")


def test_an_id_is_not_found_in_another_guard(user: User, role: Role) -> None:
    user.assign_role(role)
    assert not user.has_role(role.pk, guard="admin")


def test_a_list_of_names_is_not_found_in_another_guard(user: User, role: Role) -> None:
    user.assign_role(role)
    assert not user.has_role(["testRole", "unknown"], guard="admin")


def test_a_list_of_ids_is_not_found_in_another_guard(user: User, role: Role) -> None:
    user.assign_role(role)
    assert not user.has_role([role.pk, "unknown"], guard="admin")


def test_nobody_has_a_role_in_a_guard_that_is_unknown(user: User, role: Role) -> None:
    user.assign_role(role)
    assert not user.has_role("testRole", guard="no-such-guard")


def test_an_unknown_name_is_no_role_of_the_user(user: User) -> None:
    assert not user.has_role("unknown")


def test_a_role_of_another_guard_is_not_had_by_its_name(user: User) -> None:
    assert not user.has_role("testAdminRole")


def test_a_role_of_another_guard_is_not_had_as_an_object(user: User, admin_role: Role) -> None:
    assert not user.has_role(admin_role)


def test_asking_for_something_that_names_no_role_is_a_type_error(user: User) -> None:
    with pytest.raises(TypeError):
        user.has_role(object())


# Names in one string


def test_names_between_pipes_are_alternatives(user: User) -> None:
    user.assign_role("testRole2")
    assert user.has_role("testRole|testRole2")


@pytest.mark.parametrize("text", ["'testRole|testRole2'", '"testRole|testRole2"'])
@pytest.mark.parametrize("had", ["testRole", "testRole2"])
def test_quotes_around_names_between_pipes_are_dropped(user: User, text: str, had: str) -> None:
    user.assign_role(had)
    assert user.has_role(text)


def test_a_quote_that_is_not_closed_belongs_to_the_first_name(user: User) -> None:
    user.assign_role("testRole")
    assert not user.has_role("'testRole|testRole2")


def test_a_quote_that_is_not_closed_leaves_the_last_name_alone(user: User) -> None:
    user.assign_role("testRole2")
    assert user.has_role("'testRole|testRole2")


# Names in enumerations


def test_a_role_is_given_by_a_member_of_an_enumeration(user: User) -> None:
    Role.create(RoleName.WRITER)
    user.assign_role(RoleName.WRITER)
    assert user.get_role_names() == ["writer"]


def test_a_member_that_is_a_string_too_names_a_role(user: User) -> None:
    Role.create("writer")
    assert user.assign_role(TextName.WRITER).has_role(TextName.WRITER)


def test_a_role_is_taken_by_a_member_of_an_enumeration(user: User) -> None:
    Role.create("writer")
    user.assign_role("writer").remove_role(RoleName.WRITER)
    assert not user.has_role("writer")


def test_a_member_of_an_enumeration_that_was_not_given_is_not_had(user: User) -> None:
    Role.create("writer")
    assert not user.has_role(RoleName.WRITER)


def test_a_list_may_mix_members_and_names(user: User) -> None:
    Role.create("writer")
    Role.create("editor")
    user.assign_role("writer")
    assert user.has_role([RoleName.EDITOR, "writer"])


def test_all_roles_may_be_asked_for_by_members(user: User) -> None:
    Role.create("writer")
    Role.create("editor")
    user.assign_role("writer", "editor")
    assert user.has_all_roles([RoleName.WRITER, RoleName.EDITOR])


def test_one_unknown_name_among_members_means_not_all(user: User) -> None:
    Role.create("writer")
    user.assign_role("writer")
    assert not user.has_all_roles([RoleName.WRITER, "unknown"])


def test_exactly_these_roles_may_be_asked_for_by_members(user: User) -> None:
    Role.create("writer")
    Role.create("editor")
    user.assign_role("writer", "editor")
    assert user.has_exact_roles([RoleName.EDITOR, RoleName.WRITER])


# Giving and taking


def test_a_given_role_is_had(user: User) -> None:
    user.assign_role("testRole")
    assert user.has_role("testRole")


def test_a_role_that_was_taken_is_no_longer_had(user: User) -> None:
    user.assign_role("testRole")
    user.remove_role("testRole")
    assert not user.has_role("testRole")


def test_taking_a_role_returns_the_user_without_it(user: User) -> None:
    user.assign_role("testRole", "testRole2")
    assert not user.remove_role("testRole").has_role("testRole")


def test_taking_a_role_leaves_the_others(user: User) -> None:
    user.assign_role("testRole", "testRole2")
    assert user.remove_role("testRole").has_role("testRole2")


def test_taking_a_role_that_is_not_had_changes_nothing(user: User) -> None:
    user.assign_role("testRole").remove_role("testRole2")
    assert user.get_role_names() == ["testRole"]


def test_a_role_is_taken_as_an_object(user: User, role: Role) -> None:
    user.assign_role(role)
    user.remove_role(role)
    assert not user.has_role(role)


def test_a_role_is_given_by_its_id(user: User, role: Role) -> None:
    user.assign_role(role.pk)
    assert user.has_role(role)


def test_a_role_is_taken_by_its_id(user: User, role: Role) -> None:
    user.assign_role(role)
    user.remove_role(role.pk)
    assert not user.has_role(role)


def test_several_roles_are_given_at_once(user: User, role: Role) -> None:
    user.assign_role(role.pk, "testRole2")
    assert user.get_role_names() == ["testRole", "testRole2"]


def test_several_roles_are_taken_at_once(user: User, role: Role) -> None:
    user.assign_role("testRole", "testRole2")
    user.remove_role(role.pk, "testRole2")
    assert user.get_role_names() == []


def test_a_list_of_roles_is_given(user: User, role: Role) -> None:
    user.assign_role([role.pk, "testRole2"])
    assert user.get_role_names() == ["testRole", "testRole2"]


def test_a_list_of_roles_is_taken(user: User, role: Role) -> None:
    user.assign_role("testRole", "testRole2")
    user.remove_role([role.pk, "testRole2"])
    assert user.get_role_names() == []


def test_giving_a_role_leaves_those_that_are_had(user: User) -> None:
    user.assign_role("testRole")
    user.assign_role("testRole2")
    assert fresh(user).has_role("testRole")


def test_giving_a_role_twice_is_harmless(user: User) -> None:
    user.assign_role("testRole")
    user.assign_role("testRole")
    assert fresh(user).get_role_names() == ["testRole"]


def test_an_unknown_role_cannot_be_given(user: User) -> None:
    with pytest.raises(RoleDoesNotExist):
        user.assign_role("unknown")


def test_a_name_that_only_another_guard_knows_cannot_be_given(user: User) -> None:
    with pytest.raises(RoleDoesNotExist):
        user.assign_role("testAdminRole")


def test_a_role_object_of_another_guard_cannot_be_given(user: User, admin_role: Role) -> None:
    with pytest.raises(GuardDoesNotMatch):
        user.assign_role(admin_role)


def test_an_id_in_one_guard_and_a_name_in_another_mean_two_roles(user: User) -> None:
    namesake = Role.create("testRole", guard="api")
    user.assign_role(namesake.pk, "testRole")
    assert user.has_role("testRole", guard="web")
    assert user.has_role("testRole", guard="api")


def test_an_id_in_one_guard_does_not_make_its_name_known_in_another(user: User) -> None:
    elsewhere = Role.create("elsewhere", guard="api")
    with pytest.raises(RoleDoesNotExist):
        user.assign_role(elsewhere.pk, "elsewhere")


def test_naming_a_guard_that_the_user_is_not_in_gives_no_role_of_it(user: User) -> None:
    with pytest.raises(GuardDoesNotMatch):
        user.assign_role("testAdminRole", guard="admin")
    assert not RoleAssignment.objects.exists()


# Roles of a permission: the inverse grant


def test_a_permission_is_given_to_a_role() -> None:
    permission = Permission.find_by_name("edit-articles")
    permission.assign_role("testRole")
    assert permission.has_role("testRole")


def test_a_permission_is_taken_from_a_role() -> None:
    permission = Permission.find_by_name("edit-articles").assign_role("testRole")
    permission.remove_role("testRole")
    assert not permission.has_role("testRole")


def test_the_roles_of_a_permission_are_exchanged() -> None:
    permission = Permission.find_by_name("edit-articles").assign_role("testRole")
    permission.sync_roles("testRole2")
    assert not permission.has_role("testRole")
    assert permission.has_role("testRole2")


# Exchanging all roles


def test_exchanging_ignores_none(user: User) -> None:
    user.assign_role("testRole").sync_roles("testRole2", None)
    assert user.get_role_names() == ["testRole2"]


def test_exchanging_for_one_name_takes_the_rest(user: User) -> None:
    user.assign_role("testRole").sync_roles("testRole2")
    assert user.get_role_names() == ["testRole2"]


def test_a_name_given_twice_counts_once(user: User) -> None:
    user.sync_roles("testRole", "testRole", "testRole2")
    assert user.get_role_names() == ["testRole", "testRole2"]


def test_exchanging_for_an_unknown_name_takes_nothing(user: User) -> None:
    user.sync_roles("testRole")
    with pytest.raises(RoleDoesNotExist):
        user.sync_roles("unknown")
    assert user.get_role_names() == ["testRole"]


def test_exchanging_for_several_names_gives_them_all(user: User) -> None:
    user.sync_roles("testRole", "testRole2")
    assert user.get_role_names() == ["testRole", "testRole2"]


def test_exchanging_for_a_list_gives_them_all(user: User) -> None:
    user.sync_roles(["testRole", "testRole2"])
    assert user.get_role_names() == ["testRole", "testRole2"]


def test_exchanging_for_an_empty_list_takes_all(user: User) -> None:
    user.assign_role("testRole", "testRole2").sync_roles([])
    assert user.get_role_names() == []


def test_one_unknown_name_among_known_ones_changes_nothing(user: User) -> None:
    user.assign_role("testRole")
    with pytest.raises(RoleDoesNotExist):
        user.sync_roles("testRole2", "unknown")
    assert fresh(user).get_role_names() == ["testRole"]


def test_exchanging_refuses_a_name_of_another_guard(user: User) -> None:
    with pytest.raises(RoleDoesNotExist):
        user.sync_roles("testRole", "testAdminRole")


def test_exchanging_refuses_a_role_object_of_another_guard(user: User, admin_role: Role) -> None:
    with pytest.raises(GuardDoesNotMatch):
        user.sync_roles("testRole", admin_role)


# Users that are not saved yet


def test_roles_wait_for_the_first_save_of_a_user(role: Role) -> None:
    user = User(email="new@example.com").sync_roles([role])
    user.save()
    assert user.has_role(role)


def test_roles_that_waited_are_given_once(role: Role) -> None:
    user = User(email="new@example.com").sync_roles([role])
    user.save()
    user.remove_role(role)
    user.save()
    assert not fresh(user).has_role(role)


def test_roles_can_be_exchanged_after_the_first_save(role: Role) -> None:
    user = User(email="new@example.com").sync_roles([role])
    user.save()
    user.sync_roles([role])
    assert fresh(user).has_role(role)


def test_exchanged_roles_that_wait_do_not_reach_other_users() -> None:
    first = User(email="new@example.com").sync_roles("testRole")
    first.save()
    second = User(email="newer@example.com").sync_roles("testRole2")
    second.save()
    assert fresh(first).get_role_names() == ["testRole"]
    assert fresh(second).get_role_names() == ["testRole2"]


def test_given_roles_that_wait_do_not_reach_other_users() -> None:
    first = User(email="new@example.com").assign_role("testRole")
    first.save()
    second = User(email="newer@example.com").assign_role("testRole2")
    second.save()
    assert fresh(first).get_role_names() == ["testRole"]
    assert fresh(second).get_role_names() == ["testRole2"]


def test_two_users_that_wait_side_by_side_each_get_their_own() -> None:
    first = User(email="new@example.com").assign_role("testRole")
    second = User(email="newer@example.com").assign_role("testRole2")
    second.save()
    first.save()
    assert fresh(first).get_role_names() == ["testRole"]
    assert fresh(second).get_role_names() == ["testRole2"]


# Statements that a write costs


# Spatie needs two, as it writes one table and keeps neither stamps nor a log. Ours: the transaction's two, a lock on
# the user, the look at what it has, the rows, the stamp and the audit entry; outside of teams Django's groups besides.
# On PostgreSQL two more let it check the references before the end.


def count_statements(outside: int, *, in_team: int) -> int:
    return (outside if get_team() is None else in_team) + (2 if connection.vendor == "postgresql" else 0)


def test_exchanging_roles_runs_no_needless_statement(
    user: User, role: Role, role2: Role, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    with django_assert_num_queries(count_statements(9, in_team=7)):
        user.sync_roles(role, role2)


def test_the_first_save_with_exchanged_roles_runs_no_needless_statement(
    django_assert_num_queries: DjangoAssertNumQueries,
) -> None:
    user = User(email="new@example.com").sync_roles("testRole")
    with django_assert_num_queries(3 + count_statements(9, in_team=7)):  # the user, in a transaction around all
        user.save()


def test_the_first_save_with_given_roles_runs_no_needless_statement(
    django_assert_num_queries: DjangoAssertNumQueries,
) -> None:
    user = User(email="new@example.com").assign_role("testRole")
    with django_assert_num_queries(3 + count_statements(8, in_team=7)):  # as above
        user.save()


# Deleting


def test_a_deleted_user_leaves_no_assignment(user: User) -> None:
    user.assign_role("testRole").delete()
    assert not RoleAssignment.objects.exists()


def test_a_deleted_user_leaves_no_membership(user: User, role: Role) -> None:
    user.assign_role("testRole").delete()
    assert not role.group.user_set.exists()


def test_a_deleted_user_leaves_no_direct_permission(user: User) -> None:
    user.give_permission_to("edit-articles").delete()
    assert not Permission.find_by_name("edit-articles").users.exists()


def test_a_deactivated_user_keeps_the_roles(user: User) -> None:
    user.assign_role("testRole").is_active = False
    user.save()
    assert fresh(user).has_role("testRole")


# Finding users


def test_users_are_found_by_a_member_of_an_enumeration(user: User, second_user: User) -> None:
    Role.create("writer")
    user.assign_role("writer")
    assert set(User.objects.role(RoleName.WRITER)) == {user}


def test_nobody_is_found_by_a_member_that_nobody_has(user: User) -> None:
    Role.create("writer")
    assert not User.objects.role(RoleName.WRITER)


def test_users_without_a_role_are_found_by_a_member_of_an_enumeration(user: User, second_user: User) -> None:
    Role.create("writer")
    user.assign_role("writer")
    assert set(User.objects.without_role(RoleName.WRITER)) == {second_user}


def test_users_are_found_by_the_name_of_a_role(user: User, second_user: User) -> None:
    user.assign_role("testRole")
    second_user.assign_role("testRole2")
    assert set(User.objects.role("testRole")) == {user}


def test_users_without_a_role_are_found_by_its_name(user: User, second_user: User, third_user: User) -> None:
    user.assign_role("testRole")
    second_user.assign_role("testRole2")
    assert set(User.objects.without_role("testRole2")) == {user, third_user}


def test_users_are_found_by_a_list_of_names(user: User, second_user: User, third_user: User) -> None:
    user.assign_role("testRole")
    second_user.assign_role("testRole2")
    assert set(User.objects.role(["testRole", "testRole2"])) == {user, second_user}


def test_a_user_with_two_of_the_roles_is_found_once(user: User) -> None:
    user.assign_role("testRole", "testRole2")
    assert list(User.objects.role(["testRole", "testRole2"])) == [user]


def test_users_without_any_of_several_roles_are_found(user: User, second_user: User, third_user: User) -> None:
    user.assign_role("testRole")
    second_user.assign_role("testRole2")
    assert set(User.objects.without_role(["testRole", "testRole2"])) == {third_user}


def test_users_are_found_by_ids_and_names_together(
    user: User, second_user: User, third_user: User, role2: Role
) -> None:
    user.assign_role("testRole")
    second_user.assign_role("testRole2")
    assert set(User.objects.role(["testRole", role2.pk])) == {user, second_user}


def test_users_without_roles_are_found_by_ids_and_names_together(user: User, second_user: User) -> None:
    nobodys = Role.create("testRole3")
    user.assign_role("testRole")
    second_user.assign_role("testRole2")
    assert set(User.objects.without_role(["testRole", nobodys.pk])) == {second_user}


def test_users_are_found_by_a_queryset_of_roles(user: User, second_user: User, third_user: User) -> None:
    user.assign_role("testRole")
    second_user.assign_role("testRole2")
    assert set(User.objects.role(Role.objects.filter(guard="web"))) == {user, second_user}


def test_users_without_roles_are_found_by_a_queryset_of_roles(user: User, second_user: User) -> None:
    user.assign_role("testRole")
    assert set(User.objects.without_role(Role.objects.filter(name="testRole"))) == {second_user}


def test_users_are_found_by_a_role_object(user: User, second_user: User, role: Role) -> None:
    user.assign_role("testRole")
    second_user.assign_role("testRole2")
    assert set(User.objects.role(role)) == {user}


def test_users_are_found_by_a_list_of_role_objects(user: User, second_user: User, role: Role) -> None:
    user.assign_role("testRole")
    second_user.assign_role("testRole2")
    assert set(User.objects.role([role])) == {user}


def test_users_without_a_role_are_found_by_its_object(user: User, second_user: User, role: Role) -> None:
    user.assign_role("testRole")
    second_user.assign_role("testRole2")
    assert set(User.objects.without_role(role)) == {second_user}


def test_users_without_a_role_are_found_by_a_list_of_objects(user: User, second_user: User, role: Role) -> None:
    user.assign_role("testRole")
    assert set(User.objects.without_role([role])) == {second_user}


def test_users_are_found_by_a_role_of_a_named_guard(user: User, second_user: User, admin: User) -> None:
    user.assign_role("testRole")
    admin.assign_role("testAdminRole")
    assert set(User.objects.role("testRole", guard="web")) == {user}
    assert set(User.objects.role("testAdminRole", guard="admin")) == {admin}


def test_users_without_a_role_of_a_named_guard_are_found(user: User, admin: User) -> None:
    user.assign_role("testRole")
    admin.assign_role("testAdminRole")
    assert set(User.objects.without_role("testRole", guard="web")) == {admin}
    assert set(User.objects.without_role("testAdminRole", guard="admin")) == {user}


def test_finding_users_by_a_role_of_another_guard_is_an_error() -> None:
    with pytest.raises(RoleDoesNotExist):
        User.objects.role("testAdminRole")


def test_finding_users_without_a_role_of_another_guard_is_an_error() -> None:
    with pytest.raises(RoleDoesNotExist):
        User.objects.without_role("testAdminRole")


def test_finding_users_by_an_unknown_role_is_an_error() -> None:
    with pytest.raises(RoleDoesNotExist):
        User.objects.role("unknown")


def test_finding_users_without_an_unknown_role_is_an_error() -> None:
    with pytest.raises(RoleDoesNotExist):
        User.objects.without_role("unknown")


# Asking for one of several


def test_none_of_all_roles_is_had_before_one_is_given(user: User) -> None:
    assert not user.has_role(Role.objects.all())


def test_one_of_all_roles_is_had(user: User) -> None:
    user.assign_role("testRole")
    assert user.has_role(Role.objects.all())


def test_any_of_all_roles_is_had(user: User) -> None:
    user.assign_role("testRole")
    assert user.has_any_role(Role.objects.all())


@pytest.mark.parametrize("asked", ["testRole", ["testRole"], ["testRole", "unknown"]], ids=str)
def test_any_role_is_had_where_one_of_them_is(user: User, asked: str | list[str]) -> None:
    user.assign_role("testRole")
    assert user.has_any_role(asked)


@pytest.mark.parametrize("asked", ["unknown", ["unknown"]], ids=str)
def test_no_role_is_had_where_none_of_them_is_known(user: User, asked: str | list[str]) -> None:
    user.assign_role("testRole")
    assert not user.has_any_role(asked)


def test_any_role_may_be_asked_for_with_several_arguments(user: User) -> None:
    user.assign_role("testRole")
    assert user.has_any_role("testRole", "unknown")


def test_arguments_may_mix_objects_lists_and_unknown_names(user: User, admin_role: Role) -> None:
    user.assign_role("testRole")
    assert user.has_any_role(admin_role, ["testRole"], "This Role Does Not Even Exist")


def test_any_role_is_not_had_through_unknown_names_and_other_guards(user: User, admin_role: Role) -> None:
    assert not user.has_any_role("This Role Does Not Even Exist", admin_role)


def test_a_role_of_another_guard_does_not_hide_one_that_is_had(user: User) -> None:
    user.assign_role("testRole")
    assert user.has_any_role(["testRole", "testAdminRole"])


def test_neither_name_nor_object_of_another_guard_is_had(user: User, admin_role: Role) -> None:
    user.assign_role("testRole")
    assert not user.has_any_role("testAdminRole", admin_role)


# Asking for all, and for exactly these


@pytest.mark.parametrize("asked", ["testRole", ["testRole", "testRole2"]], ids=str)
def test_all_roles_are_not_had_before_they_are_given(user: User, asked: str | list[str]) -> None:
    assert not user.has_all_roles(asked)


def test_all_roles_are_not_had_while_one_object_is_missing(user: User, role: Role) -> None:
    assert not user.has_all_roles(role)


def test_all_roles_are_not_had_while_one_of_a_queryset_is_missing(user: User) -> None:
    user.assign_role("testRole")
    assert not user.has_all_roles(Role.objects.all())


@pytest.mark.parametrize("guard", [None, "web"])
def test_all_of_one_role_is_had(user: User, guard: str | None) -> None:
    user.assign_role("testRole")
    assert user.has_all_roles("testRole", guard=guard)


@pytest.mark.parametrize("guard", [None, "web"])
def test_all_of_two_roles_are_not_had_where_one_is(user: User, guard: str | None) -> None:
    user.assign_role("testRole")
    assert not user.has_all_roles(["testRole", "testRole2"], guard=guard)


@pytest.mark.parametrize("guard", [None, "web"])
def test_all_of_two_roles_are_had(user: User, guard: str | None) -> None:
    user.assign_role("testRole", "testRole2")
    assert user.has_all_roles(["testRole", "testRole2"], guard=guard)


@pytest.mark.parametrize("asked", ["testRole", ["testRole", "testRole2"]], ids=str)
@pytest.mark.parametrize("guard", ["admin", "no-such-guard"])
def test_all_roles_are_not_had_in_another_guard(user: User, asked: str | list[str], guard: str) -> None:
    user.assign_role("testRole", "testRole2")
    assert not user.has_all_roles(asked, guard=guard)


@pytest.mark.parametrize("asked", ["testRole", ["testRole", "testRole2"]], ids=str)
def test_exact_roles_are_not_had_before_they_are_given(user: User, asked: str | list[str]) -> None:
    assert not user.has_exact_roles(asked)


def test_exact_roles_are_not_had_while_an_object_is_missing(user: User, role: Role) -> None:
    assert not user.has_exact_roles(role)


@pytest.mark.parametrize("guard", [None, "web"])
def test_exactly_one_role_is_had(user: User, guard: str | None) -> None:
    user.assign_role("testRole")
    assert user.has_exact_roles("testRole", guard=guard)


@pytest.mark.parametrize("guard", [None, "web"])
def test_one_role_is_not_exactly_two(user: User, guard: str | None) -> None:
    user.assign_role("testRole")
    assert not user.has_exact_roles(["testRole", "testRole2"], guard=guard)


@pytest.mark.parametrize("guard", [None, "web"])
def test_exactly_two_roles_are_had_in_any_order(user: User, guard: str | None) -> None:
    user.assign_role("testRole", "testRole2")
    assert user.has_exact_roles(["testRole2", "testRole"], guard=guard)


@pytest.mark.parametrize("guard", [None, "web"])
def test_three_roles_are_not_exactly_two(user: User, guard: str | None) -> None:
    Role.create("third role")
    user.assign_role("testRole", "testRole2", "third role")
    assert not user.has_exact_roles(["testRole", "testRole2"], guard=guard)


@pytest.mark.parametrize("asked", ["testRole", ["testRole", "testRole2"]], ids=str)
@pytest.mark.parametrize("guard", ["admin", "no-such-guard"])
def test_exact_roles_are_not_had_in_another_guard(user: User, asked: str | list[str], guard: str) -> None:
    user.assign_role(asked)
    assert not user.has_exact_roles(asked, guard=guard)


# Names


def test_the_names_of_roles_are_sorted(user: User) -> None:
    user.assign_role("testRole2", "testRole")
    assert user.get_role_names() == ["testRole", "testRole2"]


# Announcements


def test_given_roles_are_announced(
    user: User, facts: Facts, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        user.assign_role(["testRole", "testRole2"])
    assert facts == [("attached", {"testRole", "testRole2"})]


def test_taken_roles_are_announced(
    user: User, facts: Facts, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
) -> None:
    user.assign_role("testRole", "testRole2")
    with django_capture_on_commit_callbacks(execute=True):
        user.remove_role("testRole", "testRole2")
    assert facts == [("detached", {"testRole", "testRole2"})]


def test_exchanged_roles_are_announced_as_taken_and_then_as_given(
    user: User, facts: Facts, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
) -> None:
    Role.create("testRole3")
    user.assign_role("testRole", "testRole2")
    with django_capture_on_commit_callbacks(execute=True):
        user.sync_roles("testRole3")
    assert facts == [("detached", {"testRole", "testRole2"}), ("attached", {"testRole3"})]


def test_nothing_is_announced_before_the_change_is_committed(user: User, facts: Facts) -> None:
    user.assign_role("testRole")
    assert facts == []


# Instances that refuse to load anything later


def test_a_permission_that_refuses_late_loading_can_be_given_to_a_role() -> None:
    permission = Permission.objects.all().fetch_mode(FETCH_RAISE).get(codename="edit-articles")
    permission.assign_role("testRole")
    assert permission.has_role("testRole")


def test_a_user_who_refuses_late_loading_can_be_given_a_role(user: User) -> None:
    same = User.objects.all().fetch_mode(FETCH_RAISE).get(pk=user.pk)
    same.assign_role("testRole")
    assert same.has_role("testRole")
