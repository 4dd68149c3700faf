"""The edge of the API: whatever is sent, the answer is a problem that a program can read, and never a 500."""

import json

import pytest
from django.contrib.auth import get_user_model
from django.core.exceptions import RequestDataTooBig
from django.http import Http404, UnreadablePostError
from rest_framework import exceptions
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.test import APIClient, APIRequestFactory
from rest_framework.views import APIView

from project.exceptions import DomainError

ADDRESS = "/api/v1/roles"


@pytest.fixture
def root(db: None, api_client: APIClient) -> APIClient:
    """A client that may everything, and gets what a real one would get instead of an exception."""
    api_client.raise_request_exception = False
    api_client.force_authenticate(get_user_model().objects.create(email="root@example.com", is_superuser=True))
    return api_client


def send(client: APIClient, body: bytes, *, content_type: str = "application/json", method: str = "POST") -> Response:
    response = client.generic(method, ADDRESS, body, content_type=content_type)  # type: ignore[arg-type] # bytes do
    assert isinstance(response, Response)
    return response


def assert_problem(response: Response, status: int, code: str) -> dict[str, object]:
    """Check the shape that RFC 9457 and the schema promise, and return the body."""
    assert response.status_code == status
    assert response["Content-Type"] == "application/problem+json"
    body: dict[str, object] = json.loads(response.content)
    assert (body["status"], body["code"]) == (status, code)
    assert body["type"] == "about:blank"
    assert body["title"]
    assert body["detail"]
    assert body["request_id"] == response["X-Request-ID"]
    return body


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"nonsense",
        b'{"name": "x"} trailing',
        b'{"name": NaN}',
        b'{"name": -Infinity}',
        b'{"name": 1e999}',
        b'{"name": ' + b"9" * 5000 + b"}",
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b'{"name": "\\ud800"}',
        b'{"name": "\\udc00\\ud800"}',
        b'{"\\ud800": 1}',
        b'{"other": [{"deep": "\\ud800"}]}',
        b'{"name": "\xff"}',
        b'{"name": "\xed\xa0\x80"}',
        b'\xef\xbb\xbf{"name": "x"}',
        '{"name": "x"}'.encode("utf-16"),
        b'{"name": "a\x00b"}',
    ],
    ids=lambda body: repr(body[:24]),
)
def test_a_body_that_is_not_strict_json_is_a_400(root: APIClient, body: bytes) -> None:
    assert_problem(send(root, body), 400, "parse_error")


@pytest.mark.parametrize("body", [b"[]", b"null", b'"x"', b"1", b"1.5", b"true", b"[{}]"])
def test_json_that_is_no_object_is_a_400(root: APIClient, body: bytes) -> None:
    problem = assert_problem(send(root, body), 400, "invalid")
    assert problem["errors"]


@pytest.mark.parametrize("body", [b"", b"{}"])
def test_what_is_missing_is_named(root: APIClient, body: bytes) -> None:
    problem = assert_problem(send(root, body), 400, "invalid")
    assert problem["errors"] == [{"field": "name", "code": "required", "message": "This field is required."}]


def test_a_nul_byte_in_a_string_is_a_400_about_the_field(root: APIClient) -> None:
    problem = assert_problem(send(root, b'{"name": "a\\u0000b"}'), 400, "invalid")
    assert [error["field"] for error in problem["errors"]] == ["name"]  # type: ignore[attr-defined] # a list


def test_nesting_that_can_be_read_is_refused_by_the_field(root: APIClient) -> None:
    body = b'{"name": ' + b"[" * 500 + b"]" * 500 + b"}"
    assert_problem(send(root, body), 400, "invalid")


def test_a_whole_surrogate_pair_is_a_character_like_others(root: APIClient) -> None:
    response = send(root, b'{"name": "\\ud83d\\ude00"}')
    assert (response.status_code, response.data["name"]) == (201, "\U0001f600")


@pytest.mark.parametrize(
    "content_type",
    ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "application/xml", "x", ""],
)
def test_a_body_of_another_type_is_a_415(root: APIClient, content_type: str) -> None:
    assert_problem(send(root, b'{"name": "x"}', content_type=content_type), 415, "unsupported_media_type")


@pytest.mark.parametrize("charset", ["utf-16", "latin-1", "nonsense", "bz2", "undefined", "idna"])
def test_json_is_utf_8_whatever_the_charset_says(root: APIClient, charset: str) -> None:
    response = send(root, '{"name": "é"}'.encode(), content_type=f"application/json; charset={charset}")
    assert (response.status_code, response.data["name"]) == (201, "é")


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "TRACE", "BREW"])
def test_a_method_without_meaning_is_a_405_that_says_which_have_one(root: APIClient, method: str) -> None:
    response = send(root, b"", method=method)
    assert_problem(response, 405, "method_not_allowed")
    assert {"GET", "POST"} <= set(response["Allow"].split(", "))


