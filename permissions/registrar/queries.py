"""The queries that read facts: one for a user, three for any number of roles."""

from collections.abc import Collection, Iterator
from datetime import datetime
from functools import cache
from sys import intern
from typing import TYPE_CHECKING, Any, Final

from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group, Permission
from django.db import connections, router
from django.db.models import (
    BigIntegerField,
    Case,
    CharField,
    DateTimeField,
    Expression,
    F,
    Model,
    Q,
    QuerySet,
    Value,
    When,
)
from django.db.models.functions import Cast

from permissions import conf
from permissions.models.roles import RoleAssignment, RoleLink, UserGrant, Version
from permissions.registrar.stamps import ROLES, get_role_key, get_user_key
from permissions.snapshots import Assigned, Granted, RoleFacts, UserFacts

if TYPE_CHECKING:
    from django.db.backends.base.base import BaseDatabaseWrapper

    from permissions.models.roles import Holder

#: Kind, number, team, label, code name and moment; which of them say something depends on the kind.
type _Row = tuple[str, int, str, str, str, datetime | None]


class _Place(str):
    """A parameter of a query that was written once; each execution puts a value of its own there."""

    __slots__ = ()


_USER: Final = _Place("user")
_STAMP: Final = _Place("stamp")
#: What a moment is to the converters of a connection.
_MOMENT: Final = Value(None, output_field=DateTimeField())


def query_user(user: "Holder") -> tuple[int | None, UserFacts]:
    """Return the stamp of the roles, and all facts about a user, from one query."""
    conf_now, stamp_key = conf.get(), get_user_key(user.pk)
    stamps: dict[str, int] = {}
    assigned: set[Assigned] = set()
    granted: set[Granted] = set()
    for kind, number, team_id, label, codename, moment in _read_rows(user, stamp_key=stamp_key):
        match kind:
            case "v":
                stamps[label] = number
            case "m" | "a":
                assigned.add(Assigned(number, intern(team_id), moment))
            case _:
                guard, name = conf_now.identify(label, codename)
                granted.add(Granted(number, guard, intern(name), intern(team_id), kind == "d"))
    return stamps.get(ROLES), UserFacts(stamps.get(stamp_key), tuple(assigned), tuple(granted))


def _read_rows(user: "Holder", *, stamp_key: str) -> "Iterator[_Row]":
    model = get_user_model()
    connection = connections[router.db_for_read(Version)]
    sql, parameters = _write_query(connection.alias, model, conf.get().default_guard)
    key = model._meta.pk.get_db_prep_value(user.pk, connection)  # noqa: SLF001 - Django's documented way to a model's fields
    values = {_USER: key, _STAMP: stamp_key}
    with connection.cursor() as cursor:
        cursor.execute(sql, [values[one] if isinstance(one, _Place) else one for one in parameters])
        rows: list[_Row] = cursor.fetchall()
    for kind, number, team_id, label, codename, moment in rows:
        converted = None if moment is None else _convert_moment(moment, connection)
        yield kind, number, team_id, label, codename, converted


def _convert_moment(
    moment: Any,  # Any: text, where the database has no such type
    connection: "BaseDatabaseWrapper",
) -> datetime:
    for convert in connection.ops.get_db_converters(_MOMENT):
        moment = convert(moment, _MOMENT, connection)
    converted: datetime = moment
    return converted


@cache
def _write_query(
    alias: str,
    user_model: type[Any],  # Any: the tables between have managers that types don't know
    default_guard: str,
) -> tuple[str, tuple[str | int, ...]]:
    """Return the one query and its parameters. Django takes far longer to write it than the database to answer."""
    is_mirrored = Q(team_id="", expires_at=None, role__team_id="", role__guard=default_guard)
    is_role_of_django = Q(group__role=None) | Q(group__role__team_id="", group__role__guard=default_guard)
    kind_of_grant = Case(When(is_denied=True, then=Value("d")), default=Value("p"))
    names = {"label": "permission__content_type__app_label", "codename": "permission__codename"}
    assignments = RoleAssignment.objects.filter(user=Value(_USER)).exclude(is_mirrored)
    rows = _select(Version.objects.filter(key__in=[ROLES, Value(_STAMP)]), "v", "stamp", label="key").union(
        _select(user_model.groups.through.objects.filter(is_role_of_django, user=Value(_USER)), "m", "group_id"),
        _select(assignments, "a", "role_id", "team_id", "expires_at"),
        _select(user_model.user_permissions.through.objects.filter(user=Value(_USER)), "p", "permission_id", **names),
        _select(UserGrant.objects.filter(user=Value(_USER)), kind_of_grant, "permission_id", "team_id", **names),
        all=True,
    )
    sql, parameters = rows.query.get_compiler(alias).as_sql()
    return sql, tuple(parameters)


def _select(
    rows: "QuerySet[Model]",
    kind: str | Expression,
    number: str,
    team_id: str = "",
    moment: str = "",
    *,
    label: str = "",
    codename: str = "",
) -> "QuerySet[Model, _Row]":
    """Return a part of the one query: columns of the same types, whatever the table."""
    nothing = Cast(Value(""), CharField())
    return rows.order_by().values_list(
        Cast(Value(kind) if isinstance(kind, str) else kind, CharField()),
        Cast(F(number), BigIntegerField()),
        Cast(F(team_id), CharField()) if team_id else nothing,
        Cast(F(label), CharField()) if label else nothing,
        Cast(F(codename), CharField()) if codename else nothing,
        F(moment) if moment else Cast(Value(None), DateTimeField()),
    )


def query_roles(role_ids: Collection[int]) -> list[RoleFacts]:
    """Return the facts of roles, from three queries; the stamps come first."""
    conf_now = conf.get()
    stamps = dict(Version.objects.filter(key__in=[get_role_key(pk) for pk in role_ids]).values_list("key", "stamp"))
    groups = list(Group.objects.filter(pk__in=role_ids).values_list("pk", "role__name", "role__guard", "role__team_id"))
    ancestors: dict[int, list[int]] = {pk: [] for pk in role_ids}
    for role_id, ancestor_id in RoleLink.objects.filter(role__in=role_ids).values_list("role_id", "ancestor_id"):
        ancestors[role_id].append(ancestor_id)
    names: dict[int, list[tuple[str, str]]] = {pk: [] for pk in role_ids}
    held = Permission.objects.filter(group__in=role_ids).order_by()
    for role_id, label, codename in held.values_list("group", "content_type__app_label", "codename"):
        names[role_id].append(conf_now.identify(label, codename))
    return [
        RoleFacts(
            pk=pk,
            name=role_name,
            guard=guard or conf_now.default_guard,
            team_id=team_id or "",
            names=frozenset(intern(name) for own, name in names[pk] if own == (guard or conf_now.default_guard)),
            ancestors=tuple(ancestors[pk]),
            stamp=stamps.get(get_role_key(pk)),
        )
        for pk, role_name, guard, team_id in groups
    ]
