"""Hashing: argon2id, upgraded at sign-in, and never more at once than a process can bear."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import override

import argon2
import pytest
import requests
from asgiref.sync import async_to_sync
from django.contrib.auth.hashers import Argon2PasswordHasher, PBKDF2PasswordHasher, identify_hasher, make_password
from django.db import connections
from django.db.backends.postgresql.base import DatabaseWrapper as PostgresWrapper
from django.test import Client
from django.utils import timezone
from pytest_django import Settings
from pytest_django.live_server_helper import LiveServer
from rest_framework.test import APIClient

from accounts.exceptions import InvalidCredentials, TooBusy
from accounts.models import Session, User
from accounts.passwords import Argon2idHasher
from accounts.passwords.hashing import get_pool
from accounts.services import set_password, sign_in
from tests.accounts.clients import NEW_PASSWORD
from tests.accounts.conftest import PASSWORD
from tests.accounts.racing import race


class WeakArgon2Hasher(Argon2PasswordHasher):
    """What an earlier release might have used."""

    time_cost = 1
    memory_cost = 8 * 1024
    parallelism = 1


class InterruptedHasher(PBKDF2PasswordHasher):
    """What an earlier release might have used, where something happens while a password is being checked."""

    happens: Callable[[], object]

    @override
    def verify(self, password: str, encoded: str) -> bool:
        type(self).happens()
        return super().verify(password, encoded)


def set_door(settings: Settings, *, at_once: int, wait: float) -> None:
    settings.ACCOUNTS = {
        **settings.ACCOUNTS,
        "PASSWORD_HASHES_AT_ONCE": at_once,
        "PASSWORD_HASH_WAIT_SECONDS": wait,
    }


@pytest.fixture
def argon2id(settings: Settings) -> None:
    """Hash as a real installation does."""
    settings.PASSWORD_HASHERS = [
        "accounts.passwords.Argon2idHasher",
        "django.contrib.auth.hashers.PBKDF2PasswordHasher",
    ]


class Gauge:
    """How many calls run now, and how many did at most."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.running = self.peak = self.total = 0

    def around[**P, R](self, function: Callable[P, R]) -> Callable[P, R]:
        def counted(*args: P.args, **kwargs: P.kwargs) -> R:
            with self._lock:
                self.running += 1
                self.total += 1
                self.peak = max(self.peak, self.running)
            try:
                return function(*args, **kwargs)
            finally:
                with self._lock:
                    self.running -= 1

        return counted


@pytest.fixture
def gauge(monkeypatch: pytest.MonkeyPatch) -> Gauge:
    """Count what argon2 really does, on its own side of the door."""
    gauge = Gauge()
    monkeypatch.setattr(argon2.low_level, "hash_secret", gauge.around(argon2.low_level.hash_secret))
    monkeypatch.setattr(argon2.low_level, "verify_secret", gauge.around(argon2.low_level.verify_secret))
    monkeypatch.setattr(argon2.PasswordHasher, "verify", gauge.around(argon2.PasswordHasher.verify))
    return gauge


@pytest.fixture
def full_house(settings: Settings, argon2id: None) -> Iterator[None]:
    """Somebody else has the only turn, for as long as the test lasts."""
    set_door(settings, at_once=1, wait=0.05)
    is_over = threading.Event()
    get_pool().submit(is_over.wait)
    yield
    is_over.set()


@pytest.fixture
def pooled(transactional_db: None) -> Iterator[None]:
    """Share connections as an installation on PostgreSQL does; the server has fewer than the test has clients."""
    wrapper = connections["default"]
    if not isinstance(wrapper, PostgresWrapper):
        yield
        return
    wrapper.close()
    wrapper.settings_dict["OPTIONS"]["pool"] = {"min_size": 1, "max_size": 10, "timeout": 50}
    yield
    wrapper.close()
    wrapper.close_pool()
    del wrapper.settings_dict["OPTIONS"]["pool"]


