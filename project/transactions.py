"""What has to happen when a transaction of the default database ends, either way."""

import weakref
from collections.abc import Callable
from typing import Final

import structlog
from django.db import transaction

_log: Final = structlog.get_logger("gatehouse.transactions")


def on_end(
    *,
    commit: Callable[[], object] | None = None,
    rollback: Callable[[], object] | None = None,
    undo: Callable[[], object] | None = None,
) -> None:
    """Call ``commit`` after the commit, or ``rollback`` when the transaction, or the savepoint, is rolled back.

    Outside of a transaction ``commit`` is called at once. What is registered here goes before all that others have for
    the commit, so that what they raise stops nothing of it. Where one of ours raises, those after it that have ``undo``
    are undone, and the others called nevertheless. ``rollback`` may run while the connection is unusable, so it must
    not use it.
    """
    connection = transaction.get_connection()
    if not connection.in_atomic_block:
        if commit is not None:
            commit()
        return
    hooks = connection.run_on_commit
    first = hooks[0][1] if hooks else None
    transaction.on_commit(_End(commit, rollback, undo, group=first.group if isinstance(first, _End) else []))
    if any(getattr(block, "_from_testcase", False) for block in connection.atomic_blocks):
        return  # Django's tests call what was added since they looked, by its place at the end
    place = len(hooks) - 1
    while place and not isinstance(hooks[place - 1][1], _End):
        place -= 1
    hooks.insert(place, hooks.pop())


def list_waiting[T](kind: type[T], *, is_together: bool = False) -> list[T]:
    """Return what waits for the commit, of one type of callables; what was rolled back is not among it.

    ``is_together``: only what can't be rolled back without what is registered now, nor the other way round.
    """
    connection = transaction.get_connection()
    now = set(connection.savepoint_ids)
    ends = [hook[1] for hook in connection.run_on_commit if not is_together or hook[0] == now]
    return [end.commit for end in ends if isinstance(end, _End) and isinstance(end.commit, kind)]


class _End:
    """Waits for the commit; Django has no hook for rollbacks, but drops what waits for the commit then, at once."""

    def __init__(
        self,
        commit: Callable[[], object] | None,
        rollback: Callable[[], object] | None,
        undo: Callable[[], object] | None,
        *,
        group: "list[weakref.ref[_End]]",
    ) -> None:
        self.commit = commit
        self._rollback = rollback
        self._undo = undo
        #: All of the same transaction, in their order; weak, so that what Django drops is gone.
        self.group = group
        group.append(weakref.ref(self))

    def __call__(self) -> None:
        self._rollback, commit, self.commit = None, self.commit, None
        if commit is None:
            return
        try:
            commit()
        except BaseException:
            after = self.group[self.group.index(weakref.ref(self)) + 1 :]
            for other in after:
                if (end := other()) is not None:
                    end.give_up()
            raise

    def give_up(self) -> None:
        """Be undone, because one before was not to be had; end as any other where there is nothing to undo."""
        self.commit, commit = None, self._undo or self.commit
        self._rollback = None
        try:
            if commit is not None:
                commit()
        except Exception as error:  # noqa: BLE001 - the first one is raised
            _log.error("commit_hook_raised", error=type(error).__qualname__)

    def __del__(self) -> None:
        if self._rollback is not None:
            self._rollback()
