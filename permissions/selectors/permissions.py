"""Permissions: which ones are meant, which there are, and what roles permit themselves."""

from collections.abc import Collection, Iterable
from enum import Enum
from typing import Any
from uuid import UUID

from django.contrib.auth.models import Group
from django.contrib.auth.models import Permission as DjangoPermission
from django.db.models import Exists, OuterRef, Q, QuerySet

from permissions import conf, registrar
from permissions.exceptions import GuardDoesNotMatch, PermissionDoesNotExist, WildcardPermissionInvalidArgument
from permissions.models.roles import Permission, Role
from permissions.selectors.arguments import drop_too_large, in_chunks, read_key, sort_arguments
from permissions.selectors.names import find_guard, flatten, strip_guard
from permissions.snapshots import Names


def find_permissions(
    *values: object,
    guard: str | None = None,
    guards: tuple[str, ...] = (),
    field: str = "permissions",
    held_in: QuerySet[Any] | None = None,  # Any: rows of any table between permissions and their holders
) -> list[Permission]:
    """Return the permissions that names, ids, rows, enums, or lists of them mean, each once, in one query.

    Names belong to ``guard``, the default guard where it is None; ids and rows may belong to any of ``guards``. Each
    says in ``is_held`` whether ``held_in`` has a row about it.

    Raises:
        PermissionDoesNotExist: One or more are unknown; it tells them all.
        GuardDoesNotMatch: A row belongs to another guard, or ``guard`` is none of ``guards``.
        TypeError: A value can't mean a permission.
    """
    guard = guard or conf.get().default_guard
    guards = guards or (guard,)
    if guard not in guards:
        raise GuardDoesNotMatch.expected(guard, guards)
    wanted = list(dict.fromkeys(flatten(values)))
    rows, ids, names = sort_arguments(wanted, DjangoPermission)
    for row in rows:
        if as_permission(row).guard not in guards:
            raise GuardDoesNotMatch.expected(as_permission(row).guard, guards)
    stored = Permission.objects.all()
    if held_in is not None:
        stored = stored.annotate(is_held=Exists(held_in.filter(permission=OuterRef("pk"))))
    found: list[Permission] = []
    for chunk in in_chunks(ids):
        found += stored.filter(pk__in=drop_too_large(chunk))
    by_id = {permission.pk: permission for permission in found if permission.guard in guards}
    by_name = _find_by_names(names, guard, stored)
    if missing := [one for one in ids if one not in by_id]:
        raise PermissionDoesNotExist.with_id(missing[0], guard=guard, field=field)
    if missing_names := [name for name in names if name not in by_name]:
        raise PermissionDoesNotExist.named(*missing_names, guard=guard, field=field)
    result = [as_permission(row) for row in rows] + list(by_id.values())
    result += [permission for permissions in by_name.values() for permission in permissions]
    return list({permission.pk: permission for permission in result}.values())


def find_permission_name(value: object, *, guard: str, guards: tuple[str, ...]) -> tuple[str, str]:
    """Return guard and name of the permission that a name, id, row or enum means.

    A name is returned as it is known, whether the permission exists or not: ``is_known`` says that.

    Raises:
        PermissionDoesNotExist: There is none of that id, or the value can't mean a permission.
        GuardDoesNotMatch: The row belongs to another guard, and patterns are off.
        WildcardPermissionInvalidArgument: Patterns are on, and the value is a list.
    """
    value = value.value if isinstance(value, Enum) else value
    match value:
        case str():
            return guard, strip_guard(value, guard=guard)
        case DjangoPermission():
            found = as_permission(value).guard, as_permission(value).identifier
            if found[0] not in guards and not conf.get().wildcards:
                raise GuardDoesNotMatch.expected(found[0], guards)
            return found
        case int() if not isinstance(value, bool):
            known = registrar.find_known_name(value) or _remember(Permission.objects.filter(pk=value).first())
            if known is None or known[0] not in guards:
                raise PermissionDoesNotExist.with_id(value, guard=guard)
            return known
        case list() | tuple() | set() | frozenset() if conf.get().wildcards:
            raise WildcardPermissionInvalidArgument
        case UUID():
            raise PermissionDoesNotExist.with_id(value, guard=guard)
        case _:
            raise PermissionDoesNotExist.named(value if value is not None else "", guard=guard)


def find_answering_permissions(
    value: object, *, guard: str, guards: tuple[str, ...], is_strict: bool = True
) -> tuple[str, list[int]]:
    """Return the guard, and the ids of all permissions that answer for what a name, id, row or enum means.

    That is the permission itself; where patterns are on, all patterns that match it.

    Raises:
        PermissionDoesNotExist: It is unknown, patterns are off, and ``is_strict`` is on; otherwise nothing answers.
        GuardDoesNotMatch: The row belongs to another guard.
    """
    guard, name = find_permission_name(value, guard=guard, guards=guards)
    if not conf.get().wildcards:
        found = _find_by_names([name], guard, Permission.objects.all()).get(name, [])
        if is_strict and not found:
            raise PermissionDoesNotExist.named(name, guard=guard)
        return guard, [permission.pk for permission in found]
    parts = name.split(".")
    prefixes = [".".join(parts[: count + 1]) for count in range(len(parts))]
    condition = guard_filter(guard) & (
        Q(codename__contains="*") | Q(codename__contains=",") | Q(codename__in=prefixes) | name_filter(name, guard)
    )
    for prefix in prefixes:
        condition |= name_filter(prefix, guard)
    candidates = Permission.objects.filter(condition)
    return guard, [one.pk for one in candidates if name in Names(frozenset({one.identifier}))]


