"""A Redis that answers, but refuses for now: that counts as away, for dispatch, for workers and for who relays."""

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from datetime import timedelta
from pathlib import Path

import pytest
import structlog
from django.db import connections
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ResponseError

from jobs.coordination import get_coordinator
from jobs.drivers.base import STEP, get_driver
from jobs.job import dispatch_many
from jobs.models import OutboxJob
from jobs.redis_line import Line, pack
from jobs.redis_scripts import OUTAGES
from jobs.services import relay_outbox
from jobs.worker.loop import Worker, WorkerOptions
from tests.jobs.outbox_store import Server, find_free_port
from tests.jobs.outbox_store import server_fixture as _server  # noqa: F401 - a fixture
from tests.jobs.sample_jobs import NoteJob, PatientWaitJob, read_lines
from tests.jobs.steps import drain, soon, stored
from tests.waiting import wait_until

pytestmark = pytest.mark.django_db(transaction=True)


class AloneRefusedJob(NoteJob):
    """One at a time."""

    unique_for = 3600


@contextmanager
def _without_replicas(server: Server) -> Iterator[None]:
    """NOREPLICAS: fewer replicas listen than the server is told to wait for."""
    server.client.config_set("min-replicas-to-write", 1)
    try:
        yield
    finally:
        server.client.config_set("min-replicas-to-write", 0)


@contextmanager
def _without_disk(server: Server) -> Iterator[None]:
    """MISCONF: it can't write a snapshot."""
    configured = server.client.config_get("d*")
    snapshot = Path(str(configured["dir"])) / str(configured["dbfilename"])

    def save(status: str) -> None:
        def is_saved() -> bool:
            with suppress(ResponseError):  # it writes one already
                server.client.bgsave()
            return bool(server.client.info("persistence")["rdb_last_bgsave_status"] == status)

        wait_until(is_saved)

    server.client.config_set("save", "3600 1")
    snapshot.unlink(missing_ok=True)
    snapshot.mkdir()  # where a file can't take its place
    try:
        save("err")
        yield
    finally:
        snapshot.rmdir()
        save("ok")


@contextmanager
def _in_a_script(server: Server) -> Iterator[None]:
    """BUSY: a script of somebody else runs for too long."""
    server.client.config_set("busy-reply-threshold", 1)

    def run() -> None:
        with suppress(ResponseError, RedisConnectionError):
            server.client.eval("while true do end", 0)

    def is_busy() -> bool:
        try:
            server.client.ping()
        except ResponseError:
            return True
        return False

    thread = threading.Thread(target=run)
    thread.start()
    try:
        wait_until(is_busy)
        yield
    finally:
        server.client.script_kill()
        thread.join()


@contextmanager
def _cut_off(server: Server) -> Iterator[None]:
    """MASTERDOWN: it has become the replica of one that can't be reached."""
    server.client.config_set("replica-serve-stale-data", "no")
    server.client.replicaof("127.0.0.1", find_free_port())
    try:
        yield
    finally:
        server.client.replicaof("NO", "ONE")


@contextmanager
def _demoted(server: Server) -> Iterator[None]:
    """READONLY: it has become a replica, and answers what it is asked from what it has."""
    server.client.replicaof("127.0.0.1", find_free_port())
    try:
        yield
    finally:
        server.client.replicaof("NO", "ONE")


@pytest.mark.parametrize("refusing", [_demoted, _cut_off])
def test_connections_to_a_server_that_is_the_primary_no_more_are_not_used_again(
    refusing: Callable[[Server], AbstractContextManager[None]], server: Server
) -> None:
    line = Line(server.client)
    before = line.ask(pack("CLIENT", "ID"))
    assert line.ask(pack("CLIENT", "ID")) == before
    with refusing(server):
        assert isinstance(line.ask(pack("SET", "a", "b")), OUTAGES)
    assert line.ask(pack("CLIENT", "ID")) > before
    assert line.ask(pack("SET", "a", "b")) == b"OK"


REFUSALS = pytest.mark.parametrize("refusing", [_without_replicas, _without_disk, _in_a_script, _cut_off, _demoted])

type _Refusing = Callable[[Server], AbstractContextManager[None]]


@REFUSALS
def test_what_is_dispatched_meanwhile_waits_in_the_outbox(refusing: _Refusing, server: Server, tmp_path: Path) -> None:
    path = str(tmp_path / "notes")
    NoteJob.dispatch(path, "before")
    with refusing(server):
        NoteJob.dispatch(path, "one")
        AloneRefusedJob.dispatch(path, "two")
        dispatch_many(NoteJob(path, "many") for _ in range(STEP + 1))
        (look,) = relay_outbox()
        assert (look.count, look.is_away) == (0, True)
    relay_outbox()
    assert not OutboxJob.objects.exists()
    drain(now=soon())
    assert read_lines(tmp_path / "notes") == ["before", "one", "two", *["many"] * (STEP + 1)]


@REFUSALS
def test_each_call_counts_it_as_an_outage(refusing: _Refusing, server: Server, tmp_path: Path) -> None:
    NoteJob.dispatch(str(tmp_path / "notes"), "one")
    (claim,) = get_driver().claim(queues=[], worker="w", now=soon())
    coordinator = get_coordinator()
    assert coordinator.acquire("k", owner="one", lifetime=timedelta(minutes=1))
    calls: list[Callable[[], object]] = [
        lambda: get_driver().finish(claim),
        lambda: get_driver().finish_all([claim]),
        lambda: get_driver().pause("notes"),
        lambda: coordinator.acquire("k", owner="two", lifetime=timedelta(minutes=1), places=2),
        lambda: coordinator.release("k", owner="one"),
        lambda: coordinator.forget("k"),
    ]
    with refusing(server):
        for call in calls:
            with pytest.raises(OUTAGES):
                call()
    assert get_driver().finish(claim)


@REFUSALS
def test_a_worker_waits_with_the_end_of_a_job_until_it_is_taken(
    refusing: _Refusing, server: Server, tmp_path: Path
) -> None:
    PatientWaitJob.dispatch(str(tmp_path))
    worker = Worker(WorkerOptions(sleep=timedelta(seconds=0.02), stop_when_empty=True))

    def run() -> None:
        try:
            worker.run()
        finally:
            connections.close_all()

    with structlog.testing.capture_logs() as lines:
        thread = threading.Thread(target=run)
        thread.start()
        try:
            wait_until(lambda: read_lines(tmp_path / "started"))
            with refusing(server):
                (tmp_path / "go").touch()
                wait_until(lambda: [line for line in lines if line["event"] == "store_unavailable"])
        finally:
            (tmp_path / "go").touch()
            thread.join()
    assert "job_not_settled" not in [line["event"] for line in lines]
    assert len(read_lines(tmp_path / "done")) == 1
    assert stored() == []
