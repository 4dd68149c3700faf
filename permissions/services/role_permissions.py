"""What a role permits."""

from collections.abc import Collection, Iterable, Mapping
from typing import TYPE_CHECKING

from django.contrib.auth.models import Group
from django.contrib.auth.models import Permission as DjangoPermission
from django.db import transaction
from django.db.models import BigIntegerField, QuerySet, Value
from django.db.models.functions import Cast

from permissions import registrar
from permissions.exceptions import GuardDoesNotMatch
from permissions.models.roles import Permission, Role
from permissions.selectors import name_filter, strip_guard
from permissions.selectors.arguments import in_chunks

if TYPE_CHECKING:
    from permissions.models.roles import Holder

from permissions.services.announcements import announce_permissions, name_permissions
from permissions.services.escalation import refuse_escalation
from permissions.services.rows import check_references, insert_selected, is_heard, lock_role, tell_django, whole


def give_role_permission(*, role: Role, name: str) -> bool:
    """Give a role the permission of that name in its guard, in one statement besides stamps and audit.

    False says that nothing was done: the role has it, there is none, or somebody waits for Django's signals, who is to
    be told before. ``give_role_permissions`` knows which.

    Raises:
        RoleDoesNotExist: The role is gone.
    """
    if not name.isprintable() or is_heard(Group.permissions.through):
        return False
    with whole(roles=[role]):
        given = _insert(role, Permission.objects.filter(name_filter(name, role.guard)))
        if given:
            _note(role, names=(strip_guard(name, guard=role.guard),) * len(given), granted_by=None)
    return bool(given)


def give_role_permissions(
    *, role: Role, permissions: Collection[Permission], granted_by: "Holder | None" = None
) -> None:
    """Give a role permissions; those it has stay. ``is_held`` on a permission says that it need not be looked up.

    Raises:
        Escalation: ``granted_by`` doesn't hold all of the permissions.
        RoleDoesNotExist: The role is gone.
        PermissionDoesNotExist: One of the permissions went away meanwhile.
    """
    new = {one.pk: one for one in permissions if not getattr(one, "is_held", False)}
    if not new:
        return
    with whole(roles=[role], permissions=new.values()):
        refuse_escalation(actor=granted_by, permissions=new.values(), team_id=role.team_id, guard=role.guard)
        registrar.hold_roles()  # first, as in lock_role
        through = Group.permissions.through
        tell_django(through, role.group, "pre_add", DjangoPermission, set(new))
        given = {pk for chunk in in_chunks(list(new)) for pk in _insert(role, Permission.objects.filter(pk__in=chunk))}
        if not given:
            return
        tell_django(through, role.group, "post_add", DjangoPermission, given)
        check_references()
        _note(role, names=name_permissions(new[pk] for pk in given), granted_by=granted_by)


def _insert(role: Role, permissions: QuerySet[Permission]) -> list[int]:
    """Give a role those of the permissions that it hasn't, and return their ids."""
    selected = permissions.values_list(Cast(Value(role.pk), BigIntegerField()), "pk")
    return insert_selected(Group.permissions.through, ("group_id", "permission_id"), selected)


def _note(role: Role, *, names: tuple[str, ...], granted_by: "Holder | None") -> None:
    """Let every process look again at a role that got permissions; record and announce it."""
    registrar.touch(roles=[role.pk])
    announce_permissions(
        is_attached=True, role_id=role.pk, names=names, team_id=role.team_id, granted_by=granted_by, label=role.name
    )


@transaction.atomic
def revoke_role_permissions(
    *, role: Role, permissions: Collection[DjangoPermission], taken_by: "Holder | None" = None
) -> None:
    """Take permissions from a role; those it doesn't have don't matter."""
    through = Group.permissions.through
    rows = through.objects.filter(group=role.pk, permission__in=permissions)
    ids = set(rows.values_list("permission_id", flat=True))
    if not ids:
        return
    tell_django(through, role.group, "pre_remove", DjangoPermission, ids)
    rows.delete()
    tell_django(through, role.group, "post_remove", DjangoPermission, ids)
    registrar.touch(roles=[role.pk])
    names = name_permissions(one for one in permissions if one.pk in ids)
    announce_permissions(
        is_attached=False,
        role_id=role.pk,
        names=names,
        team_id=role.team_id,
        granted_by=taken_by,
        label=role.name,
    )


