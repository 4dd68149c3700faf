"""What lists of users by their rights find, and what PostgreSQL reads for them."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import connection
from django.db.models import Model, QuerySet

from accounts.models import User
from permissions.models import Permission, Role, RoleAssignment, UserGrant

type Ask = Callable[[], QuerySet[User]]
type Plan = dict[str, Any]  # Any: PostgreSQL's own names and values

pytestmark = pytest.mark.django_db
needs_postgresql = pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite hashes no tables.")

#: On PostgreSQL so many that its queries are not those for few.
_CROWD = 6_000 if connection.vendor == "postgresql" else 600
_PAGE = 50
#: Some rows of each table for each user on a page, and what it takes to ask about all users one by one.
_ROWS_OF_PAGE, _LOOPS_OF_ALL = 20 * _PAGE, _CROWD // 10
_TABLES: tuple[type[Model], ...] = (User, User.groups.through, User.user_permissions.through, RoleAssignment, UserGrant)

_LISTS: dict[str, Ask] = {
    "a permission that many have by a role": lambda: User.objects.permission("speak"),
    "a permission that all have directly": lambda: User.objects.permission("knock"),
    "a permission that few have by a role": lambda: User.objects.permission("rule"),
    "a permission that few have directly": lambda: User.objects.permission("fly"),
    "a permission that nobody has": lambda: User.objects.permission("swim"),
    "one of two permissions": lambda: User.objects.permission("speak", "fly"),
    "a permission that many lack": lambda: User.objects.without_permission("fly"),
    "a permission, as Django asks": lambda: User.objects.with_perm("web.speak"),
    "a role that many have": lambda: User.objects.role("member"),
    "one of two roles": lambda: User.objects.role("member", "guest"),
    "a role that few have": lambda: User.objects.role("chief"),
    "a role that many lack": lambda: User.objects.without_role("chief"),
}


@pytest.fixture
def crowd() -> list[User]:
    """Make every second user a member, every third a guest, and three chiefs; forbid every tenth what members may."""
    member, guest, chief = (Role.create(name) for name in ("member", "guest", "chief"))
    speak, knock, _rule, _fly, _swim = (Permission.create(name) for name in ("speak", "knock", "rule", "fly", "swim"))
    member.give_permission_to("speak")
    chief.give_permission_to("rule")
    users = User.objects.bulk_create(User(email=f"user{number}@example.com") for number in range(_CROWD))
    pairs = [(user.pk, member.pk) for user in users[::2]] + [(user.pk, guest.pk) for user in users[::3]]
    groups, given = User.groups.through, User.user_permissions.through
    groups.objects.bulk_create(groups(user_id=user, group_id=role) for user, role in pairs)
    RoleAssignment.objects.bulk_create(RoleAssignment(user_id=user, role_id=role) for user, role in pairs)
    given.objects.bulk_create(given(user_id=user.pk, permission_id=knock.pk) for user in users)
    UserGrant.objects.bulk_create(UserGrant(user=user, permission_id=speak.pk, is_denied=True) for user in users[::10])
    for user in users[-3:]:
        user.assign_role(chief)
        user.give_permission_to("fly")
    with connection.cursor() as cursor:
        for model in _TABLES:
            cursor.execute(f"ANALYZE {_name_table(model)}")
    return users


@needs_postgresql
@pytest.mark.usefixtures("crowd")
def test_a_page_reads_no_large_table_whole() -> None:
    orders: tuple[tuple[str, ...], ...] = (("pk",), ("created_at", "id"))
    for name, ask in _LISTS.items():
        for order in orders:
            read = _count_rows(_explain(ask().order_by(*order)[:_PAGE]))
            assert max(read.values()) <= _ROWS_OF_PAGE, f"{name}, by {order}: {read}"


@needs_postgresql
@pytest.mark.usefixtures("crowd")
@pytest.mark.parametrize("name", ["a role that many have", "a permission that many have by a role"])
def test_a_whole_list_is_no_question_for_each_user(name: str) -> None:
    tables = {_name_table(User.groups.through), _name_table(RoleAssignment)}
    nodes = [node for node in _walk(_explain(_LISTS[name]())) if node.get("Relation Name") in tables]
    assert max(node["Actual Loops"] for node in nodes) < _LOOPS_OF_ALL


def test_lists_of_many_users_find_the_right_ones(crowd: list[User]) -> None:
    members, guests, forbidden = set(crowd[::2]), set(crowd[::3]), set(crowd[::10])
    everybody, chiefs = set(crowd), set(crowd[-3:])
    right = {
        "a permission that many have by a role": members - forbidden,
        "a permission that all have directly": everybody,
        "a permission that few have by a role": chiefs,
        "a permission that few have directly": chiefs,
        "a permission that nobody has": set(),
        "one of two permissions": (members - forbidden) | chiefs,
        "a permission that many lack": everybody - chiefs,
        "a permission, as Django asks": members - forbidden,
        "a role that many have": members,
        "one of two roles": members | guests,
        "a role that few have": chiefs,
        "a role that many lack": everybody - chiefs,
    }
    for name, ask in _LISTS.items():
        assert set(ask()) == right[name], name
        assert set(ask()[:_CROWD]) == right[name], f"{name}, as a page"
        assert ask().count() == len(right[name]), f"{name}, counted"


def test_a_list_that_was_made_when_few_were_meant_finds_all_who_are_meant_now() -> None:
    role, permission = Role.create("member"), Permission.create("speak")
    by_role, by_permission = User.objects.role("member"), User.objects.permission("speak")
    users = [User.objects.create(email=f"user{number}@example.com") for number in range(3)]
    users[0].give_permission_to(permission)
    users[1].assign_role(role)
    role.give_permission_to(permission)
    assert list(by_role) == [users[1]]
    assert set(by_permission) == set(by_permission[:_PAGE]) == {users[0], users[1]}


def _explain(users: QuerySet[User]) -> Plan:
    plan: Plan = json.loads(users.explain(format="json", analyze=True))[0]["Plan"]
    return plan


def _walk(node: Plan) -> Iterator[Plan]:
    yield node
    for child in node.get("Plans", ()):
        yield from _walk(child)


def _count_rows(plan: Plan) -> dict[str, int]:
    """Return how many rows of each table were looked at, kept or not."""
    read = dict.fromkeys(map(_name_table, _TABLES), 0)
    for node in _walk(plan):
        if (name := node.get("Relation Name")) in read:
            dropped = node.get("Rows Removed by Filter", 0) + node.get("Rows Removed by Index Recheck", 0)
            read[name] += round((node["Actual Rows"] + dropped) * node["Actual Loops"])
    return read


def _name_table(model: type[Model]) -> str:
    return model._meta.db_table
