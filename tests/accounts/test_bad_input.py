"""Whatever is sent to an endpoint, the answer is a clear 4xx."""

import json

import pytest
from rest_framework.test import APIClient

from accounts.services import TokenPair
from tests.accounts.clients import as_holder
from tests.accounts.conftest import PASSWORD, ApiResponse

pytestmark = pytest.mark.django_db

BODIES: dict[str, dict[str, object]] = {
    "register": {"email": "ada@example.com", "password": PASSWORD, "name": "Ada"},
    "login": {"email": "ada@example.com", "password": PASSWORD, "cookie": False},
    "refresh": {"refresh_token": "x" * 43},
    "verify-email": {"token": "x" * 43},
    "verify-email/resend": {"email": "ada@example.com"},
    "password/reset": {"email": "ada@example.com"},
    "password/reset/confirm": {"token": "x" * 43, "password": PASSWORD},
    "password/change": {"current_password": PASSWORD, "new_password": "another correct horse"},
    "email/change": {"email": "ada@example.com"},
    "email/change/confirm": {"token": "x" * 43},
    "reauthenticate": {"password": PASSWORD},
}
REQUIRED = [(path, name) for path, body in BODIES.items() for name in body if name not in {"name", "cookie"}]
BROKEN = [b"{", b"\xff\xfe", b"[" * 100_000, b'{"a": NaN}', b'{"email": 1e999}', b"null", b'{"email": "\\ud800"}']
TEXTS = [*REQUIRED, ("register", "name")]


@pytest.fixture
def api_client(pair: TokenPair) -> APIClient:
    """A client with an access token, which some of the endpoints need and none minds."""
    return as_holder(pair.access_token)


def post(client: APIClient, path: str, body: object) -> ApiResponse:
    return client.post(f"/api/v1/auth/{path}", body)


def send(client: APIClient, path: str, content: bytes, content_type: str = "application/json") -> ApiResponse:
    return client.post(f"/api/v1/auth/{path}", content, content_type=content_type)


def blamed_fields(response: ApiResponse) -> set[str]:
    assert response["Content-Type"] == "application/problem+json"
    assert response.status_code == 400
    return {error["field"].partition(".")[0] for error in response.json()["errors"]}


@pytest.mark.parametrize(("path", "name"), REQUIRED)
def test_a_missing_field_is_named(api_client: APIClient, path: str, name: str) -> None:
    body = {key: value for key, value in BODIES[path].items() if key != name}
    assert blamed_fields(post(api_client, path, body)) == {name}


@pytest.mark.parametrize("value", [None, [], {}, ["x"], {"x": 1}, True, 5, 98234765109283746501, 1.5])
@pytest.mark.parametrize(("path", "name"), TEXTS)
def test_a_value_of_the_wrong_type_is_named(api_client: APIClient, path: str, name: str, value: object) -> None:
    assert blamed_fields(post(api_client, path, BODIES[path] | {name: value})) == {name}


@pytest.mark.parametrize("value", ["\x00", "a\x00b@example.com", "x" * 1000])
@pytest.mark.parametrize(("path", "name"), TEXTS)
def test_nul_bytes_and_long_texts_are_named(api_client: APIClient, path: str, name: str, value: str) -> None:
    content = json.dumps(BODIES[path] | {name: value}).encode()
    assert blamed_fields(send(api_client, path, content)) == {name}


@pytest.mark.parametrize(("path", "name"), REQUIRED)
def test_an_empty_value_is_named(api_client: APIClient, path: str, name: str) -> None:
    assert blamed_fields(post(api_client, path, BODIES[path] | {name: ""})) == {name}


@pytest.mark.parametrize("value", [None, [], {}, 0, 1, 1.5, "", "true", "on", "\x00"])
def test_what_is_neither_true_nor_false_is_named(api_client: APIClient, value: object) -> None:
    assert blamed_fields(post(api_client, "login", BODIES["login"] | {"cookie": value})) == {"cookie"}


