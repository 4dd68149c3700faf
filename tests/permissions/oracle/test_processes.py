"""Two processes on one database: what one grants or takes, the other knows at its next check."""

from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
from django.contrib.auth.models import Group
from django.contrib.auth.models import Permission as DjangoPermission
from django.db import transaction
from django.utils import timezone
from pytest_django import Settings

from accounts.models import User
from permissions.models import Permission, Role, RoleAssignment
from permissions.services import reset_cache
from tests.articles.models import Team
from tests.permissions.oracle.asker import Asker, asker
from tests.waiting import wait_until

pytestmark = [pytest.mark.process, pytest.mark.django_db(transaction=True)]

type Change = Callable[[User], object]

_PERMISSIONS: dict[str, object] = {"TEAM_MODEL": "articles.Team"}


@pytest.fixture(scope="module")
def process(django_db_setup: None) -> Iterator[Asker]:
    """The other process; it lives on from test to test, because its start takes long."""
    with asker(**_PERMISSIONS) as process:
        yield process


@pytest.fixture
def other(process: Asker, roles: None) -> Asker:
    """The other process, which remembers nothing yet."""
    process.forget()
    return process


@pytest.fixture
def roles(settings: Settings) -> None:
    """``chief`` may ``sign``; ``editor`` inherits from ``author``; nobody has them yet."""
    settings.PERMISSIONS = _PERMISSIONS
    for name in ("sign", "edit"):
        Permission.create(name)
    Role.create("chief").give_permission_to("sign")
    Role.create("editor").inherit_from(Role.create("author"))


@pytest.fixture
def user(roles: None) -> User:
    return User.objects.create(email="user@example.com")


@pytest.fixture
def bystander(roles: None) -> User:
    """Somebody with a role that no test changes."""
    Role.create("reader").give_permission_to(Permission.create("read"))
    return User.objects.create(email="bystander@example.com").assign_role("reader")


def _chief() -> Role:
    return Role.find_by_name("chief")


def _editor() -> Role:
    return Role.find_by_name("editor")


def _author() -> Role:
    return Role.find_by_name("author")


def _sign() -> Permission:
    return Permission.find_by_name("sign")


#: What lets somebody who has the role ``editor``, and may not ``sign``, do so.
_GRANTS: dict[str, Change] = {
    "a role is assigned": lambda user: user.assign_role("chief"),
    "roles are synced": lambda user: user.sync_roles("chief"),
    "a role is assigned for an hour": lambda user: user.assign_role(
        "chief", expires_at=timezone.now() + timedelta(hours=1)
    ),
    "a permission is given": lambda user: user.give_permission_to("sign"),
    "permissions are synced": lambda user: user.sync_permissions("sign", "edit"),
    "a permission is given to the role": lambda _: _editor().give_permission_to("sign"),
    "a permission is given to the role's parent": lambda _: _author().give_permission_to("sign"),
    "the permissions of the role are synced": lambda _: _editor().sync_permissions("sign"),
    "the role inherits": lambda _: _editor().inherit_from(_chief()),
    "the role's parent inherits": lambda _: _author().inherit_from(_chief()),
    "a permission is given its role": lambda _: _sign().assign_role("editor"),
    "users are given to a role": lambda user: _chief().assign_to_models(user),
    "group.permissions.add": lambda _: _editor().group.permissions.add(_sign()),
    "group.permissions.set": lambda _: _author().group.permissions.set([_sign()]),
    "permission.group_set.add": lambda _: DjangoPermission.objects.get(codename="sign").group_set.add(_editor().group),
    "user.groups.add": lambda user: user.groups.add(_chief().group),
    "group.user_set.set": lambda user: _chief().group.user_set.set([user]),
    "user.user_permissions.add": lambda user: user.user_permissions.add(_sign()),
    "the user becomes a superuser": lambda user: User.objects.filter(pk=user.pk).update(is_superuser=True),
}
#: What stops somebody who may ``sign`` because of the role ``chief``.
_REFUSALS: dict[str, Change] = {
    "a role is removed": lambda user: user.remove_role("chief"),
    "roles are synced": lambda user: user.sync_roles("editor"),
    "a permission is forbidden": lambda user: user.forbid_permission_to("sign"),
    "a permission is revoked from the role": lambda _: _chief().revoke_permission_to("sign"),
    "the permissions of the role are synced": lambda _: _chief().sync_permissions("edit"),
    "the role is deleted": lambda _: _chief().delete(),
    "roles are deleted": lambda _: Role.objects.filter(name="chief").delete(),
    "the group is deleted": lambda _: _chief().group.delete(),
    "groups are deleted": lambda _: Group.objects.filter(role__name="chief").delete(),
    "the permission is deleted": lambda _: _sign().delete(),
    "permissions are deleted": lambda _: DjangoPermission.objects.filter(codename="sign").delete(),
    "group.permissions.remove": lambda _: _chief().group.permissions.remove(_sign()),
    "group.permissions.clear": lambda _: _chief().group.permissions.clear(),
    "permission.group_set.clear": lambda _: DjangoPermission.objects.get(codename="sign").group_set.clear(),
    "user.groups.remove": lambda user: user.groups.remove(_chief().group),
    "user.groups.clear": lambda user: user.groups.clear(),
    "group.user_set.clear": lambda _: _chief().group.user_set.clear(),
    "the user is switched off": lambda user: User.objects.filter(pk=user.pk).update(is_active=False),
}


