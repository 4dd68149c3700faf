"""The probes."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client, override_settings
from django.utils import timezone

from jobs.services import record_heartbeat
from tests.jobs.steps import push_record


@pytest.fixture
def dead_database(transactional_db: None) -> Iterator[None]:
    """A database that nobody reaches."""
    settings_dict = connection.settings_dict
    name = settings_dict["NAME"]
    connection.close()
    settings_dict["NAME"] = "/nowhere/at-all.sqlite3" if connection.vendor == "sqlite" else "nowhere_at_all"
    try:
        yield
    finally:
        connection.close()
        settings_dict["NAME"] = name


@pytest.fixture
def worker(db: None) -> None:
    """A worker that is alive."""
    now = timezone.now()
    minute = timedelta(minutes=1)
    record_heartbeat(name="one", queues=(), started_at=now, now=now, alive_until=now + minute, current_job_id=None)


def readyz(client: Client) -> tuple[int, Any]:  # Any: JSON
    response = client.get("/readyz")
    return response.status_code, response.json()


def test_healthz_answers_without_any_store(client: Client) -> None:
    response = client.get("/healthz")
    assert (response.status_code, response.json()) == (200, {"status": "ok"})


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_probes_are_never_kept_by_a_cache(client: Client, path: str) -> None:
    assert client.get(path)["Cache-Control"] == "no-store"


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_probes_refuse_to_be_posted_to(client: Client, path: str) -> None:
    assert client.post(path).status_code == 405


@pytest.mark.django_db
def test_readyz_is_503_with_a_reason_while_no_worker_is_alive(client: Client) -> None:
    status, body = readyz(client)
    assert status == 503
    assert body["checks"]["queue"] == {"ok": False, "reason": "No worker is alive."}
    assert body["checks"]["database"] == body["checks"]["cache"] == {"ok": True, "reason": ""}


@pytest.mark.django_db
def test_readyz_is_200_while_all_is_fine_and_a_worker_is_alive(client: Client, worker: None) -> None:
    fine = {"ok": True, "reason": ""}
    checks = {"database": fine, "cache": fine, "queue": fine}
    assert readyz(client) == (200, {"status": "ok", "checks": checks})


@pytest.mark.django_db
@pytest.mark.parametrize(("waited", "status"), [(timedelta(seconds=299), 200), (timedelta(seconds=301), 503)])
def test_readyz_is_503_when_a_job_has_waited_too_long(
    client: Client, worker: None, waited: timedelta, status: int
) -> None:
    now = timezone.now()
    push_record(created_at=now - waited)
    assert client.get("/readyz").status_code == status


def test_readyz_is_503_in_json_when_the_database_is_dead(dead_database: None, client: Client) -> None:
    status, body = readyz(client)
    assert status == 503
    assert body["checks"]["database"] == {"ok": False, "reason": "It does not answer."}
    assert "nowhere" not in str(body)


@pytest.mark.django_db
def test_readyz_is_503_when_the_cache_keeps_nothing(client: Client) -> None:
    with override_settings(CACHES={"default": {"BACKEND": "django.core.cache.backends.dummy.DummyCache"}}):
        status, body = readyz(client)
    assert status == 503
    assert body["checks"]["cache"] == {"ok": False, "reason": "It does not keep what it is given."}


@pytest.mark.django_db
def test_readyz_is_503_when_the_cache_is_out_of_reach(client: Client) -> None:
    dead = {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": "redis://127.0.0.1:1/0"}
    with override_settings(CACHES={"default": dead}):
        status, body = readyz(client)
    assert status == 503
    assert body["checks"]["cache"]["ok"] is False
    assert "127.0.0.1" not in str(body)
