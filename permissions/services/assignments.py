"""Who has a role, where and until when."""

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING

from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django.db import transaction
from django.db.models import Exists, OuterRef, QuerySet
from django.utils import timezone

from permissions import registrar, scope
from permissions.exceptions import (
    InvalidExpiry,
    TeamDoesNotMatch,
)
from permissions.models.roles import Role, RoleAssignment
from permissions.selectors import get_role

if TYPE_CHECKING:
    from permissions.models.roles import Holder

from permissions.services.announcements import announce_roles
from permissions.services.escalation import refuse_role_escalation
from permissions.services.rows import check_references, delete, insert, lock_user, tell_django, whole


def assign_role(
    *,
    user: "Holder",
    role: str,
    team: scope.TeamArgument = scope.CURRENT_TEAM,
    expires_at: datetime | None = None,
    granted_by: "Holder | None" = None,
) -> None:
    """Give a user the role of that name; see ``assign_roles``.

    Raises:
        RoleDoesNotExist: There is no such role, or no longer.
    """
    assign_roles(
        user=user,
        roles=[get_role(name=role)],
        team_id=scope.get_team_id(team),
        expires_at=expires_at,
        granted_by=granted_by,
    )


def assign_roles(
    *,
    user: "Holder",
    roles: Collection[Role],
    team_id: str = "",
    expires_at: datetime | None = None,
    granted_by: "Holder | None" = None,
) -> None:
    """Give a user roles, in a team or, where that is "", everywhere, until a moment or for ever.

    Harmless where the user has them there, also when two callers do it at once; the last word on the end holds.
    Writers of one user's roles wait for each other on the user's row.

    Raises:
        InvalidExpiry: The moment has passed, or doesn't name its time zone.
        TeamDoesNotMatch: A role belongs to another team.
        RoleDoesNotExist: One of the roles is gone.
        UserDoesNotExist: The user or ``granted_by`` isn't stored, or no longer.
        Escalation: ``granted_by`` doesn't hold all that the roles permit, or not so long.
    """
    if expires_at is not None and (timezone.is_naive(expires_at) or expires_at <= timezone.now()):
        raise InvalidExpiry
    _check(roles, team_id=team_id, granted_by=granted_by, until=expires_at)
    if not roles:
        return
    with whole(roles=roles):
        lock_user(user)
        known = {row.role_id: row for row in _find_rows(user, team_id).filter(role__in=roles)}
        _assign(user, roles, known=known, team_id=team_id, expires_at=expires_at, granted_by=granted_by)


def remove_role(
    *,
    user: "Holder",
    role: str,
    team: scope.TeamArgument = scope.CURRENT_TEAM,
    taken_by: "Holder | None" = None,
) -> None:
    """Take the role of that name from a user; see ``remove_roles``.

    Raises:
        RoleDoesNotExist: There is no such role.
    """
    remove_roles(user=user, roles=[get_role(name=role)], team_id=scope.get_team_id(team), taken_by=taken_by)


@transaction.atomic
def remove_roles(
    *, user: "Holder", roles: Collection[Role], team_id: str = "", taken_by: "Holder | None" = None
) -> None:
    """Take roles from a user, in exactly that team. Harmless where the user doesn't have them there.

    Raises:
        UserDoesNotExist: The user isn't stored, or no longer.
    """
    if roles:
        lock_user(user)
        _remove(user, roles, team_id=team_id, taken_by=taken_by)


def sync_user_roles(
    *, user: "Holder", roles: Collection[Role], team_id: str = "", granted_by: "Holder | None" = None
) -> None:
    """Give a user exactly these roles in exactly that team, of every guard. Who else does so waits.

    A role that the user has there until some moment keeps its end.

    Raises:
        TeamDoesNotMatch: A role belongs to another team.
        RoleDoesNotExist: One of the roles is gone.
        UserDoesNotExist: The user isn't stored, or no longer.
        Escalation: ``granted_by`` doesn't hold all that the new roles permit.
    """
    with whole(roles=roles):
        lock_user(user)
        known = {row.role_id: row for row in _find_rows(user, team_id).select_related("role__group")}
        held = {pk: row.role for pk, row in known.items()}
        if not team_id:
            held |= {role.pk: role for role in Role.objects.filter(group__user=user.pk).select_related("group")}
        now = timezone.now()
        running = {pk for pk, row in known.items() if row.expires_at is None or row.expires_at > now}
        new = [role for role in roles if role.pk not in running]
        _check(new, team_id=team_id, granted_by=granted_by)
        wanted = {role.pk for role in roles}
        _remove(user, [role for pk, role in held.items() if pk not in wanted], team_id=team_id, taken_by=granted_by)
        _assign(user, new, known=known, team_id=team_id, expires_at=None, granted_by=granted_by)


