"""Every write of roles, and of who has them. Each is one transaction.

Where a person acts (``granted_by``, ``created_by``, ``changed_by``) nobody can hand out what they don't hold; commands
and the seed name nobody and may do everything.
"""

from collections.abc import Collection, Iterable
from functools import partial
from typing import TYPE_CHECKING
from uuid import UUID

from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group, Permission
from django.db import IntegrityError, connection, transaction
from django.db.models import Exists, OuterRef, Q

from permissions.exceptions import Escalation, InvalidRoleName, RoleAlreadyExists, RoleDoesNotExist, UserDoesNotExist
from permissions.models import Role, RoleAssignment
from permissions.selectors import find_permissions, get_role, held_permissions, is_role_name
from permissions.signals import role_attached, role_detached

if TYPE_CHECKING:
    from permissions.models import Holder


@transaction.atomic
def create_role(*, name: str, permissions: Iterable[str] = (), created_by: "Holder | None" = None) -> Role:
    """Make a role, and the group that backs it.

    Raises:
        InvalidRoleName: See ``selectors.is_role_name``.
        RoleAlreadyExists: A role or a group has that name.
        PermissionDoesNotExist: One of the permissions is unknown.
        Escalation: ``created_by`` doesn't hold all of the permissions.
    """
    if not is_role_name(name):
        raise InvalidRoleName
    given = find_permissions(names=permissions)
    refuse_escalation(actor=created_by, permissions=given)
    try:
        with transaction.atomic():
            group = Group.objects.create(name=name)
    except IntegrityError as error:
        raise RoleAlreadyExists.named(name) from error
    role = Role.objects.select_related("group").get(pk=group.pk)  # made by the receiver of the group's creation
    role.group.permissions.set(given)
    return role


@transaction.atomic
def update_role(*, role: Role, name: str, permissions: Iterable[str], changed_by: "Holder | None" = None) -> Role:
    """Rename a role and give it exactly these permissions. All is checked before anything is written.

    Raises:
        InvalidRoleName: See ``selectors.is_role_name``.
        RoleDoesNotExist: The role was deleted meanwhile.
        RoleAlreadyExists: Another role or group has that name.
        PermissionDoesNotExist: One of the permissions is unknown.
        Escalation: ``changed_by`` doesn't hold all of the permissions that are new, or may not rename (``may_rename``).
    """
    if not is_role_name(name):
        raise InvalidRoleName
    given = find_permissions(names=permissions)
    group = Group.objects.select_for_update().filter(pk=role.pk).first()
    if group is None:
        raise RoleDoesNotExist.named(name)
    if name != group.name and not may_rename(actor=changed_by):
        raise Escalation("Only a superuser can rename a role.", detail=f"role {group.name}")
    old = set(group.permissions.values_list("pk", flat=True))
    refuse_escalation(actor=changed_by, permissions=[one for one in given if one.pk not in old])
    try:
        with transaction.atomic():
            group.name = name
            group.save()
    except IntegrityError as error:
        raise RoleAlreadyExists.named(name) from error
    group.permissions.set(given)
    return Role.objects.select_related("group").get(pk=group.pk)


def sync_permissions(*, role: str, permissions: Iterable[str], changed_by: "Holder | None" = None) -> Role:
    """Give a role exactly these permissions.

    Raises:
        RoleDoesNotExist: There is no such role.
        PermissionDoesNotExist: One of the permissions is unknown; nothing is changed.
        Escalation: ``changed_by`` doesn't hold all of the permissions that are new.
    """
    return update_role(role=get_role(name=role), name=role, permissions=permissions, changed_by=changed_by)


@transaction.atomic
def assign_role(*, user: "Holder", role: str, granted_by: "Holder | None" = None) -> None:
    """Give a user a role. Harmless where the user has it, also when two callers do it at once.

    Writers of one user's roles wait for each other on the user's row.

    Raises:
        RoleDoesNotExist: There is no such role, or no longer.
        UserDoesNotExist: The user or ``granted_by`` isn't stored, or no longer.
        Escalation: ``granted_by`` doesn't hold all that the role permits.
    """
    found = get_role(name=role)
    if granted_by is not None:
        refuse_escalation(actor=granted_by, permissions=list(found.group.permissions.all()))
    _lock_user(user)
    try:
        with transaction.atomic():
            RoleAssignment.objects.get_or_create(
                user_id=user.pk, role=found, defaults={"granted_by_id": granted_by.pk if granted_by else None}
            )
            user.groups.add(found.pk)
            _check_references()
    except IntegrityError as error:
        get_role(name=role)  # raises if that is what went away
        raise UserDoesNotExist from error


@transaction.atomic
def remove_role(*, user: "Holder", role: str) -> None:
    """Take a role from a user. Harmless where the user doesn't have it.

    Raises:
        RoleDoesNotExist: There is no such role.
        UserDoesNotExist: The user isn't stored, or no longer.
    """
    found = get_role(name=role)
    _lock_user(user)
    user.groups.remove(found.pk)


