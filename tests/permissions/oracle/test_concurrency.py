"""Many threads writing the rights of one user or role at once: one of the writes stands, never a mixture."""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import combinations

import pytest
from django.db import connection, transaction
from django.utils import timezone
from pytest_django import Settings

from accounts.models import User
from accounts.services import delete_account
from permissions import services
from permissions.exceptions import InheritanceCycle, PermissionDoesNotExist, RoleDoesNotExist, UserDoesNotExist
from permissions.models import AuditEvent, Permission, Role, RoleAssignment, RoleLink, UserGrant
from permissions.scope import use_team
from tests.articles.models import Team

_PARALLEL = 16
_NAMES = ("a", "b", "c", "d", "e", "f")
#: Sets that share names with each other, so that a mixture of two is none of them.
_SETS: list[frozenset[str]] = [frozenset(names) for names in combinations(_NAMES, 3)][:_PARALLEL]

pytestmark = pytest.mark.django_db(transaction=True)


def _run_at_once[T, R](work: Callable[[T], R], tasks: Sequence[T]) -> list[R]:
    """Do the work on all tasks at one moment, each in a thread and on a connection of its own."""
    gate = threading.Barrier(len(tasks))

    def run(task: T) -> R:
        connection.ensure_connection()
        gate.wait()
        try:
            return work(task)
        finally:
            connection.close()

    with ThreadPoolExecutor(len(tasks)) as pool:
        return list(pool.map(run, tasks))


def _load(user: User) -> User:
    return User.objects.get(pk=user.pk)


@pytest.fixture
def user() -> User:
    return User.objects.create(email="user@example.com")


@pytest.fixture
def roles() -> list[Role]:
    return [Role.create(name) for name in _NAMES]


@pytest.fixture
def permissions() -> list[Permission]:
    return [Permission.create(name) for name in _NAMES]


@pytest.fixture
def team(settings: Settings) -> Team:
    settings.PERMISSIONS = {"TEAM_MODEL": "articles.Team"}
    return Team.objects.create(name="north")


@pytest.mark.parametrize("_round", range(3))
@pytest.mark.usefixtures("roles")
def test_of_sixteen_threads_that_sync_the_roles_of_one_user_one_has_its_way(user: User, _round: int) -> None:
    user.assign_role("a", "f")
    _run_at_once(lambda names: _load(user).sync_roles(*names), _SETS)
    found = frozenset(_load(user).get_role_names())
    assert found in _SETS
    assert frozenset(user.groups.values_list("role__name", flat=True)) == found
    assert frozenset(RoleAssignment.objects.filter(user=user).values_list("role__name", flat=True)) == found
    assert frozenset(user.get_role_names()) == found


@pytest.mark.usefixtures("roles")
def test_of_sixteen_threads_that_sync_the_roles_of_one_user_in_a_team_one_has_its_way(user: User, team: Team) -> None:
    user.assign_role("a", "f", team=team)
    user.assign_role("b", team=None)

    def sync(names: frozenset[str]) -> None:
        _load(user).sync_roles(*names, team=team)

    _run_at_once(sync, _SETS)
    rows = RoleAssignment.objects.filter(user=user)
    found = frozenset(rows.filter(team_id=str(team.pk)).values_list("role__name", flat=True))
    assert found in _SETS
    assert list(rows.filter(team_id="").values_list("role__name", flat=True)) == ["b"]
    with use_team(team):
        assert frozenset(_load(user).get_role_names()) == found | {"b"}


@pytest.mark.parametrize("_round", range(3))
@pytest.mark.usefixtures("permissions")
def test_of_sixteen_threads_that_sync_the_permissions_of_one_user_one_has_its_way(user: User, _round: int) -> None:
    user.give_permission_to("a", "f")
    _run_at_once(lambda names: _load(user).sync_permissions(*names), _SETS)
    found = frozenset(_load(user).get_permission_names())
    assert found in _SETS
    assert frozenset(user.user_permissions.values_list("codename", flat=True)) == found
    assert {name for name in _NAMES if user.can(name)} == found


@pytest.mark.usefixtures("permissions")
def test_of_sixteen_threads_that_sync_the_permissions_of_one_user_in_a_team_one_has_its_way(
    user: User, team: Team
) -> None:
    def sync(names: frozenset[str]) -> None:
        _load(user).sync_permissions(*names, team=team)

    with use_team(team):
        user.give_permission_to("a", "f")
        _run_at_once(sync, _SETS)
        found = frozenset(_load(user).get_permission_names())
        assert {name for name in _NAMES if user.can(name)} == found
    assert found in _SETS
    assert frozenset(UserGrant.objects.values_list("permission__codename", flat=True)) == found


