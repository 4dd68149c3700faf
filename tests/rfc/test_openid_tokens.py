"""OpenID Connect Core §2 and §3.1.3, ID tokens; tests are named after the modules of the OpenID suite."""

import json
from datetime import timedelta
from time import time

import pytest
from django.conf import settings
from django.contrib.auth import get_user_model
from django.test import Client
from django.utils import timezone
from jwcrypto.common import JWException
from pytest_django import Settings

from accounts.models import SigningKey
from accounts.services import rotate_keys
from oauth.models import Application
from tests.oauth.flow import Flow
from tests.oauth.openid import fetch_keys, get_header, hash_half, verify

ALGORITHMS = [("RS256", "sha256"), ("ES256", "sha256"), ("EdDSA", "sha512")]


def want(flow: Flow, algorithm: str) -> None:
    """Register the client for another algorithm."""
    application = Application.objects.get(client_id=flow.client_id)
    application.algorithm = algorithm
    application.save()


@pytest.mark.compliance("OpenID Basic OP", "oidcc-server", "a code gives an ID token that says who, when and how")
@pytest.mark.compliance("OpenID Connect Core", "2", "an ID token has iss, sub, aud, exp and iat")
def test_oidcc_server(rp: Flow) -> None:
    before = int(time())
    tokens = rp.get_tokens(scope="openid", nonce="a-nonce")
    claims = verify(tokens["id_token"], client_id=rp.client_id)
    user = get_user_model().objects.get()
    assert claims.pop("exp") - claims["iat"] == 600
    assert before <= claims.pop("iat") <= time()
    assert abs(before - claims.pop("auth_time")) <= 60
    assert claims.pop("sid")
    assert claims.pop("c_hash")
    assert claims == {
        "iss": settings.BASE_URL,
        "sub": str(user.pk),
        "aud": rp.client_id,
        "nonce": "a-nonce",
        "amr": ["pwd"],
        "acr": "1",
        "at_hash": hash_half(tokens["access_token"]),
    }


@pytest.mark.compliance("OpenID Basic OP", "oidcc-idtoken-signature", "the header names a key of the key set")
@pytest.mark.compliance("OpenID Connect Core", "10.1", "with several keys in the set, the header names one by kid")
@pytest.mark.parametrize(("algorithm", "hashed_with"), ALGORITHMS)
def test_oidcc_idtoken_signature(rp: Flow, algorithm: str, hashed_with: str) -> None:
    want(rp, algorithm)
    tokens = rp.get_tokens(scope="openid")
    header = get_header(tokens["id_token"])
    assert header["alg"] == algorithm
    key = fetch_keys().get_key(header["kid"])
    assert key is not None
    assert (key["alg"], key["use"]) == (algorithm, "sig")
    assert verify(tokens["id_token"], client_id=rp.client_id, algorithm=algorithm)["at_hash"] == hash_half(
        tokens["access_token"], hashed_with
    )


@pytest.mark.compliance("OpenID Basic OP", "oidcc-idtoken-unsigned", "an ID token is never unsigned")
def test_oidcc_idtoken_unsigned(rp: Flow) -> None:
    with pytest.raises(JWException):
        verify(rp.get_tokens(scope="openid")["id_token"].rpartition(".")[0] + ".", client_id=rp.client_id)
    document = Client().get("/.well-known/openid-configuration").json()
    assert "none" not in document["id_token_signing_alg_values_supported"]


@pytest.mark.compliance("OpenID Connect Core", "15.1", "RS256 signs where the client's own algorithm was taken away")
def test_a_client_whose_algorithm_is_no_longer_offered_gets_rs256(rp: Flow, settings: Settings) -> None:
    want(rp, "ES256")
    settings.ACCOUNTS = settings.ACCOUNTS | {"ID_TOKEN_ALGORITHMS": ("RS256",)}
    assert get_header(rp.get_tokens(scope="openid")["id_token"])["alg"] == "RS256"


@pytest.mark.compliance(
    "OpenID Basic OP",
    "oidcc-ensure-request-without-nonce-succeeds-for-code-flow",
    "the nonce may be left out; there is none in the ID token then",
)
def test_oidcc_ensure_request_without_nonce_succeeds_for_code_flow(rp: Flow) -> None:
    assert "nonce" not in verify(rp.get_tokens(scope="openid")["id_token"], client_id=rp.client_id)


