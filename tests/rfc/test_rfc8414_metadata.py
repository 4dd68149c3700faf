"""RFC 8414, authorization server metadata."""

import pytest
from django.conf import settings
from django.test import Client

from tests.oauth.flow import Answer

_PATH = "/.well-known/oauth-authorization-server"


@pytest.fixture
def document(client: Client) -> Answer:
    return client.get(_PATH)


@pytest.mark.compliance("RFC 8414", "3.2", "the document is JSON and names the issuer")
def test_the_issuer_is_the_fixed_address_of_the_house(document: Answer) -> None:
    assert document["Content-Type"] == "application/json"
    assert document.json()["issuer"] == settings.BASE_URL


@pytest.mark.compliance("RFC 8414", "3.3", "the issuer doesn't follow the Host header")
def test_the_issuer_does_not_follow_the_request(client: Client) -> None:
    answer = client.get(_PATH, headers={"Host": "localhost", "X-Forwarded-Host": "evil.example"}).json()
    assert answer["issuer"] == settings.BASE_URL
    assert answer["token_endpoint"] == f"{settings.BASE_URL}/oauth/token"


@pytest.mark.compliance("RFC 8414", "2", "what is said to be supported is what works")
def test_the_document_says_what_works_and_nothing_else(document: Answer) -> None:
    answer = document.json()
    assert answer["response_types_supported"] == ["code"]
    assert answer["response_modes_supported"] == ["query"]
    assert sorted(answer["grant_types_supported"]) == ["authorization_code", "client_credentials", "refresh_token"]
    assert answer["code_challenge_methods_supported"] == ["S256"]
    assert sorted(answer["scopes_supported"]) == ["audit:read", "profile", "roles:read", "roles:write", "users:read"]
    assert answer["authorization_response_iss_parameter_supported"] is True
    assert not {"registration_endpoint", "jwks_uri", "userinfo_endpoint", "device_authorization_endpoint"} & set(answer)


@pytest.mark.compliance("RFC 8414", "2", "the ways to authenticate are named for each endpoint")
def test_the_ways_to_authenticate_are_named(document: Answer) -> None:
    answer = document.json()
    methods = {"client_secret_basic", "client_secret_post"}
    assert set(answer["token_endpoint_auth_methods_supported"]) == methods | {"none"}
    assert set(answer["revocation_endpoint_auth_methods_supported"]) == methods | {"none"}
    assert set(answer["introspection_endpoint_auth_methods_supported"]) == methods


@pytest.mark.compliance("RFC 8414", "2", "every endpoint that is named is there")
@pytest.mark.django_db
def test_every_endpoint_is_there(document: Answer, client: Client) -> None:
    answer = document.json()
    for name in ("authorization_endpoint", "token_endpoint", "introspection_endpoint", "revocation_endpoint"):
        path = answer[name].removeprefix(settings.BASE_URL)
        assert client.post(path).status_code in {400, 401}
