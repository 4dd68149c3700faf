"""The stores of one run: a Valkey server, a PostgreSQL database and a SQLite file, the same for all."""

import os
import secrets
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit, urlunsplit

import psycopg
from redis import Redis

from benchmarks.jobs import work
from benchmarks.jobs.peers import Peer
from benchmarks.postgresql import make_database
from benchmarks.serving import start_valkey

_ROOT: Final = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stores:
    """Where they are, and how programs are told."""

    redis_url: str
    postgresql_url: str
    #: For what is written: the SQLite file, logs.
    folder: Path
    #: Where jobs note that they are done.
    notes: Path
    secret: str = field(default_factory=lambda: secrets.token_urlsafe(64))

    @property
    def sqlite_path(self) -> Path:
        """The SQLite file."""
        return self.folder / "jobs.sqlite3"

    @property
    def ledger_path(self) -> Path:
        """Where the jobs of a soak note their numbers: some 100 MB in an hour, too much for a small memory folder."""
        return self.folder / "ledger"

    @property
    def counter_url(self) -> str:
        """The Redis in which jobs of the kind ``incr`` count: the same server, another database."""
        return urlunsplit(urlsplit(self.redis_url)._replace(path="/1"))

    def list_urls(self, peer: Peer) -> list[str]:
        """Return the addresses of what a peer asks: its store and, of ours on Redis, the database."""
        urls = {"redis": self.redis_url, "postgresql": self.postgresql_url, "sqlite": f"sqlite:///{self.sqlite_path}"}
        return [urls[peer.store], *([self.postgresql_url] if peer.is_ours and peer.store == "redis" else [])]

    def make_environment(self, peer: Peer, *, urls: Sequence[str] = ()) -> dict[str, str]:
        """Return the environment of a peer's programs, which find what ``list_urls`` names at other addresses."""
        found = self.list_urls(peer)
        found[: len(urls)] = urls
        kept = {name: value for name, value in os.environ.items() if name in {"PATH", "HOME", "LANG", "TZ"}}
        told = {
            work.STORE: found[0],
            work.COUNTER: self.counter_url,
            work.TALLY: str(self.notes / "tally"),
            work.STAMPS: str(self.notes / "stamps"),
            work.LEDGER: str(self.ledger_path),
        }
        ours = self._make_our_environment(found) if peer.is_ours else {}
        return {**kept, **told, **ours, **peer.environment}

    def _make_our_environment(self, urls: Sequence[str]) -> dict[str, str]:
        database_url, redis_url = urls[-1], urls[0] if len(urls) > 1 else ""
        return {
            "DJANGO_SETTINGS_MODULE": "benchmarks.jobs.settings",
            "ENV_FILE": os.devnull,
            "LOG_LEVEL": "ERROR",
            "SECRET_KEY": self.secret,
            "VAR_DIR": str(self.folder),
            "BASE_URL": "https://bench.localhost",
            "ALLOWED_HOSTS": "bench.localhost",
            "EMAIL_URL": "smtp://127.0.0.1:9",  # nothing is mailed
            "DATABASE_URL": database_url,
            **({"REDIS_URL": redis_url} if redis_url else {}),
        }

    def prepare(self, peer: Peer) -> None:
        """Make the tables of ours."""
        environment = self.make_environment(peer)
        subprocess.run(
            [sys.executable, "manage.py", "migrate", "--verbosity", "0"], cwd=_ROOT, env=environment, check=True
        )

    def empty(self) -> None:
        """Forget what is in Redis, and what was noted."""
        with closing(Redis.from_url(self.redis_url)) as client:
            client.flushall()
        for name in ("tally", "stamps"):
            (self.notes / name).write_bytes(b"")
        self.ledger_path.write_bytes(b"")

    def is_locked(self, peer: Peer) -> bool:
        """Say whether somebody holds the one lock of SQLite, as a worker that was stopped in a transaction does."""
        if peer.store != "sqlite":
            return False
        with closing(sqlite3.connect(self.sqlite_path, timeout=0, isolation_level=None)) as connection:
            try:
                connection.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError:
                return True
            connection.execute("ROLLBACK")
            return False

    def count_commands(self) -> int:
        """Return how many commands Redis has run since its start, those of scripts included."""
        with closing(Redis.from_url(self.redis_url)) as client:
            return sum(int(one["calls"]) for one in client.info("commandstats").values())

    def tell_versions(self) -> dict[str, str]:
        """Return the versions of the stores."""
        with closing(Redis.from_url(self.redis_url)) as client:
            server = client.info("server")
        with psycopg.connect(self.postgresql_url) as connection:
            row = connection.execute("SHOW server_version").fetchone()
        return {
            "Valkey": str(server.get("valkey_version") or server["redis_version"]),
            "PostgreSQL": str(row[0]) if row else "",
            "SQLite": sqlite3.sqlite_version,
        }


@contextmanager
def open_stores() -> Iterator[Stores]:
    """Start them."""
    # Notes are kept in memory where there is such a folder: disks of test machines are slow now and then.
    memory = Path("/dev/shm")  # noqa: S108 - a folder of one's own is made in it
    with ExitStack() as stack:
        make = tempfile.TemporaryDirectory
        folder = stack.enter_context(make(prefix="gatehouse-bench-"))
        notes = stack.enter_context(make(prefix="gatehouse-bench-", dir=memory if memory.is_dir() else None))
        redis_url = stack.enter_context(start_valkey())
        postgresql_url = stack.enter_context(make_database())
        yield Stores(redis_url=redis_url, postgresql_url=postgresql_url, folder=Path(folder), notes=Path(notes))


@contextmanager
def open_proxy(url: str, *, delay: float = 0) -> Iterator["Proxy"]:
    """Put a proxy before a store that adds a delay in seconds in each direction."""
    parts = urlsplit(url)
    host = unquote(parts.netloc.rpartition("@")[2])
    address = f"{host}/.s.PGSQL.5432" if host.startswith("/") else f"{parts.hostname}:{parts.port or 5432}"
    command = [sys.executable, "-m", "benchmarks.jobs.proxy", address, "--delay", str(delay)]
    with subprocess.Popen(command, cwd=_ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as program:  # noqa: S603 - ours
        try:
            proxy = Proxy(program)
            user = parts.netloc.rpartition("@")[0]
            netloc = f"{user}@127.0.0.1:{proxy.port}" if user else f"127.0.0.1:{proxy.port}"
            proxy.url = urlunsplit(parts._replace(netloc=netloc))
            yield proxy
        finally:
            program.kill()


class Proxy:
    """A running proxy."""

    def __init__(self, program: "subprocess.Popen[str]") -> None:
        """Wait until it serves."""
        self._program = program
        self.port = self._read()
        #: The store as one sees it through the proxy.
        self.url = ""

    def count_round_trips(self) -> int:
        """Return how often its clients have waited for an answer."""
        assert self._program.stdin is not None  # noqa: S101 - a pipe
        self._program.stdin.write("\n")
        self._program.stdin.flush()
        return self._read()

    def _read(self) -> int:
        assert self._program.stdout is not None  # noqa: S101 - a pipe
        return int(self._program.stdout.readline())