def _warm(other: Asker, user: User, *, expected: bool) -> None:
    for load in ("manager", "backend"):
        for _ in range(2):
            assert other.can(user, "sign", load=load) is expected


@pytest.mark.parametrize("load", ["manager", "backend"])
@pytest.mark.parametrize("change", _GRANTS.values(), ids=_GRANTS)
def test_what_one_process_grants_the_next_check_of_another_sees(
    user: User, other: Asker, change: Change, load: str
) -> None:
    user.assign_role("editor")
    _warm(other, user, expected=False)
    change(user)
    assert other.can(user, "sign", load=load)


@pytest.mark.parametrize("load", ["manager", "backend"])
@pytest.mark.parametrize("change", _REFUSALS.values(), ids=_REFUSALS)
def test_what_one_process_takes_the_next_check_of_another_misses(
    user: User, other: Asker, change: Change, load: str
) -> None:
    user.assign_role("chief")
    _warm(other, user, expected=True)
    change(user)
    assert not other.can(user, "sign", load=load)


@pytest.mark.parametrize("load", ["manager", "backend"])
@pytest.mark.parametrize("change", _GRANTS.values(), ids=_GRANTS)
def test_a_change_that_does_not_concern_somebody_costs_the_process_one_query_at_most(
    user: User, bystander: User, other: Asker, change: Change, load: str
) -> None:
    """That is for the stamps of all roles that it remembers; where a role changed, and once."""
    user.assign_role("editor")
    assert other.can(bystander, "read", load=load)
    change(user)
    own = 1 if load == "manager" else 0  # a user who comes without stamps is asked for
    for allowed in (own + 1, own):
        answer = other.ask(bystander, "read", load=load)
        assert answer["answer"]
        assert answer["check_queries"] <= allowed
        assert answer["load_queries"] == 1


def test_a_deny_that_is_lifted_permits_again_in_another_process(user: User, other: Asker) -> None:
    user.assign_role("chief")
    user.forbid_permission_to("sign")
    _warm(other, user, expected=False)
    user.unforbid_permission_to("sign")
    assert other.can(user, "sign")


def test_a_cut_inheritance_permits_no_more_in_another_process(user: User, other: Asker) -> None:
    _author().inherit_from(_chief())
    user.assign_role("editor")
    _warm(other, user, expected=True)
    _editor().disinherit(_author())
    assert not other.can(user, "sign")


def test_a_deleted_middle_of_an_inheritance_permits_no_more_in_another_process(user: User, other: Asker) -> None:
    _author().inherit_from(_chief())
    user.assign_role("editor")
    _warm(other, user, expected=True)
    _author().delete()
    assert not other.can(user, "sign")


def test_an_assignment_ends_by_the_clock_in_a_process_that_remembers_it(user: User, other: Asker) -> None:
    user.assign_role("chief", expires_at=timezone.now() + timedelta(seconds=2))
    _warm(other, user, expected=True)
    end = RoleAssignment.objects.get(user=user).expires_at
    assert end is not None
    wait_until(lambda: not other.can(user, "sign"))
    assert timezone.now() >= end


def test_a_role_given_in_a_team_permits_in_that_team_alone_in_another_process(user: User, other: Asker) -> None:
    north, south = (str(Team.objects.create(name=name).pk) for name in ("north", "south"))
    for team in (north, south, None):
        assert not other.can(user, "sign", team=team)
    user.assign_role("chief", team=north)
    assert [other.can(user, "sign", team=team) for team in (north, south, None)] == [True, False, False]
    user.remove_role("chief", team=north)
    assert not other.can(user, "sign", team=north)


def test_a_rolled_back_grant_permits_nothing_in_another_process(user: User, other: Asker) -> None:
    _warm(other, user, expected=False)
    with transaction.atomic():
        user.assign_role("chief")
        transaction.set_rollback(True)
    assert not other.can(user, "sign")


def test_a_grant_is_unseen_in_another_process_until_it_is_committed(user: User, other: Asker) -> None:
    _warm(other, user, expected=False)
    with transaction.atomic():
        user.assign_role("chief")
        assert user.can("sign")
        assert not other.can(user, "sign")
    assert other.can(user, "sign")


def test_a_reset_lets_another_process_see_what_was_written_behind_the_back_of_django(user: User, other: Asker) -> None:
    other.can(user, "sign", load="backend")
    for expected in (True, False):
        _warm(other, user, expected=not expected)
        through = User.groups.through.objects
        if expected:
            through.bulk_create([User.groups.through(user_id=user.pk, group_id=_chief().pk)])
        else:
            through.filter(user_id=user.pk)._raw_delete(using="default")
        reset_cache()
        for load in ("backend", "manager"):
            assert other.can(user, "sign", load=load) is expected
