"""A live house, the clients that it knows, and a person with an account."""

from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import pytest
from pytest_django.live_server_helper import LiveServer

from accounts.models import SigningKey
from accounts.services import ensure_user
from oauth.models import Application
from oauth.services import register_client
from tests.browser.conftest import (
    _synchronous_django,
    base_url,
    browser_type_launch_args,
    pytest_collection_modifyitems,
)
from tests.interop.foreign import install_node_packages
from tests.interop.person import EMAIL, PASSWORD, Person

__all__ = ["_synchronous_django", "base_url", "browser_type_launch_args", "pytest_collection_modifyitems"]

REDIRECT_URI = "https://client.example/callback"
LOGGED_OUT_URI = "https://client.example/bye"
DEVICE_CODE = "urn:ietf:params:oauth:grant-type:device_code"

type Registration = dict[str, str]


@pytest.fixture
def house(live_server: LiveServer, settings: Any, rs256: SigningKey) -> str:  # Any: pytest-django's settings
    """The address of a running house that knows its own address, and is asked by devices every second."""
    settings.BASE_URL = live_server.url
    settings.OAUTH2_PROVIDER = {
        **settings.OAUTH2_PROVIDER,
        "OIDC_ISS_ENDPOINT": live_server.url,
        "DEVICE_FLOW_INTERVAL": 1,
    }
    return live_server.url


@pytest.fixture
def person(house: str) -> Person:
    """Somebody with an account and a browser in which they are not signed in yet."""
    ensure_user(email=EMAIL, name="Ada", password=PASSWORD)
    return Person(house)


@pytest.fixture
def clients(house: str) -> dict[str, Registration]:
    """A website that signs people in, a program that acts for itself, and a device without a browser."""
    return {
        "web": register("Example website", ["authorization_code", "refresh_token"], is_confidential=True),
        "service": register("Example service", ["client_credentials"], scopes=["users:read"], is_confidential=True),
        "device": register("Example TV", [DEVICE_CODE, "refresh_token"], scopes=["profile"]),
    }


@pytest.fixture(scope="session")
def node() -> Path:
    """The folder of the scripts for Node, with their packages installed."""
    return install_node_packages()


def register(
    name: str,
    grant_types: list[str],
    *,
    scopes: list[str] | None = None,
    is_confidential: bool = False,
    redirect_uri: str = REDIRECT_URI,
    algorithm: str = "RS256",
    origin: str = "",
) -> Registration:
    """Make a client and return what its program must know."""
    is_called_back = "authorization_code" in grant_types
    made = register_client(
        name=name,
        client_type="confidential" if is_confidential else "public",
        grant_types=grant_types,
        redirect_uris=[redirect_uri] if is_called_back else [],
        allowed_scopes=scopes or ["openid", "profile", "email", "offline_access"],
    )
    left = urljoin(redirect_uri, "/bye")
    application = Application.objects.get(pk=made.application.pk)
    application.algorithm = algorithm
    application.allowed_origins = origin
    application.post_logout_redirect_uris = left if is_called_back else ""
    application.save()
    return {
        "client_id": application.client_id,
        "client_secret": made.client_secret or "",
        "redirect_uri": redirect_uri,
        "post_logout_redirect_uri": left,
    }
