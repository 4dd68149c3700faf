"""An OpenID Connect client that believes nothing: it verifies ID tokens with another library than the server's."""

import base64
import hashlib
import json
from typing import Any

from django.conf import settings
from django.test import Client
from jwcrypto.jwk import JWKSet
from jwcrypto.jwt import JWT

type Json = dict[str, Any]  # Any: whatever the server says


def discover() -> Json:
    """Return the provider's metadata."""
    return dict(Client().get("/.well-known/openid-configuration").json())


def fetch_keys() -> JWKSet:
    """Return the key set from where the metadata say that it is."""
    path = discover()["jwks_uri"].removeprefix(settings.BASE_URL)
    return JWKSet.from_json(Client().get(path).content.decode())


def get_userinfo(access_token: str) -> Json:
    """Return what the provider tells of the person."""
    response = Client().get("/oauth/userinfo", headers={"Authorization": f"Bearer {access_token}"})
    assert response.status_code == 200, response.content
    assert response["Content-Type"] == "application/json"
    return dict(response.json())


def get_header(id_token: str) -> Json:
    """Return the header of an ID token."""
    encoded = id_token.partition(".")[0]
    return dict(json.loads(base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4))))


def verify(id_token: str, *, client_id: str, algorithm: str = "RS256") -> Json:
    """Return the claims of an ID token after OpenID Connect Core §3.1.3.7."""
    token = JWT(
        jwt=id_token,
        key=fetch_keys(),
        algs=[algorithm],
        expected_type="JWS",
        check_claims={"iss": settings.BASE_URL, "aud": client_id, "exp": None, "iat": None, "sub": None},
    )
    return dict(json.loads(token.claims))


def hash_half(text: str, name: str = "sha256") -> str:
    """Return what ``at_hash`` of a text must be (OpenID Connect Core §3.1.3.6)."""
    digest = hashlib.new(name, text.encode()).digest()
    return base64.urlsafe_b64encode(digest[: len(digest) // 2]).rstrip(b"=").decode()
