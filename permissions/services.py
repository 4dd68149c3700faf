"""Every write of roles, permissions, and of who has them. Each is one transaction.

Where a person acts (``granted_by``, ``created_by``, ``changed_by``) nobody can hand out what they don't hold, unless
they hold ``permissions.escalate``; commands and the seed name nobody and may do everything.

Each change is announced by a signal on commit and recorded in the audit log inside the transaction. Django's own
signals are sent too, so that who listens to ``user.groups`` or ``group.permissions`` hears of the verbs as well.
"""

from collections.abc import Collection, Iterable, Iterator
from contextvars import ContextVar
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django.contrib.auth.models import Permission as DjangoPermission
from django.contrib.contenttypes.models import ContentType
from django.db import IntegrityError, connection, transaction
from django.db.models import Exists, Model, OuterRef, Q
from django.db.models.signals import m2m_changed
from django.dispatch import Signal
from django.utils import timezone

from permissions import audit, conf, registrar, scope
from permissions.exceptions import (
    Escalation,
    GuardDoesNotMatch,
    InheritanceCycle,
    InvalidExpiry,
    InvalidPermissionName,
    InvalidRoleName,
    PermissionAlreadyExists,
    PermissionDoesNotExist,
    RoleAlreadyExists,
    RoleDoesNotExist,
    TeamDoesNotMatch,
    UserDoesNotExist,
)
from permissions.models.roles import Permission, Role, RoleAssignment, RoleLink, UserGrant, Version
from permissions.selectors import (
    find_permissions,
    get_permission,
    get_role,
    get_role_in,
    get_snapshot,
    is_name,
    is_name_of_app,
)
from permissions.signals import (
    permission_attached,
    permission_detached,
    permission_forbidden,
    permission_unforbidden,
    role_attached,
    role_detached,
)

if TYPE_CHECKING:
    from permissions.models.roles import Holder

type Action = Literal["pre_add", "post_add", "pre_remove", "post_remove", "pre_clear", "post_clear"]

_CHUNK = 10_000
_ESCALATE = "permissions.escalate"
#: Whether Django's signal about a relation was sent by these services, which have done already what receivers would.
_is_own: ContextVar[bool] = ContextVar("permissions_is_own", default=False)

# --- Roles -----------------------------------------------------------------------------------------------------------


@transaction.atomic
def create_role(
    *,
    name: str,
    permissions: Iterable[object] = (),
    parents: Iterable[Role] = (),
    guard: str | None = None,
    team: scope.TeamArgument = scope.CURRENT_TEAM,
    created_by: "Holder | None" = None,
) -> Role:
    """Make a role, and the group that backs it.

    Raises:
        InvalidRoleName: See ``selectors.is_name``.
        RoleAlreadyExists: A role of the guard and team, or a group, has that name.
        GuardDoesNotExist: There is no such guard.
        PermissionDoesNotExist: One of the permissions is unknown.
        GuardDoesNotMatch: A permission or parent belongs to another guard.
        Escalation: ``created_by`` doesn't hold all of the permissions.
    """
    if not is_name(name):
        raise InvalidRoleName
    guard = conf.get().default_guard if guard is None else scope.check_guard(guard)
    team_id = scope.get_team_id(team)
    given = find_permissions(*permissions, guard=guard)
    refuse_escalation(actor=created_by, permissions=given, team_id=team_id, guard=guard)
    try:
        with transaction.atomic():
            group = Group.objects.create(name=name_group(name=name, guard=guard, team_id=team_id))
            role, _ = Role.objects.get_or_create(
                group=group, defaults={"name": name, "guard": guard, "team_id": team_id}
            )
    except IntegrityError as error:
        raise RoleAlreadyExists.named(name, guard=guard) from error
    role.group = group
    registrar.touch(roles=[role.pk])
    audit.record("role.created", actor=created_by, subject=role, name=name, guard=guard, team=team_id)
    give_role_permissions(role=role, permissions=given, granted_by=created_by)
    inherit(role=role, parents=parents, granted_by=created_by)
    return role


