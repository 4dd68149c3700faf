"""What other modules and apps may read of roles and permissions."""

from collections.abc import Iterable
from typing import TYPE_CHECKING
from uuid import UUID

from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.db.models import Exists, OuterRef, Prefetch, Q, QuerySet

from permissions.exceptions import PermissionDoesNotExist, RoleDoesNotExist, UserDoesNotExist
from permissions.models import Role

if TYPE_CHECKING:
    from permissions.models import Holder

MAX_NAME_LENGTH = 100


def is_role_name(name: str) -> bool:
    """Say whether a role may be called so: 1 to 100 printable characters, no ``|``, no space at either end.

    Printable excludes control characters, lone surrogates and invisible marks that make two names look alike.
    """
    return 0 < len(name) <= MAX_NAME_LENGTH and name.isprintable() and "|" not in name and name == name.strip()


def split_names(names: str) -> list[str]:
    """Return the names in ``a|b``; one matched pair of quotes around the whole is dropped, as Spatie does."""
    if "|" not in names:
        return [names]
    if names[0] == names[-1] and names[0] in "'\"":
        names = names[1:-1]
    return [name for name in names.split("|") if name]


def get_role(*, name: str, field: str = "role") -> Role:
    """Return the role of that name.

    Raises:
        RoleDoesNotExist: There is none; ``field`` is blamed.
    """
    role = Role.objects.select_related("group").filter(name=name).first() if is_role_name(name) else None
    if role is None:
        raise RoleDoesNotExist.named(name, field=field)
    return role


def list_roles() -> QuerySet[Role]:
    """Return all roles by name, with their permissions fetched in one further query."""
    permissions = Permission.objects.select_related("content_type")
    return Role.objects.select_related("group").prefetch_related(Prefetch("group__permissions", permissions))


def get_permission_names(*, role: Role) -> list[str]:
    """Return the names of a role's permissions, sorted; no query for a role from ``list_roles``."""
    return sorted({permission.user_perm_str for permission in role.group.permissions.all()})


def get_role_names(*, user: "Holder") -> list[str]:
    """Return the names of a user's roles, sorted."""
    return list(Role.objects.filter(group__user=user.pk).values_list("name", flat=True))


def has_role(*, user: "Holder", role: str) -> bool:
    """Say whether a user has a role, or one of several (``a|b``). Unknown roles are had by nobody."""
    names = [name for name in split_names(role) if is_role_name(name)]
    return Role.objects.filter(name__in=names, group__user=user.pk).exists()


def has_permission_to(*, user: "Holder", name: str) -> bool:
    """Say whether a permission was given to an active user, directly or by a role; ``is_superuser`` is not asked.

    Raises:
        PermissionDoesNotExist: There is none of that name.
    """
    is_held = Exists(held_permissions(user=user).filter(pk=OuterRef("pk")))
    answers = list(_permissions_named({name}).annotate(is_held=is_held).values_list("is_held", flat=True))
    if not answers:
        raise PermissionDoesNotExist.named(name, field="permission")
    return any(answers)


def held_permissions(*, user: "Holder") -> QuerySet[Permission]:
    """Return what was given to a user, directly or by groups; nothing for an inactive one. May hold duplicates."""
    if not user.is_active:
        return Permission.objects.none()
    return Permission.objects.filter(Q(group__user=user.pk) | Q(user=user.pk)).order_by()


def find_permissions(*, names: Iterable[str]) -> list[Permission]:
    """Return the permissions of those names, such as ``accounts.view_user``.

    Raises:
        PermissionDoesNotExist: One or more of the names are unknown; it names them all.
    """
    wanted = dict.fromkeys(names)
    found = [
        permission
        for permission in _permissions_named(wanted).select_related("content_type")
        if permission.user_perm_str in wanted
    ]
    if unknown := wanted.keys() - {permission.user_perm_str for permission in found}:
        raise PermissionDoesNotExist.named(*(name for name in wanted if name in unknown))
    return found


def _permissions_named(names: Iterable[str]) -> QuerySet[Permission]:
    """Return the permissions of those names, and where there are several names maybe more."""
    parts = [name.split(".", 1) for name in names if name.isprintable() and "." in name]
    return Permission.objects.filter(
        content_type__app_label__in={app_label for app_label, _ in parts},
        codename__in={codename for _, codename in parts},
    ).order_by()


def get_user(*, user_id: str) -> "Holder":
    """Return the user of that id, however the client spelt the UUID.

    Raises:
        UserDoesNotExist: There is none, or the id is no UUID.
    """
    users = get_user_model()._default_manager  # noqa: SLF001 - Django's documented name of it
    try:
        user = users.filter(pk=UUID(user_id)).first()
    except ValueError as error:
        raise UserDoesNotExist from error
    if user is None:
        raise UserDoesNotExist
    return user
