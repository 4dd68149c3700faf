"""Fixtures of the tests of jobs."""

from collections.abc import Iterator

import pytest
from django.conf import settings as django_settings
from pytest_django.fixtures import Settings

from jobs.drivers.base import QueueDriver, get_driver

#: RQ's own tools need Redis.
collect_ignore = [] if django_settings.REDIS_URL else ["rq"]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run tests that take ``job_connection`` once for each connection of the run: the embedded one has no Redis."""
    if "job_connection" in metafunc.fixturenames:
        # What Redis keeps is sent with the commit, which must therefore come.
        redis = pytest.param("redis", marks=pytest.mark.django_db(transaction=True))
        names = ["database", redis] if django_settings.REDIS_URL else ["database"]
        metafunc.parametrize("job_connection", names, indirect=True)


@pytest.fixture
def job_connection(request: pytest.FixtureRequest, settings: Settings, db: None) -> Iterator[str]:
    """The name of the connection that jobs take, each in its turn; it holds nothing."""
    name: str = request.param
    settings.JOBS = {**settings.JOBS, "CONNECTION": name}
    empty(name)
    yield name
    empty(name)


def empty(name: str) -> None:
    """Delete everything that a connection keeps outside of the test database."""
    if name == "redis":
        from django_rq import get_connection  # noqa: PLC0415 - reads its settings at import

        get_connection("default").flushdb()


@pytest.fixture
def driver(job_connection: str) -> QueueDriver:
    """The driver of the connection."""
    return get_driver(job_connection)
