"""Giving, taking and asking permissions, directly and through roles; outside of teams and in one."""

import enum
from uuid import UUID

import pytest
from django.contrib.auth.models import Permission as DjangoPermission
from django.db import connection, models, transaction
from pytest_django import DjangoAssertNumQueries, DjangoCaptureOnCommitCallbacks

from accounts.models import User
from permissions.exceptions import (
    Escalation,
    GuardDoesNotMatch,
    InvalidPermissionName,
    PermissionDoesNotExist,
)
from permissions.models import Permission, Role
from permissions.scope import get_team, use_guard
from permissions.signals import PermissionAttached, permission_attached, permission_detached
from tests.permissions.semantics.conftest import Listen, PermissionName, World, fresh

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("anywhere")]

type Holder = User | Role


class TextName(enum.StrEnum):
    """Names that are strings as well."""

    EDIT = "edit-articles"


@pytest.fixture(params=["user", "role"])
def holder(request: pytest.FixtureRequest) -> Holder:
    """Whoever holds permissions by the same verbs."""
    found: Holder = request.getfixturevalue(request.param)
    return found


def stored(holder: Holder) -> Holder:
    """Return the holder as the next request would load it."""
    return fresh(holder) if isinstance(holder, User) else Role.objects.get(pk=holder.pk)


def names(permissions: list[Permission]) -> list[str]:
    return sorted(permission.identifier for permission in permissions)


# Giving


def test_a_given_permission_is_held(holder: Holder, world: World) -> None:
    holder.give_permission_to(world.edit_articles)
    assert holder.has_permission_to(world.edit_articles)


def test_a_given_permission_is_stored(holder: Holder) -> None:
    holder.give_permission_to("edit-articles")
    assert stored(holder).has_permission_to("edit-articles")


def test_a_permission_of_another_guard_of_the_user_can_be_given(user: User) -> None:
    permission = Permission.create("edit-articles", guard="api")
    user.give_permission_to(permission)
    assert user.has_permission_to(permission)


def test_a_permission_given_in_one_guard_is_not_held_in_another(user: User) -> None:
    user.give_permission_to(Permission.create("edit-articles", guard="api"))
    assert not user.has_permission_to("edit-articles")


def test_an_unknown_permission_cannot_be_given(holder: Holder) -> None:
    with pytest.raises(PermissionDoesNotExist):
        holder.give_permission_to("permission-does-not-exist")


def test_a_permission_object_of_a_foreign_guard_cannot_be_given(holder: Holder, world: World) -> None:
    with pytest.raises(GuardDoesNotMatch):
        holder.give_permission_to(world.admin_permission)


def test_a_name_that_only_a_foreign_guard_knows_cannot_be_given(holder: Holder) -> None:
    with pytest.raises(PermissionDoesNotExist):
        holder.give_permission_to("admin-permission")


def test_a_refused_name_leaves_the_names_beside_it_ungiven(holder: Holder) -> None:
    with pytest.raises(PermissionDoesNotExist):
        holder.give_permission_to("edit-articles", "permission-does-not-exist")
    assert stored(holder).get_permission_names() == []


def test_several_permissions_are_given_as_a_list_of_names(holder: Holder) -> None:
    holder.give_permission_to(["edit-articles", "edit-news"])
    assert stored(holder).get_permission_names() == ["edit-articles", "edit-news"]


def test_several_permissions_are_given_as_a_list_of_objects(holder: Holder, world: World) -> None:
    holder.give_permission_to([world.edit_articles, world.edit_news])
    assert stored(holder).get_permission_names() == ["edit-articles", "edit-news"]


def test_several_permissions_are_given_as_a_queryset(holder: Holder) -> None:
    holder.give_permission_to(Permission.objects.filter(codename__in=["edit-articles", "edit-news"]))
    assert stored(holder).get_permission_names() == ["edit-articles", "edit-news"]


def test_a_permission_is_given_by_id(holder: Holder, world: World) -> None:
    holder.give_permission_to(world.edit_articles.pk)
    assert stored(holder).get_permission_names() == ["edit-articles"]


def test_a_permission_is_given_as_an_enum(holder: Holder) -> None:
    holder.give_permission_to(PermissionName.EDIT)
    assert stored(holder).get_permission_names() == ["edit-articles"]


