"""Nobody learns from an answer, or from the work that it takes, whether an address has an account."""

import re
import time
from collections.abc import Callable
from functools import partial
from statistics import median

import pytest
from django.conf import settings as django_settings
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pytest_django import Settings
from redis import Redis
from rest_framework.test import APIClient

from accounts.models import User
from tests.accounts.clients import AUTH
from tests.accounts.conftest import PASSWORD, ApiResponse
from tests.accounts.counting_hasher import CountingHasher
from tests.redis_commands import list_commands

WRONG = "a wrong password, long"
KINDS = ["unknown", "wrong", "inactive", "unusable", "unverified"]
#: Of a savepoint.
_NAME = re.compile(r'"s[0-9]+_x[0-9]+"')
OPEN = ["login", "register", "verify-email/resend", "password/reset"]


@pytest.fixture
def people(db: None) -> None:
    """Somebody of each kind under ``<kind>@example.com``, but for the unknown one."""
    make, now = User.objects.create_user, timezone.now()
    make("wrong@example.com", PASSWORD, email_verified_at=now)
    make("inactive@example.com", PASSWORD, email_verified_at=now, is_active=False)
    make("unusable@example.com", None, email_verified_at=now)
    make("unverified@example.com", PASSWORD)


def ask(path: str, kind: str) -> ApiResponse:
    body = {"email": f"{kind}@example.com"}
    if path in {"login", "register"}:
        body["password"] = WRONG
    return APIClient().post(f"{AUTH}/{path}", body)


def describe(response: ApiResponse) -> tuple[object, ...]:
    """Return all that a client sees, but for the id of the request."""
    body = {name: value for name, value in response.json().items() if name != "request_id"}
    headers = {name: value for name, value in response.items() if name not in {"X-Request-ID", "Date"}}
    return response.status_code, body, headers, len(response.content)


@pytest.mark.compliance("ASVS 5.0", "6.3.8", "Text, status and length don't tell which accounts there are")
@pytest.mark.compliance("Security", "AC02", "text, status and length tell nobody which accounts there are")
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("path", OPEN)
def test_every_kind_of_address_is_answered_alike(path: str, people: None) -> None:
    first, *others = [describe(ask(path, kind)) for kind in KINDS]
    assert others == [first] * len(others)


@pytest.mark.compliance("ASVS 5.0", "6.3.8", "Every sign-in that fails makes one hash, whether there is an account")
@pytest.mark.parametrize("path", ["login", "register"])
def test_every_kind_of_address_costs_one_hash(path: str, people: None, settings: Settings) -> None:
    settings.PASSWORD_HASHERS = ["tests.accounts.counting_hasher.CountingHasher"]
    made = []
    for kind in KINDS:
        before = CountingHasher.made
        ask(path, kind)
        made.append(CountingHasher.made - before)
    assert made == [1] * len(KINDS)


@pytest.mark.compliance("ASVS 5.0", "6.3.8", "Every address takes the same queries, whether there is an account")
@pytest.mark.parametrize("path", OPEN)
def test_every_kind_of_address_takes_the_same_queries(path: str, people: None) -> None:
    def read_kinds_of_queries(kind: str) -> list[str]:
        with CaptureQueriesContext(connection) as queries:
            ask(path, kind)
        # The time of the database is asked for twice a minute, whoever happens to be next.
        asked = (query["sql"] for query in queries if "clock_timestamp()" not in query["sql"])
        return [" ".join(_NAME.sub("", sql).split()[:3]) for sql in asked]

    first, *others = [read_kinds_of_queries(kind) for kind in KINDS]
    assert others == [first] * len(others)


@pytest.mark.skipif(not django_settings.REDIS_URL, reason="about Redis alone")
@pytest.mark.compliance("ASVS 5.0", "6.3.8", "Every address takes the same round trips to the cache")
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("path", OPEN)
def test_every_kind_of_address_asks_the_cache_as_often(path: str, people: None, settings: Settings) -> None:
    # However long an answer takes, nobody need ask whether the server still lives.
    settings.SHARED_FACTS = {**settings.SHARED_FACTS, "SILENCE_SECONDS": 3600.0}
    server = Redis.from_url(django_settings.REDIS_URL)

    def name_commands(kind: str) -> tuple[str, ...]:
        return tuple(command.split()[0] for command in list_commands(server, lambda: ask(path, kind)))

    for kind in ("warm", "warmer"):
        ask(path, kind)
    first = [name_commands(kind) for kind in KINDS]
    assert len({tuple(name for name in names if name != "MGET") for names in first}) == 1, first
    # Tests beside this one empty other databases of the server: then what this process has read is read anew, by MGET.
    assert len(set(first)) == 1 or len({name_commands(kind) for kind in KINDS}) == 1, first


@pytest.mark.compliance("ASVS 5.0", "6.3.8", "The time that an answer takes doesn't tell which accounts there are")
@pytest.mark.compliance("Security", "AC02", "the time of an answer tells nobody which accounts there are")
@pytest.mark.exhaustive
@pytest.mark.django_db(transaction=True)
@pytest.mark.timeout(300)
@pytest.mark.parametrize("path", OPEN)
def test_the_times_of_all_kinds_lie_together(path: str, people: None, no_limits: None, settings: Settings) -> None:
    settings.PASSWORD_HASHERS = ["accounts.passwords.Argon2idHasher", "django.contrib.auth.hashers.MD5PasswordHasher"]
    User.objects.exclude(email="unusable@example.com").update(password=_hash(PASSWORD))
    times: dict[str, list[float]] = {kind: [] for kind in KINDS}
    for number in range(53):
        for kind in KINDS:
            spent = _time(partial(ask, path, kind))
            if number >= 3:  # what is made at the first call
                times[kind].append(spent)
    medians = [median(one) for one in times.values()]
    assert max(medians) - min(medians) < 0.010


def _hash(password: str) -> str:
    user = User()
    user.set_password(password)
    return user.password


def _time(action: Callable[[], object]) -> float:
    """Return the time that the process spent on it: what the clock on the wall shows depends on its neighbours."""
    started = time.process_time()
    action()
    return time.process_time() - started
