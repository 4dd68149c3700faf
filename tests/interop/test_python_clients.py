"""requests_oauth2client and Authlib."""

import time
from http import HTTPStatus
from typing import override

import pytest
import requests
from authlib.integrations.django_client import OAuth
from authlib.integrations.requests_client import OAuth2Session
from authlib.oauth2 import rfc8414, rfc8628, rfc9068, rfc9207
from authlib.oauth2.rfc6750 import InvalidTokenError
from joserfc.jwk import KeySet
from requests_oauth2client import (
    BearerToken,
    DeviceAuthorizationPollingJob,
    InvalidClient,
    InvalidGrant,
    OAuth2Client,
)

from tests.interop.conftest import DEVICE_CODE, LOGGED_OUT_URI, REDIRECT_URI, Registration
from tests.interop.person import EMAIL, Person

pytestmark = [pytest.mark.http, pytest.mark.house, pytest.mark.timeout(120)]

SCOPE = "openid profile email offline_access"
SECONDS = 20


def discover(house: str, client: Registration) -> OAuth2Client:
    """Return a client of requests_oauth2client, made from the metadata; ``testing`` lets it speak plain HTTP."""
    auth = (client["client_id"], client["client_secret"]) if client["client_secret"] else client["client_id"]
    return OAuth2Client.from_discovery_endpoint(
        issuer=house,
        auth=auth,
        redirect_uri=client["redirect_uri"],
        device_authorization_endpoint=f"{house}/oauth/device-authorization",
        testing=True,
    )


def test_requests_oauth2client_signs_in_refreshes_and_ends(
    house: str, person: Person, clients: dict[str, Registration]
) -> None:
    client = discover(house, clients["web"])
    asked = client.authorization_request(scope=SCOPE, max_age=600)
    answer = asked.validate_callback(person.visit(asked.uri, until=REDIRECT_URI))
    first = client.authorization_code(answer)  # this checks the ID token too
    assert client.userinfo(first)["email"] == EMAIL
    second = client.refresh_token(first)
    assert client.introspect_token(second)["active"] is True
    assert client.revoke_refresh_token(second)
    assert client.introspect_token(second)["active"] is False
    with pytest.raises(InvalidGrant):
        client.refresh_token(second)


def test_requests_oauth2client_acts_for_itself(house: str, clients: dict[str, Registration]) -> None:
    token = discover(house, clients["service"]).client_credentials(scope="users:read")
    assert (token.scope, token.token_type) == ("users:read", "Bearer")
    with pytest.raises(InvalidClient):
        discover(house, {**clients["service"], "client_secret": "wrong"}).client_credentials()


def test_requests_oauth2client_waits_for_a_device(house: str, person: Person, clients: dict[str, Registration]) -> None:
    client = discover(house, clients["device"])
    started = client.authorize_device(scope="profile")
    assert started.verification_uri_complete is not None
    job, token = DeviceAuthorizationPollingJob(client, started), None
    assert job() is None  # nobody has decided yet
    person.visit(started.verification_uri_complete)
    for _ in range(5):
        token = token or job()
    assert isinstance(token, BearerToken)
    assert token.scope == "profile"


class ResourceServer(rfc9068.JWTBearerTokenValidator):  # type: ignore[misc]  # Authlib has no types
    """An API of somebody else that takes our access tokens without asking us."""

    @override
    def get_jwks(self) -> KeySet:
        """Return our public keys."""
        return KeySet.import_key_set(requests.get(f"{self.issuer}/oauth/jwks", timeout=SECONDS).json())


def test_authlib_signs_in_refreshes_and_ends(house: str, person: Person, clients: dict[str, Registration]) -> None:
    web = clients["web"]
    app = OAuth().register(
        "house",
        client_id=web["client_id"],
        client_secret=web["client_secret"],
        server_metadata_url=f"{house}/.well-known/openid-configuration",
        client_kwargs={"scope": SCOPE, "code_challenge_method": "S256"},
    )
    asked = app.create_authorization_url(REDIRECT_URI)
    callback = person.visit(asked["url"], until=REDIRECT_URI)
    session = OAuth2Session(web["client_id"], web["client_secret"], redirect_uri=REDIRECT_URI, state=asked["state"])
    first = session.fetch_token(
        f"{house}/oauth/token", authorization_response=callback, code_verifier=asked["code_verifier"]
    )
    claims = app.parse_id_token(first, asked["nonce"])  # it fetches the keys and checks signature, claims and at_hash
    assert app.userinfo(token=first)["sub"] == claims["sub"]
    second = session.refresh_token(f"{house}/oauth/token", refresh_token=first["refresh_token"])
    assert session.introspect_token(f"{house}/oauth/introspect", token=second["access_token"]).json()["active"]
    revoked = session.revoke_token(f"{house}/oauth/revoke", token=second["refresh_token"])
    assert revoked.status_code == HTTPStatus.OK
    assert not session.introspect_token(f"{house}/oauth/introspect", token=second["access_token"]).json()["active"]
    leave = app.create_logout_url(LOGGED_OUT_URI, id_token_hint=first["id_token"])
    assert person.visit(leave["url"], until=LOGGED_OUT_URI) == f"{LOGGED_OUT_URI}?state={leave['state']}"


def test_authlib_finds_the_metadata_sound(house: str) -> None:
    for name in ("openid-configuration", "oauth-authorization-server"):
        told = requests.get(f"{house}/.well-known/{name}", timeout=SECONDS).json()
        metadata = rfc8414.AuthorizationServerMetadata(told)
        metadata.REGISTRY_KEYS = [key for key in metadata.REGISTRY_KEYS if told.get(key) or key == "issuer"]
        metadata.validate(metadata_classes=[rfc9207.AuthorizationServerMetadata])


def test_authlib_takes_access_tokens_without_asking(house: str, clients: dict[str, Registration]) -> None:
    service = clients["service"]
    session = OAuth2Session(service["client_id"], service["client_secret"], scope="users:read")
    token = session.fetch_token(f"{house}/oauth/token", grant_type="client_credentials")["access_token"]
    api = ResourceServer(issuer=house, resource_server=house)
    claims = api.authenticate_token(token)
    api.validate_token(claims, ["users:read"], None)
    assert claims["client_id"] == service["client_id"]
    with pytest.raises(InvalidTokenError):
        api.validate_token(ResourceServer(house, "https://other.example").authenticate_token(token), [], None)


def test_authlib_waits_for_a_device(house: str, person: Person, clients: dict[str, Registration]) -> None:
    client_id = clients["device"]["client_id"]
    form = {"client_id": client_id, "scope": "profile"}
    started = requests.post(f"{house}/oauth/device-authorization", form, timeout=SECONDS).json()
    person.visit(started["verification_uri_complete"])
    session = OAuth2Session(client_id, token_endpoint_auth_method="none")
    token = session.fetch_token(f"{house}/oauth/token", grant_type=DEVICE_CODE, device_code=started["device_code"])
    assert token["scope"] == "profile"
    assert token["expires_at"] > time.time()
    assert DEVICE_CODE == rfc8628.DEVICE_CODE_GRANT_TYPE
