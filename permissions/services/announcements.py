"""Each change is recorded in the audit log with the change, and announced by a signal after the commit."""

from collections.abc import Iterable, Mapping
from dataclasses import fields
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission as DjangoPermission
from django.db import transaction
from guardian.models import GroupObjectPermission, UserObjectPermission

from permissions import audit, conf
from permissions.models.roles import Role, RoleAssignment, UserGrant
from permissions.signals import (
    PermissionAttached,
    PermissionDetached,
    PermissionForbidden,
    PermissionUnforbidden,
    RightFact,
    RoleAttached,
    RoleDetached,
    permission_attached,
    permission_detached,
    permission_forbidden,
    permission_unforbidden,
    role_attached,
    role_detached,
)
from project.signals import FactSignal

if TYPE_CHECKING:
    from permissions.models.roles import Holder


#: The signal of each fact, and what the audit log calls it.
_TOLD: Final[Mapping[type[RightFact], tuple[FactSignal[Any], str]]] = {  # Any: each carries its own
    RoleAttached: (role_attached, "role.attached"),
    RoleDetached: (role_detached, "role.detached"),
    PermissionAttached: (permission_attached, "permission.attached"),
    PermissionDetached: (permission_detached, "permission.detached"),
    PermissionForbidden: (permission_forbidden, "permission.forbidden"),
    PermissionUnforbidden: (permission_unforbidden, "permission.unforbidden"),
}
#: Fields of facts that the audit log keeps in columns of its own.
_COLUMNS: Final = frozenset({"user_id", "holder", "holder_id", "granted_by_id"})


def announce_roles(
    *,
    is_attached: bool,
    user_id: object,
    roles: Iterable[Role],
    team_id: str,
    expires_at: datetime | None = None,
    actor: "Holder | None" = None,
    label: str = "",
) -> None:
    """Record and announce that a user, called ``label``, got or lost roles; one signal for each guard."""
    names_by_guard: dict[str, list[str]] = {}
    for role in roles:
        names_by_guard.setdefault(role.guard, []).append(role.name)
    subject = audit.Reference.to(get_user_model(), user_id, label)
    for guard, names in names_by_guard.items():
        fact: RightFact = RoleDetached(
            user_id=user_id, roles=tuple(sorted(names)), guard=guard, team_id=team_id, granted_by_id=_get_key(actor)
        )
        if is_attached:
            fact = RoleAttached(
                user_id=user_id,
                roles=tuple(sorted(names)),
                guard=guard,
                team_id=team_id,
                expires_at=expires_at,
                granted_by_id=_get_key(actor),
            )
        _announce(fact, subject, actor)


def announce_lost_role(*, role: Role, holders: Mapping[tuple[object, str], str], actor: "Holder | None") -> None:
    """Record and announce that users, by key and team with what they are called, lose a role; one INSERT for all."""
    told = [
        RoleDetached(
            user_id=user_id, roles=(role.name,), guard=role.guard, team_id=team_id, granted_by_id=_get_key(actor)
        )
        for user_id, team_id in holders
    ]
    if not told:
        return
    subjects = [
        (audit.Reference.to(get_user_model(), fact.user_id, label), _get_details(fact))
        for fact, label in zip(told, holders.values(), strict=True)
    ]
    audit.record_each(_TOLD[RoleDetached][1], subjects=subjects, actor=actor)
    for fact in told:
        transaction.on_commit(partial(role_detached.announce, fact))


def announce_permissions(
    *,
    is_attached: bool,
    names: tuple[str, ...],
    user_id: object = None,
    role_id: int | None = None,
    team_id: str = "",
    granted_by: "Holder | None" = None,
    label: str = "",
) -> None:
    """Record and announce that a user or, where ``role_id`` is given, a role, called ``label``, got or lost them."""
    is_role = role_id is not None
    kind = PermissionAttached if is_attached else PermissionDetached
    fact = kind(
        holder="role" if is_role else "user",
        holder_id=role_id if is_role else user_id,
        permissions=names,
        team_id=team_id,
        granted_by_id=_get_key(granted_by),
    )
    subject = audit.Reference.to(Role if is_role else get_user_model(), fact.holder_id, label)
    _announce(fact, subject, granted_by)


def announce_object_permission(*, is_attached: bool, grant: UserObjectPermission | GroupObjectPermission) -> None:
    """Record and announce that a user or a role got or lost a permission for one object alone."""
    is_role = isinstance(grant, GroupObjectPermission)
    kind = PermissionAttached if is_attached else PermissionDetached
    fact = kind(
        holder="role" if is_role else "user",
        holder_id=grant.group_id if isinstance(grant, GroupObjectPermission) else grant.user_id,
        permissions=name_permissions([grant.permission]),
        object=f"{grant.content_type.app_label}.{grant.content_type.model}:{grant.object_pk}",
    )
    _announce(fact, audit.Reference.to(Role if is_role else get_user_model(), fact.holder_id), None)


def announce_row(*, row: RoleAssignment | UserGrant, is_attached: bool) -> None:
    """Record and announce a row that was written or deleted by itself; none where membership in a group settles it."""
    if isinstance(row, RoleAssignment):
        if row.team_id or row.expires_at or not row.role.is_mirrored:
            announce_roles(
                is_attached=is_attached,
                user_id=row.user_id,
                roles=[row.role],
                team_id=row.team_id,
                expires_at=row.expires_at,
            )
        return
    names = name_permissions([row.permission])
    if row.is_denied:
        announce_denial(is_forbidden=is_attached, user=row.user, names=names, team_id=row.team_id, actor=None)
    else:
        announce_permissions(is_attached=is_attached, user_id=row.user_id, names=names, team_id=row.team_id)


def announce_denial(
    *, is_forbidden: bool, user: "Holder", names: tuple[str, ...], team_id: str, actor: "Holder | None"
) -> None:
    """Record and announce that a user was forbidden permissions, or is no longer."""
    kind = PermissionForbidden if is_forbidden else PermissionUnforbidden
    fact = kind(user_id=user.pk, permissions=names, team_id=team_id, granted_by_id=_get_key(actor))
    _announce(fact, audit.Reference.to(type(user), user.pk, str(user)), actor)


def name_permissions(permissions: Iterable[DjangoPermission]) -> tuple[str, ...]:
    """Return the names of permissions, sorted."""
    identify = conf.get().identify
    return tuple(sorted(identify(one.content_type.app_label, one.codename)[1] for one in permissions))


def _announce(fact: RightFact, subject: audit.Reference, actor: "Holder | None") -> None:
    signal, event = _TOLD[type(fact)]
    audit.record(event, actor=actor, subject=subject, **_get_details(fact))  # type: ignore[arg-type]  # none is called client
    # The change is committed by then: a listener that fails must not make it look as if it had not happened.
    transaction.on_commit(partial(signal.announce, fact))


def _get_details(fact: RightFact) -> dict[str, object]:
    """Return what the audit log keeps of a fact beside its columns."""
    named = {field.name: getattr(fact, field.name) for field in fields(fact)}
    return {name: value for name, value in named.items() if value and name not in _COLUMNS}


def _get_key(holder: "Holder | None") -> object:
    return holder.pk if holder else None
