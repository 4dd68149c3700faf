"""Users: what they hold in a scope, from memory where stamps prove it."""

from collections.abc import Iterable
from datetime import UTC, datetime
from functools import lru_cache
from time import time
from typing import TYPE_CHECKING, Final

from django.utils import timezone

from permissions import conf
from permissions.registrar import memory
from permissions.registrar.memory import Checked
from permissions.registrar.queries import query_user
from permissions.registrar.roles import check_roles, hold, load_roles
from permissions.scope import Scope
from permissions.snapshots import EMPTY, Granted, Names, Snapshot, UserFacts, state

if TYPE_CHECKING:
    from permissions.models.roles import Holder

_FOR_EVER: Final = datetime.max.replace(tzinfo=UTC)


def get_snapshot(user: "Holder", scope: Scope) -> Snapshot:
    """Return what a user holds in a scope whose guard is named, and keep it on the instance."""
    kept: dict[Scope, Snapshot] | None = getattr(user, "_permission_snapshots", None)
    if kept is None:
        kept = {}
        user._permission_snapshots = kept  # type: ignore[attr-defined]  # noqa: SLF001 - of the mixin
    snapshot = kept.get(scope)
    if snapshot is None or snapshot.epoch != state.epoch or (snapshot.until and snapshot.until <= time()):
        epoch, now = state.epoch, timezone.now()
        scope = _share(scope)
        snapshot = kept[scope] = _make_snapshot(load_user(user), scope=scope, now=now, epoch=epoch)
    return snapshot


def get_lasting_snapshot(user: "Holder", scope: Scope, *, until: datetime | None) -> Snapshot:
    """Return what a user will still hold in a scope at a moment, or for ever where it is None."""
    snapshot = get_snapshot(user, scope)
    if snapshot.until is None or (until and until.timestamp() <= snapshot.until):
        return snapshot
    return _make_snapshot(load_user(user), scope=scope, now=until or _FOR_EVER, epoch=state.epoch)


def load_user(user: "Holder") -> UserFacts:
    """Return all facts about a user: from memory where stamps prove them, with one query otherwise."""
    stamps = _take_stamps(user)
    epoch = state.epoch
    checked: tuple[int, UserFacts] | None = getattr(user, "_permission_facts", None)
    if stamps is None and checked is not None and checked[0] == epoch:
        return checked[1]
    if stamps is not None:
        check_roles(stamps[0])
    remembered = memory.users.get(user.pk)
    if stamps is not None and remembered is not None and remembered.stamp == stamps[1]:
        facts = remembered
    else:
        roles_stamp, facts = query_user(user)
        check_roles(roles_stamp)
        memory.users.put(user.pk, facts, limit=conf.get().cached_users)
    user._permission_facts = (epoch, facts)  # type: ignore[attr-defined]  # noqa: SLF001 - of the mixin
    return facts


def is_fresh(user: object, scope: Scope) -> bool:
    """Say whether ``get_snapshot`` would cost no query."""
    kept: dict[Scope, Snapshot] | None = getattr(user, "_permission_snapshots", None)
    snapshot = kept.get(scope) if kept else None
    return snapshot is not None and snapshot.epoch == state.epoch and snapshot.until is None


def keep_quick(user: "Holder", snapshot: Snapshot, scope: Scope) -> None:
    """Let ``can`` answer from a snapshot while the scope, as the request has set it, stays the same."""
    snapshot.asked_in = scope
    user._permission_snapshot = snapshot  # type: ignore[attr-defined]  # noqa: SLF001 - of the mixin


def _make_snapshot(facts: UserFacts, *, scope: Scope, now: datetime, epoch: int) -> Snapshot:
    teams = {"", scope.team or ""}
    here = [one for one in facts.assigned if one.team_id in teams and (one.expires_at is None or one.expires_at > now)]
    loaded = load_roles({one.role_id for one in here})
    roles = {one.role_id: loaded[one.role_id] for one in here if one.role_id in loaded}
    had = [role for role in roles.values() if role.team_id in teams]
    granted = [one for one in facts.granted if one.guard == scope.guard and one.team_id in teams]
    ends = [one.expires_at.timestamp() for one in here if one.expires_at]
    snapshot = Snapshot(
        epoch=epoch,
        scope=scope,
        held=hold(had, guard=scope.guard, loaded=loaded),
        own=_name(one for one in granted if not one.is_denied),
        denied=_name(one for one in granted if one.is_denied),
        until=min(ends, default=None),
    )
    has_other_rules = Checked.has_hooks or snapshot.is_super_admin
    snapshot.is_plain = not (snapshot.denied.exact or snapshot.until or has_other_rules)
    if snapshot.is_plain:
        own, via_roles = snapshot.own, snapshot.via_roles
        # Short of copying what thousands of users share, what is held directly is asked for on the longer way.
        snapshot.quick = (via_roles if len(via_roles.exact) > len(own.exact) else own).quick
    return snapshot


@lru_cache(maxsize=1_000)
def _share(scope: Scope) -> Scope:
    """Return the same object for all who are asked in a scope."""
    return scope


def _name(granted: Iterable[Granted]) -> Names:
    names = frozenset(one.name for one in granted)
    return Names(names) if names else EMPTY


def _take_stamps(user: "Holder") -> tuple[int | None, int | None] | None:
    """Return the stamps that came with the user, the first time; later they prove nothing."""
    epoch: int | None = getattr(user, "permission_stamps_epoch", None)
    if epoch is None:
        return None
    user.permission_stamps_epoch = None  # type: ignore[attr-defined]  # annotated by with_stamps
    stamps: tuple[int | None, int | None] = (
        user.permission_stamps_roles,  # type: ignore[attr-defined]  # as above
        user.permission_stamps_user,  # type: ignore[attr-defined]  # as above
    )
    return stamps if epoch == state.epoch else None
