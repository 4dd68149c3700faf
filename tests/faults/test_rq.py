"""The windows in which stock RQ loses jobs or runs them twice, each beside ours, which is closed.

Where a worker of ours is killed in the window, what it leaves is what one script has written, for there is nothing in
between; so these tests claim a job and never come back. That a store which is away when a job ends stops no worker of
ours, and that a schedule which several look after starts nothing twice, is shown by the run of ``test_faults``.
"""

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path

import django_rq
import pytest
from django.conf import settings as django_settings
from pytest_django import Settings
from redis import Redis
from rq import Queue, RateLimit, Retry, SimpleWorker
from rq.intermediate_queue import IntermediateQueue
from rq.job import JobStatus
from rq.registry import FailedJobRegistry, StartedJobRegistry
from rq.serializers import JSONSerializer

from jobs.conf import get_job_settings
from jobs.coordination import get_coordinator
from jobs.drivers.base import Claim, QueueDriver, get_driver
from tests.faults import rq_programs
from tests.faults.stores import RedisStore
from tests.jobs.messages import make
from tests.processes import ROOT
from tests.waiting import wait_until

pytestmark = [pytest.mark.process, pytest.mark.django_db(transaction=True), pytest.mark.timeout(120)]

_LATER = 100_000


@pytest.fixture
def server() -> Iterator[Redis]:
    """The Redis of the run, which holds nothing."""
    client: Redis = django_rq.get_connection("default")
    client.flushdb()
    yield client
    client.flushdb()


@pytest.fixture
def stock(server: Redis) -> Queue:
    """A queue of RQ's."""
    return Queue("stock", connection=server, serializer=JSONSerializer)


@pytest.fixture
def driver(server: Redis, settings: Settings) -> QueueDriver:
    """Our driver, on the same server."""
    settings.JOBS = {**settings.JOBS, "CONNECTION": "redis"}
    return get_driver("redis")


def _start(point: str, *queues: str, url: str = "") -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-m", "tests.faults.rq_programs", url or django_settings.REDIS_URL, point, *queues]
    return subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL)


def _work(point: str, *queues: str) -> int:
    with _start(point, *queues) as worker:
        return worker.wait(60)


def _read(path: Path) -> list[str]:
    return path.read_text().split() if path.exists() else []


def _maintain(server: Redis, queue: Queue) -> None:
    """Let RQ look after what is left, as its workers do, at a time when everything has expired."""
    worker = SimpleWorker([queue], connection=server, serializer=JSONSerializer)
    StartedJobRegistry(queue.name, connection=server, serializer=JSONSerializer).cleanup(timestamp=time.time() + _LATER)
    waiting = IntermediateQueue(queue.key, server)
    waiting.cleanup(worker, queue)
    for key in server.scan_iter(f"{waiting.key}:first_seen:*"):
        server.set(key, time.time() - _LATER)
    waiting.cleanup(worker, queue)


def _claim_and_vanish(driver: QueueDriver, *queues: str, tries: int = 1) -> list[Claim]:
    """Send jobs, take them, and never come back."""
    driver.push([make(f"job-{number}", queue="ours", at=driver.get_now()) for number in range(tries)])
    claims = list(driver.claim(queues=queues, worker="dies", count=tries))
    assert len(claims) == tries
    return claims


def _later(driver: QueueDriver) -> datetime:
    """Return a moment at which every lease has ended."""
    return driver.get_now() + timedelta(hours=1)


def test_r1_a_worker_of_two_queues_that_dies_with_a_job_just_taken(
    server: Redis, stock: Queue, driver: QueueDriver, tmp_path: Path
) -> None:
    job = stock.enqueue(rq_programs.note, str(tmp_path / "stock"), "x", retry=Retry(max=3))
    assert _work("pop", "stock", "other") == -signal.SIGKILL
    _maintain(server, stock)
    assert job.get_status(refresh=True) == JobStatus.QUEUED
    assert _work("none", "stock", "other") == 0
    assert _read(tmp_path / "stock") == []
    assert job.id not in {*stock.get_job_ids(), *stock.failed_job_registry.get_job_ids()}

    (held,) = _claim_and_vanish(driver, "other", "ours")
    (again,) = driver.claim(queues=["other", "ours"], worker="next", now=_later(driver))
    assert (again.job_id, again.attempts, again.crashes) == (held.job_id, 2, 1)


def test_r2_a_worker_of_one_queue_that_dies_with_a_job_just_taken(
    server: Redis, stock: Queue, driver: QueueDriver, tmp_path: Path
) -> None:
    job = stock.enqueue(rq_programs.note, str(tmp_path / "stock"), "x")
    assert _work("pop", "stock") == -signal.SIGKILL
    _maintain(server, stock)
    assert FailedJobRegistry("stock", connection=server, serializer=JSONSerializer).get_job_ids() == [job.id]
    assert _read(tmp_path / "stock") == []

    (held,) = _claim_and_vanish(driver, "ours")
    (again,) = driver.claim(queues=["ours"], worker="next", now=_later(driver))
    assert again.job_id == held.job_id


