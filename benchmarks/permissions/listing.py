"""Users by a permission, among very many, on PostgreSQL.

The process that measures has PostgreSQL as its only database, so the whole of it runs apart from the others.
"""

import dataclasses
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from time import perf_counter
from typing import Any, LiteralString

from django.contrib.auth.backends import ModelBackend
from django.core.management import call_command
from django.db import OperationalError, connection, transaction
from django.db.models import Model, Q, QuerySet
from psycopg import sql

from accounts.models import User
from benchmarks.harness import Figure, action, race
from benchmarks.postgresql import make_database
from permissions import registrar
from permissions.models import Permission, Role, RoleAssignment
from permissions.services import sync_permission_definitions

_ROLES = 10
_FIRST = 50
_MANY_HAVE, _FEW_HAVE = "bench.item0", "bench.few"
_FEW_USERS = 5
_PATIENCE_MS = 20_000
#: Tables with fewer rows may be read whole.
_LARGE = 10_000


def measure_on_postgresql(user_count: int) -> Iterator[Figure]:
    """Measure in a process of its own, on a database of its own."""
    with make_database() as url:
        code = "import django; django.setup(); from benchmarks.permissions.listing import main; main()"
        command = [sys.executable, "-c", code, str(user_count)]
        done = subprocess.run(  # noqa: S603 - our own module
            command, env=os.environ | {"DATABASE_URL": url}, stdout=subprocess.PIPE, check=True
        )
    yield from (Figure(**row) for row in json.loads(done.stdout))


def main() -> None:
    """Fill the database of ``DATABASE_URL``, measure, print the figures as JSON."""
    call_command("migrate", verbosity=0)
    user_count = int(sys.argv[1])
    _fill(user_count)
    json.dump([dataclasses.asdict(figure) for figure in _measure(user_count)], sys.stdout)


def _fill(user_count: int) -> None:
    """Give each user one of the roles; every third role permits what is asked for, and one user in 1,000 by itself.

    One more role permits something that nothing else does, and has five users.
    """
    sync_permission_definitions(names=[_FEW_HAVE, *(f"bench.item{number}" for number in range(200))])
    roles = [Role.create(f"role {number}") for number in range(_ROLES)]
    for number, role in enumerate(roles):
        role.give_permission_to(*(f"bench.item{item}" for item in range(200) if item or number % 3 == 0))
    pattern = User.objects.create(email="pattern@example.com", name="Somebody")
    pattern.assign_role(roles[0])
    _run(
        # A row that the ORM wrote is the pattern, so that this follows every column that the tables get.
        """
        INSERT INTO {users} SELECT (jsonb_populate_record(pattern, jsonb_build_object(
            'id', gen_random_uuid(), 'email', 'user' || n || '@example.com', 'created_at', now() - n * interval '1 s'
        ))).* FROM {users} pattern, generate_series(1, {user_count}) n WHERE pattern.id = {pattern}
        """,
        """
        INSERT INTO {members} (user_id, group_id)
        SELECT id, (ARRAY[{roles}])[1 + abs(hashtext(id::text)) % 10] FROM {users} WHERE email LIKE 'user%'
        """,
        """
        INSERT INTO {assignments} SELECT (jsonb_populate_record(pattern, jsonb_build_object(
            'id', nextval(pg_get_serial_sequence('permissions_roleassignment', 'id')),
            'user_id', member.user_id, 'role_id', member.group_id
        ))).* FROM {assignments} pattern, {members} member WHERE member.user_id <> {pattern}
        """,
        """
        INSERT INTO {grants} (user_id, permission_id)
        SELECT id, {permission} FROM {users} WHERE abs(hashtext(email)) % 1000 = 0
        """,
        "ANALYZE",
        users=_table(User),
        members=_table(User.groups.through),
        assignments=_table(RoleAssignment),
        grants=_table(User.user_permissions.through),
        user_count=sql.Literal(user_count),
        pattern=sql.Literal(pattern.pk),
        roles=sql.SQL(", ").join(sql.Literal(role.pk) for role in roles),
        permission=sql.Literal(Permission.find_by_name(_MANY_HAVE).pk),
    )
    few = Role.create("few").give_permission_to(_FEW_HAVE)
    few.assign_to_models(*User.objects.order_by("email")[:_FEW_USERS])
    registrar.clear()


