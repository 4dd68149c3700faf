"""Permissions: checks, lists and grants, beside Django's own, django-guardian and pycasbin in the same run."""

from collections.abc import Iterator

from django.test.utils import override_settings

from benchmarks.harness import Figure
from benchmarks.permissions import amounts, checks, listing, queries


def measure(*, user_count: int) -> list[Figure]:
    """Measure everything; the lists of ``user_count`` users on a PostgreSQL server of their own."""
    # Django's has_perm is to be Django's: with its own backend and no other.
    with override_settings(AUTHENTICATION_BACKENDS=["django.contrib.auth.backends.ModelBackend"]):
        return list(_measure(user_count))


def _measure(user_count: int) -> Iterator[Figure]:
    yield from amounts.measure_definitions()  # makes the permissions that the others use
    yield from checks.measure_warm()
    yield from checks.measure_wildcards()
    yield from checks.measure_cold()
    yield from queries.measure_requests()
    yield from queries.measure_page()
    yield from queries.measure_grant()
    yield from amounts.measure_memory_use()
    yield from listing.measure_on_postgresql(user_count)
