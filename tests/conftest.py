"""Fixtures of the whole suite."""

from collections.abc import Iterator

import pytest
from django.core.cache import cache
from rest_framework.test import APIClient

from accounts.keys import forget_keys
from permissions import gate, registrar

pytest_plugins = ["jobs.testing"]


@pytest.fixture(autouse=True)
def empty_cache() -> None:
    """Start each test with an empty cache, so that throttles and versions don't leak between tests."""
    cache.clear()


@pytest.fixture(autouse=True)
def forget_signing_keys() -> None:
    """Start each test with no memory of keys whose rows are gone."""
    forget_keys()


@pytest.fixture(autouse=True)
def forget_permissions() -> Iterator[None]:
    """Start each test with no memory of rights, and with no hook or policy of another test."""
    registrar.clear()
    yield
    gate.forget()
    registrar.clear()


@pytest.fixture
def api_client() -> APIClient:
    """A client of the REST API without credentials."""
    return APIClient()
