"""Clients: which redirect URIs may be registered and which match."""

import pytest
from django.core.exceptions import ValidationError

from oauth.models import Application, find_redirect_uri_fault, is_loopback
from oauth.models.clients import find_origin_fault, find_resource_fault
from oauth.services import change_client
from tests.accounts.clients import MISLEADING_NAMES, PLAIN_NAMES
from tests.oauth.flow import Flow


@pytest.mark.parametrize(
    "uri",
    [
        "https://client.example/callback",
        "https://client.example:8443/callback?tenant=1",
        "https://client.example",
        "http://127.0.0.1/callback",
        "http://127.0.0.1:8000/callback",
        "http://[::1]:8000/callback",
        "http://localhost:3000/callback",
        "http://testserver/docs/oauth2-redirect",
    ],
)
def test_a_plain_address_may_be_registered(uri: str) -> None:
    assert find_redirect_uri_fault(uri) == ""


@pytest.mark.compliance("Security", "D17", "redirect URIs need https")
@pytest.mark.compliance("RFC 9700", "2.6", "no redirect URI is unencrypted, but on one's own computer")
@pytest.mark.compliance("RFC 6749", "3.1.2", "a redirect URI is absolute and has no fragment")
@pytest.mark.parametrize(
    "uri",
    [
        "",
        "client.example/callback",
        "/callback",
        "//client.example/callback",
        "http://client.example/callback",
        "http://127.0.0.1.evil.example/callback",
        "http://testserver.evil.example/callback",
        "http://10.0.0.1/callback",
        "https://client.example/callback#fragment",
        "https://client.example/callback#",
        "https://user:password@client.example/callback",
        "https://@client.example/callback",
        "https://*.client.example/callback",
        "https://client.example/a/../callback",
        "https://client.example/./callback",
        "https://client.example:0/callback",
        "https://client.example:99999/callback",
        "https://client.example\\@evil.example",
        "https://client.example/call back",
        "https://client.example/\x00",
        "https://client.example/'\"",
        "https://client.example/?code=1",
        "https://client.example/?a=1&state=2",
        "https://client.example/?iss=1",
        "https://[::1",
        "https://",
        "javascript:alert(1)",
        "data:text/html,x",
        "com.example.app:/callback",
        "https://client.example/" + "a" * 2000,
    ],
)
def test_an_address_that_could_mislead_may_not_be_registered(uri: str) -> None:
    assert find_redirect_uri_fault(uri)


@pytest.mark.parametrize(
    ("registered", "uri"),
    [
        ("https://client.example/callback", "https://client.example/callback"),
        ("http://127.0.0.1/callback", "http://127.0.0.1:49152/callback"),
        ("http://127.0.0.1:80/callback", "http://127.0.0.1:49152/callback"),
        ("http://[::1]/callback", "http://[::1]:1/callback"),
        ("http://localhost:3000/callback", "http://localhost:3000/callback"),
    ],
)
def test_the_same_address_matches(registered: str, uri: str) -> None:
    assert Application(redirect_uris=f"https://other.example/ {registered}").redirect_uri_allowed(uri)


@pytest.mark.parametrize(
    ("registered", "uri"),
    [
        ("https://client.example/callback", "https://client.example:443/callback"),
        ("https://client.example/callback", "https://client.example/callback?"),
        ("https://127.0.0.1/callback", "https://127.0.0.1:8443/callback"),
        ("http://127.0.0.1/callback", "http://127.0.0.1:80@evil.example/callback"),
        ("http://127.0.0.1/callback", "http://127.0.0.1:99999/callback"),
        ("http://127.0.0.1/callback", "http://127.0.0.1:0/callback"),
        ("http://127.0.0.1/callback", "http://127.0.0.1:/callback"),
        ("http://127.0.0.1/callback", "http://127.0.0.1:٣/callback"),
        ("http://127.0.0.1/callback", "http://127.1/callback"),
        ("http://127.0.0.1/callback", "http://localhost/callback"),
        ("http://127.0.0.1/callback", "http://[::1]/callback"),
        ("http://127.0.0.1/callback", "http://127.0.0.1/callback/"),
        ("http://127.0.0.1/callback", "http://127.0.0.1/callback#x"),
        ("http://127.0.0.1/callback", "HTTP://127.0.0.1/callback"),
        ("http://127.0.0.1/callback", "http://127.0.0.1.evil.example/callback"),
        ("http://localhost:3000/callback", "http://localhost:3001/callback"),
    ],
)
def test_another_address_does_not_match(registered: str, uri: str) -> None:
    assert not Application(redirect_uris=registered).redirect_uri_allowed(uri)


@pytest.mark.parametrize(
    "origin",
    [
        "https://x;frame-ancestors",
        "https://x,y",
        "https://例.example",
        "https://a b",
        "https://x'",
        "https://-x",
        "https://",
        "https://[::::]",
    ],
)
def test_an_origin_that_means_more_in_a_policy_is_refused(origin: str) -> None:
    assert find_origin_fault(origin)


@pytest.mark.parametrize("uri", ["http://[", "https://[::::]/", "https://a]", "https:///path", "/path"])
def test_an_audience_that_is_no_absolute_address_is_refused(uri: str) -> None:
    assert find_resource_fault(uri)


@pytest.mark.django_db
@pytest.mark.parametrize("name", MISLEADING_NAMES)
def test_a_name_that_could_mislead_is_refused_and_one_of_old_may_stay(service: Flow, name: str) -> None:
    application = Application.objects.get()
    application.name = name
    with pytest.raises(ValidationError) as refused:
        application.full_clean()
    assert list(refused.value.message_dict) == ["name"]
    Application.objects.update(name=name)
    change_client(application=application, changes={"homepage_url": "https://service.example/"})
    assert Application.objects.get().name == name


@pytest.mark.django_db
@pytest.mark.parametrize("name", PLAIN_NAMES)
def test_a_name_in_any_script_is_taken(service: Flow, name: str) -> None:
    change_client(application=Application.objects.get(), changes={"name": name})


@pytest.mark.parametrize("origin", ["https://app.example", "https://xn--fsq.example:8443", "http://localhost:5173"])
def test_a_plain_origin_is_taken(origin: str) -> None:
    assert not find_origin_fault(origin)


@pytest.mark.parametrize(
    "uri",
    [
        "https://127.1/cb",
        "https://2130706433/cb",
        "https://0x7f.1/cb",
        "https://0.0.0.0/cb",
        "https://localhost./cb",
        "https://app.example./cb",
        "https://app.example/a/%2e%2e/cb",
        "https://app.example/%2E/cb",
    ],
)
def test_an_address_that_browsers_read_otherwise_is_refused(uri: str) -> None:
    assert find_redirect_uri_fault(uri)


@pytest.mark.parametrize("uri", ["https://app.localhost/cb", "https://127.0.0.2/cb", "https://[::1]/cb"])
def test_every_way_to_ones_own_computer_is_known(uri: str) -> None:
    assert is_loopback(uri)