def test_djangos_own_permission_object_is_given(holder: Holder, world: World) -> None:
    holder.give_permission_to(DjangoPermission.objects.get(pk=world.edit_articles.pk))
    assert stored(holder).get_permission_names() == ["edit-articles"]


def test_giving_keeps_what_was_held(holder: Holder) -> None:
    holder.give_permission_to("edit-news")
    holder.give_permission_to("edit-articles")
    assert stored(holder).has_direct_permission("edit-news")


def test_giving_what_is_held_changes_nothing(holder: Holder) -> None:
    holder.give_permission_to("edit-news")
    holder.give_permission_to("edit-news")
    assert stored(holder).get_permission_names() == ["edit-news"]


def test_names_differ_by_case_and_spaces(holder: Holder) -> None:
    holder.give_permission_to("Edit News")
    assert not holder.has_permission_to("edit-news")


@pytest.mark.parametrize("nothing", [None, "", [None, ""]])
def test_giving_nothing_is_allowed(holder: Holder, nothing: str | list[str | None] | None) -> None:
    holder.give_permission_to("edit-news", nothing)
    assert stored(holder).get_permission_names() == ["edit-news"]


@pytest.mark.parametrize("wrong", [True, 1.5, b"edit-articles", object()])
@pytest.mark.parametrize("verb", ["give_permission_to", "revoke_permission_to", "sync_permissions"])
def test_what_can_mean_no_permission_changes_nothing(holder: Holder, verb: str, wrong: object) -> None:
    holder.give_permission_to("edit-news")
    with pytest.raises(TypeError):
        getattr(holder, verb)(["edit-articles", wrong])
    assert stored(holder).get_permission_names() == ["edit-news"]


@pytest.mark.parametrize("key", [0, -1, 2**62, 10**30, UUID("9be37b52-e1fa-4e86-b65f-cbfcbedde838")])
@pytest.mark.parametrize("verb", ["give_permission_to", "sync_permissions"])
def test_an_id_that_is_nobodys_changes_nothing(holder: Holder, verb: str, key: int | UUID) -> None:
    holder.give_permission_to("edit-news")
    with pytest.raises(PermissionDoesNotExist):
        getattr(holder, verb)("edit-articles", key)
    assert stored(holder).get_permission_names() == ["edit-news"]


@pytest.mark.parametrize("name", ["x" * 101, "x" * 10_000, "nope\x00", "\ud800", " ", "a|b", ".", "web.", "accounts."])
@pytest.mark.parametrize("verb", ["give_permission_to", "sync_permissions", "has_permission_to"])
def test_a_name_that_no_permission_can_have_is_unknown(holder: Holder, verb: str, name: str) -> None:
    with pytest.raises(PermissionDoesNotExist):
        getattr(holder, verb)(name)


@pytest.mark.parametrize("name", ["web.posts", "api.posts", "web.*"])
def test_no_permission_is_called_as_django_calls_that_of_a_guard(world: World, name: str) -> None:
    with pytest.raises(InvalidPermissionName):
        Permission.create(name)


@pytest.mark.parametrize("verb", ["give_permission_to", "revoke_permission_to", "has_permission_to", "can"])
def test_a_permission_is_known_under_the_name_that_django_gives_it(user: User, verb: str) -> None:
    user.give_permission_to("edit-articles")
    getattr(user, verb)("web.edit-articles")
    assert user.can("web.edit-articles") is (verb != "revoke_permission_to")


# Taking


def test_a_revoked_permission_is_not_held(holder: Holder, world: World) -> None:
    holder.give_permission_to(world.edit_articles)
    assert holder.has_permission_to(world.edit_articles)
    holder.revoke_permission_to(world.edit_articles)
    assert not holder.has_permission_to(world.edit_articles)


def test_a_permission_is_revoked_as_an_enum(holder: Holder) -> None:
    holder.give_permission_to(PermissionName.EDIT)
    holder.revoke_permission_to(PermissionName.EDIT)
    assert stored(holder).get_permission_names() == []


def test_several_permissions_are_revoked_as_a_list_of_names(holder: Holder) -> None:
    holder.give_permission_to("edit-articles", "edit-news", "edit-blog")
    holder.revoke_permission_to(["edit-articles", "edit-news"])
    assert stored(holder).get_permission_names() == ["edit-blog"]