@transaction.atomic
def update_role(*, role: Role, name: str, permissions: Iterable[object], changed_by: "Holder | None" = None) -> Role:
    """Rename a role and give it exactly these permissions. All is checked before anything is written.

    Raises:
        InvalidRoleName: See ``selectors.is_name``.
        RoleDoesNotExist: The role was deleted meanwhile.
        RoleAlreadyExists: Another role or group has that name.
        PermissionDoesNotExist: One of the permissions is unknown.
        Escalation: ``changed_by`` doesn't hold all of the permissions that are new, or may not rename (``may_rename``).
    """
    if not is_name(name):
        raise InvalidRoleName
    given = find_permissions(*permissions, guard=role.guard)
    stored = _lock_role(role)
    if name != stored.name and not may_rename(actor=changed_by):
        raise Escalation("Only a superuser can rename a role.", detail=f"role {stored.name}")
    old = set(stored.group.permissions.values_list("pk", flat=True))
    new = [one for one in given if one.pk not in old]
    refuse_escalation(actor=changed_by, permissions=new, team_id=stored.team_id, guard=stored.guard)
    if name != stored.name:
        try:
            with transaction.atomic():
                audit.record("role.renamed", actor=changed_by, subject=role, name=name, was=stored.name)
                stored.name = name
                stored.save(update_fields=["name"])
        except IntegrityError as error:
            raise RoleAlreadyExists.named(name, guard=stored.guard) from error
    sync_role_permissions(role=stored, permissions=given, granted_by=changed_by)
    return stored


def sync_permissions(*, role: str, permissions: Iterable[object], changed_by: "Holder | None" = None) -> Role:
    """Give a role exactly these permissions.

    Raises:
        RoleDoesNotExist: There is no such role.
        PermissionDoesNotExist: One of the permissions is unknown; nothing is changed.
        Escalation: ``changed_by`` doesn't hold all of the permissions that are new.
    """
    return update_role(role=get_role(name=role), name=role, permissions=permissions, changed_by=changed_by)


@transaction.atomic
def delete_role(*, role: Role, deleted_by: "Holder | None" = None) -> None:
    """Delete a role with its group, and take it from everybody."""
    audit.record("role.deleted", actor=deleted_by, subject=role, name=role.name, guard=role.guard, team=role.team_id)
    role.delete()


@transaction.atomic
def inherit(*, role: Role, parents: Iterable[Role], granted_by: "Holder | None" = None) -> None:
    """Let a role have all permissions of others, too.

    Raises:
        InheritanceCycle: One of them is the role itself, or inherits from it.
        GuardDoesNotMatch: One of them belongs to another guard.
        TeamDoesNotMatch: One of them belongs to another team.
        Escalation: ``granted_by`` doesn't hold all that they permit.
    """
    parents = list(parents)
    if not parents:
        return
    registrar.touch(structure=True)  # first, so that whoever else links roles waits
    for parent in parents:
        if parent.guard != role.guard:
            raise GuardDoesNotMatch.expected(parent.guard, [role.guard])
        if parent.team_id not in {"", role.team_id}:
            raise TeamDoesNotMatch
        if parent.pk == role.pk or RoleLink.objects.filter(role=parent, ancestor=role).exists():
            raise InheritanceCycle
        _refuse_role_escalation(actor=granted_by, role=parent, team_id=role.team_id)
    for parent in parents:
        RoleLink.objects.update_or_create(role=role, ancestor=parent, defaults={"is_parent": True})
    _relink(role)
    names = sorted(parent.name for parent in parents)
    audit.record("role.inherited", actor=granted_by, subject=role, parents=names)


@transaction.atomic
def disinherit(*, role: Role, parents: Iterable[Role], taken_by: "Holder | None" = None) -> None:
    """Let a role no longer have the permissions of others, unless a further parent passes them on."""
    parents = list(parents)
    registrar.touch(structure=True)
    if RoleLink.objects.filter(role=role, ancestor__in=parents, is_parent=True).update(is_parent=False):
        _relink(role)
        names = sorted(parent.name for parent in parents)
        audit.record("role.disinherited", actor=taken_by, subject=role, parents=names)


def relink(*, role_ids: Collection[int]) -> None:
    """Work out anew which ancestors these roles have, from their parents and their parents' ancestors."""
    links = RoleLink.objects.filter(is_parent=True)
    parents: dict[int, set[int]] = {pk: set() for pk in role_ids}
    unread = set(role_ids)
    while unread:
        found = list(links.filter(role__in=unread).values_list("role_id", "ancestor_id"))
        for role_id, parent_id in found:
            parents.setdefault(role_id, set()).add(parent_id)
        unread = {parent_id for _, parent_id in found} - parents.keys()
        parents |= {pk: set() for pk in unread}
    RoleLink.objects.filter(role__in=role_ids, is_parent=False).delete()
    RoleLink.objects.bulk_create(
        RoleLink(role_id=role_id, ancestor_id=ancestor_id, is_parent=False)
        for role_id in role_ids
        for ancestor_id in sorted(_find_ancestors(role_id, parents) - parents[role_id])
    )
    registrar.touch(roles=role_ids, structure=True)


