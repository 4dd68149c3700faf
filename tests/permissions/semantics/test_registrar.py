"""What a process remembers of rights, what makes it look again, and what that costs."""

import gc
import tracemalloc
from collections.abc import Callable
from datetime import UTC, datetime
from uuid import UUID

import pytest
from django.contrib.auth.models import Group
from django.core.management import call_command
from django.db import connection, transaction
from pytest_django import DjangoAssertNumQueries

from accounts.models import User
from permissions import registrar
from permissions.backends import RoleBackend
from permissions.exceptions import GuardDoesNotExist, PermissionDoesNotExist
from permissions.models import Permission, Role
from permissions.scope import Scope, get_team, set_team, use_team
from tests.articles.models import Team
from tests.permissions.semantics.conftest import Configure, World, fresh

pytestmark = pytest.mark.django_db

#: All facts about a user, and the stamps, in one query.
USER = 1
#: Of roles that the process doesn't know: their stamps, themselves, their ancestors, their permissions.
ROLES = 4
#: That a permission of that name exists, which the raw verbs want to know where it isn't held.
NAME = 1


@pytest.fixture
def editor(user: User, role: Role) -> User:
    """A user who holds two permissions through a role; nothing is remembered of either."""
    role.give_permission_to("edit-articles", "edit-news", "Edit News")
    user.assign_role(role)
    registrar.clear()
    return fresh(user)


# What it costs


