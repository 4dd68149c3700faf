"""Roles: which ones are meant, which there are, and from which they inherit."""

from collections.abc import Collection, Iterable
from enum import Enum
from typing import TYPE_CHECKING
from uuid import UUID

from django.contrib.auth.models import Permission as DjangoPermission
from django.db.models import Model, Prefetch, Q, QuerySet

from permissions import conf, scope
from permissions.exceptions import GuardDoesNotMatch, RoleDoesNotExist, TeamDoesNotMatch
from permissions.models.roles import Permission, Role, RoleLink
from permissions.selectors.arguments import drop_too_large, read_key, sort_arguments
from permissions.selectors.names import find_guard, flatten, is_name, split_names

if TYPE_CHECKING:
    from permissions.snapshots import RoleFacts


def find_roles(
    *values: object,
    guard: str | None = None,
    guards: tuple[str, ...] = (),
    team: scope.TeamArgument = scope.CURRENT_TEAM,
    field: str = "role",
) -> list[Role]:
    """Return the roles that names, ids, rows, enums, or lists of them mean, each once, in one query.

    Names belong to ``guard``, the default guard where it is None; ids and rows may belong to any of ``guards``. All
    must be usable in the team; a team's own role comes before the role of that name which all teams can use.

    Raises:
        RoleDoesNotExist: One or more are unknown; it tells them all.
        GuardDoesNotMatch: A row belongs to another guard, or ``guard`` is none of ``guards``.
        TeamDoesNotMatch: A row belongs to another team.
        TypeError: A value can't mean a role.
    """
    guard = guard or conf.get().default_guard
    guards = guards or (guard,)
    if guard not in guards:
        raise GuardDoesNotMatch.expected(guard, guards)
    team_id = scope.get_team_id(team)
    rows, ids, names = sort_arguments(list(dict.fromkeys(flatten(values))), Role)
    for row in rows:
        if row.guard not in guards:
            raise GuardDoesNotMatch.expected(row.guard, guards)
        if row.team_id not in {"", team_id}:
            raise TeamDoesNotMatch
    condition = Q(pk__in=drop_too_large(ids), guard__in=guards) | Q(name__in=filter(is_name, names), guard=guard)
    usable = Role.objects.select_related("group").filter(condition, team_id__in={"", team_id})
    found = list(usable.order_by("team_id")) if ids or names else []  # a team's own last, so that it stays
    by_id = {role.pk: role for role in found}
    by_name = {role.name: role for role in found if role.guard == guard}
    if missing := [one for one in ids if one not in by_id]:
        raise RoleDoesNotExist.with_id(missing[0], guard=guard, field=field)
    if unknown := [name for name in names if name not in by_name]:
        raise RoleDoesNotExist.named(*unknown, guard=guard, field=field)
    result = [*rows, *(by_id[one] for one in ids), *(by_name[name] for name in names)]
    return list({role.pk: role for role in result}.values())


def get_role(*, name: str, guard: str | None = None, field: str = "role") -> Role:
    """Return the role of that name, usable in the current team.

    Raises:
        RoleDoesNotExist: There is none; ``field`` is blamed.
    """
    guard = guard or conf.get().default_guard
    found = find_roles(name, guard=guard, field=field)
    if not found:
        raise RoleDoesNotExist.named(name, guard=guard, field=field)
    return found[0]


def get_role_in(*, name: object, guard: str | None = None, team: scope.TeamArgument = scope.CURRENT_TEAM) -> Role:
    """Return the role of that name or id, in a guard (the default one where None) and a team.

    Raises:
        RoleDoesNotExist: There is none.
    """
    guard = find_guard(guard=guard, guards=(conf.get().default_guard,))
    found = find_roles(name, guard=guard, team=team)
    if not found:
        raise RoleDoesNotExist.named(name, guard=guard)
    return found[0]


def list_roles_named(*, name: str, guard: str | None, team_id: str) -> list[Role]:
    """Return all roles of a name that can be used in a team: its own, and the one of all teams.

    Raises:
        RoleDoesNotExist: There is none.
    """
    guard = guard or conf.get().default_guard
    usable = Role.objects.select_related("group").filter(name=name, guard=guard, team_id__in={"", team_id})
    roles = list(usable) if is_name(name) else []
    if not roles:
        raise RoleDoesNotExist.named(name, guard=guard)
    return roles


def list_parents(*, role: Role) -> QuerySet[Role]:
    """Return the roles that a role was told to inherit from."""
    return Role.objects.filter(descendant_links__role=role, descendant_links__is_parent=True)


def list_roles_of_permission(*, permission: Permission) -> QuerySet[Role]:
    """Return the roles that hold a permission themselves."""
    return Role.objects.select_related("group").filter(group__permissions=permission.pk)


def list_roles(*, team_id: str | None = None, guard: str | None = None) -> QuerySet[Role]:
    """Return all roles by name, or those that a team can use, with their permissions and parents at hand.

    That takes three queries for any number of roles.
    """
    permissions = DjangoPermission.objects.select_related("content_type")
    parents = RoleLink.objects.filter(is_parent=True).select_related("ancestor")
    roles = Role.objects.select_related("group").prefetch_related(
        Prefetch("group__permissions", permissions), Prefetch("ancestor_links", parents, to_attr="parent_links")
    )
    if team_id is not None:
        roles = roles.filter(team_id__in={"", team_id})
    return roles if guard is None else roles.filter(guard=guard)


def get_role_by_key(*, key: str, team_id: str | None, is_own: bool) -> Role:
    """Return the role of an id as ``list_roles`` does; ``is_own`` leaves out what belongs to other teams or to all.

    Raises:
        RoleDoesNotExist: There is none, or the id is no number.
    """
    roles = list_roles(team_id=team_id).filter(pk__in=read_key(key))
    role = (roles.filter(team_id=team_id or "") if is_own else roles).first()
    if role is None:
        raise RoleDoesNotExist.with_id(key, guard=conf.get().default_guard)
    return role


def get_parent_names(*, role: Role) -> list[str]:
    """Return the names of a role's parents, sorted; no query for a role from ``list_roles``."""
    links: list[RoleLink] | None = getattr(role, "parent_links", None)
    return sorted(parent.name for parent in (list_parents(role=role) if links is None else [x.ancestor for x in links]))


def list_role_ids(*, names: Collection[str], guard: str, team_id: str) -> QuerySet[Role, int]:
    """Return the keys of all roles of these names that can be used in a team: its own, and those of all teams."""
    return Role.objects.filter(name__in=names, guard=guard, team_id__in={"", team_id}).values_list("pk", flat=True)


def match_roles(*, roles: Collection["RoleFacts"], value: object, guard: str | None) -> bool:
    """Say whether one of the roles is what a name, ``a|b``, id, row, enum or list of them means.

    Raises:
        TypeError: The value can't mean a role.
    """
    if isinstance(value, Enum):
        value = value.value
    if isinstance(value, str):
        names = split_names(value)
        return any(role.name in names and guard in {None, role.guard} for role in roles)
    if isinstance(value, Role):
        return any(role.pk == value.pk and guard in {None, role.guard} for role in roles)
    if isinstance(value, UUID):
        return False
    if isinstance(value, int) and not isinstance(value, bool):
        return any(role.pk == value and guard in {None, role.guard} for role in roles)
    if isinstance(value, Iterable) and not isinstance(value, (bytes, Model)):
        return any(match_roles(roles=roles, value=one, guard=guard) for one in value)
    message = f"A role is asked for by its name, id or row, not by {type(value).__name__}."
    raise TypeError(message)
