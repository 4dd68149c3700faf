"""OpenID Connect Core, ID tokens: what the modules of the OpenID suite (``test_oidcc_tokens.py``) don't ask."""

import json
from datetime import timedelta

import pytest
from django.utils import timezone
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


@pytest.mark.compliance("OpenID Connect Core", "10.1", "with several keys in the set, the header names one by kid")
@pytest.mark.parametrize(("algorithm", "hashed_with"), ALGORITHMS)
def test_the_header_names_the_key_of_the_algorithm_that_the_client_wants(
    rp: Flow, algorithm: str, hashed_with: str
) -> None:
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


@pytest.mark.compliance("OpenID Connect Core", "15.1", "RS256 signs where the client's own algorithm was taken away")
def test_a_client_whose_algorithm_is_no_longer_offered_gets_rs256(rp: Flow, settings: Settings) -> None:
    want(rp, "ES256")
    settings.ACCOUNTS = settings.ACCOUNTS | {"ID_TOKEN_ALGORITHMS": ("RS256",)}
    assert get_header(rp.get_tokens(scope="openid")["id_token"])["alg"] == "RS256"


@pytest.mark.compliance("OpenID Connect Core", "3.1.2.1", "without the scope openid it is plain OAuth")
def test_without_openid_there_is_no_id_token(rp: Flow) -> None:
    assert "id_token" not in rp.get_tokens(scope="profile", nonce="a-nonce")


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


@pytest.mark.compliance("Security", "B4", "an ID token opens no API")
@pytest.mark.compliance("Security", "D2", "an ID token opens no API")
@pytest.mark.compliance("Security", "JW06", "an ID token opens nothing")
def test_an_id_token_is_no_access_token(rp: Flow) -> None:
    for algorithm, _ in ALGORITHMS:
        want(rp, algorithm)
        token = rp.get_tokens(scope="openid profile email")["id_token"]
        assert rp.call_api(token) == 401
        assert rp.call_api(token, "/oauth/userinfo") == 401
        assert rp.introspect(token) == {"active": False}
