"""Fixtures of the whole suite."""

from collections.abc import Iterator

import pytest
from django.core.cache import cache
from rest_framework.test import APIClient


@pytest.fixture(autouse=True)
def empty_cache() -> Iterator[None]:
    """Start each test with an empty cache, so that throttles and versions don't leak between tests."""
    cache.clear()
    yield


@pytest.fixture
def api_client() -> APIClient:
    """A client of the REST API without credentials."""
    return APIClient()