@pytest.mark.parametrize("_round", range(3))
@pytest.mark.usefixtures("permissions")
def test_of_sixteen_threads_that_sync_the_permissions_of_one_role_one_has_its_way(user: User, _round: int) -> None:
    role = Role.create("role")
    user.assign_role(role)
    role.give_permission_to("a", "f")
    _run_at_once(lambda names: Role.objects.get(pk=role.pk).sync_permissions(*names), _SETS)
    found = frozenset(role.group.permissions.values_list("codename", flat=True))
    assert found in _SETS
    assert {name for name in _NAMES if _load(user).can(name)} == found
    assert {name for name in _NAMES if user.can(name)} == found


@pytest.mark.usefixtures("roles")
def test_sixteen_threads_that_assign_one_role_leave_one_row(user: User) -> None:
    _run_at_once(lambda _: _load(user).assign_role("a"), range(_PARALLEL))
    assert RoleAssignment.objects.filter(user=user).count() == 1
    assert user.groups.count() == 1


@pytest.mark.usefixtures("roles")
def test_sixteen_threads_that_assign_one_role_in_a_team_leave_one_row(user: User, team: Team) -> None:
    def assign(_: int) -> None:
        _load(user).assign_role("a", team=team)

    _run_at_once(assign, range(_PARALLEL))
    assert RoleAssignment.objects.filter(user=user).count() == 1
    assert not user.groups.exists()


@pytest.mark.usefixtures("permissions")
def test_sixteen_threads_that_give_one_permission_leave_one_row(user: User) -> None:
    _run_at_once(lambda _: _load(user).give_permission_to("a"), range(_PARALLEL))
    assert user.user_permissions.count() == 1


@pytest.mark.usefixtures("permissions")
def test_sixteen_threads_that_give_one_permission_in_a_team_leave_one_row(user: User, team: Team) -> None:
    def give(_: int) -> None:
        _load(user).give_permission_to("a", team=team)

    _run_at_once(give, range(_PARALLEL))
    assert UserGrant.objects.filter(user=user).count() == 1


@pytest.mark.usefixtures("permissions")
def test_sixteen_threads_that_forbid_one_permission_leave_one_row(user: User) -> None:
    _run_at_once(lambda _: _load(user).forbid_permission_to("a"), range(_PARALLEL))
    assert UserGrant.objects.filter(user=user, is_denied=True).count() == 1


def test_sixteen_threads_that_find_or_create_one_role_all_get_it() -> None:
    found = _run_at_once(lambda _: Role.find_or_create("editor").pk, range(_PARALLEL))
    assert len(set(found)) == 1
    assert Role.objects.count() == 1


def test_sixteen_threads_that_find_or_create_one_permission_all_get_it() -> None:
    found = _run_at_once(lambda _: Permission.find_or_create("edit articles").pk, range(_PARALLEL))
    assert len(set(found)) == 1


def test_threads_that_give_and_take_leave_what_a_fresh_look_sees(user: User, roles: list[Role]) -> None:
    """Roles and their records stay in step, whichever thread comes last."""

    def write(turn: int) -> None:
        member = _load(user)
        (member.assign_role if turn % 3 else member.remove_role)(roles[turn % 2])

    _run_at_once(write, range(_PARALLEL))
    recorded = set(RoleAssignment.objects.filter(user=user).values_list("role__name", flat=True))
    assert set(user.groups.values_list("role__name", flat=True)) == recorded
    assert set(user.get_role_names()) == recorded


def _inherit(pair: tuple[Role, Role]) -> bool:
    heir, parent = pair
    try:
        Role.objects.get(pk=heir.pk).inherit_from(Role.objects.get(pk=parent.pk))
    except InheritanceCycle:
        return False
    return True


@pytest.mark.parametrize("size", [2, 3, 6])
def test_threads_that_would_close_a_circle_of_inheritance_leave_none(roles: list[Role], size: int) -> None:
    circle = [(roles[number], roles[(number + 1) % size]) for number in range(size)]
    succeeded = _run_at_once(_inherit, circle)
    assert sum(succeeded) == size - 1
    assert not _has_circle()
    _check_that_links_are_complete()


def test_threads_that_tie_roles_together_leave_every_ancestor_known(user: User, roles: list[Role]) -> None:
    """A chain that is made from all its ends at once: whoever holds the last role has what the first one permits."""
    Permission.create("read")
    roles[0].give_permission_to("read")
    user.assign_role(roles[-1])
    assert not user.can("read")
    chain = [(roles[number + 1], roles[number]) for number in range(len(roles) - 1)]
    assert all(_run_at_once(_inherit, chain))
    _check_that_links_are_complete()
    assert user.can("read")
    assert _load(user).can("read")


def _has_circle() -> bool:
    parents: dict[int, set[int]] = {}
    for role, parent in RoleLink.objects.filter(is_parent=True).values_list("role_id", "ancestor_id"):
        parents.setdefault(role, set()).add(parent)

    def reaches(role: int, goal: int, seen: frozenset[int]) -> bool:
        return any(
            parent == goal or (parent not in seen and reaches(parent, goal, seen | {parent}))
            for parent in parents.get(role, ())
        )

    return any(reaches(role, role, frozenset()) for role in parents)


