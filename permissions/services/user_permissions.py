"""What a user may, or may not, directly."""

from collections.abc import Collection, Iterable, Iterator
from typing import TYPE_CHECKING

from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission as DjangoPermission
from django.db import transaction

from permissions import registrar
from permissions.models.roles import Permission, UserGrant

if TYPE_CHECKING:
    from permissions.models.roles import Holder

from permissions.services.announcements import announce_denial, announce_permissions, name_permissions
from permissions.services.escalation import refuse_escalation
from permissions.services.rows import check_references, delete, insert, lock_user, tell_django, whole


def give_user_permissions(
    *, user: "Holder", permissions: Collection[Permission], team_id: str = "", granted_by: "Holder | None" = None
) -> None:
    """Give a user permissions directly, in a team or, where that is "", everywhere; those had there stay.

    Raises:
        Escalation: ``granted_by`` doesn't hold all of the permissions.
        PermissionDoesNotExist: One of the permissions is gone.
        UserDoesNotExist: The user or ``granted_by`` isn't stored, or no longer.
    """
    new = [one for one in permissions if not getattr(one, "is_held", False)]
    if not new:
        return
    with whole(permissions=new):
        refuse_escalation(actor=granted_by, permissions=new, team_id=team_id, by_guard=True)
        if team_id:
            insert(_make_grants(user, new, team_id=team_id, granted_by=granted_by))
        else:
            through = get_user_model().user_permissions.through
            ids = {one.pk for one in new}
            tell_django(through, user, "pre_add", DjangoPermission, ids)
            insert(through(user_id=user.pk, permission_id=one.pk) for one in new)
            tell_django(through, user, "post_add", DjangoPermission, ids)
        check_references()
        registrar.touch(users=[user.pk])
        announce_permissions(
            is_attached=True,
            user_id=user.pk,
            names=name_permissions(new),
            team_id=team_id,
            granted_by=granted_by,
            label=str(user),
        )


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
        tell_django(through, user, "pre_remove", DjangoPermission, ids)
    delete(rows)
    if not team_id:
        tell_django(through, user, "post_remove", DjangoPermission, ids)
    registrar.touch(users=[user.pk])
    names = name_permissions(one for one in permissions if one.pk in ids)
    announce_permissions(
        is_attached=False, user_id=user.pk, names=names, team_id=team_id, granted_by=taken_by, label=str(user)
    )


def sync_user_permissions(
    *, user: "Holder", permissions: Collection[Permission], team_id: str = "", granted_by: "Holder | None" = None
) -> None:
    """Give a user exactly these permissions directly, in exactly that team. Who else does so waits.

    Raises:
        Escalation: ``granted_by`` doesn't hold all of the permissions that are new.
        PermissionDoesNotExist: One of the permissions is gone.
        UserDoesNotExist: The user or ``granted_by`` isn't stored, or no longer.
    """
    with whole(permissions=permissions):
        lock_user(user)
        held = _list_direct_permissions(user=user, team_id=team_id)
        wanted, old = {one.pk for one in permissions}, {one.pk for one in held}
        lost = [one for one in held if one.pk not in wanted]
        revoke_user_permissions(user=user, permissions=lost, team_id=team_id, taken_by=granted_by)
        new = [one for one in permissions if one.pk not in old]
        give_user_permissions(user=user, permissions=new, team_id=team_id, granted_by=granted_by)


def forbid_permissions(
    *, user: "Holder", permissions: Collection[Permission], team_id: str = "", forbidden_by: "Holder | None" = None
) -> None:
    """Forbid a user permissions, whatever gives them, in a team or, where that is "", everywhere.

    Raises:
        PermissionDoesNotExist: One of the permissions is gone.
        UserDoesNotExist: The user or ``forbidden_by`` isn't stored, or no longer.
    """
    new = [one for one in permissions if not getattr(one, "is_held", False)]
    if not new:
        return
    with whole(permissions=new):
        insert(_make_grants(user, new, team_id=team_id, granted_by=forbidden_by, is_denied=True))
        check_references()
        registrar.touch(users=[user.pk])
        announce_denial(is_forbidden=True, user=user, names=name_permissions(new), team_id=team_id, actor=forbidden_by)


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
    delete(rows)
    registrar.touch(users=[user.pk])
    announce_denial(is_forbidden=False, user=user, names=name_permissions(lifted), team_id=team_id, actor=granted_by)


def _list_direct_permissions(*, user: "Holder", team_id: str = "") -> list[Permission]:
    """Return what a user was given directly, in exactly that team."""
    if not team_id:
        return list(Permission.objects.filter(user=user.pk))
    granted = UserGrant.objects.filter(user=user.pk, team_id=team_id, is_denied=False)
    return list(Permission.objects.filter(pk__in=granted.values("permission")))


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
