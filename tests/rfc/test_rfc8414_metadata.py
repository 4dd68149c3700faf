"""RFC 8414, authorization server metadata."""

import pytest
from django.conf import settings
from django.test import Client

from accounts.models import SigningKey
from tests.oauth.flow import Answer, Flow

_PATH = "/.well-known/oauth-authorization-server"


@pytest.fixture
def document(client: Client) -> Answer:
    return client.get(_PATH)


@pytest.mark.compliance("RFC 9700", "2.6", "the metadata are published")
@pytest.mark.compliance("RFC 8414", "3.2", "the document is JSON and names the issuer")
def test_the_issuer_is_the_fixed_address_of_the_house(document: Answer) -> None:
    assert document["Content-Type"] == "application/json"
    assert document.json()["issuer"] == settings.BASE_URL


@pytest.mark.compliance("Security", "D15", "issuer and endpoints don't follow the Host header")
@pytest.mark.compliance("RFC 9700", "4.13", "what a request says of its host doesn't get into the metadata")
@pytest.mark.compliance("RFC 8414", "3.3", "the issuer doesn't follow the Host header")
def test_the_issuer_does_not_follow_the_request(client: Client) -> None:
    answer = client.get(_PATH, headers={"Host": "localhost", "X-Forwarded-Host": "evil.example"}).json()
    assert answer["issuer"] == settings.BASE_URL
    assert answer["token_endpoint"] == f"{settings.BASE_URL}/oauth/token"


@pytest.mark.compliance("Security", "B13", "no implicit or password grant and no plain challenge is announced")
@pytest.mark.compliance("Security", "D16", "the metadata name what works and nothing else")
@pytest.mark.compliance("RFC 9700", "4.7.1", "the metadata say that PKCE is supported, and by which method")
@pytest.mark.compliance("RFC 9207", "3", "the metadata say that responses carry the issuer")
@pytest.mark.compliance("RFC 8414", "2", "what is said to be supported is what works")
@pytest.mark.django_db
def test_the_document_says_what_works_and_nothing_else(document: Answer, flow: Flow) -> None:
    answer = document.json()
    assert answer["response_types_supported"] == ["code"]
    assert sorted(answer["response_modes_supported"]) == ["form_post", "query"]
    assert answer["code_challenge_methods_supported"] == ["S256"]
    assert answer["scopes_supported"] == list(settings.OAUTH["SCOPES"])
    assert answer["authorization_response_iss_parameter_supported"] is True
    for grant_type in ("password", "implicit", *answer["grant_types_supported"]):
        error = flow.post("/oauth/token", grant_type=grant_type).json()["error"]
        assert (error == "unsupported_grant_type") is (grant_type not in answer["grant_types_supported"]), grant_type


@pytest.mark.compliance("RFC 8414", "3.2", "members without a value are left out")
def test_no_member_is_empty(document: Answer) -> None:
    assert not [name for name, value in document.json().items() if value in (None, [], "")]


@pytest.mark.compliance("RFC 8414", "3.1", "the issuer has no path, so there is one address only")
@pytest.mark.django_db
def test_there_is_no_document_of_another_issuer(client: Client) -> None:
    assert client.get(f"{_PATH}/tenant").status_code == 404
    assert client.post(_PATH).status_code == 405


@pytest.mark.compliance("Security", "D16", "the metadata name how public clients authenticate")
@pytest.mark.compliance("RFC 8414", "2", "the ways to authenticate are named for each endpoint")
def test_the_ways_to_authenticate_are_named(document: Answer) -> None:
    answer = document.json()
    methods = {"client_secret_basic", "client_secret_post"}
    assert set(answer["token_endpoint_auth_methods_supported"]) == methods | {"none"}
    assert set(answer["revocation_endpoint_auth_methods_supported"]) == methods | {"none"}
    assert set(answer["introspection_endpoint_auth_methods_supported"]) == methods


@pytest.mark.compliance("Security", "B13", "the metadata name the endpoints")
@pytest.mark.compliance("RFC 8414", "2", "every endpoint that is named is there")
@pytest.mark.django_db
def test_every_endpoint_is_there(document: Answer, client: Client, rs256: SigningKey) -> None:
    endpoints = {name: value for name, value in document.json().items() if name.endswith(("_endpoint", "jwks_uri"))}
    assert {"authorization_endpoint", "token_endpoint", "jwks_uri", "revocation_endpoint"} <= set(endpoints)
    for address in endpoints.values():
        path = address.removeprefix(settings.BASE_URL)
        assert {client.get(path).status_code, client.post(path).status_code} & {200, 302, 400, 401}, path
