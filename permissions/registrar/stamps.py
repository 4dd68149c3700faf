"""Drawing and reading stamps, and what has to happen when a transaction ends."""

from collections.abc import Callable, Iterable
from secrets import randbits
from typing import Any, Final

from django.db import connections, router, transaction
from django.db.models import QuerySet, Subquery, Value

from permissions.models.roles import Version
from permissions.registrar.memory import clear, forget_known, start_epoch
from permissions.snapshots import state
from project import shared_facts

#: Key of the stamp that changes with every role.
ROLES: Final = "roles"
#: Key of the stamp that changes when everything is to be forgotten.
RESET: Final = "reset"
_USER: Final = "user:"


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
        shared_facts.forget(_share(key) for key in keys if key == ROLES or key.startswith(_USER))
    start_epoch()
    transaction.on_commit(_AtTheEnd(start_epoch))


def hold_roles() -> None:
    """Let who touches roles wait until the caller's transaction ends, as touching one would; nobody looks again."""
    if connections[router.db_for_write(Version)].features.has_select_for_update:
        list(Version.objects.select_for_update().filter(key=ROLES).values_list("pk"))


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


def note_made() -> None:
    """Take note that a permission was made, which this process may remember until its transaction ends."""
    transaction.on_commit(_AtTheEnd(forget_known))


def get_user_key(user_id: object) -> str:
    """Return the key of a user's stamp."""
    return f"{_USER}{user_id}"


def get_role_key(role_id: int) -> str:
    """Return the key of a role's stamp."""
    return f"role:{role_id}"


def drop_user(user_id: object) -> None:
    """Delete the stamp of a user who is gone."""
    key = get_user_key(user_id)
    Version.objects.filter(key=key).delete()
    shared_facts.forget([_share(key)])


def with_stamps[Users: QuerySet[Any]](users: Users, *, user_id: object) -> Users:  # Any: of the user model
    """Let the query that loads one user bring the stamps along, so that its rights cost no query of their own."""
    return users.annotate(
        # The epoch travels with the stamps: a write in this process after the query makes them void.
        permission_stamps_epoch=Value(state.epoch),
        permission_stamps_roles=_stamp_of(ROLES),
        permission_stamps_user=_stamp_of(get_user_key(user_id)),
    )


def list_stamp_keys(user_id: object) -> tuple[str, str]:
    """Return under which keys the shared cache has the stamp of all roles and that of a user."""
    return _share(ROLES), _share(get_user_key(user_id))


def give_stamps(user: object, *, epoch: int, roles: int | None, own: int | None) -> None:
    """Let a user who was not loaded by ``with_stamps`` prove by stamps from the shared cache what is remembered.

    Args:
        user: The instance.
        epoch: What ``get_epoch`` said before the stamps were read.
        roles: The stamp of all roles.
        own: The stamp of the user.
    """
    user.permission_stamps_epoch = epoch  # type: ignore[attr-defined]  # as with_stamps annotates them
    user.permission_stamps_roles = roles  # type: ignore[attr-defined]  # as above
    user.permission_stamps_user = own  # type: ignore[attr-defined]  # as above


def get_epoch() -> int:
    """Return the epoch of this process: a write of rights makes it another."""
    return state.epoch


def _share(key: str) -> str:
    return f"stamp:{key}"


def _stamp_of(key: str) -> Subquery:
    return Subquery(Version.objects.filter(key=key).values("stamp"))
