"""What a user has and was given."""

from typing import TYPE_CHECKING, Any, TypedDict

from django.contrib.auth import get_user_model
from django.db.models import Prefetch, Q, QuerySet

from permissions import conf, registrar, scope
from permissions.models.roles import Permission, RoleAssignment, UserGrant
from permissions.selectors.conditions import effective_assignments
from permissions.selectors.names import find_guard
from permissions.selectors.permissions import as_permission, list_role_permissions, sort_permissions
from permissions.snapshots import Names

if TYPE_CHECKING:
    from permissions.models.roles import Holder
    from permissions.snapshots import Snapshot


def get_snapshot(user: "Holder", guard: str | None = None, team: str | None = None) -> "Snapshot":
    """Return what a user holds in a guard, its own where None, and in a team, the current one where None."""
    guards = get_guard_names(user)
    return registrar.get_snapshot(
        user, scope.Scope(find_guard(guard=guard, guards=guards), scope.get_team() if team is None else team or None)
    )


def get_guard_names(user: object) -> tuple[str, ...]:
    """Return the guards in which a user can hold roles and permissions; the first one holds where none is named."""
    guards: tuple[str, ...] = user.get_guard_names() if hasattr(user, "get_guard_names") else conf.get().guards
    return guards


def get_role_names(*, user: "Holder") -> list[str]:
    """Return the names of the roles that a user has now, sorted."""
    return sorted({role.name for role in get_snapshot(user).roles if role.name})


def list_assignments(*, user: "Holder", team_id: str | None) -> QuerySet[RoleAssignment]:
    """Return what roles a user was given: in a team and in all, or wherever it was where ``team_id`` is None."""
    rows = RoleAssignment.objects.filter(user=user.pk).select_related("role")
    if team_id is not None:
        rows = rows.filter(team_id__in={"", team_id})
    return rows.order_by("role__name", "role__guard", "team_id")


def direct_rows(*, user: "Holder", team_id: str) -> QuerySet[Any]:  # Any: rows of one of two tables
    """Return the rows that say what a user was given directly, in exactly that team."""
    if team_id:
        return UserGrant.objects.filter(user=user.pk, team_id=team_id, is_denied=False)
    return get_user_model().user_permissions.through.objects.filter(user=user.pk)


def denied_rows(*, user: "Holder", team_id: str) -> QuerySet[UserGrant]:
    """Return the rows that say what a user is forbidden, in exactly that team."""
    return UserGrant.objects.filter(user=user.pk, team_id=team_id, is_denied=True)


def list_direct_permissions(*, user: "Holder") -> list[Permission]:
    """Return what a user was given directly, in the current team and everywhere, by name."""
    granted = UserGrant.objects.filter(user=user.pk, is_denied=False, team_id__in={"", scope.get_team() or ""})
    return sort_permissions(
        Permission.objects.filter(Q(user=user.pk) | Q(pk__in=granted.values("permission"))).distinct()
    )


def list_permissions_via_roles(*, user: "Holder") -> list[Permission]:
    """Return what a user holds through roles, in the current team and everywhere, in every guard, by name."""
    roles = get_snapshot(user).roles
    return list_role_permissions(role_ids=registrar.find_lineage(role.pk for role in roles))


def list_all_permissions(*, user: "Holder") -> list[Permission]:
    """Return what a user holds, without what is forbidden, in every guard, by name."""
    if not user.is_active:
        return []
    held = {one.pk: one for one in list_direct_permissions(user=user) + list_permissions_via_roles(user=user)}
    guards = get_guard_names(user)
    denied = {guard: get_snapshot(user, guard).denied for guard in guards}
    return sorted(
        (one for one in held.values() if one.guard in guards and not _is_denied(one.identifier, denied[one.guard])),
        key=lambda one: (one.identifier, one.guard),
    )


def _is_denied(name: str, denied: Names) -> bool:
    """Say whether a permission is taken away: itself, which a pattern with a comma doesn't match, or by a pattern."""
    return name in denied.exact or name in denied


class Grant(TypedDict):
    """What a user was given or forbidden directly."""

    permission: str
    guard: str
    #: Key of the team; None where in all.
    team: str | None
    is_denied: bool


def list_grants(*, user: "Holder", team_id: str | None) -> list[Grant]:
    """Return what a user was given or forbidden directly: in a team and in all, or wherever where it is None."""
    rows = UserGrant.objects.filter(user=user.pk).select_related("permission__content_type")
    if team_id is not None:
        rows = rows.filter(team_id__in={"", team_id})
    found = [(permission, "", False) for permission in Permission.objects.filter(user=user.pk)]
    found += [(as_permission(row.permission), row.team_id, row.is_denied) for row in rows]
    grants: list[Grant] = [
        {"permission": one.identifier, "guard": one.guard, "team": team or None, "is_denied": is_denied}
        for one, team, is_denied in found
    ]
    return sorted(grants, key=lambda one: (one["permission"], one["guard"], one["team"] or "", one["is_denied"]))


def with_roles[Users: QuerySet[Any]](users: Users, *, team_id: str | None) -> Users:  # Any: of the user model
    """Bring along, with two queries for any number of users, what ``get_current_role_names`` reads."""
    running = RoleAssignment.objects.filter(effective_assignments(team_id=team_id or "")).select_related("role")
    return users.prefetch_related("groups", Prefetch("role_assignments", running, to_attr="running_assignments"))


def get_current_role_names(*, user: Any) -> list[str]:  # Any: with or without what ``with_roles`` brings along
    """Return the names of the roles that a user has now, sorted; no query for a row from ``with_roles``."""
    if not hasattr(user, "running_assignments"):
        return get_role_names(user=user)
    names = {group.name for group in user.groups.all()}  # a role that Django can express is called as its group
    for row in user.running_assignments:
        if row.team_id or row.expires_at or not row.role.is_mirrored:
            names.add(row.role.name)
    return sorted(names)
