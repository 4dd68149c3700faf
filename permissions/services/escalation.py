"""Nobody hands out what they don't hold."""

from collections.abc import Collection
from typing import TYPE_CHECKING

from django.contrib.auth.models import Permission as DjangoPermission
from django.utils.module_loading import import_string

from permissions import conf, registrar
from permissions.exceptions import Escalation
from permissions.models.roles import Role
from permissions.selectors import get_snapshot
from permissions.snapshots import Snapshot

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

    A pattern is held where all that it covers is, and nothing of that is forbidden. ``team_id`` is the team in which
    they are given, "" where in all. ``by_guard`` looks each permission up in its own guard rather than in one.

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

    A role that may everything is given by those who may everything.

    Raises:
        Escalation: Something is missing.
    """
    if actor is None or _is_unbound(actor, team_id=team_id):
        return
    settings = conf.get()
    if role.name in settings.super_admin_roles and role.guard == settings.default_guard:
        held = get_snapshot(actor, settings.default_guard, team_id)
        if not (actor.is_active and held.is_super_admin) or held.denied.exact:
            raise Escalation(detail=f"user {actor.pk} may not everything, as who has the role {role.name}")
    _refuse_names(actor, registrar.get_current_role_names(role).exact, guard=role.guard, team_id=team_id)


def _is_unbound(actor: "Holder", *, team_id: str) -> bool:
    """Say whether an actor may hand out everything: superusers where they may everything, and who may escalate."""
    if not actor.is_active:
        return False
    is_above = actor.is_superuser and conf.get().superuser_bypass
    return is_above or get_snapshot(actor, conf.get().default_guard, team_id).holds(_ESCALATE)


def _refuse_names(actor: "Holder | None", names: Collection[str], *, guard: str, team_id: str) -> None:
    if actor is None or not names or _is_unbound(actor, team_id=team_id):
        return
    held = get_snapshot(actor, guard, team_id)
    if missing := [name for name in names if not (actor.is_active and _holds_whole(held, name))]:
        raise Escalation(detail=f"user {actor.pk} lacks {', '.join(sorted(missing)[:20])}")


def _holds_whole(held: Snapshot, name: str) -> bool:
    """Say whether all that a name permits, as a pattern too, is held and no part of it denied."""
    is_held = held.is_super_admin or any(name in names.exact or name in names for names in (held.own, held.via_roles))
    if not is_held or name in held.denied:
        return False
    if not conf.get().wildcards or not held.denied.exact:
        return True
    overlaps = getattr(import_string(conf.get().wildcard_class), "overlaps", None)
    return overlaps is not None and not any(overlaps(name, denied) for denied in held.denied.exact)
