"""The verbs with ``a`` in front: one for each verb, with its arguments, and with what it says and does."""

import inspect
from collections.abc import Callable

import pytest
from asgiref.sync import async_to_sync

from accounts.models import User
from permissions import gate
from permissions.mixins import HasRoles, HoldsPermissions, PermissionVerbs, RoleVerbs
from permissions.models import Permission, Role
from tests.permissions.semantics.conftest import World, fresh

pytestmark = pytest.mark.django_db

#: What the classes define beside verbs: what Django calls, and what asks no database.
NO_VERBS = {
    "apply_queued",
    "forget_permissions",
    "get_all_permissions",
    "get_guard_names",
    "refresh_from_db",
    "save",
}


def verbs(place: type | object) -> list[str]:
    """Return the names of what one can ask of a class of verbs, or of the gate."""
    return [
        name
        for name, value in vars(place).items()
        if inspect.isroutine(inspect.unwrap(getattr(value, "__func__", value)))
        and not name.startswith("_")
        and not inspect.iscoroutinefunction(getattr(value, "__func__", value))
        and name not in NO_VERBS
    ]


@pytest.mark.parametrize(
    ("place", "name"),
    [(place, name) for place in (HoldsPermissions, HasRoles, RoleVerbs, PermissionVerbs) for name in verbs(place)],
)
def test_a_verb_has_a_twin_with_the_same_arguments(place: type, name: str) -> None:
    twin = getattr(place, f"a{name}")
    assert inspect.iscoroutinefunction(twin)
    assert inspect.signature(twin) == inspect.signature(getattr(place, name))


@pytest.mark.parametrize("name", ["can", "authorize", "explain", "prefetch"])
def test_a_question_of_the_gate_has_a_twin_with_the_same_arguments(name: str) -> None:
    assert inspect.signature(getattr(gate, f"a{name}")) == inspect.signature(getattr(gate, name))


@pytest.fixture
def holder(user: User, role: Role, role2: Role) -> User:
    """A user who holds one permission directly, one through a role, and may not a third."""
    role.give_permission_to("edit-news")
    user.assign_role(role, role2)
    return user.give_permission_to("edit-articles").forbid_permission_to("edit-blog")


@pytest.mark.parametrize(
    ("verb", "arguments"),
    [
        ("has_permission_to", ["edit-news"]),
        ("check_permission_to", ["does-not-exist"]),
        ("has_any_permission", ["edit-blog", "edit-news"]),
        ("has_all_permissions", ["edit-articles", "edit-news"]),
        ("has_direct_permission", ["edit-articles"]),
        ("has_any_direct_permission", ["edit-news", "edit-articles"]),
        ("has_all_direct_permissions", ["edit-news", "edit-articles"]),
        ("get_permission_names", []),
        ("get_direct_permissions", []),
        ("get_permissions_via_roles", []),
        ("get_all_permission_objects", []),
        ("get_role_names", []),
        ("has_role", ["testRole|nope"]),
        ("has_any_role", ["nope", "testRole"]),
        ("has_all_roles", ["testRole", "testRole2"]),
        ("has_exact_roles", ["testRole"]),
        ("can", ["edit-news"]),
        ("cannot", ["edit-news"]),
        ("can_any", ["edit-blog", "edit-news"]),
        ("explain", ["edit-blog"]),
    ],
)
@pytest.mark.parametrize("is_cold", [True, False])
def test_a_twin_says_the_same(holder: User, verb: str, arguments: list[str], is_cold: bool) -> None:
    expected = getattr(fresh(holder), verb)(*arguments)
    asked = fresh(holder)
    if not is_cold:
        getattr(asked, verb)(*arguments)
    assert async_to_sync(getattr(asked, f"a{verb}"))(*arguments) == expected


