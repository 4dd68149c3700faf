"""Permissions that no model declares."""

from collections.abc import Iterable
from contextlib import suppress
from typing import TYPE_CHECKING

from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django.contrib.auth.models import Permission as DjangoPermission
from django.contrib.contenttypes.models import ContentType
from django.db import IntegrityError, transaction

from permissions import audit, conf, scope
from permissions.exceptions import (
    InvalidPermissionName,
    PermissionAlreadyExists,
    PermissionDoesNotExist,
    PermissionIsDeclared,
    WildcardPermissionNotImplementsContract,
)
from permissions.models.roles import Permission, UserGrant
from permissions.selectors import (
    get_permission,
    is_name,
    is_name_of_app,
    is_name_of_guard,
)
from permissions.snapshots import make_matcher

if TYPE_CHECKING:
    from permissions.models.roles import Holder

from permissions.services.announcements import announce_permissions
from permissions.services.rows import CHUNK, lock_permission_to_delete


@transaction.atomic
def create_permission(*, name: str, guard: str | None = None, created_by: "Holder | None" = None) -> Permission:
    """Make a free permission: one that no model declares.

    Raises:
        InvalidPermissionName: See ``selectors.is_name``, ``is_name_of_app`` and ``is_name_of_guard``.
        WildcardPermissionNotProperlyFormatted: See ``check_permission_name``.
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
    """Delete a free permission, and take it from everybody. Of simultaneous deletions one is done.

    Raises:
        PermissionIsDeclared: A model declares it, so the next ``migrate`` would make it again, held by nobody.
        PermissionDoesNotExist: It is gone already.
    """
    if not permission.is_free:
        raise PermissionIsDeclared
    lock_permission_to_delete(permission)
    permission.__dict__["_deleted_by"] = deleted_by
    permission.delete()


def announce_deleted_permission(*, permission: DjangoPermission) -> None:
    """Record that a permission goes, and announce who loses it; whom it was forbidden loses nothing."""
    actor = permission.__dict__.pop("_deleted_by", None)
    guard, name = conf.get().identify(permission.content_type.app_label, permission.codename)
    audit.record("permission.deleted", actor=actor, subject=permission, name=name, guard=guard)
    roles = Group.permissions.through.objects.filter(permission=permission.pk)
    for role_id in roles.values_list("group_id", flat=True):
        announce_permissions(is_attached=False, role_id=role_id, names=(name,), granted_by=actor)
    direct = get_user_model().user_permissions.through.objects.filter(permission=permission.pk)
    holders = [(user_id, "") for user_id in direct.values_list("user_id", flat=True)]
    granted = UserGrant.objects.filter(permission=permission.pk, is_denied=False)
    holders += granted.values_list("user_id", "team_id")
    for user_id, team_id in holders:
        announce_permissions(is_attached=False, user_id=user_id, names=(name,), team_id=team_id, granted_by=actor)


@transaction.atomic
def sync_permission_definitions(*, names: Iterable[str], guard: str | None = None) -> int:
    """Make the free permissions that are missing, all at once, and return how many; none is deleted.

    Raises:
        InvalidPermissionName: One of the names; nothing is made.
        WildcardPermissionNotProperlyFormatted: The same.
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
    DjangoPermission.objects.bulk_create(missing, batch_size=CHUNK, ignore_conflicts=True)
    if missing:
        audit.record("permission.defined", guard=guard, count=len(missing))
    return len(missing)


def check_permission_name(name: object) -> None:
    """Make sure that a free permission may be called so.

    Raises:
        InvalidPermissionName: It may not.
        WildcardPermissionNotProperlyFormatted: With patterns on, it is none: every check of who held it would fail.
    """
    if not isinstance(name, str) or not is_name(name):
        raise InvalidPermissionName
    if is_name_of_app(name):
        raise InvalidPermissionName.of_app(name)
    if is_name_of_guard(name):
        raise InvalidPermissionName.of_guard(name)
    if conf.get().wildcards:
        with suppress(WildcardPermissionNotImplementsContract):  # a fault of the settings, not of the name
            make_matcher(frozenset({name}))