@transaction.atomic
def find_or_create_role(*, name: str, guard: str | None = None, team: scope.TeamArgument = scope.CURRENT_TEAM) -> Role:
    """Return the role of that name in a guard and team, made where there is none; two callers get the same one."""
    try:
        return get_role_in(name=name, guard=guard, team=team)
    except RoleDoesNotExist:
        try:
            return create_role(name=name, guard=guard, team=team)
        except RoleAlreadyExists:
            return get_role_in(name=name, guard=guard, team=team)


@transaction.atomic
def seed_roles() -> list[Role]:
    """Make the roles of a new installation; one that is there stays as it is."""
    everything = {permission.identifier for permission in Permission.objects.all()}
    seeds = {"admin": everything, "editor": {"accounts.view_user", "permissions.view_role"}, "user": set[str]()}
    guard = conf.get().default_guard
    existing = {role.name: role for role in Role.objects.filter(name__in=seeds, guard=guard, team_id="")}
    return [
        existing.get(name) or create_role(name=name, permissions=permissions, team=None)
        for name, permissions in seeds.items()
    ]


# --- Permissions -----------------------------------------------------------------------------------------------------


@transaction.atomic
def create_permission(*, name: str, guard: str | None = None, created_by: "Holder | None" = None) -> Permission:
    """Make a free permission: one that no model declares.

    Raises:
        InvalidPermissionName: See ``selectors.is_name`` and ``selectors.is_name_of_app``.
        PermissionAlreadyExists: The guard has one of that name.
        GuardDoesNotExist: There is no such guard.
    """
    guard = conf.get().default_guard if guard is None else scope.check_guard(guard)
    check_permission_name(name)
    content_type, _ = ContentType.objects.get_or_create(app_label=guard, model="permission")
    try:
        with transaction.atomic():
            permission = Permission.objects.create(content_type=content_type, codename=name, name=name)
    except IntegrityError as error:
        raise PermissionAlreadyExists.named(name, guard=guard) from error
    audit.record("permission.created", actor=created_by, subject=permission, name=name, guard=guard)
    return permission


@transaction.atomic
def find_or_create_permission(*, name: str, guard: str | None = None) -> Permission:
    """Return the permission of that name in a guard, made where there is none; two callers get the same one."""
    try:
        return get_permission(name, guard=guard)
    except PermissionDoesNotExist:
        try:
            return create_permission(name=name, guard=guard)
        except PermissionAlreadyExists:
            return get_permission(name, guard=guard)


@transaction.atomic
def delete_permission(*, permission: Permission, deleted_by: "Holder | None" = None) -> None:
    """Delete a permission, and take it from everybody."""
    name, guard = permission.identifier, permission.guard
    audit.record("permission.deleted", actor=deleted_by, subject=permission, name=name, guard=guard)
    permission.delete()


@transaction.atomic
def sync_permission_definitions(*, names: Iterable[str], guard: str | None = None) -> int:
    """Make the free permissions that are missing, all at once, and return how many; none is deleted.

    Raises:
        InvalidPermissionName: One of the names; nothing is made.
        GuardDoesNotExist: There is no such guard.
    """
    guard = conf.get().default_guard if guard is None else scope.check_guard(guard)
    wanted = dict.fromkeys(names)
    for name in wanted:
        check_permission_name(name)
    content_type, _ = ContentType.objects.get_or_create(app_label=guard, model="permission")
    there = set(DjangoPermission.objects.filter(content_type=content_type).values_list("codename", flat=True))
    missing = [
        DjangoPermission(content_type=content_type, codename=name, name=name) for name in wanted if name not in there
    ]
    DjangoPermission.objects.bulk_create(missing, batch_size=_CHUNK, ignore_conflicts=True)
    if missing:
        audit.record("permission.defined", guard=guard, count=len(missing))
    return len(missing)


