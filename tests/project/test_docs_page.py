"""``/docs``: Swagger UI from our own server."""

import json
import re
from typing import Any

import pytest
from django.test import Client, override_settings

from oauth.services import seed_clients
from project.views import DOCS_CLIENT_NAME


def script_object(client: Client, pattern: str) -> dict[str, Any]:  # Any: JSON
    """Return an object that the starting script hands to Swagger UI."""
    script = client.get("/docs?script=").content.decode()
    found = re.search(pattern, script, re.DOTALL)
    assert found
    parsed: dict[str, Any] = json.loads(found[1])  # Any: JSON
    return parsed


def oauth_config(client: Client) -> dict[str, Any]:  # Any: JSON
    return script_object(client, r"ui\.initOAuth\((\{.*?\})\)")


@pytest.mark.django_db
def test_the_page_loads_nothing_from_elsewhere_and_has_nothing_inline(client: Client) -> None:
    page = client.get("/docs").content.decode()
    sources = re.findall(r'(?:src|href)="([^"]*)"', page)
    assert sources
    assert all(source.startswith("/") and not source.startswith("//") for source in sources)
    assert "<style" not in page
    assert not re.search(r"<script(?![^>]*\ssrc=)", page)


@pytest.mark.django_db
def test_the_starting_script_names_the_redirect_page_of_this_very_address(client: Client) -> None:
    settings = script_object(client, r"const swaggerSettings = (\{.*?\});")
    assert settings["oauth2RedirectUrl"] == "http://testserver/docs/oauth2-redirect"


@pytest.mark.django_db
def test_authorize_uses_pkce_and_the_seeded_public_client(client: Client) -> None:
    clients = seed_clients(base_url="http://127.0.0.1:8000")
    (client_id,) = [c.application.client_id for c in clients if c.application.name == DOCS_CLIENT_NAME]
    assert oauth_config(client) == {"clientId": client_id, "usePkceWithAuthorizationCodeGrant": True}


@pytest.mark.django_db
def test_without_the_seeded_client_the_field_for_it_is_empty(client: Client) -> None:
    assert oauth_config(client)["clientId"] == ""


@pytest.mark.django_db
def test_the_docs_refuse_to_be_posted_to(client: Client) -> None:
    assert client.post("/docs").status_code == 405


def test_the_redirect_page_has_its_script_outside_and_works_without_database(client: Client) -> None:
    with override_settings(DEBUG=False):
        page = client.get("/docs/oauth2-redirect?code=x&state=y").content.decode()
    assert '<script src="/static/docs/oauth2-redirect.js" defer></script>' in page