def test_r3_a_place_that_a_dead_worker_had(server: Redis, stock: Queue, driver: QueueDriver, tmp_path: Path) -> None:
    limit = RateLimit("key", 1)
    for text in ("dies", "waits"):
        stock.enqueue(rq_programs.note, str(tmp_path / "stock"), text, rate_limit=limit)
    assert _work("pop", "stock", "other") == -signal.SIGKILL
    _maintain(server, stock)
    assert _work("none", "stock", "other") == 0
    assert _read(tmp_path / "stock") == []

    coordinator, lease = get_coordinator(), get_job_settings().lease
    assert coordinator.acquire("running:key", owner="dies", lifetime=lease)
    assert not coordinator.acquire("running:key", owner="waits", lifetime=lease)
    assert coordinator.acquire("running:key", owner="waits", lifetime=lease, now=_later(driver))


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP], ids=["r4_parent_killed", "r10_parent_stopped"])
def test_a_job_that_goes_on_without_its_parent_ends_twice(
    server: Redis, stock: Queue, driver: QueueDriver, tmp_path: Path, how: signal.Signals
) -> None:
    job = stock.enqueue(rq_programs.wait, str(tmp_path), retry=Retry(max=1), result_ttl=-1)
    with _start("fork", "stock") as worker:
        wait_until(lambda: _read(tmp_path / "started"), seconds=60)
        worker.send_signal(how)
        StartedJobRegistry("stock", connection=server, serializer=JSONSerializer).cleanup(time.time() + _LATER)
        (tmp_path / "go").touch()
        wait_until(lambda: _read(tmp_path / "done"), seconds=60)
        assert _work("none", "stock") == 0
        worker.kill()
    assert len(_read(tmp_path / "done")) == 2
    wait_until(lambda: len(job.results()) == 2 or how == signal.SIGSTOP)

    (first,) = _claim_and_vanish(driver, "ours")
    (second,) = driver.claim(queues=["ours"], worker="next", now=_later(driver))
    assert not driver.finish(first)
    assert driver.finish(second)


def test_r5_an_end_that_was_written_down_and_not_heard_of(stock: Queue, driver: QueueDriver, tmp_path: Path) -> None:
    stock.enqueue(rq_programs.note, str(tmp_path / "stock"), "x", retry=Retry(max=1))
    _work("success", "stock")
    _work("none", "stock")
    assert _read(tmp_path / "stock") == ["x", "x"]

    (held,) = _claim_and_vanish(driver, "ours")
    assert driver.finish(held)
    assert driver.finish(held)  # asked again, it says the same
    assert not driver.claim(queues=["ours"], worker="next", now=_later(driver))


def test_r6_two_who_look_after_lost_jobs_at_once(
    server: Redis, stock: Queue, driver: QueueDriver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = stock.enqueue(rq_programs.note, str(tmp_path / "stock"), "x", retry=Retry(max=3))
    registry = StartedJobRegistry("stock", connection=server, serializer=JSONSerializer)
    server.lrem(stock.key, 0, job.id)
    server.zadd(registry.key, {f"{job.id}:lost": 1})
    job.set_status(JobStatus.STARTED)
    both, find = threading.Barrier(2), StartedJobRegistry.get_expired_job_ids

    def find_together(self: StartedJobRegistry, timestamp: float | None = None) -> list[str]:
        found: list[str] = find(self, timestamp)
        both.wait(20)
        return found

    monkeypatch.setattr(StartedJobRegistry, "get_expired_job_ids", find_together)
    _together(lambda: StartedJobRegistry("stock", connection=server, serializer=JSONSerializer).cleanup(time.time()))
    assert stock.get_job_ids() in ([job.id, job.id], [job.id])  # twice, but where one is much faster

    held = _claim_and_vanish(driver, "ours", tries=50)
    later, taken = _later(driver), list[Claim]()
    _together(lambda: taken.extend(driver.claim(queues=["ours"], worker="next", count=50, now=later)))
    assert sorted(one.job_id for one in taken) == sorted(one.job_id for one in held)


def _together(act: Callable[[], object]) -> None:
    threads = [threading.Thread(target=act) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_r7_one_record_that_nobody_can_read(server: Redis, stock: Queue, driver: QueueDriver, tmp_path: Path) -> None:
    good = stock.enqueue(rq_programs.note, str(tmp_path / "stock"), "x")
    waiting = IntermediateQueue(stock.key, server)
    server.hset("rq:job:bad", mapping={"created_at": "nonsense", "data": b"\x00"})
    server.lrem(stock.key, 0, good.id)
    server.rpush(waiting.key, "bad", good.id)
    with pytest.raises(ValueError, match="nonsense"):
        _maintain(server, stock)
    assert good.id not in stock.failed_job_registry.get_job_ids()

    server.hset("rq:job:bad", "data", "?")
    (held,) = _claim_and_vanish(driver, "ours")
    server.hset("rq:job:worse", mapping={"payload": "?"})
    server.lpush("rq:queue:ours", "worse", "bad")
    (again,) = driver.claim(queues=["ours"], worker="next", now=_later(driver))
    assert again.job_id == held.job_id


@pytest.mark.parametrize("persistence", ["no", "everysec", "always"])
def test_r9_a_server_that_is_killed_keeps_what_it_acknowledged_where_it_has_an_append_only_file(
    tmp_path: Path, persistence: str
) -> None:
    class Chosen(RedisStore):
        append_only = "no" if persistence == "no" else "yes"
        fsync = persistence if persistence != "no" else "everysec"

    store = Chosen(tmp_path)
    with store.serve(), closing(Redis(port=store.proxy.port)) as client:
        queue = Queue("stock", connection=client, serializer=JSONSerializer)
        for number in range(300):
            queue.enqueue(rq_programs.note, str(tmp_path / "stock"), str(number))
        store.kill()
        store.restart()
        store.proxy.redirect(store.port)
        assert queue.count == (0 if persistence == "no" else 300)
