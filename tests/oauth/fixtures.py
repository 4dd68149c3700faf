"""People and clients for the tests of the authorization server and of its RFCs."""

import pytest
from django.contrib.auth import get_user_model
from django.test import Client
from django.utils import timezone

from accounts.models import SigningKey, User
from oauth.services import RegisteredClient, register_client
from tests.oauth.devices import DEVICE_CODE, Device
from tests.oauth.flow import REDIRECT_URI, Flow

__all__ = ["confidential", "device", "flow", "person", "rp", "service", "web"]

_SCOPES = ("profile", "users:read", "roles:read", "roles:write")


@pytest.fixture
def person(db: None) -> User:
    """A verified user."""
    return get_user_model().objects.create(
        email="person@example.com", name="Pat", email_verified_at=timezone.now(), is_active=True
    )


@pytest.fixture
def flow(person: User) -> Flow:
    """A public client and the signed-in person."""
    client = register_client(
        name="Example app",
        client_type="public",
        grant_types=["authorization_code", "refresh_token"],
        redirect_uris=[REDIRECT_URI],
        allowed_scopes=_SCOPES,
        homepage_url="https://app.example/",
    )
    return _sign_in(client, person)


@pytest.fixture
def confidential(db: None) -> RegisteredClient:
    """A confidential client that acts for people."""
    return register_client(
        name="Example website",
        client_type="confidential",
        grant_types=["authorization_code", "refresh_token"],
        redirect_uris=[REDIRECT_URI],
        allowed_scopes=_SCOPES,
    )


@pytest.fixture
def web(confidential: RegisteredClient, person: User) -> Flow:
    """The confidential client and the signed-in person."""
    return _sign_in(confidential, person)


@pytest.fixture
def rp(person: User, rs256: SigningKey) -> Flow:
    """A confidential client that signs people in by OpenID Connect, and the signed-in person."""
    client = register_client(
        name="Example relying party",
        client_type="confidential",
        grant_types=["authorization_code", "refresh_token"],
        redirect_uris=[REDIRECT_URI],
        allowed_scopes=["openid", "profile", "email", "offline_access"],
    )
    return _sign_in(client, person)


@pytest.fixture
def service(db: None) -> Flow:
    """A confidential client that acts for itself."""
    client = register_client(
        name="Example service",
        client_type="confidential",
        grant_types=["client_credentials"],
        allowed_scopes=["users:read", "roles:read"],
    )
    return Flow(client.application.client_id, client.client_secret)


@pytest.fixture
def device(person: User) -> Device:
    """A public client on a device, and the browser of the signed-in person."""
    client = register_client(
        name="Example TV",
        client_type="public",
        grant_types=[DEVICE_CODE, "refresh_token"],
        allowed_scopes=_SCOPES,
    )
    flow = _sign_in(client, person)
    return Device(flow, flow.browser)


def _sign_in(client: RegisteredClient, user: User) -> Flow:
    browser = Client()
    browser.force_login(user)
    return Flow(client.application.client_id, client.client_secret, browser=browser)