def test_several_permissions_are_revoked_as_a_list_of_objects(holder: Holder, world: World) -> None:
    holder.give_permission_to("edit-articles", "edit-news", "edit-blog")
    holder.revoke_permission_to([world.edit_articles, world.edit_news])
    assert stored(holder).get_permission_names() == ["edit-blog"]


def test_several_permissions_are_revoked_as_a_queryset(holder: Holder) -> None:
    holder.give_permission_to("edit-articles", "edit-news", "edit-blog")
    holder.revoke_permission_to(Permission.objects.filter(codename__in=["edit-articles", "edit-news"]))
    assert stored(holder).get_permission_names() == ["edit-blog"]


def test_revoking_one_unknown_name_is_refused(holder: Holder) -> None:
    with pytest.raises(PermissionDoesNotExist):
        holder.revoke_permission_to("permission-does-not-exist")


def test_unknown_names_in_a_list_to_revoke_are_skipped(holder: Holder) -> None:
    holder.give_permission_to("edit-articles")
    holder.revoke_permission_to(["edit-articles", "permission-does-not-exist"])
    assert stored(holder).get_permission_names() == []


def test_revoking_leaves_what_a_role_gives(user: User, role: Role) -> None:
    role.give_permission_to("edit-articles")
    user.assign_role(role).revoke_permission_to("edit-articles")
    assert fresh(user).has_permission_to("edit-articles")


def test_a_deleted_permission_leaves_everybody(user: User, role: Role, world: World) -> None:
    for holder in (user, role):
        holder.give_permission_to("edit-articles", "edit-news")
    world.edit_articles.delete()
    assert (fresh(user).get_permission_names(), stored(role).get_permission_names()) == (["edit-news"], ["edit-news"])


# Asking


def test_a_permission_that_was_not_given_is_not_held(holder: Holder) -> None:
    assert not holder.has_permission_to("edit-articles")


@pytest.mark.parametrize("guard", [None, "web"])
def test_asking_for_an_unknown_permission_is_refused(holder: Holder, guard: str | None) -> None:
    with pytest.raises(PermissionDoesNotExist):
        holder.has_permission_to("does-not-exist", guard=guard)


def test_an_unknown_permission_is_no_error_when_it_is_checked(holder: Holder) -> None:
    assert not holder.check_permission_to("does-not-exist")


@pytest.mark.parametrize("wrong", [None, object()])
def test_asking_for_what_names_no_permission_is_refused(holder: Holder, wrong: object) -> None:
    with pytest.raises(PermissionDoesNotExist):
        holder.has_permission_to(wrong)


@pytest.mark.parametrize("wrong", [None, object()])
def test_asking_directly_for_what_names_no_permission_is_refused(holder: Holder, wrong: object) -> None:
    with pytest.raises(PermissionDoesNotExist):
        holder.has_direct_permission(wrong)


def test_an_unknown_direct_permission_is_refused(holder: Holder) -> None:
    with pytest.raises(PermissionDoesNotExist):
        holder.has_direct_permission("does-not-exist")


@pytest.mark.parametrize("ask", ["has_permission_to", "has_any_permission", "has_direct_permission"])
def test_a_permission_is_asked_for_as_an_enum(holder: Holder, ask: str) -> None:
    Permission.find_or_create(PermissionName.VIEW)
    assert not getattr(holder, ask)(PermissionName.VIEW)
    holder.give_permission_to(PermissionName.VIEW)
    assert getattr(holder, ask)(PermissionName.VIEW)


def test_an_enum_of_strings_is_a_name(holder: Holder) -> None:
    holder.give_permission_to(TextName.EDIT)
    assert holder.has_permission_to(TextName.EDIT)


def test_a_user_who_is_not_stored_holds_nothing(world: World) -> None:
    assert not User(email="unsaved@example.com").has_permission_to("edit-articles")


def test_a_deactivated_user_keeps_what_was_given(user: User) -> None:
    user.give_permission_to("edit-news")
    user.is_active = False
    user.save()
    user.is_active = True
    user.save()
    assert fresh(user).has_permission_to("edit-news")


# Any, all, direct


