"""What listeners hear of a store, each on a connection of its own."""

import select
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import timedelta
from urllib.parse import urlsplit

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pytest_django import Settings

from jobs.drivers.base import QueueDriver, get_driver
from jobs.drivers.listening import Listener
from tests.jobs.messages import make, push
from tests.jobs.steps import claim_one
from tests.waiting import wait_until

pytestmark = pytest.mark.django_db(transaction=True)
needs_servers = pytest.mark.skipif("connection.vendor != 'postgresql'", reason="SQLite has nobody who could tell")


@contextmanager
def listening(driver: QueueDriver, *queues: str) -> Iterator[Listener]:
    """Yield a listener that listens."""
    (listener,) = driver.listen(queues)
    with closing(listener):
        listener.start()
        yield listener


@pytest.fixture
def database(settings: Settings) -> QueueDriver:
    """The driver of the database, which takes all jobs."""
    settings.JOBS = {**settings.JOBS, "CONNECTION": "database"}
    return get_driver("database")


def hears_something(listener: Listener) -> bool:
    """Return what the listener makes of the next that comes."""
    wait_until(lambda: select.select([listener], [], [], 0)[0])
    return listener.hear()


def is_silent(listener: Listener, *, mark: str) -> bool:
    """Say whether nothing has come for a listener; the mark is a queue of others, in which something comes now."""
    push(queue=mark)
    return not hears_something(listener)


@pytest.mark.skipif("connection.vendor == 'postgresql'", reason="for SQLite")
def test_of_sqlite_nobody_hears(driver: QueueDriver) -> None:
    assert driver.listen(["a"]) == []


@needs_servers
@pytest.mark.parametrize("queues", [("a", "b"), ()], ids=["named", "all"])
def test_a_job_in_one_of_its_queues_is_heard_once(queues: tuple[str, ...], driver: QueueDriver) -> None:
    with listening(driver, *queues) as listener:
        push(queue="b")
        assert hears_something(listener)
        assert not listener.hear()


@needs_servers
def test_jobs_of_other_queues_and_such_that_are_not_due_are_not_heard(driver: QueueDriver) -> None:
    with listening(driver, "a") as listener:
        push(queue="c")
        push(queue="a", at=timezone.now() + timedelta(hours=1))
        assert is_silent(listener, mark="b")
        driver.push([make(queue="a", at=timezone.now() + timedelta(hours=1)), make(queue="b"), make(queue="a")])
        wait_until(listener.hear)  # the names of both may come one after the other


@needs_servers
def test_a_job_is_heard_with_the_commit_and_not_before(database: QueueDriver) -> None:
    with listening(database, "a") as listener:
        with transaction.atomic():
            push(queue="a")
            assert not listener.hear()
        assert hears_something(listener)
        with transaction.atomic():
            push(queue="a")
            transaction.set_rollback(True)
        assert is_silent(listener, mark="b")


@needs_servers
def test_a_job_that_is_put_back_is_heard_where_there_is_nothing_to_wait_for(driver: QueueDriver) -> None:
    push(queue="a")
    with listening(driver, "a") as listener:
        driver.release(claim_one("a"), available_at=driver.get_now())
        assert hears_something(listener)
        driver.release(claim_one("a"), available_at=driver.get_now() + timedelta(hours=1))
        assert is_silent(listener, mark="b")


@needs_servers
def test_jobs_that_are_given_back_unbegun_are_heard_once(driver: QueueDriver) -> None:
    for _ in range(3):
        push(queue="a")
    claims = driver.claim(queues=["a"], worker="w", count=3)
    with listening(driver, "a") as listener:
        driver.give_back(claims)
        assert hears_something(listener)
        assert is_silent(listener, mark="b")


@needs_servers
def test_what_follows_a_job_is_heard(driver: QueueDriver) -> None:
    push(queue="b")
    with listening(driver, "a") as listener:
        driver.finish(claim_one("b"), followers=[make(queue="a")])
        assert hears_something(listener)


@needs_servers
def test_what_is_pushed_while_it_has_stopped_is_not_heard_later(driver: QueueDriver) -> None:
    with listening(driver, "a") as listener:
        listener.stop()
        push(queue="a")
        listener.start()
        assert is_silent(listener, mark="b")
        push(queue="a")
        assert hears_something(listener)


@needs_servers
def test_many_jobs_in_many_queues_are_told_in_one_statement(database: QueueDriver) -> None:
    with listening(database, "q99") as listener:
        with CaptureQueriesContext(connection) as queries:
            database.push([make(queue=f"q{number % 100}") for number in range(200)])
        assert sum("pg_notify" in query["sql"] for query in queries) == 1
        assert hears_something(listener)


@needs_servers
def test_nobody_listens_and_the_database_tells_nothing_where_that_is_turned_off(
    driver: QueueDriver, settings: Settings
) -> None:
    settings.JOBS = {**settings.JOBS, "NOTIFY": False}
    assert driver.listen([]) == []
    with CaptureQueriesContext(connection) as queries:
        push()
    assert not any("pg_notify" in query["sql"] for query in queries)


@needs_servers
def test_of_several_connections_each_is_heard(driver: QueueDriver, settings: Settings) -> None:
    either = {"DRIVER": "jobs.drivers.failover.FailoverDriver", "CONNECTIONS": ["database", "redis"]}
    settings.JOBS = {**settings.JOBS, "CONNECTIONS": {**settings.JOBS["CONNECTIONS"], "either": either}}
    listeners = get_driver("either").listen(["a"])
    for listener in listeners:
        listener.start()
    push(queue="a")
    wait_until(lambda: any(listener.hear() for listener in listeners))
    for listener in listeners:
        listener.close()


@needs_servers
def test_who_may_not_publish_in_redis_still_stores_jobs(settings: Settings) -> None:
    from django_rq import get_connection  # noqa: PLC0415 - reads its settings at import

    settings.JOBS = {**settings.JOBS, "CONNECTION": "redis"}
    client = get_connection("default")
    parts = urlsplit(settings.REDIS_URL)
    name = f"silent{parts.path.removeprefix('/')}"
    client.acl_setuser(name, enabled=True, nopass=True, keys=["*"], commands=["+@all"], reset_channels=True)
    try:
        url = parts._replace(netloc=f"{name}:x@{parts.hostname}:{parts.port}").geturl()
        settings.RQ_QUEUES = {**settings.RQ_QUEUES, "default": {**settings.RQ_QUEUES["default"], "URL": url}}
        push(queue="a")
        assert get_driver().measure()["a"].waiting == 1
    finally:
        client.acl_deluser(name)
        client.flushdb()
