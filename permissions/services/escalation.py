"""Nobody hands out what they don't hold."""

from collections.abc import Collection
from typing import TYPE_CHECKING

from django.contrib.auth.models import Permission as DjangoPermission

from permissions import conf, registrar
from permissions.exceptions import (
    Escalation,
)
from permissions.models.roles import Role
from permissions.selectors import (
    get_snapshot,
)

if TYPE_CHECKING:
    from permissions.models.roles import Holder


_ESCALATE = "permissions.escalate"


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


def refuse_role_escalation(*, actor: "Holder | None", role: Role, team_id: str) -> None:
    """Make sure that an actor holds all that a role permits, its ancestors included, where the role is given.

    Raises:
        Escalation: Something is missing.
    """
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