@pytest.mark.compliance("OpenID Connect Core", "3.1.2.1", "without the scope openid it is plain OAuth")
def test_without_openid_there_is_no_id_token(rp: Flow) -> None:
    assert "id_token" not in rp.get_tokens(scope="profile", nonce="a-nonce")


@pytest.mark.compliance("OpenID Basic OP", "oidcc-codereuse", "a code that was used is refused")
def test_oidcc_codereuse(rp: Flow) -> None:
    code = rp.get_code(scope="openid")
    assert rp.exchange(code).status_code == 200
    again = rp.exchange(code)
    assert (again.status_code, again.json()["error"]) == (400, "invalid_grant")


@pytest.mark.compliance("OpenID Basic OP", "oidcc-codereuse-30seconds", "what a code gave is dead when it is reused")
def test_oidcc_codereuse_30seconds(rp: Flow) -> None:
    code = rp.get_code(scope="openid")
    token = rp.exchange(code).json()["access_token"]
    bearer = {"Authorization": f"Bearer {token}"}
    assert Client().get("/oauth/userinfo", headers=bearer).status_code == 200
    assert rp.exchange(code).json()["error"] == "invalid_grant"
    assert Client().get("/oauth/userinfo", headers=bearer).status_code == 401


@pytest.mark.compliance("OpenID Basic OP", "oidcc-refresh-token", "a refresh gives an ID token of the same sign-in")
@pytest.mark.compliance("OpenID Connect Core", "12.2", "iss, sub, aud and auth_time stay as they were, iat is new")
def test_oidcc_refresh_token(rp: Flow) -> None:
    first = rp.get_tokens(scope="openid offline_access", nonce="a-nonce", prompt="consent")
    second = rp.refresh(first["refresh_token"]).json()
    old, new = (verify(tokens["id_token"], client_id=rp.client_id) for tokens in (first, second))
    assert {name: old[name] for name in ("iss", "sub", "aud", "auth_time", "acr", "amr", "sid")} == {
        name: new[name] for name in ("iss", "sub", "aud", "auth_time", "acr", "amr", "sid")
    }
    assert new["iat"] >= old["iat"]
    assert "nonce" not in new
    assert new["at_hash"] == hash_half(second["access_token"])


@pytest.mark.compliance("OpenID Connect Core", "5.5", "claims that are asked for in the ID token are there, also later")
def test_claims_of_the_id_token_are_told_again_after_a_refresh(rp: Flow) -> None:
    claims = json.dumps({"id_token": {"email": None, "name": {"essential": True}}})
    first = rp.get_tokens(scope="openid offline_access", claims=claims, prompt="consent")
    for tokens in (first, rp.refresh(first["refresh_token"]).json()):
        told = verify(tokens["id_token"], client_id=rp.client_id)
        assert (told["email"], told["name"]) == ("person@example.com", "Pat")
        assert "email_verified" not in told


@pytest.mark.compliance("OpenID Dynamic OP", "oidcc-server-rotate-keys", "ID tokens verify through a rotation")
@pytest.mark.compliance(
    "OpenID Connect Core", "10.1.1", "another key signs, and the set keeps the one before for a while"
)
def test_oidcc_server_rotate_keys(rp: Flow, rs256: SigningKey) -> None:
    old = rp.get_tokens(scope="openid")["id_token"]
    rotate_keys(now=timezone.now() + timedelta(seconds=1), is_forced=True, algorithm="RS256")
    new = rp.get_tokens(scope="openid")["id_token"]
    assert get_header(old)["kid"] == rs256.kid != get_header(new)["kid"]
    assert verify(old, client_id=rp.client_id)
    assert verify(new, client_id=rp.client_id)


@pytest.mark.compliance("Security", "JW06", "an ID token opens nothing")
def test_an_id_token_is_no_access_token(rp: Flow) -> None:
    for algorithm, _ in ALGORITHMS:
        want(rp, algorithm)
        token = rp.get_tokens(scope="openid profile email")["id_token"]
        assert rp.call_api(token) == 401
        assert rp.call_api(token, "/oauth/userinfo") == 401
        assert rp.introspect(token) == {"active": False}
