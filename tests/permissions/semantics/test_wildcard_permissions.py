"""Permissions as patterns, held by users and by roles."""

import enum
from collections.abc import Callable

import pytest

from accounts.models import User
from permissions import services
from permissions.exceptions import (
    PermissionDoesNotExist,
    WildcardPermissionInvalidArgument,
    WildcardPermissionNotImplementsContract,
    WildcardPermissionNotProperlyFormatted,
)
from permissions.models import Permission, Role
from permissions.wildcard import WildcardPermission
from tests.permissions.semantics.conftest import Configure, World

pytestmark = pytest.mark.django_db

type Holder = User | Role


class ColonPermission(WildcardPermission):
    """Patterns that are written with other signs."""

    wildcard = "@"
    part_delimiter = ":"
    subpart_delimiter = ";"


class NoPattern:
    """A class that matches nothing, because it cannot be asked."""


class Name(enum.Enum):
    """Patterns and names as a project writes them down once."""

    STORIES_CREATOR = "stories.edit,view,create"
    STORIES_VIEW = "stories.view"
    POSTS_EVERYTHING = "posts.*"
    POSTS_CREATE = "posts.create"
    PROJECTS_VIEW = "projects.view"


@pytest.fixture(autouse=True)
def wildcards(world: World, configure: Configure) -> None:
    configure(WILDCARDS=True)


def give(holder: Holder, *names: str, guard: str = "web") -> None:
    """Make the permissions and give them."""
    holder.give_permission_to([Permission.create(name, guard=guard) for name in names])


def give_directly(user: User, role: Role, *names: str) -> None:
    give(user, *names)


def give_through_a_role(user: User, role: Role, *names: str) -> None:
    user.assign_role(role)
    give(role, *names)


either_way = pytest.mark.parametrize("give_to", [give_directly, give_through_a_role])


@either_way
@pytest.mark.parametrize(
    ("grants", "asked", "expected"),
    [
        (["posts"], "posts", True),
        (["posts"], "posts.create", True),
        (["posts"], "posts.create.123", True),
        (["posts"], "posts.*", True),
        (["posts"], "postscript", False),
        (["posts.*"], "posts.create", True),
        (["posts.*"], "posts.create.123", True),
        (["posts.*"], "posts.*", True),
        (["posts.*"], "posts", False),
        (["posts.*"], "projects.view", False),
        (["stories.edit,view,create"], "stories.view", True),
        (["stories.edit,view,create"], "stories.list", False),
        (["stories.edit,view,create"], "stories.edit,view", False),
        (["stories,projects.edit,view,create"], "projects.create", True),
        (["stories,projects.edit,view,create"], "stories.view", True),
        (["stories,projects.edit,view,create"], "stories.list", False),
        (["stories,projects.edit,view,create"], "projects.list", False),
        (["news.*.456"], "news.create.456", True),
        (["news.*.456"], "news.create", False),
        (["*.create,update,delete.*.test,course,finance"], "invoices.delete.367463.finance", True),
        (["papers,posts,projects,orders.*.test,test1,test2.*"], "projects.update.test2.test3", True),
        (["User::class.create,edit,view"], "User::class.edit", True),
        (["User::class.create,edit,view"], "User::class.delete", False),
        (["User::class.create,edit,view"], "User::class.*", False),
        (["edit articles", "create news"], "edit articles", True),
        (["edit articles", "create news"], "create news", True),
        (["edit articles", "create news"], "update comments", False),
        (["8"], "8", True),
        (["a.b", "*.c"], "a.c", True),
    ],
)
def test_grants_allow_what_lies_below_them(
    user: User,
    role: Role,
    give_to: Callable[..., None],
    *,
    grants: list[str],
    asked: str,
    expected: bool,
) -> None:
    give_to(user, role, *grants)
    assert user.has_permission_to(asked) is expected