def check_permission_name(name: str) -> None:
    """Make sure that a free permission may be called so.

    Raises:
        InvalidPermissionName: It may not.
    """
    if not isinstance(name, str) or not is_name(name):
        raise InvalidPermissionName
    if is_name_of_app(name):
        raise InvalidPermissionName.of_app(name)


# --- What a role permits ---------------------------------------------------------------------------------------------


@transaction.atomic
def give_role_permissions(
    *, role: Role, permissions: Collection[Permission], granted_by: "Holder | None" = None
) -> None:
    """Give a role permissions; those it has stay. ``is_held`` on a permission says that it need not be looked up.

    Raises:
        Escalation: ``granted_by`` doesn't hold all of the permissions.
        RoleDoesNotExist: The role, or one of the permissions, was deleted meanwhile.
    """
    new = [one for one in permissions if not getattr(one, "is_held", False)]
    if not new:
        return
    refuse_escalation(actor=granted_by, permissions=new, team_id=role.team_id, guard=role.guard)
    through = Group.permissions.through
    ids = {one.pk for one in new}
    _tell_django(through, role.group, "pre_add", DjangoPermission, ids)
    _insert(through(group_id=role.pk, permission_id=one.pk) for one in new)
    _tell_django(through, role.group, "post_add", DjangoPermission, ids)
    registrar.touch(roles=[role.pk])
    announce_permissions(
        is_attached=True, role_id=role.pk, names=_names(new), team_id=role.team_id, granted_by=granted_by
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
    _tell_django(through, role.group, "pre_remove", DjangoPermission, ids)
    rows.delete()
    _tell_django(through, role.group, "post_remove", DjangoPermission, ids)
    registrar.touch(roles=[role.pk])
    names = _names(one for one in permissions if one.pk in ids)
    announce_permissions(is_attached=False, role_id=role.pk, names=names, team_id=role.team_id, granted_by=taken_by)


@transaction.atomic
def sync_role_permissions(
    *, role: Role, permissions: Collection[Permission], granted_by: "Holder | None" = None
) -> None:
    """Give a role exactly these permissions. Who else does so waits.

    Raises:
        RoleDoesNotExist: The role was deleted meanwhile.
        Escalation: ``granted_by`` doesn't hold all of the permissions that are new.
    """
    stored = _lock_role(role)
    old = {one.pk: one for one in Permission.objects.filter(group=role.pk)}
    wanted = {one.pk for one in permissions}
    revoke_role_permissions(
        role=stored, permissions=[one for pk, one in old.items() if pk not in wanted], taken_by=granted_by
    )
    give_role_permissions(
        role=stored, permissions=[one for one in permissions if one.pk not in old], granted_by=granted_by
    )


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
    """Give a permission to exactly these roles."""
    wanted = {role.pk for role in roles}
    others = Role.objects.select_related("group").filter(group__permissions=permission.pk).exclude(pk__in=wanted)
    revoke_permission_from_roles(permission=permission, roles=list(others), taken_by=granted_by)
    give_permission_to_roles(permission=permission, roles=roles, granted_by=granted_by)


# --- What a user may directly ----------------------------------------------------------------------------------------


@transaction.atomic
def give_user_permissions(
    *, user: "Holder", permissions: Collection[Permission], team_id: str = "", granted_by: "Holder | None" = None
) -> None:
    """Give a user permissions directly, in a team or, where that is "", everywhere; those had there stay.

    Raises:
        Escalation: ``granted_by`` doesn't hold all of the permissions.
        UserDoesNotExist: The user isn't stored, or no longer.
    """
    new = [one for one in permissions if not getattr(one, "is_held", False)]
    if not new:
        return
    refuse_escalation(actor=granted_by, permissions=new, team_id=team_id, by_guard=True)
    if team_id:
        _insert(_make_grants(user, new, team_id=team_id, granted_by=granted_by))
    else:
        through = get_user_model().user_permissions.through
        ids = {one.pk for one in new}
        _tell_django(through, user, "pre_add", DjangoPermission, ids)
        _insert(through(user_id=user.pk, permission_id=one.pk) for one in new)
        _tell_django(through, user, "post_add", DjangoPermission, ids)
    registrar.touch(users=[user.pk])
    announce_permissions(is_attached=True, user_id=user.pk, names=_names(new), team_id=team_id, granted_by=granted_by)


@transaction.atomic
def revoke_user_permissions(
    *,
    user: "Holder",
    permissions: Collection[DjangoPermission],
    team_id: str = "",
    taken_by: "Holder | None" = None,
) -> None:
    """Take from a user what was given directly, in exactly that team; what wasn't doesn't matter."""
    through = get_user_model().user_permissions.through
    rows = (
        UserGrant.objects.filter(user=user.pk, permission__in=permissions, team_id=team_id, is_denied=False)
        if team_id
        else through.objects.filter(user=user.pk, permission__in=permissions)
    )
    ids = set(rows.values_list("permission_id", flat=True))
    if not ids:
        return
    if not team_id:
        _tell_django(through, user, "pre_remove", DjangoPermission, ids)
    rows.delete()
    if not team_id:
        _tell_django(through, user, "post_remove", DjangoPermission, ids)
    registrar.touch(users=[user.pk])
    names = _names(one for one in permissions if one.pk in ids)
    announce_permissions(is_attached=False, user_id=user.pk, names=names, team_id=team_id, granted_by=taken_by)


@transaction.atomic
def sync_user_permissions(
    *, user: "Holder", permissions: Collection[Permission], team_id: str = "", granted_by: "Holder | None" = None
) -> None:
    """Give a user exactly these permissions directly, in exactly that team. Who else does so waits.

    Raises:
        Escalation: ``granted_by`` doesn't hold all of the permissions that are new.
        UserDoesNotExist: The user isn't stored, or no longer.
    """
    _lock_user(user)
    held = _list_direct_permissions(user=user, team_id=team_id)
    wanted, old = {one.pk for one in permissions}, {one.pk for one in held}
    revoke_user_permissions(
        user=user, permissions=[one for one in held if one.pk not in wanted], team_id=team_id, taken_by=granted_by
    )
    give_user_permissions(
        user=user, permissions=[one for one in permissions if one.pk not in old], team_id=team_id, granted_by=granted_by
    )


@transaction.atomic
def forbid_permissions(
    *, user: "Holder", permissions: Collection[Permission], team_id: str = "", forbidden_by: "Holder | None" = None
) -> None:
    """Forbid a user permissions, whatever gives them, in a team or, where that is "", everywhere.

    Raises:
        UserDoesNotExist: The user isn't stored, or no longer.
    """
    new = [one for one in permissions if not getattr(one, "is_held", False)]
    if not new:
        return
    _insert(_make_grants(user, new, team_id=team_id, granted_by=forbidden_by, is_denied=True))
    registrar.touch(users=[user.pk])
    _announce_denial(permission_forbidden, user, _names(new), team_id, forbidden_by)


@transaction.atomic
def unforbid_permissions(
    *, user: "Holder", permissions: Collection[Permission], team_id: str = "", granted_by: "Holder | None" = None
) -> None:
    """Lift what a user is forbidden, in exactly that team; what isn't doesn't matter.

    Raises:
        Escalation: ``granted_by`` doesn't hold all of the permissions.
    """
    rows = UserGrant.objects.filter(user=user.pk, permission__in=permissions, team_id=team_id, is_denied=True)
    ids = set(rows.values_list("permission_id", flat=True))
    lifted = [one for one in permissions if one.pk in ids]
    if not lifted:
        return
    refuse_escalation(actor=granted_by, permissions=lifted, team_id=team_id, by_guard=True)
    rows.delete()
    registrar.touch(users=[user.pk])
    _announce_denial(permission_unforbidden, user, _names(lifted), team_id, granted_by)


def _list_direct_permissions(*, user: "Holder", team_id: str = "") -> list[Permission]:
    """Return what a user was given directly, in exactly that team."""
    if not team_id:
        return list(Permission.objects.filter(user=user.pk))
    granted = UserGrant.objects.filter(user=user.pk, team_id=team_id, is_denied=False)
    return list(Permission.objects.filter(pk__in=granted.values("permission")))


# --- Who has a role --------------------------------------------------------------------------------------------------


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


@transaction.atomic
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
        Escalation: ``granted_by`` doesn't hold all that the roles permit.
    """
    if expires_at is not None and (timezone.is_naive(expires_at) or expires_at <= timezone.now()):
        raise InvalidExpiry
    for role in roles:
        if role.team_id not in {"", team_id}:
            raise TeamDoesNotMatch
        _refuse_role_escalation(actor=granted_by, role=role, team_id=team_id)
    if not roles:
        return
    _lock_user(user)
    known = {one.role_id: one for one in RoleAssignment.objects.filter(user=user.pk, role__in=roles, team_id=team_id)}
    changed = [role for role in roles if role.pk not in known or known[role.pk].expires_at != expires_at]
    mirrored = {role.pk for role in roles if role.is_mirrored and not team_id}
    try:
        with transaction.atomic():
            RoleAssignment.objects.filter(pk__in=[known[one.pk].pk for one in changed if one.pk in known]).update(
                expires_at=expires_at, granted_by=granted_by.pk if granted_by else None
            )
            _insert(
                RoleAssignment(
                    user_id=user.pk,
                    role_id=role.pk,
                    team_id=team_id,
                    expires_at=expires_at,
                    granted_by_id=granted_by.pk if granted_by else None,
                )
                for role in changed
                if role.pk not in known
            )
            if expires_at is None:
                _join_groups(user, mirrored)
            else:
                _leave_groups(user, mirrored & known.keys())
            _check_references()
    except IntegrityError as error:
        if Role.objects.filter(pk__in=[role.pk for role in roles]).count() < len(roles):
            raise RoleDoesNotExist.named(*(role.name for role in roles), guard=roles[0].guard) from error  # type: ignore[index]  # a collection of rows is a list here
        raise UserDoesNotExist from error
    if changed or mirrored:
        registrar.touch(users=[user.pk])
    if changed:
        announce_roles(
            is_attached=True, user_id=user.pk, roles=changed, team_id=team_id, expires_at=expires_at, actor=granted_by
        )


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
    if not roles:
        return
    _lock_user(user)
    by_id = {role.pk: role for role in roles}
    rows = RoleAssignment.objects.filter(user=user.pk, role__in=list(by_id), team_id=team_id)
    had = set(rows.values_list("role_id", flat=True))
    if not team_id:
        had |= _leave_groups(user, by_id.keys())
    if not had:
        return
    rows.delete()
    registrar.touch(users=[user.pk])
    lost = [by_id[pk] for pk in by_id if pk in had]
    announce_roles(is_attached=False, user_id=user.pk, roles=lost, team_id=team_id, actor=taken_by)


@transaction.atomic
def sync_user_roles(
    *, user: "Holder", roles: Collection[Role], team_id: str = "", granted_by: "Holder | None" = None
) -> None:
    """Give a user exactly these roles in exactly that team, of every guard. Who else does so waits.

    A role that the user has there until some moment keeps its end.

    Raises:
        UserDoesNotExist: The user isn't stored, or no longer.
        Escalation: ``granted_by`` doesn't hold all that the new roles permit.
    """
    _lock_user(user)
    now = timezone.now()
    is_running = Q(assignments__expires_at=None) | Q(assignments__expires_at__gt=now)
    has = Q(assignments__user=user.pk, assignments__team_id=team_id)
    held = {role.pk: role for role in Role.objects.filter(has).select_related("group")}
    running = set(Role.objects.filter(has & is_running).values_list("pk", flat=True))
    if not team_id:
        held |= {role.pk: role for role in Role.objects.filter(group__user=user.pk).select_related("group")}
    wanted = {role.pk for role in roles}
    remove_roles(
        user=user, roles=[one for pk, one in held.items() if pk not in wanted], team_id=team_id, taken_by=granted_by
    )
    assign_roles(
        user=user, roles=[one for one in roles if one.pk not in running], team_id=team_id, granted_by=granted_by
    )


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


# --- What Django's own relations did ---------------------------------------------------------------------------------


def is_own_change() -> bool:
    """Say whether the signal about a relation that is being handled was sent by these services."""
    return _is_own.get()


def adopt_group(*, group: Group) -> None:
    """Give a group its role, and the role the group's name. A group whose name no role may have stays a mere group."""
    if not is_name(group.name):
        return
    role, is_new = Role.objects.get_or_create(
        group=group, defaults={"name": group.name, "guard": conf.get().default_guard, "team_id": ""}
    )
    if role.name != group.name:
        Role.objects.filter(pk=role.pk).update(name=group.name)
    elif not is_new:
        return
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
    _insert(RoleAssignment(user_id=user_id, role_id=role.pk) for role in roles for user_id in user_ids)
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
    RoleAssignment.objects.filter(pk__in=[row.pk for row in rows]).delete()
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
    Version.objects.all().delete()
    registrar.touch(structure=True)
    registrar.clear()


@transaction.atomic
def forget_team(*, team_id: str) -> None:
    """Delete a team's roles, and what was given in it: the team is gone."""
    users = set(RoleAssignment.objects.filter(team_id=team_id).values_list("user_id", flat=True))
    users |= set(UserGrant.objects.filter(team_id=team_id).values_list("user_id", flat=True))
    RoleAssignment.objects.filter(team_id=team_id).delete()
    UserGrant.objects.filter(team_id=team_id).delete()
    for role in Role.objects.filter(team_id=team_id):
        role.delete()
    registrar.touch(users=users)
    audit.record("team.forgotten", team=team_id)


# --- Escalation ------------------------------------------------------------------------------------------------------


def may_rename(*, actor: "Holder | None") -> bool:
    """Say whether an actor may rename roles: active superusers and nobody (a command) may.

    Guards such as ``HasRole("admin")`` go by the name, so a new name may give a role's holders any right at all.
    """
    return actor is None or (actor.is_active and actor.is_superuser)


def refuse_escalation(
    *,
    actor: "Holder | None",
    permissions: Collection[DjangoPermission],
    team_id: str = "",
    guard: str | None = None,
    by_guard: bool = False,
) -> None:
    """Make sure that an actor holds these permissions where they are given, or is a superuser, or is nobody.

    ``team_id`` is the team in which they are given, "" where in all. ``by_guard`` looks each permission up in its own
    guard rather than in one.

    Raises:
        Escalation: Some are missing.
    """
    by_name: dict[str, set[str]] = {}
    for one in permissions:
        own, name = conf.get().identify(one.content_type.app_label, one.codename)
        by_name.setdefault(own if by_guard or guard is None else guard, set()).add(name)
    for own, names in by_name.items():
        _refuse_names(actor, names, guard=own, team_id=team_id)


def _refuse_role_escalation(*, actor: "Holder | None", role: Role, team_id: str) -> None:
    _refuse_names(actor, registrar.get_role_names(role.pk).exact, guard=role.guard, team_id=team_id)


def _refuse_names(actor: "Holder | None", names: Collection[str], *, guard: str, team_id: str) -> None:
    if actor is None or not names or (actor.is_active and actor.is_superuser):
        return
    default = get_snapshot(actor, conf.get().default_guard, team_id)
    if actor.is_active and default.holds(_ESCALATE):
        return
    held = get_snapshot(actor, guard, team_id)
    if missing := [name for name in names if not (actor.is_active and held.holds(name))]:
        raise Escalation(detail=f"user {actor.pk} lacks {', '.join(sorted(missing)[:20])}")


# --- Announcements ---------------------------------------------------------------------------------------------------


def announce_roles(
    *,
    is_attached: bool,
    user_id: object,
    roles: Iterable[Role],
    team_id: str,
    expires_at: datetime | None = None,
    actor: "Holder | None" = None,
) -> None:
    """Record and announce that a user got or lost roles; one signal for each guard."""
    by_guard: dict[str, list[str]] = {}
    for role in roles:
        by_guard.setdefault(role.guard, []).append(role.name)
    for guard, names in by_guard.items():
        arguments: dict[str, object] = {
            "user_id": user_id,
            "roles": tuple(sorted(names)),
            "guard": guard,
            "team_id": team_id,
            "granted_by_id": actor.pk if actor else None,
        }
        if is_attached:
            arguments["expires_at"] = expires_at
        _announce(
            role_attached if is_attached else role_detached,
            "role.attached" if is_attached else "role.detached",
            Role,
            actor,
            audit.Reference.to(get_user_model(), user_id),
            arguments,
        )


def announce_permissions(
    *,
    is_attached: bool,
    names: tuple[str, ...],
    user_id: object = None,
    role_id: int | None = None,
    team_id: str = "",
    granted_by: "Holder | None" = None,
) -> None:
    """Record and announce that a user or a role got or lost permissions."""
    is_role = role_id is not None
    arguments = {
        "holder": "role" if is_role else "user",
        "holder_id": role_id if is_role else user_id,
        "permissions": names,
        "team_id": team_id,
        "granted_by_id": granted_by.pk if granted_by else None,
    }
    _announce(
        permission_attached if is_attached else permission_detached,
        "permission.attached" if is_attached else "permission.detached",
        Permission,
        granted_by,
        audit.Reference.to(Role, role_id) if is_role else audit.Reference.to(get_user_model(), user_id),
        arguments,
    )


def _announce_denial(
    signal: Signal, user: "Holder", names: tuple[str, ...], team_id: str, actor: "Holder | None"
) -> None:
    arguments = {
        "user_id": user.pk,
        "permissions": names,
        "team_id": team_id,
        "granted_by_id": actor.pk if actor else None,
    }
    event = "permission.forbidden" if signal is permission_forbidden else "permission.unforbidden"
    _announce(signal, event, Permission, actor, audit.Reference.to(type(user), user.pk, str(user)), arguments)


def _announce(
    signal: Signal,
    event: str,
    sender: type[Model],
    actor: "Holder | None",
    subject: audit.Reference,
    arguments: dict[str, object],
) -> None:
    known = {"user_id", "holder", "holder_id", "granted_by_id"}
    audit.record(event, actor=actor, subject=subject, **{k: v for k, v in arguments.items() if k not in known and v})
    transaction.on_commit(partial(signal.send, sender=sender, **arguments))


# --- Rows ------------------------------------------------------------------------------------------------------------


def _names(permissions: Iterable[DjangoPermission]) -> tuple[str, ...]:
    identify = conf.get().identify
    return tuple(sorted(identify(one.content_type.app_label, one.codename)[1] for one in permissions))


def _make_grants(
    user: "Holder",
    permissions: Iterable[Permission],
    *,
    team_id: str,
    granted_by: "Holder | None",
    is_denied: bool = False,
) -> Iterator[UserGrant]:
    for one in permissions:
        yield UserGrant(
            user_id=user.pk,
            permission_id=one.pk,
            team_id=team_id,
            is_denied=is_denied,
            granted_by_id=granted_by.pk if granted_by else None,
        )


def _insert[Row: Model](rows: Iterable[Row]) -> None:
    """Insert rows, of one model, that aren't there; two callers may insert the same ones."""
    listed = list(rows)
    if listed:
        type(listed[0])._default_manager.bulk_create(listed, ignore_conflicts=True, batch_size=_CHUNK)  # noqa: SLF001 - Django's documented name of it


def _join_groups(user: "Holder", group_ids: Collection[int]) -> None:
    if not group_ids:
        return
    through = get_user_model().groups.through
    _tell_django(through, user, "pre_add", Group, set(group_ids))
    _insert(through(user_id=user.pk, group_id=pk) for pk in group_ids)
    _tell_django(through, user, "post_add", Group, set(group_ids))


def _leave_groups(user: "Holder", group_ids: Collection[int]) -> set[int]:
    """Take a user out of groups, and return those in which it was."""
    if not group_ids:
        return set()
    through = get_user_model().groups.through
    rows = through.objects.filter(user=user.pk, group__in=group_ids)
    left = set(rows.values_list("group_id", flat=True))
    if left:
        _tell_django(through, user, "pre_remove", Group, left)
        rows.delete()
        _tell_django(through, user, "post_remove", Group, left)
    return left


def _tell_django(
    through: type[Model],
    instance: Model,
    action: Action,
    model: type[Model],
    keys: set[Any],  # Any: keys of either model
) -> None:
    """Send the signal that Django sends when a relation is changed through its manager."""
    token = _is_own.set(True)
    try:
        m2m_changed.send(
            sender=through, instance=instance, action=action, reverse=False, model=model, pk_set=keys, using="default"
        )
    finally:
        _is_own.reset(token)


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


def _lock_role(role: Role) -> Role:
    """Hold the role's group until the end of the transaction, and return the role as it is stored."""
    if not list(Group.objects.select_for_update(no_key=True).filter(pk=role.pk).values_list("pk")):
        raise RoleDoesNotExist.named(role.name, guard=role.guard)
    return Role.objects.select_related("group").get(pk=role.pk)


def _relink(role: Role) -> None:
    heirs = RoleLink.objects.filter(ancestor=role).values_list("role_id", flat=True)
    relink(role_ids={role.pk, *heirs})


def _find_ancestors(role_id: int, parents: dict[int, set[int]]) -> set[int]:
    found: set[int] = set()
    unread = list(parents[role_id])
    while unread:
        pk = unread.pop()
        if pk not in found:
            found.add(pk)
            unread += parents.get(pk, ())
    return found
