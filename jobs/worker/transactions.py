"""Transactions that a job leaves open, in which what its worker writes later would be lost, and broken connections."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import structlog
from django.db import connections
from django.db.transaction import TransactionManagementError

#: Connections are opened anew after this long.
_LIFE_SECONDS: Final = 60.0
_log = structlog.get_logger("gatehouse.jobs")


@contextmanager
def no_transaction_left() -> Iterator[None]:
    """Roll back what the block leaves open, and close those connections.

    Raises:
        TransactionManagementError: It left a transaction open, and raised nothing itself; what it wrote is lost.
    """
    depths = {connection.alias: len(connection.atomic_blocks) for connection in connections.all(initialized_only=True)}
    try:
        yield
    except BaseException:
        _roll_back_to(depths)
        raise
    if left := _roll_back_to(depths):
        message = f"The job left a transaction open, which was rolled back: {', '.join(left)}."
        raise TransactionManagementError(message)


def _roll_back_to(depths: dict[str, int]) -> list[str]:
    """Leave the transactions that were opened since then; return the names of their databases."""
    left: list[str] = []
    for connection in connections.all(initialized_only=True):
        depth = depths.get(connection.alias, 0)
        if len(connection.atomic_blocks) <= depth:
            continue
        left.append(connection.alias)
        _log.error("transaction_left_open", database=connection.alias)
        while len(connection.atomic_blocks) > depth:
            reason = TransactionManagementError("left open")
            connection.atomic_blocks[-1].__exit__(type(reason), reason, None)
        if not connection.in_atomic_block:
            connection.close()
    return left


def drop_connections() -> None:
    """Close connections that an alarm may have interrupted in the middle of a query."""
    for connection in connections.all(initialized_only=True):
        if not connection.in_atomic_block:
            connection.close()


class Connections:
    """The database connections of a worker between two jobs."""

    def __init__(self) -> None:
        """Begin with whatever there is."""
        self._next_renewal = time.monotonic() + _LIFE_SECONDS

    def renew(self) -> None:
        """Close connections that broke, that a job left in another mode, and once a minute all of them.

        Django's ``close_old_connections`` would close them after every job: ``CONN_MAX_AGE`` is made for requests, and
        opening SQLite anew costs more than a small job. One whose transaction a caller has open is left alone.
        """
        is_time = time.monotonic() >= self._next_renewal
        if is_time:
            self._next_renewal = time.monotonic() + _LIFE_SECONDS
        for connection in connections.all(initialized_only=True):
            if connection.connection is None or connection.in_atomic_block:
                continue
            if is_time or connection.errors_occurred or not connection.get_autocommit():
                connection.close()
