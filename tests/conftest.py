"""Fixtures of the whole suite."""

import logging
from collections.abc import Iterator

import hypothesis
import pytest
from django.conf import settings
from django.core.cache import cache
from django.utils import timezone
from joserfc.jwk import RSAKey
from rest_framework.test import APIClient

from accounts.keys import forget_keys, store_key
from accounts.models import SigningKey
from jobs.services.outbox import forget_outages
from permissions import gate, registrar
from project import shared_facts
from project.logging import configure_logging
from project.near_cache import get_near_cache

# A machine that others use too may be slow, of which no test is to judge.
hypothesis.settings.register_profile("house", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("house")
pytest_plugins = ["jobs.testing", "tests.interop.summary"]


@pytest.fixture(autouse=True)
def empty_cache() -> None:
    """Start each test with an empty cache, so that throttles and versions don't leak between tests."""
    cache.clear()
    if shared_facts.is_shared():
        get_near_cache(settings.SHARED_FACTS["URL"], settings.SHARED_FACTS["SILENCE_SECONDS"]).clear()


@pytest.fixture(autouse=True)
def reachable_stores() -> None:
    """Start each test with no store and no cache that was away in another one, and would be left alone for a moment."""
    forget_outages()
    shared_facts.forget_outage()


@pytest.fixture(autouse=True)
def forget_signing_keys() -> None:
    """Start each test with no memory of keys whose rows are gone."""
    forget_keys()


@pytest.fixture(scope="session")
def rsa_key() -> RSAKey:
    """An RSA key as the house makes them, made once: that takes longer than most tests."""
    return RSAKey.generate_key(3072, auto_kid=True)


@pytest.fixture
def rs256(rsa_key: RSAKey, db: None) -> SigningKey:
    """The key that signs with RS256, for tests that need one and not its making."""
    return store_key(rsa_key, algorithm="RS256", state=SigningKey.State.ACTIVE, now=timezone.now())


@pytest.fixture(autouse=True)
def forget_permissions() -> Iterator[None]:
    """Start each test with no memory of rights, and with no hook or policy of another test."""
    registrar.clear()
    yield
    gate.forget()
    registrar.clear()


@pytest.fixture
def own_logging() -> Iterator[None]:
    """Give the root logger its handlers back after a test that configures logging.

    What stays would write to the test's own, closed stderr: each line an error with the source lines of its callers.
    """
    handlers, level, is_telling = logging.root.handlers[:], logging.root.level, logging.raiseExceptions
    yield
    configure_logging(level="INFO", style="text")
    logging.root.handlers[:], logging.root.level, logging.raiseExceptions = handlers, level, is_telling


@pytest.fixture
def api_client() -> APIClient:
    """A client of the REST API without credentials."""
    return APIClient()