@pytest.mark.parametrize("accept", ["text/html", "application/xml", "image/*;q=abc", ";;;", "x", "\x00"])
def test_a_client_that_accepts_nothing_we_have_gets_json(root: APIClient, accept: str) -> None:
    assert root.get(ADDRESS, headers={"Accept": accept})["Content-Type"] == "application/json"
    assert_problem(root.post(ADDRESS, {}, headers={"Accept": accept}), 400, "invalid")


@pytest.mark.parametrize("number", ["2", "9" * 5000])
def test_a_page_that_is_not_there_is_a_404(root: APIClient, number: str) -> None:
    assert_problem(root.get(f"{ADDRESS}?page={number}"), 404, "not_found")


@pytest.mark.parametrize("number", ["0", "-1", "x", "last", "", "1.5", "%D9%A5", "00"])
def test_a_page_that_is_no_number_is_a_400_about_it(root: APIClient, number: str) -> None:
    problem = assert_problem(root.get(f"{ADDRESS}?page={number}"), 400, "invalid")
    assert problem["errors"] == [{"field": "page", "code": "invalid", "message": "Ask for a page from 1."}]


@pytest.mark.parametrize("query", ["format=xml", "%ff=%ff", "page_size=1", "page_size=200"])
def test_a_query_that_says_nothing_is_ignored(root: APIClient, query: str) -> None:
    assert root.get(f"{ADDRESS}?{query}").status_code == 200


@pytest.mark.parametrize("size", ["0", "-1", "201", "x", "true", "", "1.5", "%D9%A5", "9" * 5000])
def test_a_page_size_that_cannot_be_is_a_400_about_it(root: APIClient, size: str) -> None:
    problem = assert_problem(root.get(f"{ADDRESS}?page_size={size}"), 400, "invalid")
    assert problem["errors"] == [{"field": "page_size", "code": "invalid", "message": "Ask for 1 to 200."}]


def test_a_query_of_too_many_parts_is_a_400(root: APIClient) -> None:
    assert_problem(root.get(f"{ADDRESS}?{'a=1&' * 1001}"), 400, "parse_error")


def test_a_body_over_the_limit_is_a_413(root: APIClient) -> None:
    response = root.generic("POST", ADDRESS, "x" * 1_000_001, content_type="application/json")
    assert (response.status_code, response["Content-Type"]) == (413, "application/problem+json")


class Refused(DomainError):
    """You are refused."""

    code = "refused"


class Unauthenticated(Refused):
    """Say who you are."""

    status = 401  # type: ignore[assignment] # an int is as good


class Conflicting(Refused):
    """There is one."""

    status = 409  # type: ignore[assignment] # an int is as good


def answer_to(error: Exception) -> Response:
    """Return how a view answers that raises this error."""

    class View(APIView):
        authentication_classes = []
        permission_classes = []

        def get(self, request: Request) -> Response:
            raise error

    response = View.as_view()(APIRequestFactory().get("/"))
    assert isinstance(response, Response)
    return response


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (Refused(), 400, "refused"),
        (Refused(fields={"a": ["No."]}), 400, "invalid"),
        (Conflicting(fields={"a": ["No."]}), 409, "refused"),
        (Http404(), 404, "not_found"),
        (RequestDataTooBig(), 413, "body_too_large"),
        (UnreadablePostError(), 400, "parse_error"),
        (exceptions.ParseError(), 400, "parse_error"),
        (exceptions.PermissionDenied(), 403, "permission_denied"),
        (exceptions.Throttled(), 429, "throttled"),
        (exceptions.ValidationError("No."), 400, "invalid"),
    ],
)
def test_every_expected_error_has_a_status_and_a_code(error: Exception, status: int, code: str) -> None:
    response = answer_to(error)
    assert (response.status_code, response.data["code"]) == (status, code)


def test_the_public_text_of_a_refusal_is_shown_and_the_private_one_is_not() -> None:
    response = answer_to(Refused(detail="row 17 is locked"))
    assert response.data["detail"] == "You are refused."
    assert "locked" not in str(response.data)


def test_a_refusal_about_fields_names_each() -> None:
    errors = answer_to(Refused(fields={"a": ["No.", "Never."], "b": ["No."]})).data["errors"]
    assert [(error["field"], error["code"], error["message"]) for error in errors] == [
        ("a", "refused", "No."),
        ("a", "refused", "Never."),
        ("b", "refused", "No."),
    ]


def test_the_field_of_a_nested_error_is_a_path() -> None:
    error = exceptions.ValidationError({"items": [{}, {"name": ["Bad."]}], "non_field_errors": ["Worse."]})
    assert [error["field"] for error in answer_to(error).data["errors"]] == ["items.1.name", ""]


def test_every_401_says_how_to_authenticate() -> None:
    assert answer_to(Unauthenticated())["WWW-Authenticate"] == "Bearer"


def test_a_throttled_client_is_told_when_to_come_back_and_not_too_early() -> None:
    assert answer_to(exceptions.Throttled(wait=1.2))["Retry-After"] == "2"


def test_a_bug_is_not_dressed_up_as_a_refusal() -> None:
    with pytest.raises(ZeroDivisionError):
        answer_to(ZeroDivisionError())
