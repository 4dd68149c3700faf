"""Roles are made, given and taken, whole or not at all."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group, Permission
from django.db import connection
from django.db.models import QuerySet

from accounts.models import User
from jobs.dashboard.frame import RIGHTS, VIEW
from permissions import services
from permissions.exceptions import (
    Escalation,
    InvalidRoleName,
    PermissionDoesNotExist,
    RoleAlreadyExists,
    RoleDoesNotExist,
    UserDoesNotExist,
)
from permissions.models import Role, RoleAssignment
from permissions.selectors import get_permission_names, get_role
from permissions.signals import RoleAttached, RoleDetached, role_attached, role_detached
from tests.permissions.conftest import MakeUser

pytestmark = pytest.mark.django_db


def test_a_role_is_made_with_its_group_and_its_permissions() -> None:
    role = services.create_role(name="editor", permissions=["accounts.view_user", "permissions.view_role"])
    assert role.group.name == "editor"
    assert get_permission_names(role=role) == ["accounts.view_user", "permissions.view_role"]


def test_a_permission_named_twice_is_given_once() -> None:
    role = services.create_role(name="editor", permissions=["accounts.view_user"] * 2)
    assert role.group.permissions.count() == 1


@pytest.mark.parametrize(
    "name",
    ["", "a|b", "a\x00b", "a\nb", "a\u202eb", "\ud800", " a", "a ", " ", "x" * 101],
    ids=["empty", "pipe", "nul", "newline", "bidi", "surrogate", "before", "after", "space", "long"],
)
def test_a_name_that_no_role_may_have_is_refused(name: str) -> None:
    with pytest.raises(InvalidRoleName) as caught:
        services.create_role(name=name)
    assert list(caught.value.fields) == ["name"]
    assert not Group.objects.exists()


@pytest.mark.parametrize("name", ["0", "x" * 100, "Rédaction / 編集", "a b"])
def test_a_name_of_1_to_100_printable_characters_is_fine(name: str) -> None:
    assert services.create_role(name=name).name == name


def test_a_second_role_of_the_same_name_is_refused() -> None:
    services.create_role(name="editor")
    with pytest.raises(RoleAlreadyExists, match="`editor` already exists"):
        services.create_role(name="editor")


@pytest.mark.parametrize("name", ["accounts.fly", "nodot", "a.b.c", "accounts.view_user\x00", "\ud800.x"])
def test_an_unknown_permission_is_named_and_no_role_is_made(name: str) -> None:
    with pytest.raises(PermissionDoesNotExist) as caught:
        services.create_role(name="editor", permissions=["accounts.view_user", name])
    assert caught.value.fields == {"permissions": [f"There is no permission named `{name}` for guard `web`."]}
    assert not Role.objects.exists()
    assert not Group.objects.exists()


def test_parts_of_two_known_permissions_do_not_make_a_third() -> None:
    with pytest.raises(PermissionDoesNotExist, match=r"`accounts\.view_role`"):
        services.create_role(
            name="x", permissions=["accounts.view_user", "permissions.view_role", "accounts.view_role"]
        )


def test_nobody_makes_a_role_that_holds_more_than_they_do(make_user: MakeUser) -> None:
    maker = make_user("accounts.view_user")
    with pytest.raises(Escalation):
        services.create_role(name="x", permissions=["accounts.view_user", "accounts.delete_user"], created_by=maker)
    assert not Role.objects.exists()


def test_one_makes_a_role_of_what_one_holds_directly_and_by_roles(make_user: MakeUser) -> None:
    maker = make_user("accounts.view_user")
    services.create_role(name="staff", permissions=["permissions.view_role"])
    maker.assign_role("staff")
    services.create_role(name="x", permissions=["accounts.view_user", "permissions.view_role"], created_by=maker)
    assert Role.objects.filter(name="x").exists()


def test_a_superuser_makes_any_role(superuser: User) -> None:
    services.create_role(name="x", permissions=["accounts.delete_user"], created_by=superuser)
    assert Role.objects.filter(name="x").exists()


def test_an_inactive_superuser_hands_out_nothing(make_user: MakeUser) -> None:
    former = make_user(is_superuser=True, is_active=False)
    with pytest.raises(Escalation):
        services.create_role(name="x", permissions=["accounts.delete_user"], created_by=former)


def test_an_update_renames_the_role_with_its_group_and_replaces_its_permissions() -> None:
    role = services.create_role(name="editor", permissions=["accounts.view_user"])
    changed = services.update_role(role=role, name="author", permissions=["permissions.view_role"])
    assert (changed.name, changed.group.name) == ("author", "author")
    assert get_permission_names(role=changed) == ["permissions.view_role"]


def test_an_update_to_a_name_in_use_changes_nothing() -> None:
    services.create_role(name="author")
    role = services.create_role(name="editor", permissions=["accounts.view_user"])
    with pytest.raises(RoleAlreadyExists):
        services.update_role(role=role, name="author", permissions=[])
    assert get_permission_names(role=get_role(name="editor")) == ["accounts.view_user"]


def test_an_update_may_keep_what_the_changer_does_not_hold_but_add_none_of_it(make_user: MakeUser) -> None:
    role = services.create_role(name="editor", permissions=["accounts.delete_user"])
    changer = make_user("accounts.view_user")
    kept = ["accounts.delete_user", "accounts.view_user"]
    services.update_role(role=role, name="editor", permissions=kept, changed_by=changer)
    with pytest.raises(Escalation):
        services.update_role(role=role, name="editor", permissions=[*kept, "accounts.add_user"], changed_by=changer)
    assert get_permission_names(role=get_role(name="editor")) == kept


def test_nobody_but_a_superuser_renames_a_role_for_guards_go_by_its_name(make_user: MakeUser) -> None:
    role = services.create_role(name="user", permissions=["accounts.view_user"])
    changer = make_user("permissions.change_role", "accounts.view_user")
    with pytest.raises(Escalation, match="Only a superuser can rename a role"):
        services.update_role(role=role, name="admin", permissions=["accounts.view_user"], changed_by=changer)
    assert list(Role.objects.values_list("name", "group__name")) == [("user", "user")]


def test_an_inactive_superuser_renames_nothing(make_user: MakeUser) -> None:
    role = services.create_role(name="user")
    with pytest.raises(Escalation):
        services.update_role(
            role=role, name="admin", permissions=[], changed_by=make_user(is_superuser=True, is_active=False)
        )


def test_a_superuser_renames_a_role(superuser: User) -> None:
    role = services.create_role(name="user")
    assert services.update_role(role=role, name="member", permissions=[], changed_by=superuser).name == "member"


def test_a_sync_with_an_unknown_permission_changes_nothing() -> None:
    services.create_role(name="editor", permissions=["accounts.view_user"])
    with pytest.raises(PermissionDoesNotExist):
        services.sync_permissions(role="editor", permissions=["permissions.view_role", "accounts.fly"])
    assert get_permission_names(role=get_role(name="editor")) == ["accounts.view_user"]


def test_a_sync_with_nothing_takes_every_permission() -> None:
    services.create_role(name="editor", permissions=["accounts.view_user"])
    assert get_permission_names(role=services.sync_permissions(role="editor", permissions=[])) == []


def test_an_assignment_records_who_gave_the_role(user: User, superuser: User) -> None:
    services.create_role(name="editor")
    services.assign_role(user=user, role="editor", granted_by=superuser)
    assert RoleAssignment.objects.get(user=user, role__name="editor").granted_by == superuser


def test_a_second_assignment_keeps_the_first_record(user: User, superuser: User) -> None:
    services.create_role(name="editor")
    services.assign_role(user=user, role="editor", granted_by=superuser)
    services.assign_role(user=user, role="editor")
    assert RoleAssignment.objects.get(user=user).granted_by == superuser


def test_an_unknown_role_cannot_be_given_or_taken(user: User) -> None:
    for write in (services.assign_role, services.remove_role):
        with pytest.raises(RoleDoesNotExist, match="There is no role named `nope`") as caught:
            write(user=user, role="nope")
        assert list(caught.value.fields) == ["role"]


def test_a_role_cannot_be_given_to_a_user_who_is_not_stored() -> None:
    services.create_role(name="editor")
    with pytest.raises(UserDoesNotExist):
        services.assign_role(user=get_user_model()(email="ghost@example.com"), role="editor")
    assert not RoleAssignment.objects.exists()


def test_nobody_gives_a_role_that_permits_more_than_they_may(user: User, make_user: MakeUser) -> None:
    services.create_role(name="editor", permissions=["accounts.view_user"])
    giver = make_user("permissions.assign_role")
    with pytest.raises(Escalation):
        services.assign_role(user=user, role="editor", granted_by=giver)
    assert not user.has_role("editor")


def test_taking_a_role_that_is_not_had_does_nothing(user: User) -> None:
    services.create_role(name="editor")
    services.remove_role(user=user, role="editor")
    assert user.get_role_names() == []


def test_the_seed_makes_five_roles() -> None:
    assert [role.name for role in services.seed_roles()] == ["admin", "editor", "user", "jobs-operator", "jobs-viewer"]
    assert get_role(name="admin").group.permissions.count() == Permission.objects.count()
    assert get_permission_names(role=get_role(name="editor")) == ["accounts.view_user", "permissions.view_role"]
    assert get_permission_names(role=get_role(name="user")) == []
    assert get_permission_names(role=get_role(name="jobs-viewer")) == ["jobs.view_dashboard"]
    steering = {right for name, right in RIGHTS.items() if name != "see_arguments"}
    assert set(get_permission_names(role=get_role(name="jobs-operator"))) == {VIEW, *steering}


def test_a_second_seed_leaves_changed_roles_alone() -> None:
    services.seed_roles()
    services.sync_permissions(role="editor", permissions=[])
    services.seed_roles()
    assert get_permission_names(role=get_role(name="editor")) == []


@pytest.mark.django_db(transaction=True)
def test_giving_and_taking_is_announced_once_after_the_commit(user: User, superuser: User) -> None:
    heard: list[tuple[object, ...]] = []

    def hear(fact: RoleAttached | RoleDetached) -> None:
        heard.append((type(fact), fact.user_id, fact.roles, fact.granted_by_id))

    services.create_role(name="editor")
    role_attached.listen(hear)
    role_detached.listen(hear)
    try:
        for _ in range(2):
            services.assign_role(user=user, role="editor", granted_by=superuser)
        for _ in range(2):
            services.remove_role(user=user, role="editor")
    finally:
        role_attached.unlisten(hear)
        role_detached.unlisten(hear)
    assert heard == [(RoleAttached, user.pk, ("editor",), superuser.pk), (RoleDetached, user.pk, ("editor",), None)]


@pytest.mark.django_db(transaction=True)
def test_two_threads_giving_and_taking_the_same_roles_leave_groups_and_records_in_step(user: User) -> None:
    services.create_role(name="editor")
    services.create_role(name="author")

    def write(turn: int) -> None:
        member = get_user_model().objects.get(pk=user.pk)
        try:
            (services.assign_role if turn % 3 else services.remove_role)(
                user=member, role=["editor", "author"][turn % 2]
            )
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write, range(48)))
    recorded = set(RoleAssignment.objects.filter(user=user).values_list("role__name", flat=True))
    assert recorded == set(user.get_role_names())


@pytest.mark.django_db(transaction=True)
def test_eight_threads_giving_the_same_role_at_once_all_succeed(user: User) -> None:
    services.create_role(name="editor")

    def give(_: int) -> None:
        try:
            services.assign_role(user=get_user_model().objects.get(pk=user.pk), role="editor")
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(give, range(8)))
    assert RoleAssignment.objects.filter(user=user).count() == 1


@pytest.mark.django_db(transaction=True)
def test_one_of_eight_threads_making_the_same_role_at_once_succeeds() -> None:
    def make(_: int) -> bool:
        try:
            services.create_role(name="editor", permissions=["accounts.view_user"])
        except RoleAlreadyExists:
            return False
        finally:
            connection.close()
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(make, range(8))) == 1
    assert get_permission_names(role=get_role(name="editor")) == ["accounts.view_user"]


def _delete_elsewhere(rows: QuerySet[Role] | QuerySet[User]) -> None:
    def delete() -> None:
        try:
            rows.delete()
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as pool:
        pool.submit(delete).result()


@contextmanager
def _before_assigning(delete: Callable[[], None]) -> Iterator[None]:
    """Delete just before the row of an assignment is written."""

    def execute(run: Callable[..., object], sql: str, *arguments: object) -> object:
        if sql.startswith('INSERT INTO "permissions_roleassignment"'):
            delete()
        return run(sql, *arguments)

    with connection.execute_wrapper(execute):
        yield


@pytest.mark.skipif("connection.vendor != 'postgresql'", reason="on SQLite nobody writes during a transaction")
@pytest.mark.django_db(transaction=True)
def test_a_role_that_is_deleted_while_it_is_given_is_said_not_to_exist(user: User) -> None:
    services.create_role(name="editor")

    def delete_role() -> None:
        _delete_elsewhere(Role.objects.filter(name="editor"))

    with _before_assigning(delete_role), pytest.raises(RoleDoesNotExist, match="`editor`"):
        services.assign_role(user=user, role="editor")
    assert user.get_role_names() == []


@pytest.mark.skipif("connection.vendor != 'postgresql'", reason="on SQLite nobody writes during a transaction")
@pytest.mark.django_db(transaction=True)
def test_a_giver_who_is_deleted_while_giving_is_said_not_to_exist(user: User, superuser: User) -> None:
    services.create_role(name="editor")

    def delete_giver() -> None:
        _delete_elsewhere(get_user_model().objects.filter(pk=superuser.pk))

    with _before_assigning(delete_giver), pytest.raises(UserDoesNotExist):
        services.assign_role(user=user, role="editor", granted_by=superuser)
    assert not RoleAssignment.objects.exists()