def test_any_of_several_is_enough(holder: Holder) -> None:
    holder.give_permission_to("edit-articles")
    assert holder.has_any_permission("edit-news", "edit-articles")


def test_any_is_false_where_nothing_was_given(holder: Holder) -> None:
    assert not holder.has_any_permission("edit-articles")


def test_any_follows_what_is_revoked_and_given(holder: Holder) -> None:
    holder.give_permission_to("edit-articles")
    holder.give_permission_to("edit-news")
    holder.revoke_permission_to("edit-articles")
    assert holder.has_any_permission("edit-articles", "edit-news")


def test_any_is_false_where_none_of_the_named_is_held(holder: Holder) -> None:
    holder.give_permission_to("edit-news")
    assert not holder.has_any_permission("edit-blog", "Edit News", ["Edit News"])


@pytest.mark.parametrize(("given", "expected"), [([], False), (["edit-articles"], True), (["edit-news"], True)])
def test_any_takes_a_list(holder: Holder, given: list[str], expected: bool) -> None:
    holder.give_permission_to(given)
    assert holder.has_any_permission(["edit-news", "edit-articles"]) is expected


@pytest.mark.parametrize(
    ("asked", "expected"), [(["edit-news", "edit-articles"], True), (["edit-blog", "Edit News", ["Edit News"]], False)]
)
def test_any_counts_what_roles_give(user: User, role: Role, asked: list[str | list[str]], expected: bool) -> None:
    role.give_permission_to("edit-articles")
    user.assign_role(role)
    assert user.has_any_permission(*asked) is expected


def test_any_takes_unknown_names_for_not_held(holder: Holder) -> None:
    assert not holder.has_any_permission("does-not-exist", "edit-news")


def test_all_is_true_where_all_are_held(holder: Holder) -> None:
    holder.give_permission_to("edit-articles", "edit-news")
    assert holder.has_all_permissions("edit-articles", "edit-news")


def test_all_is_false_where_one_was_revoked(holder: Holder) -> None:
    holder.give_permission_to("edit-articles", "edit-news")
    holder.revoke_permission_to("edit-articles")
    assert not holder.has_all_permissions("edit-articles", "edit-news")


def test_all_flattens_nested_lists(holder: Holder) -> None:
    holder.give_permission_to("edit-articles", "edit-news")
    assert not holder.has_all_permissions(["edit-articles", "edit-news"], "edit-blog")


@pytest.mark.parametrize(
    ("given", "expected"), [([], False), (["edit-news"], False), (["edit-articles", "edit-news"], True)]
)
def test_all_takes_a_list(holder: Holder, given: list[str], expected: bool) -> None:
    holder.give_permission_to(given)
    assert holder.has_all_permissions(["edit-articles", "edit-news"]) is expected


def test_all_counts_what_roles_give(user: User, role: Role) -> None:
    role.give_permission_to("edit-articles", "edit-news")
    user.assign_role(role)
    assert user.has_all_permissions("edit-articles", "edit-news")


def test_all_takes_unknown_names_for_not_held(holder: Holder) -> None:
    holder.give_permission_to("edit-articles")
    assert not holder.has_all_permissions("edit-articles", "does-not-exist")


def test_a_direct_permission_is_known_as_direct(holder: Holder) -> None:
    holder.give_permission_to("edit-articles")
    assert holder.has_direct_permission("edit-articles")


def test_direct_permissions_are_listed(holder: Holder) -> None:
    holder.give_permission_to("edit-articles")
    assert names(holder.get_direct_permissions()) == ["edit-articles"]


def test_a_revoked_permission_is_not_direct(holder: Holder) -> None:
    holder.give_permission_to("edit-articles")
    holder.revoke_permission_to("edit-articles")
    assert not holder.has_direct_permission("edit-articles")


