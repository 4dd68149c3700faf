"""Fixtures of the tests with RQ: jobs go to Redis, which holds nothing."""

import django_rq
import pytest
from pytest_django.fixtures import Settings
from redis import Redis
from rq import Queue
from rq.serializers import JSONSerializer

from jobs.drivers.base import get_driver
from jobs.drivers.redis import RedisDriver
from tests.jobs.conftest import empty


@pytest.fixture(autouse=True)
def _redis(settings: Settings, transactional_db: None) -> None:
    settings.JOBS = {**settings.JOBS, "CONNECTION": "redis"}
    empty("redis")


@pytest.fixture
def server() -> Redis:
    return django_rq.get_connection("default")


@pytest.fixture
def driver() -> RedisDriver:
    driver = get_driver("redis")
    assert isinstance(driver, RedisDriver)
    return driver


@pytest.fixture
def queue(server: Redis) -> Queue:
    return Queue("default", connection=server, serializer=JSONSerializer)
