"""The one owner of what a process remembers of roles and users.

Every change of rights draws a new stamp (``Version``) in its own transaction. Whoever reads facts reads the stamps
first, so a fact can be newer than its stamp, never older; a stamp that is still the same proves that the fact is too.
A request costs nothing where the query that loads its user brings the stamps along (``with_stamps``), and one query
otherwise.

What one role change leaves valid, stays: roles are remembered one by one, and users by themselves.
"""

from collections.abc import Callable, Collection, Iterable
from datetime import UTC, datetime
from secrets import randbits
from sys import intern
from threading import Lock
from time import time
from typing import TYPE_CHECKING, Any, Final

from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group, Permission
from django.db import transaction
from django.db.models import (
    BigIntegerField,
    CharField,
    DateTimeField,
    F,
    Model,
    Q,
    QuerySet,
    Subquery,
    Value,
)
from django.db.models.functions import Cast
from django.utils import timezone

from permissions import conf
from permissions.models.roles import Role, RoleAssignment, RoleLink, UserGrant, Version
from permissions.scope import Scope
from permissions.snapshots import (
    EMPTY,
    Assigned,
    Granted,
    Memory,
    Names,
    RoleFacts,
    Snapshot,
    UserFacts,
    state,
)

if TYPE_CHECKING:
    from permissions.models.roles import Holder

#: Key of the stamp that changes with every role.
ROLES: Final = "roles"
#: Key of the stamp that changes when everything is to be forgotten.
RESET: Final = "reset"
_UNIONS: Final = 10_000

_users: Final[Memory[object, UserFacts]] = Memory()
_roles: Final[Memory[int, RoleFacts]] = Memory()
_unions: Final[Memory[frozenset[tuple[int, int | None]], Names]] = Memory()
#: Permissions that are known to exist: ids by guard and name, and the other way round.
_ids: Final[Memory[tuple[str, str], int]] = Memory()
_names: Final[Memory[int, tuple[str, str]]] = Memory()
_NO_LIMIT: Final = 1_000_000
_FOR_EVER: Final = datetime.max.replace(tzinfo=UTC)


class _Checked:
    """Under which stamp the remembered roles were last found good."""

    stamp: int | None = None
    #: The stamp of the last reset that was heeded; None where there was none, or none is known.
    reset: int | None = None
    #: Whether the gate has hooks.
    has_hooks: bool = False
    #: Held while remembered roles and the stamp must fit each other.
    lock: Final = Lock()


# --- Writing ---------------------------------------------------------------------------------------------------------


def touch(*, users: Iterable[object] = (), roles: Iterable[int] = (), structure: bool = False) -> None:
    """Draw new stamps for users and roles, in one query, inside the caller's transaction.

    ``structure`` says that roles came, went or were linked even where none is named. Where nothing is named, as after
    a grant for a single object, the instances of this process alone look again. Who touches roles waits for
    others who do, until their transactions end; who touches users waits for those of the same users.
    """
    keys = {get_user_key(user) for user in users} | {get_role_key(role) for role in roles}
    if structure or any(key.startswith("role:") for key in keys):
        keys.add(ROLES)
    if keys:
        versions = [Version(key=key, stamp=randbits(62)) for key in sorted(keys)]
        Version.objects.bulk_create(versions, update_conflicts=True, unique_fields=["key"], update_fields=["stamp"])
    start_epoch()
    transaction.on_commit(_AtTheEnd(start_epoch))


class _AtTheEnd:
    """Does something when the transaction ends: called at a commit, and dropped by Django at a rollback.

    Without the latter this process would go on believing what it read inside the transaction and never came to be.
    Django has no hook for rollbacks, nor for those to a savepoint, but drops what waits for the commit at once.
    """

    def __init__(self, act: Callable[[], None]) -> None:
        """Take what is to be done; doing it twice must be harmless."""
        self.act = act

    def __call__(self) -> None:
        self.act()

    def __del__(self) -> None:
        self.act()


def reset() -> None:
    """Let every process forget everything, inside the caller's transaction: also of whom nobody ever drew a stamp."""
    Version.objects.update_or_create(key=RESET, defaults={"stamp": randbits(62)})
    touch(structure=True)
    clear()


def start_epoch() -> None:
    """Let every instance in this process look at its rights again."""
    state.epoch += 1


def clear() -> None:
    """Forget everything that this process remembers."""
    _users.clear()
    with _Checked.lock:
        _roles.clear()
        _Checked.stamp = None
    _unions.clear()
    _forget_known()
    start_epoch()


def get_user_key(user_id: object) -> str:
    """Return the key of a user's stamp."""
    return f"user:{user_id}"