def test_what_a_role_gives_is_not_direct(user: User, role: Role) -> None:
    user.assign_role(role)
    role.give_permission_to("edit-articles")
    assert not user.has_direct_permission("edit-articles")


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ([["edit-news", "edit-articles"]], True),
        (["edit-news", "edit-articles"], True),
        ([["edit-articles", "edit-news", "edit-blog"]], False),
        ([["edit-articles", "edit-news"], "edit-blog"], False),
    ],
)
def test_all_of_the_direct_permissions_are_asked_for_in_any_form(
    holder: Holder, asked: list[str | list[str]], expected: bool
) -> None:
    holder.give_permission_to("edit-articles", "edit-news")
    assert holder.has_all_direct_permissions(*asked) is expected


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ([["edit-news", "edit-blog"]], True),
        (["edit-news", "edit-blog"], True),
        (["edit-blog", "Edit News", ["Edit News"]], False),
    ],
)
def test_any_of_the_direct_permissions_is_asked_for_in_any_form(
    holder: Holder, asked: list[str | list[str]], expected: bool
) -> None:
    holder.give_permission_to("edit-articles", "edit-news")
    assert holder.has_any_direct_permission(*asked) is expected


# Lists


def test_what_roles_give_is_listed(user: User, role: Role, role2: Role) -> None:
    role2.give_permission_to("edit-news")
    role.give_permission_to("edit-articles")
    user.assign_role(role, role2)
    assert names(user.get_permissions_via_roles()) == ["edit-articles", "edit-news"]


def test_what_is_held_directly_and_through_roles_is_listed_together(user: User, role: Role) -> None:
    user.give_permission_to("edit-news")
    role.give_permission_to("edit-articles")
    user.assign_role(role)
    assert names(user.get_all_permission_objects()) == ["edit-articles", "edit-news"]


def test_what_is_held_in_two_ways_is_listed_once(user: User, role: Role) -> None:
    role.give_permission_to("edit-articles")
    user.assign_role(role).give_permission_to("edit-articles")
    assert names(user.get_all_permission_objects()) == ["edit-articles"]


def test_names_of_direct_permissions_are_sorted(holder: Holder) -> None:
    holder.give_permission_to("edit-news", "edit-articles")
    assert holder.get_permission_names() == ["edit-articles", "edit-news"]


def test_a_role_has_no_permissions_through_roles(role: Role) -> None:
    role.give_permission_to("edit-articles")
    assert list(role.get_permissions_via_roles()) == []


# Sync


def test_sync_replaces_what_was_held(holder: Holder) -> None:
    holder.give_permission_to("edit-news")
    holder.sync_permissions("edit-articles", "edit-blog")
    assert stored(holder).get_permission_names() == ["edit-articles", "edit-blog"]


def test_sync_takes_a_name_twice(holder: Holder) -> None:
    holder.sync_permissions("edit-articles", "edit-blog", "edit-blog")
    assert stored(holder).get_permission_names() == ["edit-articles", "edit-blog"]


def test_sync_with_nothing_takes_all(holder: Holder) -> None:
    holder.give_permission_to("edit-news")
    holder.sync_permissions([])
    assert stored(holder).get_permission_names() == []


def test_sync_of_an_unknown_name_takes_nothing(holder: Holder) -> None:
    holder.sync_permissions("edit-articles")
    with pytest.raises(PermissionDoesNotExist):
        holder.sync_permissions("permission-does-not-exist")
    assert stored(holder).get_permission_names() == ["edit-articles"]


def test_sync_of_a_known_and_an_unknown_name_changes_nothing(holder: Holder) -> None:
    holder.give_permission_to("edit-news")
    with pytest.raises(PermissionDoesNotExist):
        holder.sync_permissions("edit-articles", "permission-does-not-exist")
    assert stored(holder).get_permission_names() == ["edit-news"]


def test_sync_takes_ids(holder: Holder, world: World) -> None:
    holder.give_permission_to("edit-news")
    holder.sync_permissions([world.edit_articles.pk, world.edit_blog.pk])
    assert stored(holder).get_permission_names() == ["edit-articles", "edit-blog"]


def test_sync_ignores_none(holder: Holder, world: World) -> None:
    holder.give_permission_to("edit-news")
    holder.sync_permissions([world.edit_articles.pk, world.edit_blog.pk, None])
    assert stored(holder).get_permission_names() == ["edit-articles", "edit-blog"]


