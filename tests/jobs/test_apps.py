"""Start-up: the modules that define jobs, and the system checks."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import override

import pytest
from django.apps import apps
from django.core.checks import run_checks
from django.core.exceptions import ImproperlyConfigured
from django.db import connection
from pytest_django import Settings

from jobs.backoff import Exponential
from jobs.conf import get_job_settings
from jobs.job import Job
from jobs.job.registry import _registry


def _ids() -> list[str | None]:
    return [message.id for message in run_checks(tags=["jobs"])]


def test_the_house_as_it_is_passes_every_check_of_jobs() -> None:
    assert _ids() == []


@pytest.mark.parametrize("module", ["nothing.here", "tests.jobs.nothing", "", ".relative"])
def test_a_module_of_jobs_that_does_not_exist_is_named_at_start(module: str, settings: Settings) -> None:
    settings.JOBS = {**settings.JOBS, "MODULES": [module]}
    with pytest.raises(ImproperlyConfigured, match=f"'{module}'"):
        apps.get_app_config("jobs").ready()


@pytest.mark.parametrize(
    "driver", ["nothing.Here", "jobs.drivers.database.Nothing", "jobs.drivers.base.QueueDriver", "builtins.dict", "x"]
)
def test_what_is_no_driver_is_found_by_the_checks(driver: str, settings: Settings) -> None:
    settings.JOBS = {**settings.JOBS, "CONNECTIONS": {**settings.JOBS["CONNECTIONS"], "other": {"DRIVER": driver}}}
    assert "jobs.E001" in _ids()


@pytest.mark.parametrize("key", ["CONNECTION", "COORDINATION"])
def test_a_connection_that_is_named_and_not_there_is_found_by_the_checks(key: str, settings: Settings) -> None:
    settings.JOBS = {**settings.JOBS, key: "nowhere"}
    assert "jobs.E001" in _ids()


@pytest.mark.parametrize("words", [{"tries": -1}, {"nothing": 1}, {"connection": "nowhere"}, {"rate_limit_enabled": 1}])
def test_a_queue_of_the_settings_that_cannot_be_defined_is_found_by_the_checks(
    words: dict[str, object], settings: Settings
) -> None:
    settings.JOBS = {**settings.JOBS, "QUEUES": {"extra": {"rate_limit_per_seconds": 0, **words}}}
    assert "jobs.E003" in _ids()


def test_a_queue_of_the_settings_that_no_queue_can_be_called_is_found_by_the_checks(settings: Settings) -> None:
    settings.JOBS = {**settings.JOBS, "QUEUES": {"two words": {}}}
    assert "jobs.E003" in _ids()


@pytest.mark.parametrize("name", ["CONNECTIONS", "MIDDLEWARE", "TRIES", "MAX_PAYLOAD_BYTES"])
def test_a_missing_setting_is_named(name: str, settings: Settings) -> None:
    settings.JOBS = {key: value for key, value in settings.JOBS.items() if key != name}
    with pytest.raises(ImproperlyConfigured, match=f"'{name}'"):
        get_job_settings()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("MODULES", "accounts.jobs"),
        ("CONNECTIONS", {"database": "jobs.drivers.database.DatabaseDriver"}),
        ("CONNECTION", None),
        ("QUEUES", ["default"]),
        ("SUPERVISORS", {"house": None}),
        ("MIDDLEWARE", "jobs.middleware.LoggingMiddleware"),
        ("COORDINATION", None),
        ("TRIES", -1),
        ("TRIES", True),
        ("TRIES", 1.5),
        ("BACKOFF", "10"),
        ("BACKOFF", (10, -1)),
        ("TIMEOUT_SECONDS", None),
        ("TIMEOUT_SECONDS", float("nan")),
        ("AFTER_COMMIT", "no"),
        ("OUTBOX", 0),
        ("SLEEP_SECONDS", 0),
        ("NOTIFY", "no"),
        ("MAX_WAIT_SECONDS", "300"),
        ("LONG_WAIT_SECONDS", -1),
        ("LONG_WAITS", None),
        ("LONG_WAITS", {"reports": "1h"}),
        ("ALERT_EMAILS", "ops@example.com"),
        ("ALERT_WINDOW_SECONDS", -1),
        ("LEASE_SECONDS", 0),
        ("LEASE_SECONDS", "20"),
        ("CONCURRENCY", 0),
        ("MAX_CRASHES", -1),
        ("MAX_PAYLOAD_BYTES", 0),
        ("METRICS_HOURS", -5),
        ("HISTORY_MINUTES", 0),
        ("HISTORY_PER_SECOND", -1),
        ("SILENCED", "accounts.SendEmailJob"),
        ("METRICS_TOKEN", None),
        ("TRYS", 5),
    ],
)
def test_a_setting_that_cannot_hold_stops_the_start(name: str, value: object, settings: Settings) -> None:
    settings.JOBS = {**settings.JOBS, name: value, "PRIORITY": 1}
    with pytest.raises(ImproperlyConfigured, match=f"'{name}'") as caught:
        apps.get_app_config("jobs").ready()
    assert "'PRIORITY' is no key" in str(caught.value)  # all are told of at once


@pytest.mark.parametrize(("name", "value"), [("BACKOFF", Exponential()), ("TRIES", 0), ("LONG_WAIT_SECONDS", 0.5)])
def test_what_a_setting_may_be_is_taken(name: str, value: object, settings: Settings) -> None:
    settings.JOBS = {**settings.JOBS, name: value}
    apps.get_app_config("jobs").ready()


def test_a_constructor_that_cannot_be_stored_is_found_by_the_checks() -> None:
    class BytesJob(Job):
        def __init__(self, data: bytes) -> None: ...

        @override
        def handle(self) -> None: ...

    try:
        assert "jobs.E002" in _ids()
    finally:
        del _registry["tests.BytesJob"]


@contextmanager
def _transaction_mode(mode: str | None) -> Iterator[None]:
    options = connection.settings_dict["OPTIONS"]
    before = options["transaction_mode"]
    options["transaction_mode"] = mode
    try:
        yield
    finally:
        options["transaction_mode"] = before


@pytest.mark.skipif("connection.vendor != 'sqlite'", reason="about SQLite alone")
@pytest.mark.parametrize("mode", [None, "DEFERRED"])
def test_sqlite_without_immediate_transactions_is_found_by_the_checks(mode: str | None) -> None:
    with _transaction_mode(mode):
        assert "jobs.W001" in _ids()
