"""Each change is recorded in the audit log with the change, and announced by a signal after the commit."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Final

from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission as DjangoPermission
from django.db import transaction
from django.dispatch import Signal
from guardian.models import GroupObjectPermission, UserObjectPermission

from permissions import audit, conf
from permissions.models.roles import Permission, Role, RoleAssignment, UserGrant
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


#: What the audit log calls each fact.
_EVENTS: Final = {
    role_attached: "role.attached",
    role_detached: "role.detached",
    permission_attached: "permission.attached",
    permission_detached: "permission.detached",
    permission_forbidden: "permission.forbidden",
    permission_unforbidden: "permission.unforbidden",
}
#: Arguments of signals that the audit log keeps in columns of its own.
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
    for guard, names in names_by_guard.items():
        _announce(
            role_attached if is_attached else role_detached,
            audit.Reference.to(get_user_model(), user_id, label),
            actor,
            user_id=user_id,
            roles=tuple(sorted(names)),
            guard=guard,
            team_id=team_id,
            **({"expires_at": expires_at} if is_attached else {}),
        )


def announce_lost_role(*, role: Role, holders: Mapping[tuple[object, str], str], actor: "Holder | None") -> None:
    """Record and announce that users, by key and team with what they are called, lose a role; one INSERT for all."""
    details = {"roles": (role.name,), "guard": role.guard}
    subjects = [
        (audit.Reference.to(get_user_model(), user_id, label), details | ({"team_id": team_id} if team_id else {}))
        for (user_id, team_id), label in holders.items()
    ]
    if not subjects:
        return
    audit.record_each(_EVENTS[role_detached], subjects=subjects, actor=actor)
    granted_by_id = actor.pk if actor else None
    for user_id, team_id in holders:
        arguments = {"user_id": user_id, "team_id": team_id, "granted_by_id": granted_by_id, **details}
        transaction.on_commit(partial(role_detached.send_robust, sender=Role, **arguments))


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
    _announce(
        permission_attached if is_attached else permission_detached,
        audit.Reference.to(Role, role_id, label) if is_role else audit.Reference.to(get_user_model(), user_id, label),
        granted_by,
        holder="role" if is_role else "user",
        holder_id=role_id if is_role else user_id,
        permissions=names,
        team_id=team_id,
    )


def announce_object_permission(*, is_attached: bool, grant: UserObjectPermission | GroupObjectPermission) -> None:
    """Record and announce that a user or a role got or lost a permission for one object alone."""
    holder, holder_model, holder_id = (
        ("role", Role, grant.group_id)
        if isinstance(grant, GroupObjectPermission)
        else ("user", get_user_model(), grant.user_id)
    )
    label = f"{grant.content_type.app_label}.{grant.content_type.model}"
    _announce(
        permission_attached if is_attached else permission_detached,
        audit.Reference.to(holder_model, holder_id),
        None,
        holder=holder,
        holder_id=holder_id,
        permissions=name_permissions([grant.permission]),
        team_id="",
        object=f"{label}:{grant.object_pk}",
    )


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
    _announce(
        permission_forbidden if is_forbidden else permission_unforbidden,
        audit.Reference.to(type(user), user.pk, str(user)),
        actor,
        user_id=user.pk,
        permissions=names,
        team_id=team_id,
    )


def name_permissions(permissions: Iterable[DjangoPermission]) -> tuple[str, ...]:
    """Return the names of permissions, sorted."""
    identify = conf.get().identify
    return tuple(sorted(identify(one.content_type.app_label, one.codename)[1] for one in permissions))


def _announce(signal: Signal, subject: audit.Reference, actor: "Holder | None", **arguments: object) -> None:
    details = {name: value for name, value in arguments.items() if value and name not in _COLUMNS}
    audit.record(_EVENTS[signal], actor=actor, subject=subject, **details)  # type: ignore[arg-type]  # none is called client
    sender = Role if signal in {role_attached, role_detached} else Permission
    arguments["granted_by_id"] = actor.pk if actor else None
    # The change is committed by then: a listener that fails must not make it look as if it had not happened.
    transaction.on_commit(partial(signal.send_robust, sender=sender, **arguments))
