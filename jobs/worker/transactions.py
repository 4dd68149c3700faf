"""Transactions that a job leaves open, in which what its worker writes later would be lost, and broken connections."""

import time
from collections.abc import Mapping, Sequence
from threading import local
from typing import Any, Final

import structlog
from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created
from django.db.transaction import TransactionManagementError

#: Connections are opened anew after this long.
_LIFE_SECONDS: Final = 60.0
_log = structlog.get_logger("gatehouse.jobs")


class _Thread(local):
    """The database connections of this thread. To ask Django takes long, and each job asks some times.

    All are among them from the beginning, since one that fails while it is opened is there and yet never told of.
    """

    def __init__(self) -> None:
        self.connections: Sequence[BaseDatabaseWrapper] = connections.all()


_thread: Final = _Thread()


def _note_other(*, connection: BaseDatabaseWrapper, **_others: object) -> None:
    """Take note of a connection that somebody has put in another one's place."""
    if connection not in _thread.connections:
        _thread.connections = connections.all()


connection_created.connect(_note_other, dispatch_uid="jobs.worker.transactions")


def list_connections() -> Sequence[BaseDatabaseWrapper]:
    """Return the database connections of this thread, whether they are open or not."""
    return _thread.connections


def get_depths() -> dict[str, int]:
    """Return how many transactions are open inside of each other, by the name of their database."""
    return {one.alias: len(one.atomic_blocks) for one in _thread.connections if one.atomic_blocks}


def roll_back_to(depths: Mapping[str, int]) -> list[str]:
    """Leave the transactions that were opened since then, and close those connections; return their databases."""
    left: list[str] = []
    for connection in _thread.connections:
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
    for connection in _thread.connections:
        if not connection.in_atomic_block:
            connection.close()


def make_room(count: int) -> None:
    """Let the pool of each database hold so many connections, where it holds fewer: each thread keeps one."""
    for connection in connections.all():
        options = connection.settings_dict.get("OPTIONS", {}).get("pool")
        if isinstance(options, dict) and (options.get("max_size") or options.get("min_size", 4)) < count:
            options["max_size"] = count
            pool: Any = getattr(connection, "pool", None)  # Any: only that of PostgreSQL has one
            if pool is not None:
                pool.resize(min_size=options.get("min_size", 4), max_size=count)


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
        for connection in _thread.connections:
            if connection.connection is None or connection.in_atomic_block:
                continue
            if is_time or connection.errors_occurred or not connection.autocommit:
                connection.close()