def get_role_key(role_id: int) -> str:
    """Return the key of a role's stamp."""
    return f"role:{role_id}"


# --- Reading ---------------------------------------------------------------------------------------------------------


def with_stamps[Users: QuerySet[Any]](users: Users, *, user_id: object) -> Users:  # Any: of the user model
    """Let the query that loads one user bring the stamps along, so that its rights cost no query of their own."""
    return users.annotate(
        # The epoch travels with the stamps: a write in this process after the query makes them void.
        permission_stamps_epoch=Value(state.epoch),
        permission_stamps_roles=_stamp_of(ROLES),
        permission_stamps_user=_stamp_of(get_user_key(user_id)),
    )


def get_snapshot(user: "Holder", scope: Scope) -> Snapshot:
    """Return what a user holds in a scope whose guard is named, and keep it on the instance."""
    kept: dict[Scope, Snapshot] | None = getattr(user, "_permission_snapshots", None)
    if kept is None:
        kept = {}
        user._permission_snapshots = kept  # type: ignore[attr-defined]  # noqa: SLF001 - of the mixin
    snapshot = kept.get(scope)
    if snapshot is None or snapshot.epoch != state.epoch or (snapshot.until and snapshot.until <= time()):
        epoch, now = state.epoch, timezone.now()
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
        _check_roles(stamps[0])
    remembered = _users.get(user.pk)
    if stamps is not None and remembered is not None and remembered.stamp == stamps[1]:
        facts = remembered
    else:
        roles_stamp, facts = _query_user(user)
        _check_roles(roles_stamp)
        _users.put(user.pk, facts, limit=conf.get().cached_users)
    user._permission_facts = (epoch, facts)  # type: ignore[attr-defined]  # noqa: SLF001 - of the mixin
    return facts


def load_roles(role_ids: Collection[int]) -> dict[int, RoleFacts]:
    """Return the facts of these roles and of all their ancestors; those that are gone are left out."""
    found = _load_roles(role_ids)
    ancestors = {ancestor for facts in found.values() for ancestor in facts.ancestors} - found.keys()
    return found | _load_roles(ancestors) if ancestors else found


def find_known(*, guard: str, name: str) -> int | None:
    """Return the id of a permission that this process has met; None says nothing."""
    return _ids.get((guard, name))


def find_known_name(permission_id: int) -> tuple[str, str] | None:
    """Return guard and name of a permission that this process has met; None says nothing."""
    return _names.get(permission_id)


def remember_known(*, permission_id: int, guard: str, name: str) -> None:
    """Remember that a permission exists, until any role changes."""
    _ids.put((guard, name), permission_id, limit=_NO_LIMIT)
    _names.put(permission_id, (guard, name), limit=_NO_LIMIT)


def note_made() -> None:
    """Take note that a permission was made, which this process may remember until its transaction ends."""
    transaction.on_commit(_AtTheEnd(_forget_known))


def find_lineage(role_ids: Iterable[int]) -> frozenset[int]:
    """Return these roles and all their ancestors."""
    return frozenset(load_roles(frozenset(role_ids)))


def get_role_names(role_id: int) -> Names:
    """Return the names of what a role permits, its ancestors included."""
    found = load_roles({role_id})
    own = found.get(role_id)
    return EMPTY if own is None else _unite([facts for facts in found.values() if facts.guard == own.guard])


def get_own_names(role_id: int) -> Names:
    """Return the names of what a role permits itself."""
    found = _load_roles([role_id]).get(role_id)
    return EMPTY if found is None else Names(found.names)


def is_fresh(user: object, scope: Scope) -> bool:
    """Say whether ``get_snapshot`` would cost no query."""
    kept: dict[Scope, Snapshot] | None = getattr(user, "_permission_snapshots", None)
    snapshot = kept.get(scope) if kept else None
    return snapshot is not None and snapshot.epoch == state.epoch and snapshot.until is None


def keep_quick(user: "Holder", snapshot: Snapshot, scope: Scope) -> None:
    """Let ``can`` answer from a snapshot while the scope, as the request has set it, stays the same."""
    snapshot.asked_in = scope
    user._permission_snapshot = snapshot  # type: ignore[attr-defined]  # noqa: SLF001 - of the mixin


def set_has_hooks(*, has_hooks: bool) -> None:
    """Take note that the gate has hooks, or has none any more."""
    _Checked.has_hooks = has_hooks
    start_epoch()


def get_current_role_names(role: Role) -> Names:
    """Return the names of what a role permits; the first time for each instance the stamp of all roles is read."""
    _check_instance(role)
    return get_role_names(role.pk)