@pytest.mark.parametrize(("asked", "expected"), [("posts.create", True), ("projects.view", False)])
def test_patterns_hold_in_another_guard_of_the_user(user: User, asked: str, expected: bool) -> None:
    give(user, "posts.*", guard="api")
    assert user.has_permission_to(asked, guard="api") is expected


def test_patterns_of_one_guard_do_not_hold_in_another(user: User) -> None:
    give(user, "posts.*", guard="api")
    assert not user.has_permission_to("posts.create")


def test_a_permission_object_is_asked_for_in_its_own_guard(user: User) -> None:
    give(user, "posts.edit", guard="api")
    assert user.has_permission_to(Permission.find_by_name("posts.edit", guard="api"))


def test_a_permission_object_of_another_guard_that_was_not_given_is_not_held(user: User) -> None:
    give(user, "news.*", guard="api")
    assert not user.has_permission_to(Permission.create("posts.*", guard="api"))


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        (Name.POSTS_CREATE, True),
        (Name.POSTS_EVERYTHING, True),
        (Name.STORIES_VIEW, True),
        (Name.PROJECTS_VIEW, False),
    ],
)
def test_patterns_are_given_and_asked_for_as_enums(user: User, asked: Name, expected: bool) -> None:
    for name in (Name.STORIES_CREATOR, Name.POSTS_EVERYTHING):
        Permission.find_or_create(name)
    user.give_permission_to(Name.STORIES_CREATOR, Name.POSTS_EVERYTHING)
    assert user.has_permission_to(asked) is expected


def test_any_of_several_names_is_matched(user: User) -> None:
    give(user, "stories.edit,view,create")
    assert user.has_any_permission("projects.view", Name.STORIES_VIEW)


@pytest.mark.parametrize("asked", [Name.POSTS_CREATE, Name.POSTS_EVERYTHING, "posts.create.123"])
def test_a_revoked_pattern_allows_no_more(user: User, asked: Name | str) -> None:
    give(user, "posts.*")
    assert user.has_permission_to(asked)
    user.revoke_permission_to("posts.*")
    assert not user.has_permission_to(asked)


def test_an_assigned_role_brings_its_patterns_at_once(user: User, role: Role) -> None:
    give(role, "posts.*")
    assert not user.has_permission_to("posts.create")
    user.assign_role("testRole")
    assert user.has_permission_to("posts.create")


def test_a_removed_role_takes_its_patterns_along_at_once(user: User, role: Role) -> None:
    give(role, "posts.*")
    user.assign_role("testRole")
    assert user.has_permission_to("posts.create")
    user.remove_role("testRole")
    assert not user.has_permission_to("posts.create")


@either_way
@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ("posts:create", True),
        ("posts:create:123", True),
        ("posts:@", True),
        ("stories:view", True),
        ("projects:view", True),
        ("news:create:456", True),
        ("news.create.456", False),
        ("posts.*", False),
        ("stories.view", False),
        ("stories:list", False),
        ("images:view", False),
    ],
)
def test_a_project_writes_patterns_with_its_own_signs(
    user: User, role: Role, configure: Configure, give_to: Callable[..., None], *, asked: str, expected: bool
) -> None:
    configure(WILDCARD_CLASS=f"{__name__}.ColonPermission")
    give_to(user, role, "stories;projects:edit;view;create", "news:@:456", "posts:@")
    assert user.has_permission_to(asked) is expected


def test_a_class_that_matches_nothing_is_refused(user: User, configure: Configure) -> None:
    configure(WILDCARD_CLASS=f"{__name__}.NoPattern")
    give(user, "posts")
    with pytest.raises(WildcardPermissionNotImplementsContract):
        user.has_permission_to("posts")


@pytest.mark.parametrize("name", ["*..", "posts..edit", "approve etc.", "posts.edit,"])
def test_a_malformed_pattern_is_refused_where_it_is_made(name: str) -> None:
    with pytest.raises(WildcardPermissionNotProperlyFormatted):
        Permission.create(name)
    with pytest.raises(WildcardPermissionNotProperlyFormatted):
        services.sync_permission_definitions(names=["posts.edit", name])
    assert not Permission.objects.filter(codename__in=[name, "posts.edit"]).exists()