@pytest.mark.parametrize(
    ("verb", "arguments"),
    [
        ("give_permission_to", ["edit-blog", "Edit News"]),
        ("revoke_permission_to", ["edit-articles"]),
        ("sync_permissions", ["edit-news"]),
        ("assign_role", ["testRole"]),
        ("remove_role", ["testRole"]),
        ("sync_roles", ["testRole2"]),
        ("forbid_permission_to", ["edit-articles"]),
        ("unforbid_permission_to", ["edit-blog"]),
    ],
)
def test_a_twin_does_the_same(holder: User, second_user: User, verb: str, arguments: list[str]) -> None:
    second_user.assign_role("testRole", "testRole2")
    second_user.give_permission_to("edit-articles").forbid_permission_to("edit-blog")
    getattr(holder, verb)(*arguments)
    returned = async_to_sync(getattr(second_user, f"a{verb}"))(*arguments)
    assert returned is second_user
    assert describe(fresh(second_user)) == describe(fresh(holder))


def describe(user: User) -> tuple[object, ...]:
    """Return all that one sees of the rights of a user."""
    names = ("edit-articles", "edit-news", "edit-blog", "Edit News")
    return (user.get_permission_names(), user.get_role_names(), [user.can(name) for name in names])


@pytest.mark.parametrize(
    ("verb", "arguments", "expected"),
    [
        ("give_permission_to", ["edit-blog"], ["edit-blog", "edit-news"]),
        ("revoke_permission_to", ["edit-news"], []),
        ("sync_permissions", ["edit-articles"], ["edit-articles"]),
    ],
)
def test_a_twin_of_a_role_does_the_same(role: Role, verb: str, arguments: list[str], expected: list[str]) -> None:
    role.give_permission_to("edit-news")
    async_to_sync(getattr(role, f"a{verb}"))(*arguments)
    assert Role.objects.get(pk=role.pk).get_permission_names() == expected


def test_a_role_inherits_in_async_code(role: Role, role2: Role) -> None:
    role2.give_permission_to("edit-news")
    async_to_sync(role.ainherit_from)(role2)
    assert role.has_permission_to("edit-news")


def test_a_role_stops_inheriting_in_async_code(role: Role, role2: Role) -> None:
    role2.give_permission_to("edit-news")
    role.inherit_from(role2)
    async_to_sync(role.adisinherit)(role2)
    assert not role.has_permission_to("edit-news")


@pytest.mark.parametrize(
    ("verb", "expected"), [("assign_to_models", {1, 2}), ("remove_from_models", set()), ("sync_models", {2})]
)
def test_a_role_is_given_to_users_in_async_code(
    user: User, second_user: User, role: Role, verb: str, expected: set[int]
) -> None:
    user.assign_role(role)
    given = user if verb == "remove_from_models" else second_user
    async_to_sync(getattr(role, f"a{verb}"))(given)
    assert {number for number, one in enumerate((user, second_user), 1) if fresh(one).has_role(role)} == expected


@pytest.mark.parametrize("model", [Role, Permission])
def test_rows_are_made_and_found_in_async_code(world: World, model: type[Role] | type[Permission]) -> None:
    made = async_to_sync(model.acreate)("new")
    found: list[Callable[..., object]] = [model.afind_or_create, model.afind_by_name]
    assert [async_to_sync(find)("new") for find in found] == [made, made]  # type: ignore[arg-type]  # coroutines
    assert async_to_sync(model.afind_by_id)(made.pk) == made


@pytest.mark.parametrize(
    ("verb", "expected"),
    [("assign_role", ["testRole", "testRole2"]), ("remove_role", []), ("sync_roles", ["testRole2"])],
)
def test_a_permission_is_given_to_roles_in_async_code(world: World, verb: str, expected: list[str]) -> None:
    world.edit_news.assign_role("testRole")
    async_to_sync(getattr(world.edit_news, f"a{verb}"))("testRole" if verb == "remove_role" else "testRole2")
    assert async_to_sync(world.edit_news.aget_role_names)() == expected
    assert async_to_sync(world.edit_news.ahas_role)("testRole|testRole2") is bool(expected)
