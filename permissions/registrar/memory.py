"""What this process remembers, and forgetting it."""

from threading import Lock
from typing import Final

from permissions.snapshots import Held, Memory, Names, RoleFacts, UserFacts, state

#: So many entries are no limit in practice.
NO_LIMIT: Final = 1_000_000

users: Final[Memory[object, UserFacts]] = Memory()
roles: Final[Memory[int, RoleFacts]] = Memory()
#: Some roles, each as it was under a stamp.
type Stamped = frozenset[tuple[int, int | None]]
#: All names of some roles.
unions: Final[Memory[Stamped, Names]] = Memory()
#: What roles give in a guard: those that are had, and those whose permissions are held.
held: Final[Memory[tuple[str | None, Stamped, Stamped], Held]] = Memory()
#: Permissions that are known to exist: ids by guard and name, and the other way round.
_ids: Final[Memory[tuple[str, str], int]] = Memory()
_names: Final[Memory[int, tuple[str, str]]] = Memory()


class Checked:
    """Under which stamp the remembered roles were last found good."""

    stamp: int | None = None
    #: The stamp of the last reset that was heeded; None where there was none, or none is known.
    reset: int | None = None
    #: Whether the gate has hooks.
    has_hooks: bool = False
    #: Held while remembered roles and the stamp must fit each other.
    lock: Final = Lock()


def start_epoch() -> None:
    """Let every instance in this process look at its rights again."""
    state.epoch += 1


def clear() -> None:
    """Forget everything that this process remembers."""
    users.clear()
    with Checked.lock:
        roles.clear()
        Checked.stamp = Checked.reset = None
    forget_unions()
    forget_known()
    start_epoch()


def find_known(*, guard: str, name: str) -> int | None:
    """Return the id of a permission that this process has met; None says nothing."""
    return _ids.get((guard, name))


def find_known_name(permission_id: int) -> tuple[str, str] | None:
    """Return guard and name of a permission that this process has met; None says nothing."""
    return _names.get(permission_id)


def remember_known(*, permission_id: int, guard: str, name: str) -> None:
    """Remember that a permission exists, until any role changes."""
    _ids.put((guard, name), permission_id, limit=NO_LIMIT)
    _names.put(permission_id, (guard, name), limit=NO_LIMIT)


def set_has_hooks(*, has_hooks: bool) -> None:
    """Take note that the gate has hooks, or has none any more."""
    Checked.has_hooks = has_hooks
    start_epoch()


def forget_unions() -> None:
    """Forget what roles give together."""
    unions.clear()
    held.clear()


def forget_known() -> None:
    """Forget which permissions exist."""
    _ids.clear()
    _names.clear()