def _table(model: type[Model]) -> sql.Identifier:
    return sql.Identifier(model._meta.db_table)  # noqa: SLF001 - Django's documented name of it


def _run(*statements: LiteralString, **parts: sql.Composable) -> None:

    with connection.cursor() as cursor:
        for one in statements:
            cursor.execute(sql.SQL(one).format(**parts))


def _read(users: QuerySet[User]) -> list[User]:
    return list(users.all())


def _measure(user_count: int) -> Iterator[Figure]:

    row = Permission.find_by_name(_MANY_HAVE)
    held = Q(user_permissions=row) | Q(groups__permissions=row)
    right = User.objects.filter(pk__in=User.objects.filter(held).order_by().values("pk")).order_by("pk")[:_FIRST]
    ours = User.objects.permission(_MANY_HAVE).order_by("pk")[:_FIRST]
    assert [user.pk for user in ours] == [user.pk for user in right]  # noqa: S101 - a figure of wrong answers is worth nothing
    assert len(User.objects.permission(_FEW_HAVE)) == _FEW_USERS  # noqa: S101 - as above
    peers = dict([_time_django(row)])
    for name, whose in ((_MANY_HAVE, f"{user_count:,} users with a permission"), (_FEW_HAVE, f"{_FEW_USERS} users")):
        users = User.objects.permission(name)
        lists = {"by key": users.order_by("pk")[:_FIRST], "in the order of the API": users[:_FIRST]}
        took = race({words: action(partial(_read, page)) for words, page in lists.items()})
        for words, page in lists.items():
            plan = _explain(page)
            yield Figure(
                name=f"P7 first {_FIRST} of {whose}, {words}",
                value=took[words] * 1e3,
                unit="ms",
                peers=peers if name == _MANY_HAVE else {},
                goal=20,
                is_less_better=True,
            )
            yield Figure(
                name=f"P7 large tables read whole ({', '.join(sorted(_kinds(plan)))})",
                value=sum(_is_large_scan(node) for node in _walk(plan)),
                unit="",
                goal=0,
                is_less_better=True,
            )
    yield from _measure_whole()


def _measure_whole() -> Iterator[Figure]:
    """Measure what has no goal: making the list, which looks the permission up, and counting the whole of it."""
    took = race({"making": action(partial(User.objects.permission, _MANY_HAVE))})
    yield Figure(name="P7 making the list", value=took["making"] * 1e3, unit="ms")
    started = perf_counter()
    count = User.objects.permission(_MANY_HAVE).count()
    yield Figure(name=f"P7 counting all {count:,}", value=(perf_counter() - started) * 1e3, unit="ms")


def _time_django(row: Permission) -> tuple[str, float]:
    """Return what Django's own list is called here, and the ms that it takes; it is stopped after a while."""
    users = ModelBackend().with_perm(row, include_superusers=False).order_by("pk")[:_FIRST]
    started = perf_counter()
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SET LOCAL statement_timeout = %s", [_PATIENCE_MS])
            _read(users)
    except OperationalError:
        return "Django's with_perm(), stopped after", _PATIENCE_MS
    return "Django's with_perm()", (perf_counter() - started) * 1e3


def _explain(users: QuerySet[User]) -> dict[str, Any]:  # Any: PostgreSQL's plan
    plan: dict[str, Any] = json.loads(users.explain(format="json"))[0]["Plan"]  # Any: as above
    return plan


def _walk(node: dict[str, Any]) -> Iterator[dict[str, Any]]:  # Any: PostgreSQL's plan
    yield node
    for child in node.get("Plans", ()):
        yield from _walk(child)


def _kinds(plan: dict[str, Any]) -> set[str]:  # Any: PostgreSQL's plan
    return {node["Node Type"] for node in _walk(plan)}


def _is_large_scan(node: dict[str, Any]) -> bool:  # Any: PostgreSQL's plan

    if node["Node Type"] != "Seq Scan":
        return False
    with connection.cursor() as cursor:
        cursor.execute("SELECT reltuples FROM pg_class WHERE relname = %s", [node["Relation Name"]])
        return bool(cursor.fetchone()[0] > _LARGE)