def test_sync_takes_no_needless_queries(
    user: User, world: World, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    # Spatie's two: what is held, and one INSERT. Ours adds the lock by which others wait, the stamp that other
    # processes look at, and the audit log. Sync, revoking and giving are one transaction each: six statements more. On
    # PostgreSQL two more let it check the references before the end.
    with django_assert_num_queries(5 + 6 + (2 if connection.vendor == "postgresql" else 0)):
        user.sync_permissions(world.edit_articles, world.edit_news)


# Users that are not stored yet


def test_sync_on_a_user_who_is_not_stored_waits_for_the_first_save(world: World) -> None:
    user = User(email="unsaved@example.com")
    user.sync_permissions("edit-articles")
    user.save()
    assert user.has_permission_to("edit-articles")


def test_a_second_save_applies_what_waited_no_second_time(world: World) -> None:
    user = User(email="unsaved@example.com")
    user.sync_permissions("edit-articles")
    user.save()
    user.revoke_permission_to("edit-articles")
    user.save()
    assert not fresh(user).has_permission_to("edit-articles")


def test_what_waited_can_be_synced_again_after_the_save(world: World) -> None:
    user = User(email="unsaved@example.com")
    user.sync_permissions("edit-articles")
    user.save()
    user.sync_permissions("edit-articles")
    assert fresh(user).get_permission_names() == ["edit-articles"]


def test_a_first_save_that_must_not_give_what_waited_stores_nobody(second_user: User) -> None:
    user = User(email="unsaved@example.com").give_permission_to("edit-articles", granted_by=second_user)
    with pytest.raises(Escalation):
        user.save()
    assert not User.objects.filter(email="unsaved@example.com").exists()


@pytest.mark.parametrize("verb", ["give_permission_to", "sync_permissions"])
def test_what_waits_for_one_user_reaches_no_other(world: World, verb: str) -> None:
    first, second = User(email="first@example.com"), User(email="second@example.com")
    getattr(first, verb)("edit-news")
    first.save()
    getattr(second, verb)("edit-articles")
    second.save()
    assert (fresh(first).get_permission_names(), fresh(second).get_permission_names()) == (
        ["edit-news"],
        ["edit-articles"],
    )


def test_a_first_save_applies_what_waited_without_needless_queries(
    world: World, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    user = User(email="unsaved@example.com")
    user.give_permission_to(world.edit_articles)
    # Spatie's two: the user, and the permission. Ours adds the stamp and the audit log; saving and giving are one
    # transaction each: four statements more. On PostgreSQL two more let it check the references before the end.
    with django_assert_num_queries(4 + 4 + (2 if connection.vendor == "postgresql" else 0)):
        user.save()


# The guard of the request


def test_the_guard_of_the_request_is_the_one_that_is_asked(user: User) -> None:
    user.give_permission_to(Permission.create("do_that", guard="api"))
    with use_guard("api"):
        assert user.has_permission_to("do_that")


def test_the_same_name_in_another_guard_than_that_of_the_request_does_not_count(user: User) -> None:
    Permission.create("do_that", guard="api")
    user.give_permission_to(Permission.create("do_that", guard="web"))
    with use_guard("api"):
        assert not user.has_permission_to("do_that")


# Facts


def test_a_given_permission_is_announced_on_commit(
    user: User, listen: Listen, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
) -> None:
    heard = listen(permission_attached)
    with django_capture_on_commit_callbacks(execute=True):
        user.give_permission_to(["edit-articles", "edit-news"])
    assert heard == [
        PermissionAttached(
            holder="user",
            holder_id=user.pk,
            permissions=("edit-articles", "edit-news"),
            team_id=get_team() or "",
        )
    ]


def test_a_revoked_permission_is_announced_on_commit(
    user: User, listen: Listen, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
) -> None:
    user.give_permission_to(["edit-articles", "edit-news"])
    heard = listen(permission_detached)
    with django_capture_on_commit_callbacks(execute=True):
        user.revoke_permission_to(["edit-articles", "edit-news"])
    assert [(fact.holder_id, fact.permissions) for fact in heard] == [(user.pk, ("edit-articles", "edit-news"))]


def test_what_is_rolled_back_is_not_announced(
    user: User, listen: Listen, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
) -> None:
    heard = listen(permission_attached)
    with django_capture_on_commit_callbacks(execute=True), transaction.atomic():
        user.give_permission_to("edit-articles")
        transaction.set_rollback(True)
    assert heard == []


def test_what_was_held_already_is_not_announced(
    user: User, listen: Listen, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
) -> None:
    user.give_permission_to("edit-articles")
    heard = listen(permission_attached)
    with django_capture_on_commit_callbacks(execute=True):
        user.give_permission_to("edit-articles")
    assert heard == []


# Lazy loading forbidden


def test_the_verbs_load_nothing_of_a_user_lazily(user: User) -> None:
    user = User.objects.all().fetch_mode(models.FETCH_RAISE).get(pk=user.pk)
    user.give_permission_to("edit-articles")
    assert user.has_permission_to("edit-articles")


def test_the_verbs_load_nothing_of_a_role_lazily(role: Role) -> None:
    role = Role.objects.select_related("group").fetch_mode(models.FETCH_RAISE).get(pk=role.pk)
    role.give_permission_to("edit-articles")
    assert role.has_permission_to("edit-articles")


# Lists of users


@pytest.mark.parametrize("form", ["name", "list", "tuple", "set", "enum", "id", "ids", "object", "objects", "queryset"])
def test_users_are_found_by_permission_in_any_form(
    user: User, second_user: User, third_user: User, role: Role, world: World, *, form: str
) -> None:
    wanted = world.edit_articles
    forms: dict[str, object] = {
        "name": "edit-articles",
        "list": ["edit-articles"],
        "tuple": ("edit-articles",),
        "set": {"edit-articles"},
        "enum": PermissionName.EDIT,
        "id": wanted.pk,
        "ids": [wanted.pk],
        "object": wanted,
        "objects": [wanted],
        "queryset": Permission.objects.filter(pk=wanted.pk),
    }
    user.give_permission_to("edit-articles", "edit-news")
    role.give_permission_to("edit-articles")
    second_user.assign_role(role)
    third_user.give_permission_to("edit-news")
    assert set(User.objects.permission(forms[form])) == {user, second_user}
    assert set(User.objects.without_permission(forms[form])) == {third_user}


def test_users_with_any_of_several_permissions_are_found(user: User, second_user: User, third_user: User) -> None:
    user.give_permission_to("edit-articles")
    second_user.give_permission_to("edit-news")
    third_user.give_permission_to("edit-blog")
    assert set(User.objects.permission(["edit-articles", "edit-news"])) == {user, second_user}


def test_users_are_found_who_have_the_permission_through_a_role_alone(
    user: User, second_user: User, third_user: User, role: Role, role2: Role
) -> None:
    role.give_permission_to("edit-articles")
    user.assign_role(role)
    second_user.assign_role(role)
    third_user.assign_role(role2)
    assert set(User.objects.permission("edit-articles")) == {user, second_user}


def test_users_are_found_who_lack_the_permission_of_a_role(
    user: User, second_user: User, third_user: User, role: Role, role2: Role
) -> None:
    role.give_permission_to("edit-articles")
    user.assign_role(role)
    second_user.assign_role(role2)
    assert set(User.objects.without_permission("edit-articles")) == {second_user, third_user}


def test_users_are_found_who_have_the_permission_directly_alone(
    user: User, second_user: User, third_user: User
) -> None:
    user.give_permission_to("edit-news")
    second_user.give_permission_to("edit-articles", "edit-news")
    assert set(User.objects.permission("edit-news")) == {user, second_user}


def test_users_are_found_who_lack_a_direct_permission(user: User, second_user: User, third_user: User) -> None:
    user.give_permission_to("edit-news")
    second_user.give_permission_to("edit-articles", "edit-news")
    assert set(User.objects.without_permission("edit-news")) == {third_user}


def test_users_who_have_the_permission_in_several_ways_are_found_once(user: User, role: Role, role2: Role) -> None:
    for holder in (user, role, role2):
        holder.give_permission_to("edit-articles", "edit-news")
    user.assign_role(role, role2)
    assert list(User.objects.permission("edit-articles", "edit-news")) == [user]


@pytest.mark.parametrize("name", ["not defined permission", "admin-permission"])
@pytest.mark.parametrize("scope", ["permission", "without_permission"])
def test_finding_users_by_a_name_that_their_guard_does_not_know_is_refused(world: World, scope: str, name: str) -> None:
    with pytest.raises(PermissionDoesNotExist):
        list(getattr(User.objects, scope)(name))