@transaction.atomic
def seed_roles() -> list[Role]:
    """Make the roles of a new installation; one that is there stays as it is."""
    everything = {permission.user_perm_str for permission in Permission.objects.select_related("content_type")}
    seeds = {"admin": everything, "editor": {"accounts.view_user", "permissions.view_role"}, "user": set[str]()}
    existing = {role.name: role for role in Role.objects.filter(name__in=seeds)}
    return [
        existing.get(name) or create_role(name=name, permissions=permissions) for name, permissions in seeds.items()
    ]


def may_rename(*, actor: "Holder | None") -> bool:
    """Say whether an actor may rename roles: active superusers and nobody (a command) may.

    Guards such as ``HasRole("admin")`` go by the name, so a new name may give a role's holders any right at all.
    """
    return actor is None or (actor.is_active and actor.is_superuser)


def refuse_escalation(*, actor: "Holder | None", permissions: Collection[Permission]) -> None:
    """Make sure that an actor holds these permissions, or is a superuser, or is nobody.

    Raises:
        Escalation: Some are missing.
    """
    if actor is None or not permissions or (actor.is_active and actor.is_superuser):
        return
    held = set(held_permissions(user=actor).values_list("pk", flat=True))
    if missing := [permission.user_perm_str for permission in permissions if permission.pk not in held]:
        raise Escalation(detail=f"user {actor.pk} lacks {', '.join(sorted(missing))}")


def adopt_group(*, group: Group) -> None:
    """Give a group its role, and the role the group's name. A group whose name no role may have stays a mere group."""
    if is_role_name(group.name):
        role, _ = Role.objects.get_or_create(group=group, defaults={"name": group.name})
        if role.name != group.name:
            Role.objects.filter(pk=role.pk).update(name=group.name)


@transaction.atomic
def sync_roles() -> tuple[int, int]:
    """Repair what was written behind Django's back: groups without a role, memberships and records without each other.

    Membership settles what is true. Returns how many roles were made, and how many records made or deleted.
    """
    before = Role.objects.count()
    for group in Group.objects.filter(role=None):
        adopt_group(group=group)
    membership = get_user_model().groups.through
    members = membership.objects.filter(user=OuterRef("user_id"), group=OuterRef("role_id"))
    deleted, _ = RoleAssignment.objects.filter(~Exists(members)).delete()
    records = RoleAssignment.objects.filter(user=OuterRef("user_id"), role=OuterRef("group_id"))
    missing = membership.objects.filter(~Exists(records), group__role__isnull=False).values_list("user_id", "group_id")
    made = RoleAssignment.objects.bulk_create(
        [RoleAssignment(user_id=user_id, role_id=role_id) for user_id, role_id in missing], ignore_conflicts=True
    )
    return Role.objects.count() - before, deleted + len(made)


def record_memberships(*, user_ids: Collection[UUID], group_ids: Collection[int]) -> None:
    """Write the records that new memberships lack, and announce the roles that came with them."""
    role_ids = Role.objects.filter(pk__in=group_ids).values_list("pk", flat=True)
    RoleAssignment.objects.bulk_create(
        [RoleAssignment(user_id=user_id, role_id=role_id) for role_id in role_ids for user_id in user_ids],
        ignore_conflicts=True,
    )
    for row in RoleAssignment.objects.filter(user__in=user_ids, role__in=group_ids).select_related("role"):
        _announce_attached(row)


def forget_memberships(*, user_ids: Collection[UUID] | None = None, group_ids: Collection[int] | None = None) -> None:
    """Delete the records of memberships that ended, and announce it. None means all."""
    ended = Q() if user_ids is None else Q(user__in=user_ids)
    ended &= Q() if group_ids is None else Q(role__in=group_ids)
    rows = list(RoleAssignment.objects.filter(ended).select_related("role"))
    RoleAssignment.objects.filter(pk__in=[row.pk for row in rows]).delete()
    for row in rows:
        arguments = {"sender": Role, "user_id": row.user_id, "role": row.role.name}
        transaction.on_commit(partial(role_detached.send, **arguments))


def _announce_attached(row: RoleAssignment) -> None:
    arguments = {"user_id": row.user_id, "role": row.role.name, "granted_by_id": row.granted_by_id}
    transaction.on_commit(partial(role_attached.send, sender=Role, **arguments))


def _check_references() -> None:
    """Let PostgreSQL check now, not at the commit, that what new rows refer to is still there, and keep it there.

    On SQLite nobody else writes meanwhile, and the check would read whole tables.
    """
    if connection.vendor == "postgresql":
        connection.check_constraints()


def _lock_user(user: "Holder") -> None:
    """Hold the user's row until the end of the transaction (a no-op on SQLite, whose transactions don't overlap)."""
    users = get_user_model()._default_manager  # noqa: SLF001 - Django's documented name of it
    if not list(users.select_for_update(no_key=True).filter(pk=user.pk).values_list("pk")):
        raise UserDoesNotExist
