"""Conditions on users: who has a role, who holds a permission, who has a role in a team.

A list of users is read in its own order, and each is looked at until a page is full. Where few are meant that takes
long, so PostgreSQL is told then to start from those few.
"""

from collections.abc import Collection
from functools import reduce
from operator import or_
from typing import TYPE_CHECKING, Any, Final, override

from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django.db import connection
from django.db.models import BooleanField, Exists, ExpressionWrapper, Func, OuterRef, Q, QuerySet, Subquery, Value
from django.utils import timezone

from permissions import conf
from permissions.models.roles import Role, RoleAssignment, RoleLink, UserGrant

if TYPE_CHECKING:
    from django.db.backends.base.base import BaseDatabaseWrapper
    from django.db.models.sql.compiler import SQLCompiler, _AsSqlType

#: With more rows that can mean users, these are many.
FEW: Final = 5_000

type _Rows = QuerySet[Any, Any]  # Any: of several tables, each with a user


def effective_assignments(*, prefix: str = "", team_id: str = "") -> Q:
    """Return the condition that a ``RoleAssignment`` counts now in a team ("" means outside of teams)."""
    teams = {"", team_id}
    is_running = Q(**{f"{prefix}expires_at": None}) | Q(**{f"{prefix}expires_at__gt": timezone.now()})
    return is_running & Q(**{f"{prefix}team_id__in": teams, f"{prefix}role__team_id__in": teams})


def users_with_roles(role_ids: Collection[int], *, team_id: str) -> Q:
    """Return the condition that a user has one of the roles now, in a team ("" means outside of teams)."""
    rows = _rows_of_roles(Q(group__in=role_ids), Q(role__in=role_ids), team_id=team_id)
    return _start_from(Group.objects.filter(pk__in=role_ids)) & _named_in(*rows)


def users_with_permissions(permission_ids: Collection[int], *, guard: str, team_id: str) -> Q:
    """Return the condition that a user holds, undenied, one of the permissions, which all answer one question."""
    users = get_user_model()
    direct = users.user_permissions.through.objects.filter(permission__in=permission_ids)
    grants = UserGrant.objects.filter(permission__in=permission_ids, team_id__in={"", team_id})
    granted = grants.filter(is_denied=False)
    groups = Group.permissions.through.objects.filter(permission__in=permission_ids).values("group")
    holders = Role.objects.filter(guard=guard, pk__in=groups).order_by().values("pk")
    heirs = RoleLink.objects.filter(ancestor__in=holders).values("role")
    rows = _rows_of_roles(
        Q(group__in=holders) | Q(group__in=heirs), Q(role__in=holders) | Q(role__in=heirs), team_id=team_id
    )
    if guard == conf.get().default_guard:
        # A group that was written behind Django's back is no role yet, and gives its permissions all the same.
        rows.append(users.groups.through.objects.filter(group__role=None, group__in=groups))
    near = _start_from(Group.objects.filter(Q(pk__in=groups) | Q(pk__in=heirs)), direct, granted)
    return near & _named_in(*rows, direct, granted) & ~Q(Exists(grants.filter(user=OuterRef("pk"), is_denied=True)))


def users_in_teams(team_ids: Collection[str]) -> Q:
    """Return the condition that a user has a role in one of the teams now."""
    if not team_ids:
        return Q(pk__in=[])
    running = reduce(or_, (effective_assignments(team_id=team_id) & Q(team_id=team_id) for team_id in team_ids))
    return Q(Exists(RoleAssignment.objects.filter(running, user=OuterRef("pk"))))


def _rows_of_roles(of_groups: Q, of_roles: Q, *, team_id: str) -> list[_Rows]:
    """Return the memberships and assignments that count now, in a team."""
    default = conf.get().default_guard
    mirrored = Q(team_id="", expires_at=None, role__team_id="", role__guard=default)
    return [
        get_user_model().groups.through.objects.filter(of_groups, group__role__team_id="", group__role__guard=default),
        RoleAssignment.objects.filter(effective_assignments(team_id=team_id), of_roles).exclude(mirrored),
    ]


def _named_in(*rows: _Rows) -> Q:
    """Return the condition that one of the rows names the user."""
    return Q(_AnyOf(*(some.filter(user=OuterRef("pk")).values("user") for some in rows)))


def _start_from(roles: QuerySet[Group], *rows: _Rows) -> Q:
    """Return a condition that all meet whom the rows name or who have one of the roles; none where they are many.

    A query with it starts from those users, and stays right when they become many. SQLite has no words for it.
    """
    if connection.vendor != "postgresql":
        return Q()
    of_roles = (
        get_user_model().groups.through.objects.filter(group=OuterRef("pk")),
        RoleAssignment.objects.filter(role=OuterRef("pk")),
    )
    counted = _unite(
        *(some.values_list(Value(1)) for some in rows),
        *(roles.values_list(_Each(some.values_list(Value(1))[: FEW + 1])) for some in of_roles),
    )
    if list(counted[FEW : FEW + 1]):
        return Q()
    users = _unite(
        *(some.values_list("user") for some in rows),
        *(roles.values_list(_Each(some.values_list("user"))) for some in of_roles),
    )
    return Q(pk__in=_Few(users))


def _unite(*rows: _Rows) -> _Rows:
    first, *others = (some.order_by() for some in rows)
    return first.union(*others, all=True)


class _AnyOf(Func):
    """Whether one of several subqueries has a row, in words that suit what is read: a page or the whole list.

    PostgreSQL may hash subqueries that are joined by OR, that is read whole tables first. For a whole list that is
    best, but it takes no notice of a limit. A union it can't hash: it asks the indexes about each user in turn.
    """

    output_field = BooleanField()

    def __init__(self, *rows: _Rows) -> None:
        """Take the subqueries."""
        apart = reduce(or_, (Q(Exists(some)) for some in rows))
        super().__init__(Exists(_unite(*rows)), ExpressionWrapper(apart, output_field=BooleanField()))

    @override
    def as_sql(
        self, compiler: "SQLCompiler", connection: "BaseDatabaseWrapper", *_args: Any, **_extra: Any
    ) -> "_AsSqlType":  # Any: as Django's function has it
        """Return the subqueries joined by OR."""
        return compiler.compile(self.get_source_expressions()[1])

    def as_postgresql(
        self, compiler: "SQLCompiler", connection: "BaseDatabaseWrapper", **_extra: Any
    ) -> "_AsSqlType":  # Any: as above
        """Return the union for a page, and what every database gets for a whole list."""
        together, apart = self.get_source_expressions()
        return compiler.compile(together if compiler.query.is_sliced else apart)


class _Each(Subquery):
    """All values of a subquery, one by one. PostgreSQL runs it for each row apart, so on an index."""

    template = "unnest(ARRAY(%(subquery)s))"


class _Few(Subquery):
    """Values of which PostgreSQL expects ten, as of any array that it doesn't know yet, so that it starts from them."""

    template = "(SELECT unnest(ARRAY(%(subquery)s)))"