def test_a_malformed_pattern_from_before_makes_every_check_of_its_holder_fail_loudly(
    user: User, configure: Configure
) -> None:
    configure(WILDCARDS=False)
    give(user, "*..")
    configure(WILDCARDS=True)
    with pytest.raises(WildcardPermissionNotProperlyFormatted):
        user.has_permission_to("invoices.*")


@pytest.mark.parametrize("form", ["object", "id"])
def test_a_stored_permission_that_a_pattern_covers_is_held(user: User, form: str) -> None:
    give(user, "posts.*")
    covered = Permission.create("posts.create")
    assert user.has_permission_to(covered if form == "object" else covered.pk)


@pytest.mark.parametrize("asked", ["posts.*", "posts.create"])
def test_a_stored_permission_that_was_given_beside_a_pattern_is_held(user: User, asked: str) -> None:
    give(user, "posts.*", "posts.create")
    assert user.has_permission_to(Permission.find_by_name(asked))


def test_a_list_is_no_permission(user: User) -> None:
    with pytest.raises(WildcardPermissionInvalidArgument):
        user.has_permission_to(["posts.create"])


def test_an_unknown_id_is_refused(user: User) -> None:
    with pytest.raises(PermissionDoesNotExist):
        user.has_permission_to(10_000_000)


def test_an_unknown_name_is_merely_not_held(user: User) -> None:
    assert not user.has_permission_to("does-not-exist")


def test_a_pattern_with_a_star_is_no_pattern_where_wildcards_are_off(user: User, configure: Configure) -> None:
    configure(WILDCARDS=False)
    give(user, "posts.*")
    Permission.create("posts.create")
    assert not user.has_permission_to("posts.create")


# Roles


def test_a_role_holds_what_its_pattern_covers(role: Role) -> None:
    give(role, "posts.*")
    assert role.has_permission_to("posts.create")


@pytest.mark.parametrize("asked", ["posts.create", "news.create"])
def test_a_role_is_given_several_patterns_as_a_list(role: Role, asked: str) -> None:
    for name in ("posts.*", "news.*"):
        Permission.create(name)
    role.give_permission_to(["posts.*", "news.*"])
    assert role.has_permission_to(asked)


@pytest.mark.parametrize("asked", ["posts.edit.123", "news.view.1"])
def test_a_role_is_given_several_patterns_one_by_one(role: Role, asked: str) -> None:
    for name in ("posts.*", "news.*"):
        Permission.create(name)
    role.give_permission_to("posts.*", "news.*")
    assert role.has_permission_to(asked)


def test_a_role_holds_a_permission_object_it_was_given(role: Role, world: World) -> None:
    role.give_permission_to(world.edit_articles)
    assert role.has_permission_to(world.edit_articles)


@pytest.mark.parametrize("asked", ["other-permission", "doesnt-exist"])
def test_a_role_does_not_hold_what_it_was_not_given(role: Role, asked: str) -> None:
    Permission.create("other-permission")
    assert not role.has_permission_to(asked)


def test_a_role_does_not_hold_a_permission_object_it_was_not_given(role: Role) -> None:
    assert not role.has_permission_to(Permission.create("other-permission"))


def test_a_found_or_created_permission_is_not_held_by_a_role(role: Role) -> None:
    assert not role.has_permission_to(Permission.find_or_create("another-permission"))


def test_a_found_or_created_permission_is_held_once_it_was_given(role: Role) -> None:
    role.give_permission_to(Permission.find_or_create("another-permission"))
    assert Role.objects.get(pk=role.pk).has_permission_to("another-permission")


def test_a_role_does_not_hold_a_permission_object_of_a_foreign_guard(role: Role) -> None:
    assert not role.has_permission_to(Permission.create("wrong-guard-permission", guard="admin"))
