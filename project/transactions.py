"""What has to happen when a transaction of the default database ends, either way."""

from collections.abc import Callable

from django.db import transaction


def on_end(*, commit: Callable[[], object] | None = None, rollback: Callable[[], object] | None = None) -> None:
    """Call ``commit`` after the commit, or ``rollback`` when the transaction, or the savepoint, is rolled back.

    Outside of a transaction ``commit`` is called at once. ``rollback`` may run while the connection is unusable, so
    it must not use it.
    """
    if transaction.get_connection().in_atomic_block:
        transaction.on_commit(_End(commit, rollback))
    elif commit is not None:
        commit()


class _End:
    """Waits for the commit; Django has no hook for rollbacks, but drops what waits for the commit then, at once."""

    def __init__(self, commit: Callable[[], object] | None, rollback: Callable[[], object] | None) -> None:
        self._commit = commit
        self._rollback = rollback

    def __call__(self) -> None:
        self._rollback = None
        if self._commit is not None:
            self._commit()

    def __del__(self) -> None:
        if self._rollback is not None:
            self._rollback()
