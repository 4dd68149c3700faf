"""Nobody hands out what they don't hold."""

from collections.abc import Collection
from datetime import datetime
from typing import TYPE_CHECKING

from django.contrib.auth.models import Permission as DjangoPermission
from django.db.models import Q, QuerySet
from django.utils import timezone
from django.utils.module_loading import import_string
from guardian.models import GroupObjectPermission, UserObjectPermission

from permissions import conf, registrar, scope
from permissions.exceptions import Escalation
from permissions.models.roles import Role, RoleAssignment, UserGrant
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

    What the actor holds until some moment only doesn't count: what is given stays. A pattern is held where all that it
    covers is, and nothing of that is forbidden. ``team_id`` is the team in which they are given, "" where in all.
    ``by_guard`` looks each permission up in its own guard rather than in one.

    Raises:
        Escalation: Some are missing.
    """
    by_name: dict[str, set[str]] = {}
    for one in permissions:
        own, name = conf.get().identify(one.content_type.app_label, one.codename)
        by_name.setdefault(own if by_guard or guard is None else guard, set()).add(name)
    for own, names in by_name.items():
        _refuse_names(actor, names, guard=own, team_id=team_id)


def refuse_role_escalation(*, actor: "Holder | None", role: Role, team_id: str, until: datetime | None = None) -> None:
    """Make sure that an actor holds all that a role permits, its ancestors included, where the role is given.

    That counts what it permits with single objects; who has the role already may pass that on. What the actor holds
    must last at least ``until`` then, for ever where it is None. A role that may everything is given by those who may
    everything.

    Raises:
        Escalation: Something is missing.
    """
    if actor is None or _is_unbound(actor, team_id=team_id, until=until):
        return
    settings = conf.get()
    if role.name in settings.super_admin_roles and role.guard == settings.default_guard:
        held = _get_snapshot(actor, settings.default_guard, team_id, until)
        if not (actor.is_active and held.is_super_admin) or held.denied.exact:
            raise Escalation(detail=f"user {actor.pk} may not everything, as who has the role {role.name}")
    names = registrar.get_current_role_names(role).exact
    _refuse_names(actor, names, guard=role.guard, team_id=team_id, until=until)
    own = _get_snapshot(actor, role.guard, team_id, until).lineage if actor.is_active else frozenset[int]()
    of_objects = GroupObjectPermission.objects.filter(group__in=registrar.find_lineage([role.pk]) - own)
    _refuse_rows(actor, of_objects, team_id=team_id, until=until)


def refuse_touching(*, actor: "Holder", user: "Holder") -> None:
    """Make sure that an actor holds all that a user was given, wherever and how long: who can act as the user has it.

    Raises:
        Escalation: Something is missing, or the user is a superuser and the actor is not.
    """
    if actor.is_active and actor.is_superuser and conf.get().superuser_bypass:
        return
    if user.is_superuser:
        raise Escalation(detail=f"user {actor.pk} is no superuser, as user {user.pk} is")
    rows = RoleAssignment.objects.filter(user=user.pk).filter(Q(expires_at=None) | Q(expires_at__gt=timezone.now()))
    given = {(row.role.pk, row.team_id): row.role for row in rows.select_related("role")}
    given |= {(role.pk, ""): role for role in Role.objects.filter(group__user=user.pk)}
    for (_, team_id), role in given.items():
        refuse_role_escalation(actor=actor, role=role, team_id=team_id)
    bare = DjangoPermission.objects.filter(Q(user=user.pk) | Q(group__user=user.pk, group__role=None)).distinct()
    refuse_escalation(actor=actor, permissions=list(bare.select_related("content_type")), by_guard=True)
    for grant in UserGrant.objects.filter(user=user.pk, is_denied=False).select_related("permission__content_type"):
        refuse_escalation(actor=actor, permissions=[grant.permission], team_id=grant.team_id, by_guard=True)
    _refuse_rows(actor, UserObjectPermission.objects.filter(user=user.pk), team_id="", until=None)


def _is_unbound(actor: "Holder", *, team_id: str, until: datetime | None = None) -> bool:
    """Say whether an actor may hand out everything: superusers where they may everything, and who may escalate."""
    if not actor.is_active:
        return False
    is_above = actor.is_superuser and conf.get().superuser_bypass
    return is_above or _get_snapshot(actor, conf.get().default_guard, team_id, until).holds(_ESCALATE)


def _get_snapshot(actor: "Holder", guard: str, team_id: str, until: datetime | None) -> Snapshot:
    """Return what an actor will hold at a moment, or for ever."""
    return registrar.get_lasting_snapshot(actor, scope.Scope(guard, team_id or None), until=until)


def _refuse_rows(
    actor: "Holder",
    rows: "QuerySet[GroupObjectPermission] | QuerySet[UserObjectPermission]",
    *,
    team_id: str,
    until: datetime | None,
) -> None:
    """Make sure that an actor holds, for all objects, what these rows give for single ones."""
    keys = rows.order_by().values_list("permission__content_type__app_label", "permission__codename").distinct()
    names = {f"{label}.{codename}" for label, codename in keys}
    _refuse_names(actor, names, guard=conf.get().default_guard, team_id=team_id, until=until)


def _refuse_names(
    actor: "Holder | None", names: Collection[str], *, guard: str, team_id: str, until: datetime | None = None
) -> None:
    if actor is None or not names or _is_unbound(actor, team_id=team_id, until=until):
        return
    held = _get_snapshot(actor, guard, team_id, until)
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