def find_current_lineage(role: Role) -> frozenset[int]:
    """Return a role and all its ancestors; stamps are read as by ``get_current_role_names``."""
    _check_instance(role)
    return find_lineage([role.pk])


def list_current_names(role_ids: Collection[int]) -> dict[int, Names]:
    """Return the names of what roles permit, their ancestors included; the stamp of all roles is read once."""
    check_all_roles()
    load_roles(role_ids)
    return {pk: get_role_names(pk) for pk in role_ids}


def check_all_roles() -> None:
    """Drop the remembered roles that have changed; for who asks about roles without asking about a user."""
    _check_roles(next(iter(Version.objects.filter(key=ROLES).values_list("stamp", flat=True)), None))


def _check_instance(role: Role) -> None:
    if role.__dict__.get("_permission_epoch") != state.epoch:
        epoch = state.epoch
        check_all_roles()
        role.__dict__["_permission_epoch"] = epoch


# --- Snapshots -------------------------------------------------------------------------------------------------------


def _make_snapshot(facts: UserFacts, *, scope: Scope, now: datetime, epoch: int) -> Snapshot:
    teams = {"", scope.team or ""}
    here = [one for one in facts.assigned if one.team_id in teams and (one.expires_at is None or one.expires_at > now)]
    loaded = load_roles({one.role_id for one in here})
    roles = {one.role_id: loaded[one.role_id] for one in here if one.role_id in loaded}
    held = [role for role in roles.values() if role.team_id in teams]
    lineage = {pk for role in held if role.guard == scope.guard for pk in (role.pk, *role.ancestors) if pk in loaded}
    granted = [one for one in facts.granted if one.guard == scope.guard and one.team_id in teams]
    ends = [one.expires_at.timestamp() for one in here if one.expires_at]
    snapshot = Snapshot(
        epoch=epoch,
        scope=scope,
        via_roles=_unite([loaded[pk] for pk in lineage]),
        own=_name(one for one in granted if not one.is_denied),
        denied=_name(one for one in granted if one.is_denied),
        roles=tuple(sorted((role for role in held if role.name), key=lambda role: (role.name or "", role.guard))),
        lineage=frozenset(lineage),
        until=min(ends, default=None),
    )
    has_other_rules = _Checked.has_hooks or conf.get().wildcards or snapshot.is_super_admin
    snapshot.is_plain = not (snapshot.denied.exact or snapshot.until or has_other_rules)
    if snapshot.is_plain:
        own, via_roles = snapshot.own.exact, snapshot.via_roles.exact
        # Short of copying what thousands of users share, what is held directly is asked for on the longer way.
        snapshot.quick = via_roles if len(via_roles) > len(own) else own
    return snapshot


def _name(granted: Iterable[Granted]) -> Names:
    names = frozenset(one.name for one in granted)
    return Names(names) if names else EMPTY


def _unite(roles: Collection[RoleFacts]) -> Names:
    """Return all names of these roles; one object for all who have the same ones."""
    if not roles:
        return EMPTY
    key = frozenset((role.pk, role.stamp) for role in roles)
    union = _unions.get(key)
    if union is None:
        sets = [role.names for role in roles if role.names]
        union = Names(sets[0] if len(sets) == 1 else frozenset().union(*sets))
        _unions.put(key, union, limit=_UNIONS)
    return union


# --- Queries ---------------------------------------------------------------------------------------------------------


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


def _stamp_of(key: str) -> Subquery:
    return Subquery(Version.objects.filter(key=key).values("stamp"))


def _query_user(user: "Holder") -> tuple[int | None, UserFacts]:
    """Return the stamp of the roles, and all facts about a user, from one query."""
    default = conf.get().default_guard
    is_mirrored = Q(team_id="", expires_at=None, role__team_id="", role__guard=default)
    is_role_of_django = Q(group__role=None) | Q(group__role__team_id="", group__role__guard=default)
    user_model = get_user_model()
    names = {"label": "permission__content_type__app_label", "codename": "permission__codename"}
    rows = _select(Version.objects.filter(key__in=[ROLES, get_user_key(user.pk)]), "v", "stamp", label="key").union(
        _select(user_model.groups.through.objects.filter(is_role_of_django, user=user.pk), "m", "group_id"),
        _select(
            RoleAssignment.objects.filter(user=user.pk).exclude(is_mirrored), "a", "role_id", "team_id", "expires_at"
        ),
        _select(user_model.user_permissions.through.objects.filter(user=user.pk), "p", "permission_id", **names),
        _select(UserGrant.objects.filter(user=user.pk, is_denied=False), "p", "permission_id", "team_id", **names),
        _select(UserGrant.objects.filter(user=user.pk, is_denied=True), "d", "permission_id", "team_id", **names),
        all=True,
    )
    stamps: dict[str, int] = {}
    assigned: set[Assigned] = set()
    granted: set[Granted] = set()
    for kind, number, team_id, label, codename, moment in rows:
        match kind:
            case "v":
                stamps[label] = number
            case "m" | "a":
                assigned.add(Assigned(number, intern(team_id), moment))
            case _:
                guard, name = conf.get().identify(label, codename)
                granted.add(Granted(number, guard, intern(name), intern(team_id), kind == "d"))
    return stamps.get(ROLES), UserFacts(stamps.get(get_user_key(user.pk)), tuple(assigned), tuple(granted))