@pytest.mark.compliance("ASVS 5.0", "11.4.2", "passwords are stored by a current key derivation function")
def test_passwords_are_hashed_by_argon2id_with_the_parameters_of_owasp(argon2id: None) -> None:
    assert make_password(PASSWORD).startswith("argon2$argon2id$v=19$m=19456,t=2,p=1$")


@pytest.mark.django_db
@pytest.mark.parametrize(
    "encoded",
    [
        PBKDF2PasswordHasher().encode(PASSWORD, "abcdefghijklmnopqrstuv", iterations=1),
        WeakArgon2Hasher().encode(PASSWORD, "abcdefghijklmnopqrstuv"),
    ],
    ids=["pbkdf2", "weaker argon2"],
)
def test_an_older_hash_is_upgraded_at_sign_in(argon2id: None, encoded: str) -> None:
    user = User.objects.create(email="ada@example.com", password=encoded, email_verified_at=timezone.now())
    sign_in(email=user.email, password=PASSWORD, now=timezone.now())
    user.refresh_from_db()
    assert user.password.startswith("argon2$argon2id$v=19$m=19456,t=2,p=1$")
    assert not identify_hasher(user.password).must_update(user.password)
    assert user.check_password(PASSWORD)


@pytest.fixture
def old_user(settings: Settings, argon2id: None, monkeypatch: pytest.MonkeyPatch, db: None) -> User:
    """A user whose hash is to be upgraded; nothing happens yet while it is checked."""
    settings.PASSWORD_HASHERS = [settings.PASSWORD_HASHERS[0], f"{__name__}.InterruptedHasher"]
    monkeypatch.setattr(InterruptedHasher, "happens", lambda: None, raising=False)
    encoded = InterruptedHasher().encode(PASSWORD, "abcdefghijklmnopqrstuv", iterations=1)
    return User.objects.create(email="ada@example.com", password=encoded, email_verified_at=timezone.now())


