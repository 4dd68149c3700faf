"""OpenID Connect Discovery; tests are named after the module of the OpenID suite."""

import base64
from urllib.parse import urlsplit

import pytest
from django.conf import settings
from django.test import Client
from django.urls import resolve

from accounts.models import SigningKey
from tests.oauth.flow import Flow, Json
from tests.oauth.openid import discover, verify

_PRIVATE = {"d", "p", "q", "dp", "dq", "qi", "oth", "k"}


@pytest.fixture
def document(db: None) -> Json:
    return discover()


@pytest.mark.compliance("RFC 8414", "2", "the issuer has neither query nor fragment")
@pytest.mark.compliance("OpenID Config OP", "oidcc-discovery-endpoint-verification", "the metadata can be used")
@pytest.mark.compliance("OpenID Connect Discovery", "3", "all that is required is there")
def test_oidcc_discovery_endpoint_verification(document: Json) -> None:
    assert document["issuer"] == settings.BASE_URL
    assert not set(urlsplit(document["issuer"]).query + urlsplit(document["issuer"]).fragment)
    for name, value in document.items():
        if name.endswith(("_endpoint", "_uri")):
            assert value.startswith(f"{settings.BASE_URL}/"), name
            resolve(urlsplit(value).path)
    assert document["response_types_supported"] == ["code"]
    assert document["subject_types_supported"] == ["public"]
    assert "RS256" in document["id_token_signing_alg_values_supported"]
    assert {"authorization_code", "refresh_token", "client_credentials"} <= set(document["grant_types_supported"])
    assert {"openid", "profile", "email", "offline_access"} <= set(document["scopes_supported"])
    assert {"client_secret_basic", "client_secret_post"} <= set(document["token_endpoint_auth_methods_supported"])
    assert {"sub", "name", "email", "email_verified", "acr", "amr", "auth_time"} <= set(document["claims_supported"])
    assert document["claims_parameter_supported"] is True
    assert document["claim_types_supported"] == ["normal"]


@pytest.mark.compliance("Security", "B13", "what would be assumed is denied")
@pytest.mark.compliance("OpenID Connect Discovery", "3", "what isn't supported and would be assumed is denied")
def test_what_would_be_assumed_is_denied(document: Json) -> None:
    assert document["request_uri_parameter_supported"] is False
    assert document["request_parameter_supported"] is False
    assert "registration_endpoint" not in document


@pytest.mark.compliance(
    "OpenID Connect Discovery", "4.2", "the document is JSON and may be read by pages and kept briefly"
)
@pytest.mark.django_db
def test_the_document_may_be_kept() -> None:
    response = Client().get("/.well-known/openid-configuration")
    assert response["Content-Type"] == "application/json"
    assert response["Access-Control-Allow-Origin"] == "*"
    assert response["Cache-Control"] == "public, max-age=300"
    again = Client().get("/.well-known/openid-configuration", headers={"If-None-Match": response["ETag"]})
    assert again.status_code == 304


@pytest.mark.compliance("Security", "B13", "discovery is as complete as the metadata")
@pytest.mark.compliance("RFC 8414", "5", "both addresses have the same document")
@pytest.mark.django_db
def test_both_addresses_have_the_same_document(document: Json) -> None:
    assert Client().get("/.well-known/oauth-authorization-server").json() == document


@pytest.mark.compliance("OpenID Config OP", "oidcc-discovery-endpoint-verification", "the key set is good")
@pytest.mark.compliance("RFC 7517", "4", "each key says what it is for, and none is private")
def test_the_key_set_is_good(document: Json, rs256: SigningKey) -> None:
    response = Client().get(urlsplit(document["jwks_uri"]).path)
    shown = response.json()["keys"]
    assert len({key["kid"] for key in shown}) == len(shown)
    assert all(key["use"] == "sig" and not _PRIVATE & set(key) for key in shown)
    assert set(document["id_token_signing_alg_values_supported"]) <= {key["alg"] for key in shown}
    modulus = next(key["n"] for key in shown if key["kty"] == "RSA")
    assert len(base64.urlsafe_b64decode(modulus + "==")) * 8 >= 2048
    assert response["Cache-Control"] == "public, max-age=300"
    assert response["Access-Control-Allow-Origin"] == "*"


@pytest.mark.compliance(
    "OpenID Connect Discovery", "3", "the claims that are announced are those of ID tokens and of userinfo"
)
def test_every_claim_is_announced(rp: Flow, document: Json) -> None:
    claims = verify(rp.get_tokens(scope="openid", nonce="a-nonce")["id_token"], client_id=rp.client_id)
    assert set(claims) == set(document["claims_supported"]) - {"name", "email", "email_verified"}


@pytest.mark.compliance("RFC 9728", "5.1", "a refusal of the API says where its metadata are")
@pytest.mark.parametrize("path", ["/api/v1/auth/me", "/oauth/userinfo"])
@pytest.mark.django_db
def test_a_refusal_says_where_the_metadata_are(path: str) -> None:
    challenge = Client().get(path)["WWW-Authenticate"]
    address = challenge.partition('resource_metadata="')[2].partition('"')[0]
    assert Client().get(address.removeprefix(settings.BASE_URL)).json()["resource"] == settings.BASE_URL


@pytest.mark.compliance(
    "RFC 9728", "3.2", "the metadata of the API name the audience of its tokens and who issues them"
)
@pytest.mark.django_db
def test_the_metadata_of_the_api_are_true() -> None:
    answer = Client().get("/.well-known/oauth-protected-resource").json()
    assert answer["resource"] == settings.BASE_URL
    assert answer["authorization_servers"] == [settings.BASE_URL]
    assert answer["bearer_methods_supported"] == ["header"]
    assert answer["scopes_supported"] == discover()["scopes_supported"]
    assert discover()["protected_resources"] == [answer["resource"]]
