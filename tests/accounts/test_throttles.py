from datetime import timedelta

import pytest
from django.http import HttpRequest
from django.test import RequestFactory
from pytest_django import Settings

from accounts.throttles import count_attempt, may_mail
from tests.accounts.conftest import NOW
from tests.accounts.racing import race


@pytest.fixture(autouse=True)
def three_per_minute(settings: Settings) -> None:
    settings.REST_FRAMEWORK = settings.REST_FRAMEWORK | {"DEFAULT_THROTTLE_RATES": {"auth": "3/min"}}


def request_from(address: str = "203.0.113.1", forwarded: str = "") -> HttpRequest:
    headers = {"X-Forwarded-For": forwarded} if forwarded else {}
    return RequestFactory().get("/", REMOTE_ADDR=address, headers=headers)


def is_refused(request: HttpRequest) -> bool:
    return count_attempt(request, now=NOW) is not None


def exhaust(request: HttpRequest) -> None:
    for _ in range(3):
        assert not is_refused(request)


def test_one_more_than_the_rate_is_refused_until_the_minute_is_over() -> None:
    exhaust(request_from())
    assert count_attempt(request_from(), now=NOW + timedelta(seconds=50)) == 10
    assert count_attempt(request_from(), now=NOW + timedelta(minutes=1)) is None


def test_each_address_has_a_count_of_its_own() -> None:
    exhaust(request_from())
    assert not is_refused(request_from("203.0.113.2"))


@pytest.mark.parametrize("other", ["2001:db8::ffff", "2001:0DB8:0:0:1::1", "2001:db8::1%eth0"])
def test_an_ipv6_network_counts_as_one_client(other: str) -> None:
    exhaust(request_from("2001:db8::1"))
    assert is_refused(request_from(other))


def test_an_ipv4_address_in_ipv6_form_is_the_same_client() -> None:
    exhaust(request_from("203.0.113.1"))
    assert is_refused(request_from("::ffff:203.0.113.1"))


def test_a_forwarded_header_is_not_believed_without_a_proxy() -> None:
    exhaust(request_from())
    assert is_refused(request_from(forwarded="198.51.100.7"))


@pytest.mark.parametrize("address", ["", "unix:", "x" * 5000, "a b\x00", "é\ud800"])
def test_what_is_no_ip_address_is_counted_too(address: str) -> None:
    exhaust(request_from(address))
    assert is_refused(request_from(address))


@pytest.mark.django_db
def test_simultaneous_attempts_all_count() -> None:
    assert race(lambda: is_refused(request_from())).count(False) == 3


def test_one_address_gets_five_mails_an_hour_whatever_its_case() -> None:
    answers = [may_mail(email, now=NOW) for email in ["ada@example.com", "ADA@example.com"] * 3]
    assert answers == [True] * 5 + [False]
    assert may_mail("other@example.com", now=NOW)
    assert may_mail("ada@example.com", now=NOW + timedelta(hours=1))


def test_a_dead_cache_locks_nobody_out(settings: Settings) -> None:
    nobody_listens = "redis://127.0.0.1:1/0"
    settings.CACHES = {
        "default": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": nobody_listens}
    }
    assert not any(is_refused(request_from()) for _ in range(5))