@transaction.atomic
def sync_role_permissions(
    *, role: Role, permissions: Collection[Permission], granted_by: "Holder | None" = None
) -> None:
    """Give a role exactly these permissions. Who else does so waits.

    Raises:
        RoleDoesNotExist: The role was deleted meanwhile.
        Escalation: ``granted_by`` doesn't hold all of the permissions that are new.
    """
    stored = lock_role(role)
    old = {one.pk: one for one in Permission.objects.filter(group=role.pk)}
    wanted = {one.pk for one in permissions}
    # First, because the actor may hold what is new through what is about to go.
    give_role_permissions(
        role=stored, permissions=[one for one in permissions if one.pk not in old], granted_by=granted_by
    )
    revoke_role_permissions(
        role=stored, permissions=[one for pk, one in old.items() if pk not in wanted], taken_by=granted_by
    )


@transaction.atomic
def change_role_permissions(
    *,
    given: Mapping[Role, Collection[Permission]],
    taken: Mapping[Role, Collection[Permission]],
    changed_by: "Holder | None" = None,
) -> None:
    """Give roles permissions and take others from them, all or nothing; everything else stays. Who else does so waits.

    Raises:
        RoleDoesNotExist: One of the roles was deleted meanwhile.
        GuardDoesNotMatch: A permission belongs to another guard than its role.
        Escalation: ``changed_by`` doesn't hold all of the permissions that are new.
    """
    roles = [lock_role(role) for role in sorted({*given, *taken}, key=lambda role: role.pk)]
    for role in roles:
        had = set(role.group.permissions.values_list("pk", flat=True))
        new = [one for one in given.get(role, ()) if one.pk not in had]
        if strangers := [one.guard for one in new if one.guard != role.guard]:
            raise GuardDoesNotMatch.expected(strangers[0], [role.guard])
        give_role_permissions(role=role, permissions=new, granted_by=changed_by)
    # Last, because the actor may hold what is given through a role that is about to lose it.
    for role in roles:
        revoke_role_permissions(role=role, permissions=taken.get(role, ()), taken_by=changed_by)


@transaction.atomic
def give_permission_to_roles(
    *, permission: Permission, roles: Iterable[Role], granted_by: "Holder | None" = None
) -> None:
    """Give a permission to roles. Raises as ``give_role_permissions`` does."""
    had = set(Group.permissions.through.objects.filter(permission=permission.pk).values_list("group_id", flat=True))
    for role in roles:
        if role.pk not in had:
            give_role_permissions(role=role, permissions=[permission], granted_by=granted_by)


@transaction.atomic
def revoke_permission_from_roles(
    *, permission: Permission, roles: Iterable[Role], taken_by: "Holder | None" = None
) -> None:
    """Take a permission from roles."""
    for role in roles:
        revoke_role_permissions(role=role, permissions=[permission], taken_by=taken_by)


@transaction.atomic
def sync_permission_to_roles(
    *, permission: Permission, roles: Collection[Role], granted_by: "Holder | None" = None
) -> None:
    """Give a permission to exactly these roles. Raises as ``give_role_permissions`` does."""
    wanted = {role.pk for role in roles}
    others = Role.objects.select_related("group").filter(group__permissions=permission.pk).exclude(pk__in=wanted)
    # First, because the actor may hold the permission through a role that is about to lose it.
    give_permission_to_roles(permission=permission, roles=roles, granted_by=granted_by)
    revoke_permission_from_roles(permission=permission, roles=list(others), taken_by=granted_by)
