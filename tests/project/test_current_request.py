"""Which request is answered, and who sends it."""

import pytest
from django.http import HttpRequest
from django.test import RequestFactory
from pytest_django import Settings

from project.current_request import bind_request, get_client_address, get_client_ip, get_current_request


def request_from(address: str, forwarded: str = "") -> HttpRequest:
    headers = {"X-Forwarded-For": forwarded} if forwarded else {}
    return RequestFactory().get("/", REMOTE_ADDR=address, headers=headers)


def test_a_request_is_the_current_one_while_it_is_answered() -> None:
    request = request_from("203.0.113.1")
    with bind_request(request):
        assert get_current_request() is request
    assert get_current_request() is None


def test_a_request_that_crashes_is_not_the_current_one_any_more() -> None:
    with pytest.raises(KeyError), bind_request(request_from("203.0.113.1")):
        raise KeyError
    assert get_current_request() is None


@pytest.mark.compliance("RFC 9700", "4.13", "what others than a trusted proxy say of an address counts for nothing")
@pytest.mark.parametrize(
    ("proxies", "forwarded", "expected"),
    [
        (0, "198.51.100.7", "10.0.0.1"),
        (1, "", "10.0.0.1"),
        (1, "198.51.100.7", "198.51.100.7"),
        (1, "6.6.6.6, 198.51.100.7", "198.51.100.7"),
        (2, "6.6.6.6, 198.51.100.7, 10.0.0.2", "198.51.100.7"),
        (2, "198.51.100.7", "198.51.100.7"),
        (1, " , ,", "10.0.0.1"),
        (1, "198.51.100.7:5678", "198.51.100.7"),
        (1, "[2001:db8::1]:5678", "2001:db8::1"),
        (1, "[2001:db8::1]", "2001:db8::1"),
        (1, "2001:db8::1", "2001:db8::1"),
    ],
)
def test_the_address_is_what_the_outermost_trusted_proxy_saw(
    settings: Settings, proxies: int, forwarded: str, expected: str
) -> None:
    settings.TRUSTED_PROXY_COUNT = proxies
    assert get_client_address(request_from("10.0.0.1", forwarded)) == expected


@pytest.mark.parametrize("address", ["", "unix:", "x" * 5000, "a b\x00", "é\ud800"])
def test_what_is_no_ip_address_is_none(address: str) -> None:
    assert get_client_ip(request_from(address)) is None


@pytest.mark.parametrize("address", ["2001:DB8:0::1", "2001:db8::1%eth0"])
def test_an_ip_address_is_in_its_normal_form(address: str) -> None:
    assert get_client_ip(request_from(address)) == "2001:db8::1"
