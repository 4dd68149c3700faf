"""Fixtures of the whole suite."""

import pytest
from django.core.cache import cache
from rest_framework.test import APIClient


@pytest.fixture(autouse=True)
def empty_cache() -> None:
    """Start each test with an empty cache, so that throttles and versions don't leak between tests."""
    cache.clear()


@pytest.fixture
def api_client() -> APIClient:
    """A client of the REST API without credentials."""
    return APIClient()