def _select(
    rows: "QuerySet[Model]",
    kind: str,
    number: str,
    team_id: str = "",
    moment: str = "",
    *,
    label: str = "",
    codename: str = "",
) -> "QuerySet[Model, tuple[str, int, str, str, str, datetime | None]]":
    """Return a part of the one query: columns of the same types, whatever the table."""
    nothing = Cast(Value(""), CharField())
    return rows.order_by().values_list(
        Cast(Value(kind), CharField()),
        Cast(F(number), BigIntegerField()),
        Cast(F(team_id), CharField()) if team_id else nothing,
        Cast(F(label), CharField()) if label else nothing,
        Cast(F(codename), CharField()) if codename else nothing,
        F(moment) if moment else Cast(Value(None), DateTimeField()),
    )


def _check_roles(stamp: int | None) -> None:
    """Drop the remembered roles that have changed since they were last found good, and everything after a reset."""
    if stamp == _Checked.stamp:
        return
    _forget_known()
    stamps: dict[str, int | None] = {get_role_key(pk): None for pk in _roles}
    if stamps or _users:
        stamps[RESET] = None
        stamps |= dict(Version.objects.filter(key__in=list(stamps)).values_list("key", "stamp"))
        if stamps[RESET] != _Checked.reset:
            _users.clear()
            _unions.clear()
            with _Checked.lock:
                _roles.clear()
                _Checked.reset = stamps[RESET]
    with _Checked.lock:
        # What another thread has put in since is of unknown age.
        kept = {pk: facts for pk in _roles if (facts := _roles.get(pk)) and get_role_key(pk) in stamps}
        _roles.forget([pk for pk in _roles if pk not in kept or stamps[get_role_key(pk)] != kept[pk].stamp])
        _Checked.stamp = stamp


def _load_roles(role_ids: Collection[int]) -> dict[int, RoleFacts]:
    found = {pk: facts for pk in role_ids if (facts := _roles.get(pk))}
    if missing := [pk for pk in role_ids if pk not in found]:
        checked = _Checked.stamp
        for facts in _query_roles(missing):
            found[facts.pk] = facts
            with _Checked.lock:
                if _Checked.stamp == checked:  # otherwise these may be older than what was checked meanwhile
                    _roles.put(facts.pk, facts, limit=_NO_LIMIT)
    return found


def _forget_known() -> None:
    _ids.clear()
    _names.clear()


def _query_roles(role_ids: Collection[int]) -> list[RoleFacts]:
    """Return the facts of roles, from three queries; the stamps come first."""
    conf_now = conf.get()
    stamps = dict(Version.objects.filter(key__in=[get_role_key(pk) for pk in role_ids]).values_list("key", "stamp"))
    groups = list(Group.objects.filter(pk__in=role_ids).values_list("pk", "role__name", "role__guard", "role__team_id"))
    ancestors: dict[int, list[int]] = {pk: [] for pk in role_ids}
    for role_id, ancestor_id in RoleLink.objects.filter(role__in=role_ids).values_list("role_id", "ancestor_id"):
        ancestors[role_id].append(ancestor_id)
    names: dict[int, list[tuple[str, str]]] = {pk: [] for pk in role_ids}
    held = Permission.objects.filter(group__in=role_ids).order_by()
    for role_id, label, codename in held.values_list("group", "content_type__app_label", "codename"):
        names[role_id].append(conf_now.identify(label, codename))
    return [
        RoleFacts(
            pk=pk,
            name=role_name,
            guard=guard or conf_now.default_guard,
            team_id=team_id or "",
            names=frozenset(intern(name) for own, name in names[pk] if own == (guard or conf_now.default_guard)),
            ancestors=tuple(ancestors[pk]),
            stamp=stamps.get(get_role_key(pk)),
        )
        for pk, role_name, guard, team_id in groups
    ]
