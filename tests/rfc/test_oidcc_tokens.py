"""The modules of the OpenID suite's plans Basic OP and Form Post OP about codes and tokens."""

from datetime import timedelta
from time import time

import pytest
from django.conf import settings
from django.db.models import F
from jwcrypto.common import JWException

from oauth.models import Grant
from tests.oauth.flow import Flow
from tests.oauth.openid import discover, fetch_keys, get_header, get_userinfo, hash_half, verify
from tests.rfc.oidcc import Provider, module

#: What stays in an ID token through a refresh.
LASTING = ("iss", "sub", "aud", "auth_time", "acr", "amr", "sid")


@module("server", "a code gives an ID token that says who, when and how")
@pytest.mark.compliance("OpenID Connect Core", "2", "an ID token has iss, sub, aud, exp and iat")
def test_oidcc_server(op: Provider) -> None:
    before = int(time())
    done = op.sign_in()
    claims = done.claims
    assert claims.pop("exp") - claims["iat"] == 600
    assert before <= claims.pop("iat") <= time()
    assert before <= claims.pop("auth_time") <= time()
    assert claims.pop("sid")
    assert claims == {
        "iss": settings.BASE_URL,
        "sub": str(op.person.pk),
        "aud": op.client.client_id,
        "nonce": "a-nonce",
        "amr": ["pwd"],
        "acr": "1",
        "at_hash": hash_half(done.tokens["access_token"]),
        "c_hash": hash_half(done.code),
    }
    assert done.tokens["expires_in"] > 0
    assert len(done.code) >= 22  # 128 bits in base64url, which the suite asks for


@module("server-client-secret-post", "the client may authenticate in the body")
def test_oidcc_server_client_secret_post(op: Provider) -> None:
    client, secret = op.client, op.client.secret
    client.secret = None
    answer = client.exchange(op.ask().answer["code"], client_secret=secret)
    assert answer.status_code == 200
    assert verify(answer.json()["id_token"], client_id=client.client_id)["sub"] == str(op.person.pk)


@module("idtoken-signature", "RS256 signs, and the header names a key of the key set")
def test_oidcc_idtoken_signature(op: Provider) -> None:
    header = get_header(op.sign_in().tokens["id_token"])
    assert header["alg"] == "RS256"
    assert fetch_keys().get_key(header["kid"]) is not None


@module("idtoken-unsigned", "an ID token is never unsigned, and no client may ask for that; the module skips")
def test_oidcc_idtoken_unsigned(op: Provider) -> None:
    id_token = op.sign_in().tokens["id_token"]
    with pytest.raises(JWException):
        verify(id_token.rpartition(".")[0] + ".", client_id=op.client.client_id)
    assert "none" not in discover()["id_token_signing_alg_values_supported"]


@module("codereuse", "a code that was used is refused")
def test_oidcc_codereuse(op: Provider) -> None:
    again = op.client.exchange(op.sign_in().code)
    assert (again.status_code, again.json()["error"]) == (400, "invalid_grant")


@module("codereuse-30seconds", "what a code gave is dead when it is used again half a minute later")
def test_oidcc_codereuse_30seconds(op: Provider) -> None:
    done = op.sign_in()
    Grant.objects.update(consumed_at=F("consumed_at") - timedelta(seconds=30))
    again = op.client.exchange(done.code)
    assert (again.status_code, again.json()["error"]) == (400, "invalid_grant")
    assert op.client.call_api(done.tokens["access_token"], "/oauth/userinfo") == 401


@module("refresh-token", "a refresh gives an ID token of the same sign-in, and that to its client alone")
@pytest.mark.compliance("OpenID Connect Core", "12.2", "iss, sub, aud and auth_time stay as they were, iat is new")
def test_oidcc_refresh_token(op: Provider, web: Flow) -> None:
    scope = "openid offline_access"
    first = op.sign_in(scope=scope, prompt="consent")
    response = op.client.refresh(first.tokens["refresh_token"], scope=scope)
    assert response.status_code == 200
    assert response["Cache-Control"] == "no-store"
    second = response.json()
    claims = verify(second["id_token"], client_id=op.client.client_id)
    assert {name: claims[name] for name in LASTING} == {name: first.claims[name] for name in LASTING}
    assert claims["iat"] >= first.claims["iat"]
    assert "nonce" not in claims
    assert claims["at_hash"] == hash_half(second["access_token"])
    assert get_userinfo(second["access_token"]) == first.userinfo
    stolen = web.refresh(second["refresh_token"])
    assert (stolen.status_code, stolen.json()["error"]) == (400, "invalid_grant")