def test_an_upgrade_does_not_bring_back_a_password_that_is_changed_meanwhile(
    old_user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    def reset() -> None:
        set_password(user=User.objects.get(pk=old_user.pk), password=NEW_PASSWORD, now=timezone.now())

    monkeypatch.setattr(InterruptedHasher, "happens", reset)
    with pytest.raises(InvalidCredentials):
        sign_in(email=old_user.email, password=PASSWORD, now=timezone.now())
    old_user.refresh_from_db()
    assert old_user.check_password(NEW_PASSWORD)


def test_who_signs_in_twice_at_once_is_let_in_by_both_though_each_upgrades_the_hash(
    old_user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    def sign_in_elsewhere() -> None:
        monkeypatch.setattr(InterruptedHasher, "happens", lambda: None)
        sign_in(email=old_user.email, password=PASSWORD, now=timezone.now())

    monkeypatch.setattr(InterruptedHasher, "happens", sign_in_elsewhere)
    sign_in(email=old_user.email, password=PASSWORD, now=timezone.now())
    assert Session.objects.count() == 2


def test_a_password_that_is_checked_while_its_account_is_deleted_is_wrong(
    old_user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(InterruptedHasher, "happens", lambda: User.objects.filter(pk=old_user.pk).delete())
    with pytest.raises(InvalidCredentials):
        sign_in(email=old_user.email, password=PASSWORD, now=timezone.now())
    assert not User.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_an_older_hash_is_upgraded_where_it_is_checked_asynchronously(old_user: User) -> None:
    assert async_to_sync(old_user.acheck_password)(PASSWORD)
    old_user.refresh_from_db()
    assert old_user.password.startswith("argon2$")


@pytest.mark.parametrize("at_once", [1, 3])
def test_no_more_are_hashed_at_once_than_the_setting_says(settings: Settings, gauge: Gauge, at_once: int) -> None:
    set_door(settings, at_once=at_once, wait=60)
    hasher = Argon2idHasher()
    encoded = hasher.encode(PASSWORD, hasher.salt())
    assert (
        race(lambda: hasher.verify(PASSWORD, encoded) and bool(hasher.encode(PASSWORD, hasher.salt()))) == [True] * 16
    )
    assert 1 <= gauge.peak <= at_once
    assert gauge.total >= 33


def test_who_waits_too_long_is_told_when_to_come_back(full_house: None) -> None:
    hasher = Argon2idHasher()
    with pytest.raises(TooBusy) as caught:
        hasher.encode(PASSWORD, hasher.salt())
    assert caught.value.wait == 0.05


def test_an_error_gives_its_turn_back(settings: Settings) -> None:
    set_door(settings, at_once=1, wait=5)
    hasher = Argon2idHasher()
    for _ in range(3):
        with pytest.raises(argon2.exceptions.HashingError):
            hasher.encode(PASSWORD, "short")
    assert hasher.encode(PASSWORD, hasher.salt())


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["login", "register"])
@pytest.mark.parametrize("email", ["user@example.com", "nobody@example.com"], ids=["known", "unknown"])
def test_the_api_answers_503_when_the_house_is_full(
    api_client: APIClient, user: User, full_house: None, path: str, email: str
) -> None:
    User.objects.filter(pk=user.pk).update(password=WeakArgon2Hasher().encode(PASSWORD, "abcdefghijklmnopqrstuv"))
    response = api_client.post(f"/api/v1/auth/{path}", {"email": email, "password": PASSWORD, "name": "Ada"})
    assert (response.status_code, response["Retry-After"]) == (503, "1")
    assert response["Content-Type"] == "application/problem+json"
    assert response.json()["code"] == "too_busy"


@pytest.mark.django_db
def test_a_page_answers_503_when_the_house_is_full(client: Client, full_house: None) -> None:
    response = client.post(
        "/accounts/login/", {"username": "nobody@example.com", "password": PASSWORD}, HTTP_ACCEPT="text/html"
    )
    assert (response.status_code, response["Retry-After"]) == (503, "1")
    assert response["Content-Type"].startswith("text/html")
    assert "Try again in a few seconds." in response.text


@pytest.mark.http
@pytest.mark.usefixtures("pooled", "argon2id")
@pytest.mark.parametrize("wait", [30, 0.01], ids=["patient", "impatient"])
def test_a_burst_of_100_sign_ins_waits_or_is_sent_away_and_memory_stays_flat(
    live_server: LiveServer, settings: Settings, gauge: Gauge, wait: float
) -> None:
    settings.TRUSTED_PROXY_COUNT = 1  # each client has an address of its own, so that no limit of one counts
    encoded = make_password(PASSWORD)
    for number in range(50):
        User.objects.create(email=f"{number}@example.com", password=encoded, email_verified_at=timezone.now())
    set_door(settings, at_once=2, wait=wait)
    barrier = threading.Barrier(100)
    clients = [requests.Session() for _ in range(100)]
    for session in clients:  # connected one after another, because the test server keeps few waiting at its door
        session.get(f"{live_server.url}/healthz", timeout=50)

    def ask(number: int) -> requests.Response:
        body = {"email": f"{number}@example.com", "password": PASSWORD}
        barrier.wait(timeout=30)
        with clients[number] as session:
            session.headers["X-Forwarded-For"] = f"198.51.100.{number}"
            return session.post(f"{live_server.url}/api/v1/auth/login", json=body, timeout=50)

    before = resident_bytes()
    with ThreadPoolExecutor(100) as pool:
        futures = [pool.submit(ask, number) for number in range(100)]
        peak_bytes = 0
        while not all(future.done() for future in futures):
            peak_bytes = max(peak_bytes, resident_bytes())
            threading.Event().wait(0.01)
    answers = [future.result() for future in futures]
    statuses = [answer.status_code for answer in answers]
    assert set(statuses) <= {200, 401, 503}
    assert set(statuses[:50]) <= {200, 503}
    assert set(statuses[50:]) <= {401, 503}
    assert all("Retry-After" in answer.headers for answer in answers if answer.status_code == 503)
    assert (503 in statuses) == (wait < 1)
    assert gauge.peak <= 2
    assert peak_bytes - before < 250 * 1024 * 1024  # 100 hashes at once would hold 1.9 GB


def resident_bytes() -> int:
    """Return how much memory this process holds."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096
