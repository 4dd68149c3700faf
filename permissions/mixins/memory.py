"""What an instance of the user model remembers of rights, and what it still has to write."""

from collections.abc import Callable
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, Final, Self

from django.db import transaction

from permissions.scope import Scope
from permissions.snapshots import Snapshot, UserFacts

if TYPE_CHECKING:
    from permissions.models.roles import Holder
else:
    Holder = object  # a plain mixin: it brings no fields


#: Attributes of an instance that stand for what it remembers.
_REMEMBERED: Final = ("_permission_snapshot", "_permission_snapshots", "_permission_facts", "permission_stamps_epoch")


class RemembersPermissions(Holder):
    """The memory of a user.

    What an instance has read it keeps until rights change in this process; what changes elsewhere it sees when it is
    loaded anew, as with each request.
    """

    #: The last snapshot that ``can`` used; an attribute of the class where there is none yet.
    _permission_snapshot: Snapshot | None = None
    #: What ``registrar`` keeps here: snapshots by scope, facts with their epoch, and the epoch of stamps not used yet.
    _permission_snapshots: dict[Scope, Snapshot] | None = None
    _permission_facts: tuple[int, UserFacts] | None = None
    permission_stamps_epoch: int | None = None

    def __init_subclass__(cls, **options: Any) -> None:  # Any: of Django's metaclass
        """Make room for what instances will remember.

        CPython keeps the values of instances in one block for the names that the first few of them had. Any later name
        costs an instance a table of its own, which takes more than all that is remembered.
        """
        super().__init_subclass__(**options)
        first = cls.__new__(cls)
        for name in (*_REMEMBERED, "permission_stamps_roles", "permission_stamps_user"):
            setattr(first, name, None)

    def forget_permissions(self) -> None:
        """Drop what this instance remembers, so that the next check asks the database."""
        self._permission_snapshot = None
        self._permission_snapshots = self._permission_facts = self.permission_stamps_epoch = None

    def refresh_from_db(self, *args: Any, **kwargs: Any) -> None:  # Any: of Django's method
        """Read the fields again, and forget what is remembered of rights."""
        super().refresh_from_db(*args, **kwargs)
        self.forget_permissions()

    def __getstate__(self) -> dict[str, Any]:  # Any: fields of a model
        """Leave out what is remembered, which belongs to one process."""
        values: dict[str, Any] = super().__getstate__()
        return {name: value for name, value in values.items() if name not in _REMEMBERED}

    def save(self, *args: Any, **kwargs: Any) -> None:  # Any: of Django's method
        """Store the fields, and with the first save, or not at all, what was given before."""
        with transaction.atomic() if "_queued_writes" in self.__dict__ else nullcontext():
            super().save(*args, **kwargs)

    def apply_queued(self) -> None:
        """Do what was asked for before the user was stored. Called once, after the first save."""
        for write in self.__dict__.get("_queued_writes", ()):
            write()
        self.__dict__.pop("_queued_writes", None)

    def _write(self, write: Callable[[], object]) -> Self:
        """Write now, or, where the user isn't stored yet, after its first save."""
        if self._state.adding:
            self.__dict__.setdefault("_queued_writes", []).append(write)
        else:
            write()
        return self
