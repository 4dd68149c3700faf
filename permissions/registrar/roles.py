"""Roles: what they permit, from memory where stamps prove it."""

from collections.abc import Collection, Iterable
from typing import Final

from permissions.models.roles import Role, Version
from permissions.registrar import memory
from permissions.registrar.memory import NO_LIMIT, Checked, Stamped, forget_known
from permissions.registrar.queries import query_roles
from permissions.registrar.stamps import RESET, ROLES, get_role_key
from permissions.snapshots import EMPTY, Held, Names, RoleFacts, state

#: How many sets of roles a process remembers together.
_UNIONS: Final = 10_000


def load_roles(role_ids: Collection[int]) -> dict[int, RoleFacts]:
    """Return the facts of these roles and of all their ancestors; those that are gone are left out."""
    found = _load_roles(role_ids)
    ancestors = {ancestor for facts in found.values() for ancestor in facts.ancestors} - found.keys()
    return found | _load_roles(ancestors) if ancestors else found


def find_lineage(role_ids: Iterable[int]) -> frozenset[int]:
    """Return these roles and all their ancestors."""
    return frozenset(load_roles(frozenset(role_ids)))


def get_role_names(role_id: int) -> Names:
    """Return the names of what a role permits, its ancestors included."""
    found = load_roles({role_id})
    own = found.get(role_id)
    return EMPTY if own is None else unite([facts for facts in found.values() if facts.guard == own.guard])


def get_own_names(role_id: int) -> Names:
    """Return the names of what a role permits itself."""
    found = _load_roles([role_id]).get(role_id)
    return EMPTY if found is None else Names(found.names)


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
    check_roles(next(iter(Version.objects.filter(key=ROLES).values_list("stamp", flat=True)), None))


def check_roles(stamp: int | None) -> None:
    """Drop the remembered roles that have changed since they were last found good, and everything after a reset."""
    if stamp == Checked.stamp:
        return
    forget_known()
    stamps: dict[str, int | None] = {get_role_key(pk): None for pk in memory.roles}
    if stamps or memory.users:
        stamps[RESET] = None
        stamps |= dict(Version.objects.filter(key__in=list(stamps)).values_list("key", "stamp"))
        if stamps[RESET] != Checked.reset:
            memory.users.clear()
            memory.forget_unions()
            with Checked.lock:
                memory.roles.clear()
                Checked.reset = stamps[RESET]
    with Checked.lock:
        # What another thread has put in since is of unknown age.
        kept = {pk: facts for pk in memory.roles if (facts := memory.roles.get(pk)) and get_role_key(pk) in stamps}
        memory.roles.forget([pk for pk in memory.roles if pk not in kept or stamps[get_role_key(pk)] != kept[pk].stamp])
        Checked.stamp = stamp


def _check_instance(role: Role) -> None:
    if role.__dict__.get("_permission_epoch") != state.epoch:
        epoch = state.epoch
        check_all_roles()
        role.__dict__["_permission_epoch"] = epoch


def unite(roles: Collection[RoleFacts]) -> Names:
    """Return all names of these roles; one object for all who have the same ones."""
    if not roles:
        return EMPTY
    key = _identify(roles)
    union = memory.unions.get(key)
    if union is None:
        sets = [role.names for role in roles if role.names]
        union = Names(sets[0] if len(sets) == 1 else frozenset().union(*sets))
        memory.unions.put(key, union, limit=_UNIONS)
    return union


def hold(roles: Collection[RoleFacts], *, guard: str | None, loaded: dict[int, RoleFacts]) -> Held:
    """Return what these roles give in a guard; one object for all who have the same ones."""
    lineage = {pk for role in roles if role.guard == guard for pk in (role.pk, *role.ancestors) if pk in loaded}
    reached = [loaded[pk] for pk in lineage]
    key = guard, _identify(roles), _identify(reached)
    held = memory.held.get(key)
    if held is None:
        had = sorted((role for role in roles if role.name), key=lambda role: (role.name or "", role.guard))
        held = Held(names=unite(reached), roles=tuple(had), lineage=frozenset(lineage), prefix=f"{guard}.")
        memory.held.put(key, held, limit=_UNIONS)
    return held


def _identify(roles: Iterable[RoleFacts]) -> Stamped:
    return frozenset((role.pk, role.stamp) for role in roles)


def _load_roles(role_ids: Collection[int]) -> dict[int, RoleFacts]:
    found = {pk: facts for pk in role_ids if (facts := memory.roles.get(pk))}
    if missing := [pk for pk in role_ids if pk not in found]:
        checked = Checked.stamp
        for facts in query_roles(missing):
            found[facts.pk] = facts
            with Checked.lock:
                if Checked.stamp == checked:  # otherwise these may be older than what was checked meanwhile
                    memory.roles.put(facts.pk, facts, limit=NO_LIMIT)
    return found
