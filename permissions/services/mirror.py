"""What keeps roles and Django's groups one thing, and what repairs them."""

from collections.abc import Collection
from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django.db import transaction
from django.db.models import Exists, OuterRef, Q

from permissions import audit, conf, registrar
from permissions.models.roles import Role, RoleAssignment, UserGrant
from permissions.selectors import (
    is_name,
)
from permissions.services.announcements import announce_permissions, announce_roles, name_permissions
from permissions.services.rows import delete, insert, is_own_change


def adopt_group(*, group: Group) -> None:
    """Give a group its role, and the role the group's name. A group whose name no role may have stays a mere group."""
    if not is_name(group.name):
        return
    role, is_new = Role.objects.get_or_create(
        group=group, defaults={"name": group.name, "guard": conf.get().default_guard, "team_id": ""}
    )
    if role.name != group.name:
        Role.objects.filter(pk=role.pk).update(name=group.name)
        audit.record("role.renamed", subject=role, name=group.name, was=role.name)
    elif not is_new:
        return
    elif not is_own_change():
        audit.record("role.created", subject=role, name=role.name, guard=role.guard)
    registrar.touch(roles=[role.pk])


def name_group(*, name: str, guard: str, team_id: str) -> str:
    """Return what the group that backs a role is called: as the role, where Django can express the role."""
    if guard == conf.get().default_guard and not team_id:
        return name
    return f"{name}|{guard}|{team_id}"


def record_memberships(*, user_ids: Collection[Any], group_ids: Collection[int]) -> None:  # Any: keys of users
    """Write the records that new memberships lack, and announce the roles that came with them."""
    roles = list(Role.objects.filter(pk__in=group_ids))
    is_joined = Q(user__in=user_ids, role__in=roles, team_id="")
    RoleAssignment.objects.filter(is_joined).exclude(expires_at=None).update(expires_at=None)
    insert(RoleAssignment(user_id=user_id, role_id=role.pk) for role in roles for user_id in user_ids)
    registrar.touch(users=user_ids)
    for user_id in user_ids:
        announce_roles(is_attached=True, user_id=user_id, roles=roles, team_id="")


def forget_memberships(
    *,
    user_ids: Collection[Any] | None = None,
    group_ids: Collection[int] | None = None,  # Any: keys of users
) -> None:
    """Delete the records of memberships that ended, and announce it. None means all."""
    ended = Q(team_id="")
    ended &= Q() if user_ids is None else Q(user__in=user_ids)
    ended &= Q() if group_ids is None else Q(role__in=group_ids)
    rows = [row for row in RoleAssignment.objects.filter(ended).select_related("role") if row.role.is_mirrored]
    delete(RoleAssignment.objects.filter(pk__in=[row.pk for row in rows]))
    by_user: dict[object, list[Role]] = {user_id: [] for user_id in user_ids or ()}
    for row in rows:
        by_user.setdefault(row.user_id, []).append(row.role)
    registrar.touch(users=by_user)
    for user_id, roles in by_user.items():
        announce_roles(is_attached=False, user_id=user_id, roles=roles, team_id="")


@transaction.atomic
def repair_roles() -> tuple[int, int]:
    """Repair what was written behind Django's back: groups without a role, memberships and records without each other.

    Membership settles what is true of roles that Django can express. Returns how many roles were made, and how many
    records made or deleted. Every process looks at everything anew.
    """
    before = Role.objects.count()
    for group in Group.objects.filter(role=None):
        adopt_group(group=group)
    default = conf.get().default_guard
    membership = get_user_model().groups.through
    members = membership.objects.filter(user=OuterRef("user_id"), group=OuterRef("role_id"))
    mirrored = RoleAssignment.objects.filter(team_id="", expires_at=None, role__team_id="", role__guard=default)
    deleted, _ = mirrored.filter(~Exists(members)).delete()
    records = RoleAssignment.objects.filter(user=OuterRef("user_id"), role=OuterRef("group_id"), team_id="")
    missing = membership.objects.filter(
        ~Exists(records), group__role__team_id="", group__role__guard=default
    ).values_list("user_id", "group_id")
    made = RoleAssignment.objects.bulk_create(
        [RoleAssignment(user_id=user_id, role_id=role_id) for user_id, role_id in missing], ignore_conflicts=True
    )
    reset_cache()
    return Role.objects.count() - before, deleted + len(made)


@transaction.atomic
def reset_cache() -> None:
    """Let every process forget what it remembers of roles and users: after bulk inserts, or SQL by hand."""
    registrar.reset()


@transaction.atomic
def forget_team(*, team_id: str) -> None:
    """Delete a team's roles, and what was given in it: the team is gone."""
    users = set(RoleAssignment.objects.filter(team_id=team_id).values_list("user_id", flat=True))
    users |= set(UserGrant.objects.filter(team_id=team_id).values_list("user_id", flat=True))
    for row in RoleAssignment.objects.filter(team_id=team_id).exclude(role__team_id=team_id).select_related("role"):
        announce_roles(is_attached=False, user_id=row.user_id, roles=[row.role], team_id=team_id)
    for grant in UserGrant.objects.filter(team_id=team_id, is_denied=False).select_related("permission__content_type"):
        announce_permissions(
            is_attached=False, user_id=grant.user_id, names=name_permissions([grant.permission]), team_id=team_id
        )
    for role in Role.objects.filter(team_id=team_id):
        role.delete()
    delete(RoleAssignment.objects.filter(team_id=team_id))
    delete(UserGrant.objects.filter(team_id=team_id))
    registrar.touch(users=users)
    audit.record("team.forgotten", team=team_id)