def _check_that_links_are_complete() -> None:
    links = set(RoleLink.objects.values_list("role_id", "ancestor_id"))
    closed = set(RoleLink.objects.filter(is_parent=True).values_list("role_id", "ancestor_id"))
    while more := {(role, high) for role, low in closed for middle, high in closed if low == middle} - closed:
        closed |= more
    assert links == closed


def test_what_is_not_committed_permits_only_the_one_who_writes(user: User, permissions: list[Permission]) -> None:
    """A process-wide memory must not carry over what another thread may still take back."""
    role = Role.create("role")
    user.assign_role(role)
    assert not user.can("a")

    def look() -> bool:
        try:
            return _load(user).can("a")
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as pool:
        with transaction.atomic():
            role.give_permission_to(permissions[0])
            assert _load(user).can("a")
            assert not pool.submit(look).result()
            assert _load(user).can("a")
            transaction.set_rollback(True)
        assert not _load(user).can("a")
        assert not user.can("a")
        assert not pool.submit(look).result()


def _say(act: Callable[[], object], refusal: type[Exception]) -> bool:
    """Do it, and say whether it was done rather than refused."""
    try:
        act()
    except refusal:
        return False
    return True


@pytest.mark.parametrize("number", range(10))
def test_who_gives_or_changes_a_role_that_goes_is_told_so_and_who_deletes_it_is_not_disturbed(
    user: User, number: int
) -> None:
    heir, role, free = Role.create("heir"), Role.create("role"), Permission.create("free")
    acts: list[Callable[[], object]] = [
        lambda: _load(user).assign_role(role),
        lambda: Role.objects.get(pk=heir.pk).inherit_from(role),
        lambda: services.update_role(role=role, permissions=[free]),
        lambda: services.give_role_permissions(role=role, permissions=[free]),
        lambda: services.update_role(role=heir, parents=[role]),
    ]
    tasks = acts[number % 5 :] + acts[: number % 5]
    tasks.insert(number % 3, lambda: services.delete_role(role=Role.objects.get(pk=role.pk)))
    _run_at_once(lambda act: _say(act, RoleDoesNotExist), tasks)
    assert [one.name for one in Role.objects.all()] == ["heir"]
    assert not RoleAssignment.objects.exists()
    assert not RoleLink.objects.exists()


@pytest.mark.parametrize("number", range(10))
def test_who_gives_or_forbids_a_permission_that_goes_is_told_so_and_who_deletes_it_is_not_disturbed(
    user: User, number: int
) -> None:
    role, free = Role.create("role"), Permission.create("free")
    acts: list[Callable[[], object]] = [
        lambda: _load(user).give_permission_to(free),
        lambda: _load(user).forbid_permission_to(free),
        lambda: services.update_role(role=role, permissions=[free]),
        lambda: services.give_role_permissions(role=role, permissions=[free]),
    ]
    tasks = acts[number % 4 :] + acts[: number % 4]
    tasks.insert(number % 3, lambda: services.delete_permission(permission=Permission.objects.get(pk=free.pk)))
    _run_at_once(lambda act: _say(act, PermissionDoesNotExist), tasks)
    assert not Permission.objects.filter(codename="free").exists()


@pytest.mark.parametrize("number", range(5))
def test_who_gives_something_to_somebody_that_goes_is_told_so(user: User, number: int) -> None:
    role, free = Role.create("role"), Permission.create("free")
    members = [_load(user) for _ in range(3)]
    tasks: list[Callable[[], object]] = [
        lambda: members[0].give_permission_to(free),
        lambda: members[1].forbid_permission_to(free),
        lambda: members[2].assign_role(role),
    ]
    tasks.insert(number % 3, lambda: delete_account(user=_load(user), now=timezone.now()))
    _run_at_once(lambda act: _say(act, UserDoesNotExist), tasks)
    assert not User.objects.exists()


def test_of_eight_threads_that_delete_one_role_one_does(user: User) -> None:
    user.assign_role(role := Role.create("role"))
    found = [Role.objects.get(pk=role.pk) for _ in range(8)]
    done = _run_at_once(lambda one: _say(lambda: services.delete_role(role=one), RoleDoesNotExist), found)
    assert sum(done) == 1
    assert AuditEvent.objects.filter(event__in=["role.deleted", "role.detached"]).count() == 2


def test_of_eight_threads_that_delete_one_permission_one_does() -> None:
    free = Permission.create("free")
    found = [Permission.objects.get(pk=free.pk) for _ in range(8)]
    done = _run_at_once(
        lambda one: _say(lambda: services.delete_permission(permission=one), PermissionDoesNotExist), found
    )
    assert sum(done) == 1
    assert AuditEvent.objects.filter(event="permission.deleted").count() == 1