@transaction.atomic
def assign_to_users(*, role: Role, users: Iterable["Holder"], granted_by: "Holder | None" = None) -> None:
    """Give a role to users in the current team. Raises as ``assign_roles`` does."""
    for user in users:
        assign_roles(user=user, roles=[role], team_id=scope.get_team() or "", granted_by=granted_by)


@transaction.atomic
def remove_from_users(*, role: Role, users: Iterable["Holder"], taken_by: "Holder | None" = None) -> None:
    """Take a role from users in the current team."""
    for user in users:
        remove_roles(user=user, roles=[role], team_id=scope.get_team() or "", taken_by=taken_by)


@transaction.atomic
def sync_users(*, role: Role, users: Collection["Holder"], granted_by: "Holder | None" = None) -> None:
    """Give a role to exactly these users in the current team."""
    wanted = {user.pk for user in users}
    team_id = scope.get_team() or ""
    had = get_user_model()._default_manager.filter(  # noqa: SLF001 - Django's documented name of it
        Exists(RoleAssignment.objects.filter(user=OuterRef("pk"), role=role, team_id=team_id))
    )
    remove_from_users(role=role, users=[user for user in had if user.pk not in wanted], taken_by=granted_by)
    assign_to_users(role=role, users=users, granted_by=granted_by)


def _check(roles: Iterable[Role], *, team_id: str, granted_by: "Holder | None", until: datetime | None = None) -> None:
    for role in roles:
        if role.team_id not in {"", team_id}:
            raise TeamDoesNotMatch
        refuse_role_escalation(actor=granted_by, role=role, team_id=team_id, until=until)


def _find_rows(user: "Holder", team_id: str) -> "QuerySet[RoleAssignment]":
    return RoleAssignment.objects.filter(user=user.pk, team_id=team_id)


def _assign(
    user: "Holder",
    roles: Collection[Role],
    *,
    known: Mapping[int, RoleAssignment],
    team_id: str,
    expires_at: datetime | None,
    granted_by: "Holder | None",
) -> None:
    """Give the roles; ``known`` has the rows of those that the user has there."""
    changed = [role for role in roles if role.pk not in known or known[role.pk].expires_at != expires_at]
    mirrored = {role.pk for role in roles if role.is_mirrored and not team_id}
    granted_by_id = granted_by.pk if granted_by else None
    if old := [known[role.pk].pk for role in changed if role.pk in known]:
        RoleAssignment.objects.filter(pk__in=old).update(expires_at=expires_at, granted_by=granted_by_id)
    insert(
        RoleAssignment(
            user_id=user.pk, role_id=role.pk, team_id=team_id, expires_at=expires_at, granted_by_id=granted_by_id
        )
        for role in changed
        if role.pk not in known
    )
    if expires_at is None:
        _join_groups(user, mirrored)
    else:
        _leave_groups(user, mirrored & known.keys())
    if changed or mirrored:
        check_references()
        registrar.touch(users=[user.pk])
    announce_roles(
        is_attached=True,
        user_id=user.pk,
        roles=changed,
        team_id=team_id,
        expires_at=expires_at,
        actor=granted_by,
        label=str(user),
    )


def _remove(user: "Holder", roles: Collection[Role], *, team_id: str, taken_by: "Holder | None") -> None:
    """Take those of the roles that the user has there."""
    if not roles:
        return
    by_id = {role.pk: role for role in roles}
    rows = _find_rows(user, team_id).filter(role__in=list(by_id))
    had = set(rows.values_list("role_id", flat=True))
    if not team_id:
        had |= _leave_groups(user, by_id.keys())
    if not had:
        return
    delete(rows)
    registrar.touch(users=[user.pk])
    lost = [by_id[pk] for pk in by_id if pk in had]
    announce_roles(is_attached=False, user_id=user.pk, roles=lost, team_id=team_id, actor=taken_by, label=str(user))


def _join_groups(user: "Holder", group_ids: Collection[int]) -> None:
    if not group_ids:
        return
    through = get_user_model().groups.through
    tell_django(through, user, "pre_add", Group, set(group_ids))
    insert(through(user_id=user.pk, group_id=pk) for pk in group_ids)
    tell_django(through, user, "post_add", Group, set(group_ids))


def _leave_groups(user: "Holder", group_ids: Collection[int]) -> set[int]:
    """Take a user out of groups, and return those in which it was."""
    if not group_ids:
        return set()
    through = get_user_model().groups.through
    rows = through.objects.filter(user=user.pk, group__in=group_ids)
    left = set(rows.values_list("group_id", flat=True))
    if left:
        tell_django(through, user, "pre_remove", Group, left)
        rows.delete()
        tell_django(through, user, "post_remove", Group, left)
    return left