@pytest.mark.parametrize("value", [None, [], {}, ["x"], True, 5, 1.5, "\x00", "x" * 1000])
def test_what_is_no_name_is_named(api_client: APIClient, value: object) -> None:
    assert blamed_fields(api_client.patch("/api/v1/auth/me", {"name": value})) == {"name"}


@pytest.mark.parametrize("content", BROKEN)
def test_a_change_of_the_profile_in_broken_json_is_answered_400(api_client: APIClient, content: bytes) -> None:
    response = api_client.patch("/api/v1/auth/me", content, content_type="application/json")
    assert (response.status_code, response["Content-Type"]) == (400, "application/problem+json")


@pytest.mark.parametrize("query", ["page=0", "page=x", "page_size=0", "page_size=1000", "page=%00", "page=%ff"])
@pytest.mark.parametrize("path", ["sessions", "security-events"])
def test_a_page_that_is_none_is_answered_as_a_problem(api_client: APIClient, path: str, query: str) -> None:
    response = api_client.get(f"/api/v1/auth/{path}?{query}")
    assert (response.status_code, response["Content-Type"]) == (400, "application/problem+json")


@pytest.mark.parametrize("path", [path for path, body in BODIES.items() if "email" in body])
@pytest.mark.parametrize(
    "email",
    [
        "x",
        "@",
        "a@b",
        "a b@example.com",
        "a@example.com\nBcc: b@example.com",
        "İ" * 250 + "@example.com",
        "a" * 243 + "@example.com",
        "<a@example.com>",
        "a@example.com,b@example.com",
    ],
)
def test_what_is_no_address_is_named(api_client: APIClient, path: str, email: str) -> None:
    assert blamed_fields(post(api_client, path, BODIES[path] | {"email": email})) == {"email"}


@pytest.mark.parametrize("content", [b"", *BROKEN])
@pytest.mark.parametrize("path", BODIES)
def test_broken_json_is_answered_400(api_client: APIClient, path: str, content: bytes) -> None:
    response = send(api_client, path, content)
    assert (response.status_code, response["Content-Type"]) == (400, "application/problem+json")


@pytest.mark.parametrize("content", [b"[]", b'"text"', b"7", b"true"])
@pytest.mark.parametrize("path", BODIES)
def test_json_that_is_no_object_is_answered_400(api_client: APIClient, path: str, content: bytes) -> None:
    assert send(api_client, path, content).status_code == 400


@pytest.mark.parametrize(
    "content_type", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; x", "x"]
)
@pytest.mark.parametrize("path", BODIES)
def test_another_content_type_is_answered_415(api_client: APIClient, path: str, content_type: str) -> None:
    response = send(api_client, path, b"a=b", content_type)
    assert (response.status_code, response["Content-Type"]) == (415, "application/problem+json")


@pytest.mark.parametrize("path", BODIES)
def test_a_body_over_the_limit_is_answered_413(api_client: APIClient, path: str) -> None:
    assert post(api_client, path, BODIES[path] | {"more": "x" * 1_000_000}).status_code == 413


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE", "TRACE", "QUERY"])
@pytest.mark.parametrize("path", BODIES)
def test_another_method_is_answered_405(api_client: APIClient, path: str, method: str) -> None:
    response = api_client.generic(method, f"/api/v1/auth/{path}")
    assert (response.status_code, response["Content-Type"]) == (405, "application/problem+json")


@pytest.mark.parametrize("authorization", ["Bearer x", "Bearer", "Basic eDp5", "é"])
@pytest.mark.parametrize("path", ["refresh", "login"])
def test_a_bad_token_beside_a_sign_in_does_not_matter(api_client: APIClient, path: str, authorization: str) -> None:
    response = api_client.post(f"/api/v1/auth/{path}", BODIES[path], headers={"Authorization": authorization})
    assert response.json()["code"] in {"invalid_refresh_token", "invalid_credentials"}