def test_a_first_check_loads_the_user_and_the_roles(
    editor: User, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    with django_assert_num_queries(USER + ROLES):
        assert editor.has_permission_to("edit-articles")


def test_further_checks_ask_nothing(editor: User, django_assert_num_queries: DjangoAssertNumQueries) -> None:
    editor.has_permission_to("edit-articles")
    with django_assert_num_queries(0):
        assert editor.has_permission_to("edit-news")
        assert editor.has_permission_to("edit-articles")
        assert editor.has_permission_to("Edit News")


def test_another_user_of_a_known_role_costs_one_query(
    editor: User, second_user: User, role: Role, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    second_user.assign_role(role)
    editor.has_permission_to("edit-articles")
    other = fresh(second_user)
    with django_assert_num_queries(USER):
        assert other.has_permission_to("edit-articles")


def test_a_request_of_somebody_new_costs_one_query_where_others_of_the_role_were_served(
    editor: User, second_user: User, role: Role, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    second_user.assign_role(role)
    registrar.clear()
    served, new = (RoleBackend().get_user(person.pk) for person in (editor, second_user))
    assert served.can("edit-articles")
    with django_assert_num_queries(USER):
        assert new.can("edit-articles")


def test_names_that_are_not_held_are_looked_up_once(
    editor: User, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    editor.has_permission_to("edit-articles")
    with django_assert_num_queries(NAME):
        assert not editor.has_permission_to("edit-blog")
        assert not editor.has_permission_to("edit-blog")


def test_the_gate_needs_no_look_up_of_names(editor: User, django_assert_num_queries: DjangoAssertNumQueries) -> None:
    editor.can("edit-articles")
    with django_assert_num_queries(0):
        assert not editor.can("edit-blog")
        assert not editor.can("does-not-exist")


def test_the_rows_of_all_that_is_held_are_read_at_once(
    editor: User, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    editor.has_permission_to("edit-articles")
    # Spatie: none, because each process holds every row. Ours holds the names, and reads rows where rows are wanted:
    # those held directly, and those held through roles.
    with django_assert_num_queries(2):
        assert len(editor.get_all_permission_objects()) == 3


def test_a_permission_is_given_to_a_role_in_three_queries(
    role: Role, world: World, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    # The permission, the stamp and the audit log; and two statements for the transaction around them. On PostgreSQL
    # three more: who deletes the role or the permission comes before or behind, and references are checked at once.
    with django_assert_num_queries(3 + 2 + (3 if connection.vendor == "postgresql" else 0)):
        role.give_permission_to(world.edit_blog)


def test_guards_are_remembered_apart(editor: User) -> None:
    assert editor.has_permission_to("edit-articles", guard="web")
    with pytest.raises(PermissionDoesNotExist):
        editor.has_permission_to("edit-articles", guard="api")


def test_a_guard_that_does_not_exist_is_refused(editor: User) -> None:
    with pytest.raises(GuardDoesNotExist):
        editor.has_permission_to("edit-articles", guard="nope")


def test_people_with_the_same_roles_share_what_is_remembered(editor: User, second_user: User, role: Role) -> None:
    second_user.assign_role(role)
    for person in (editor, second_user):
        assert person.has_permission_to("edit-articles")
    first, second = (registrar.get_snapshot(person, Scope("web", None)) for person in (editor, second_user))
    assert first.via_roles is second.via_roles
    assert first.roles is second.roles
    assert first.lineage is second.lineage
    assert first.scope is second.scope


def test_a_user_who_is_remembered_takes_less_than_a_kibibyte(editor: User, role: Role) -> None:
    people = User.objects.bulk_create(User(email=f"{number}@example.com") for number in range(200))
    for person in people:
        person.assign_role(role)
    assert editor.can("edit-articles")
    people = list(User.objects.filter(pk__in=[person.pk for person in people]))
    taken = _measure_memory(lambda: [person.can("edit-articles") for person in people])
    assert taken / len(people) < 1024


def _measure_memory(action: Callable[[], object]) -> int:
    """Return how many bytes an action leaves in use."""
    gc.collect()
    tracemalloc.start()
    try:
        action()
        gc.collect()
        return tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()


# What the one query reads


def test_an_end_is_read_to_the_microsecond(user: User, role: Role) -> None:
    end = datetime(2100, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
    user.assign_role(role, expires_at=end)
    assert [one.expires_at for one in registrar.load_user(fresh(user)).assigned] == [end]


def test_what_is_given_and_what_is_forbidden_in_a_team_are_told_apart(user: User, teams: tuple[Team, Team]) -> None:
    user.give_permission_to("edit-articles", team=teams[0])
    user.forbid_permission_to("edit-news", team=teams[1])
    granted = registrar.load_user(fresh(user)).granted
    assert {(one.name, one.team_id, one.is_denied) for one in granted} == {
        ("edit-articles", str(teams[0].pk), False),
        ("edit-news", str(teams[1].pk), True),
    }


def test_each_user_is_read_by_itself(editor: User, second_user: User, third_user: User) -> None:
    second_user.give_permission_to("edit-blog")
    known = [registrar.load_user(fresh(person)) for person in (editor, second_user, third_user)]
    assert [(len(facts.assigned), [one.name for one in facts.granted]) for facts in known] == [
        (1, []),
        (0, ["edit-blog"]),
        (0, []),
    ]


def test_which_memberships_count_follows_the_settings(user: User, role: Role, configure: Configure) -> None:
    # Without the record beside it, as another program writes it: it counts for roles of the default guard.
    User.groups.through.objects.bulk_create([User.groups.through(user_id=user.pk, group_id=role.pk)])
    assert fresh(user).has_role(role)
    configure(DEFAULT_GUARD="api")
    assert not fresh(user).has_role(role)
    configure(DEFAULT_GUARD="web")
    assert fresh(user).has_role(role)


# What makes it look again


def test_a_new_permission_is_known_at_once(editor: User) -> None:
    with pytest.raises(PermissionDoesNotExist):
        editor.has_permission_to("new")
    Permission.create("new")
    assert not editor.has_permission_to("new")


def test_a_renamed_permission_is_held_under_its_new_name(editor: User, world: World) -> None:
    assert editor.has_permission_to("edit-news")
    world.edit_news.codename = "other name"
    world.edit_news.save()
    assert editor.has_permission_to("other name")


def test_a_renamed_permission_is_unknown_under_its_old_name(editor: User, world: World) -> None:
    assert editor.has_permission_to("edit-news")
    world.edit_news.codename = "other name"
    world.edit_news.save()
    with pytest.raises(PermissionDoesNotExist):
        editor.has_permission_to("edit-news")


def test_a_deleted_permission_is_unknown_at_once(editor: User, world: World) -> None:
    assert editor.has_permission_to("edit-news")
    world.edit_news.delete()
    with pytest.raises(PermissionDoesNotExist):
        editor.has_permission_to("edit-news")


def test_a_new_role_can_be_had_at_once(editor: User) -> None:
    assert not editor.has_role("new")
    editor.assign_role(Role.create("new"))
    assert editor.has_role("new")


def test_a_renamed_role_is_had_under_its_new_name(editor: User, role: Role) -> None:
    assert editor.has_role("testRole")
    role.name = "other name"
    role.save()
    assert editor.get_role_names() == ["other name"]


def test_a_deleted_role_gives_nothing_more(editor: User, role: Role) -> None:
    assert editor.has_permission_to("edit-articles")
    role.delete()
    assert not editor.has_permission_to("edit-articles")


def test_a_permission_given_to_a_role_is_held_at_once(editor: User, role: Role) -> None:
    assert not editor.has_permission_to("edit-blog")
    role.give_permission_to("edit-blog")
    assert editor.has_permission_to("edit-blog")


def test_a_role_given_to_a_permission_is_held_at_once(editor: User, world: World) -> None:
    assert not editor.has_permission_to("edit-blog")
    world.edit_blog.assign_role("testRole")
    assert editor.has_permission_to("edit-blog")


def test_a_role_taken_from_a_permission_gives_it_no_more(editor: User, world: World) -> None:
    assert editor.has_permission_to("edit-news")
    world.edit_news.remove_role("testRole")
    assert not editor.has_permission_to("edit-news")


def test_what_the_admin_adds_to_a_group_is_held_at_once(editor: User, role: Role, world: World) -> None:
    assert not editor.has_permission_to("edit-blog")
    Group.objects.get(pk=role.pk).permissions.add(world.edit_blog)
    assert editor.has_permission_to("edit-blog")


def test_what_the_admin_adds_to_a_user_is_held_at_once(editor: User, world: World) -> None:
    assert not editor.has_permission_to("edit-blog")
    fresh(editor).user_permissions.add(world.edit_blog)
    assert editor.has_permission_to("edit-blog")


def test_a_membership_that_the_admin_adds_counts_at_once(second_user: User, editor: User, role: Role) -> None:
    assert not second_user.has_permission_to("edit-articles")
    fresh(second_user).groups.add(Group.objects.get(pk=role.pk))
    assert second_user.has_permission_to("edit-articles")


# What it keeps


def test_a_permission_taken_from_a_user_leaves_the_roles_remembered(
    editor: User, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    editor.give_permission_to("edit-blog")
    editor.has_permission_to("edit-articles")
    editor.revoke_permission_to("edit-blog")
    with django_assert_num_queries(USER):
        assert editor.has_permission_to("edit-articles")


def test_a_role_taken_from_a_user_leaves_the_roles_remembered(
    editor: User, role2: Role, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    editor.assign_role(role2)
    editor.has_permission_to("edit-articles")
    editor.remove_role(role2)
    with django_assert_num_queries(USER):
        assert editor.has_permission_to("edit-articles")


def test_a_new_user_leaves_everything_remembered(
    editor: User, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    editor.has_permission_to("edit-articles")
    User.objects.create(email="new@example.com")
    with django_assert_num_queries(0):
        assert editor.has_permission_to("edit-articles")


def test_a_changed_role_leaves_the_others_remembered(
    editor: User, role: Role, role2: Role, second_user: User, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    second_user.assign_role(role2)
    for person in (editor, second_user):
        person.can("edit-articles")
    role.give_permission_to("edit-blog")
    # The user, and the stamps of the roles that are remembered: they prove that this user's role is as it was.
    with django_assert_num_queries(USER + 1):
        assert not second_user.can("edit-articles")


# Forgetting


def test_a_forgotten_registrar_loads_everything_again(
    editor: User, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    editor.has_permission_to("edit-articles")
    registrar.clear()
    with django_assert_num_queries(USER + ROLES):
        assert editor.has_permission_to("edit-articles")


def test_the_command_makes_changes_by_raw_sql_seen(editor: User, role: Role, world: World) -> None:
    assert not editor.has_permission_to("edit-blog")
    through = Group.permissions.through
    through.objects.bulk_create([through(group_id=role.pk, permission_id=world.edit_blog.pk)])
    call_command("reset_permission_cache")
    assert editor.has_permission_to("edit-blog")


# Ids and teams


@pytest.mark.parametrize(
    "key",
    [
        UUID("00000000-0000-0000-0000-000000000000"),
        UUID("9be37b52-e1fa-4e86-b65f-cbfcbedde838"),
        UUID("A98C5A1E-A742-4808-96FA-6F409E799937"),
    ],
)
def test_a_uuid_is_an_id(user: User, key: UUID) -> None:
    with pytest.raises(PermissionDoesNotExist, match="ID"):
        user.has_permission_to(key)


@pytest.mark.parametrize(
    "name", ["9be37b52-e1fa-4e86-b65f-cbfcbedde838", "01GRVB3DREB63KNN4G2QVV99DF", "9be37b52-e1fa", "TEST STRING", "7"]
)
def test_a_string_is_a_name_however_it_looks(user: User, name: str) -> None:
    user.give_permission_to(Permission.create(name))
    assert user.has_permission_to(name)


def test_the_current_team_can_be_changed(world: World, configure: Configure) -> None:
    configure(TEAM_MODEL="articles.Note")
    key = "00000000-0000-0000-0000-000000000000"
    with use_team(None):
        set_team(key)
        assert get_team() == key


def test_what_was_rolled_back_is_forgotten_by_the_instance_that_saw_it(user: User) -> None:
    Permission.create("edit articles")
    assert not user.can("edit articles")
    with transaction.atomic():
        user.give_permission_to("edit articles")
        assert user.can("edit articles")
        transaction.set_rollback(True)
    assert not user.can("edit articles")
    assert not user.has_direct_permission("edit articles")


def test_a_permission_whose_making_was_rolled_back_is_unknown(user: User) -> None:
    with transaction.atomic():
        Permission.create("edit articles")
        assert not user.has_permission_to("edit articles")
        transaction.set_rollback(True)
    with pytest.raises(PermissionDoesNotExist):
        fresh(user).has_permission_to("edit articles")
