"""Which pages may read our endpoints' answers."""

import pytest
from django.test import Client

from oauth.models import Application
from tests.oauth.flow import Answer, Flow

APP = "https://app.example"
ENDPOINTS = ["/oauth/token", "/oauth/userinfo", "/oauth/revoke"]


@pytest.fixture
def spa(flow: Flow) -> Flow:
    """A public client whose pages are at an origin of their own."""
    application = Application.objects.get(client_id=flow.client_id)
    application.allowed_origins = f"{APP} https://other.example"
    application.save()
    return flow


def ask(path: str, origin: str) -> Answer:
    """Ask what may be sent, as a browser does before it sends anything."""
    headers = {"Origin": origin, "Access-Control-Request-Method": "POST"}
    return Client().options(path, headers=headers)


@pytest.mark.parametrize("path", ENDPOINTS)
def test_a_page_of_a_client_may_ask_and_read(spa: Flow, path: str) -> None:
    preflight = ask(path, APP)
    assert preflight.status_code == 200
    assert preflight["Access-Control-Allow-Origin"] == APP
    assert "POST" in preflight["Access-Control-Allow-Methods"]
    assert preflight["Access-Control-Allow-Headers"] == "Authorization, Content-Type"
    assert "Access-Control-Allow-Credentials" not in preflight
    refused = Client().post(path, headers={"Origin": APP})
    assert refused.status_code in {400, 401}
    assert refused["Access-Control-Allow-Origin"] == APP
    assert "Origin" in refused["Vary"]


@pytest.mark.parametrize("path", ENDPOINTS)
@pytest.mark.parametrize(
    "origin", ["https://evil.example", "https://app", "http://app.example", f"{APP} https://other.example", "null", "%"]
)
def test_a_page_of_nobodys_may_not_read(spa: Flow, path: str, origin: str) -> None:
    assert "Access-Control-Allow-Origin" not in ask(path, origin)
    assert "Access-Control-Allow-Origin" not in Client().post(path, headers={"Origin": origin})


def test_a_client_that_was_switched_off_lets_no_page_in(spa: Flow) -> None:
    application = Application.objects.get(client_id=spa.client_id)
    application.is_active = False
    application.save()
    assert "Access-Control-Allow-Origin" not in ask("/oauth/token", APP)


@pytest.mark.parametrize("path", ["/.well-known/openid-configuration", "/oauth/jwks"])
def test_every_page_may_read_what_is_public(db: None, path: str) -> None:
    assert ask(path, "https://any.example")["Access-Control-Allow-Origin"] == "*"


def test_no_page_may_read_an_introspection(spa: Flow) -> None:
    assert "Access-Control-Allow-Origin" not in ask("/oauth/introspect", APP)
