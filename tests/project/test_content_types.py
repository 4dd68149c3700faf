"""What happens before Django sees a request."""

import io
import json

import pytest
from django.core.handlers.wsgi import WSGIHandler
from django.test import RequestFactory

from project.content_types import ContentTypeGuard

pytestmark = pytest.mark.django_db


def post(path: str, content_type: str) -> tuple[str, bytes]:
    """Return the status line of a POST through the whole application, and the body."""
    environ = RequestFactory().post(path, data=b"{}", content_type="application/json").environ
    environ |= {"CONTENT_TYPE": content_type, "wsgi.input": io.BytesIO(b"{}"), "QUERY_STRING": "page=1"}
    lines: list[str] = []
    response = ContentTypeGuard(WSGIHandler())(environ, lambda status, *_: lines.append(status))  # type: ignore[arg-type] # nobody writes
    return lines[0], b"".join(response)


@pytest.mark.parametrize(
    "content_type",
    [
        "application/json; charset=undefined",
        "application/json; charset=idna",
        "application/json; charset=utf-16",
        "application/json; charset=\x00",
        "application/json; x*=nonsense'en'%41",
        "application/json;" + " a=b;" * 5000,
    ],
)
def test_a_content_type_that_django_cannot_read_is_refused_as_an_unknown_type(content_type: str) -> None:
    status, body = post("/api/v1/auth/login", content_type)
    assert status.startswith("415 ")
    problem = json.loads(body)
    assert problem["code"] == "unsupported_media_type"
    assert ascii(content_type[:100]) in problem["detail"]
    assert "UTF-8" in problem["detail"]


@pytest.mark.parametrize("charset", ["utf-8", "UTF-8", '"utf-8"', "utf8"])
def test_a_content_type_with_our_charset_is_read(charset: str) -> None:
    status, _ = post("/api/v1/auth/login", f"application/json; charset={charset}")
    assert status.startswith("400 ")


def test_a_type_that_is_read_and_not_taken_is_named() -> None:
    status, body = post("/api/v1/auth/login", "text/plain")
    assert status.startswith("415 ")
    assert 'media type "text/plain"' in json.loads(body)["detail"]
