"""The verbs on the user."""

import sys

import pytest
from asgiref.sync import async_to_sync
from pytest_django import DjangoAssertNumQueries

from accounts.models import User
from permissions.exceptions import PermissionDoesNotExist, RoleDoesNotExist
from permissions.mixins.memory import RemembersPermissions
from permissions.services import create_role
from tests.permissions.conftest import MakeUser

pytestmark = pytest.mark.django_db


@pytest.fixture
def editor(user: User) -> User:
    """A user with the role ``editor``, which may see users."""
    create_role(name="editor", permissions=["accounts.view_user"])
    user.assign_role("editor")
    return user


@pytest.mark.parametrize(
    "names", ["editor", "admin|editor", "'admin|editor'", '"editor|admin"', "editor|", "a||editor"]
)
def test_one_of_the_named_roles_is_enough(editor: User, names: str) -> None:
    assert editor.has_role(names)


@pytest.mark.parametrize(
    "names", ["admin", "Editor", "", "|", "'editor|admin", "nope\x00", "\ud800", "edit", "editor "]
)
def test_a_role_that_is_unknown_or_not_had_is_false(editor: User, names: str) -> None:
    assert not editor.has_role(names)


def test_an_assignment_of_several_roles_is_all_or_none(user: User) -> None:
    create_role(name="editor")
    with pytest.raises(RoleDoesNotExist):
        user.assign_role("editor", "nope")
    assert user.get_role_names() == []


def test_roles_are_listed_by_name(user: User) -> None:
    for name in ("b", "a"):
        create_role(name=name)
    user.assign_role("b", "a")
    assert user.get_role_names() == ["a", "b"]


def test_a_removed_role_permits_no_more_on_the_same_instance(editor: User) -> None:
    assert editor.can("accounts.view_user")
    editor.remove_role("editor")
    assert editor.cannot("accounts.view_user")


def test_an_assigned_role_permits_at_once_on_the_same_instance(user: User) -> None:
    create_role(name="editor", permissions=["accounts.view_user"])
    assert user.cannot("accounts.view_user")
    user.assign_role("editor")
    assert user.can("accounts.view_user")


def test_a_permission_by_a_role_and_one_given_directly_both_count(editor: User, make_user: MakeUser) -> None:
    assert editor.has_permission_to("accounts.view_user")
    assert make_user("accounts.view_user").has_permission_to("accounts.view_user")


@pytest.mark.parametrize("name", ["accounts.fly", "view_user", "", "accounts.", "\x00.\x00", "a.\ud800"])
def test_asking_for_an_unknown_permission_raises(user: User, name: str) -> None:
    with pytest.raises(PermissionDoesNotExist, match="There is no permission named"):
        user.has_permission_to(name)


def test_can_says_no_to_an_unknown_permission(user: User) -> None:
    assert user.cannot("accounts.fly")


def test_a_superuser_can_everything_but_was_given_nothing(superuser: User) -> None:
    assert superuser.can("accounts.delete_user")
    assert not superuser.has_permission_to("accounts.delete_user")


def test_an_inactive_user_may_nothing_and_keeps_its_roles(editor: User) -> None:
    editor.is_active = False
    assert editor.cannot("accounts.view_user")
    assert not editor.has_permission_to("accounts.view_user")
    assert editor.has_role("editor")


def test_all_questions_about_what_was_given_are_one_query_together(
    editor: User, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    assert editor.has_role("editor")  # now the process knows the role
    editor = User.objects.get(pk=editor.pk)
    with django_assert_num_queries(1):
        assert editor.has_role("admin|editor")
        assert editor.has_permission_to("accounts.view_user")


@pytest.mark.django_db(transaction=True)
def test_the_async_verbs_answer_as_the_others_do(editor: User) -> None:
    async def ask() -> list[object]:
        await editor.aassign_role("author")
        await editor.aremove_role("editor")
        return [
            await editor.aget_role_names(),
            await editor.ahas_role("author|x"),
            await editor.ahas_permission_to("accounts.view_user"),
            await editor.acan("permissions.view_role"),
            await editor.acannot("permissions.view_role"),
        ]

    create_role(name="author", permissions=["permissions.view_role"])
    assert async_to_sync(ask)() == [["author"], True, False, True, False]


def test_what_an_instance_remembers_costs_it_no_table_of_attributes_of_its_own() -> None:
    class Person(RemembersPermissions):
        """No model, whose instances others have made before."""

    people = [Person() for _ in range(100)]
    without = sys.getsizeof(people[-1].__dict__)
    for person in people:
        person.forget_permissions()
    assert sys.getsizeof(people[-1].__dict__) == without