def is_known(*, guard: str, name: str) -> bool:
    """Say whether a permission of that name exists; no query where this process has met it."""
    if registrar.find_known(guard=guard, name=name) is not None:
        return True
    return any(
        _remember(permission) for permission in _find_by_names([name], guard, Permission.objects.all()).get(name, ())
    )


def get_permission(value: object, *, guard: str | None = None) -> Permission:
    """Return the permission of that name or id, in a guard, the default one where None.

    Raises:
        PermissionDoesNotExist: There is none.
    """
    guard = find_guard(guard=guard, guards=(conf.get().default_guard,))
    found = find_permissions(value, guard=guard, field="permission")
    if not found:
        raise PermissionDoesNotExist.named(value, guard=guard, field="permission")
    return found[0]


def get_permission_by_key(*, key: str) -> Permission:
    """Return the permission of an id, of any guard.

    Raises:
        PermissionDoesNotExist: There is none, or the id is no number.
    """
    permission = Permission.objects.filter(pk__in=read_key(key)).first()
    if permission is None:
        raise PermissionDoesNotExist.with_id(key, guard=conf.get().default_guard)
    return permission


def list_permissions(*, guard: str | None = None, text: str = "") -> QuerySet[Permission]:
    """Return all permissions, by name, or those of a guard, or those with a text in name or title."""
    permissions = Permission.objects.order_by("content_type__app_label", "codename", "pk")
    if text:
        label, dot, rest = text.partition(".")
        condition = Q(codename__icontains=text) | Q(name__icontains=text) | Q(content_type__app_label__icontains=text)
        if dot:
            condition |= Q(content_type__app_label__iendswith=label, codename__istartswith=rest)
        permissions = permissions.filter(condition)
    return permissions if guard is None else permissions.filter(guard_filter(guard))


def list_role_permissions(*, role_ids: Collection[int]) -> list[Permission]:
    """Return what roles permit themselves, by name."""
    return sort_permissions(Permission.objects.filter(group__in=role_ids).distinct())


def role_rows(*, role: Role) -> QuerySet[Any]:  # Any: rows of Django's own table
    """Return the rows that say what a role permits."""
    return Group.permissions.through.objects.filter(group=role.pk)


def get_permission_names(*, role: Role) -> list[str]:
    """Return the names of a role's own permissions, sorted; no query for a role from ``list_roles``."""
    return sorted({as_permission(permission).identifier for permission in role.group.permissions.all()})


def guard_filter(guard: str, prefix: str = "") -> Q:
    """Return the condition that a permission, at the end of ``prefix``, belongs to a guard."""
    label = f"{prefix}content_type__app_label"
    others = [other for other in conf.get().guards if other != guard]
    if guard == conf.get().default_guard:
        return ~Q(**{f"{label}__in": others}) if others else Q()
    return Q(**{label: guard})


def name_filter(name: str, guard: str, prefix: str = "") -> Q:
    """Return the condition that a permission, at the end of ``prefix``, has that name in a guard."""
    label, codename = f"{prefix}content_type__app_label", f"{prefix}codename"
    condition = Q(**{label: guard, codename: strip_guard(name, guard=guard)})
    if guard == conf.get().default_guard and "." in name:
        head, rest = name.split(".", 1)
        if head not in conf.get().guards:
            condition |= Q(**{label: head, codename: rest})
    return condition


def as_permission(permission: DjangoPermission) -> Permission:
    """Return Django's row as ours, which knows its guard and name."""
    if not isinstance(permission, Permission):
        ours = Permission()
        ours.__dict__.update(permission.__dict__)
        return ours
    return permission


def sort_permissions(permissions: Iterable[Permission]) -> list[Permission]:
    """Return permissions by name, and those of one name by guard."""
    return sorted(permissions, key=lambda one: (one.identifier, one.guard))


def _find_by_names(names: Iterable[str], guard: str, stored: QuerySet[Permission]) -> dict[str, list[Permission]]:
    """Return the permissions that each name means in a guard; unknown names are left out."""
    by_name: dict[str, list[Permission]] = {}
    for chunk in in_chunks(list(names)):
        fitting = [name for name in chunk if name.isprintable()]
        free = {strip_guard(name, guard=guard) for name in fitting}
        condition = Q(content_type__app_label=guard, codename__in=free)
        parts = [name.split(".", 1) for name in fitting if "." in name and guard == conf.get().default_guard]
        if parts:
            labels = {label for label, _ in parts} - set(conf.get().guards)
            condition |= Q(content_type__app_label__in=labels, codename__in={codename for _, codename in parts})
        found: dict[str, list[Permission]] = {}
        for permission in stored.filter(condition).order_by("pk"):
            found.setdefault(permission.identifier, []).append(permission)
        for name in fitting:
            if permissions := found.get(strip_guard(name, guard=guard)):
                by_name[name] = permissions
    return by_name


def _remember(permission: Permission | None) -> tuple[str, str] | None:
    if permission is None:
        return None
    registrar.remember_known(permission_id=permission.pk, guard=permission.guard, name=permission.identifier)
    return permission.guard, permission.identifier
