"""What happens before Django sees a request."""

import io

import pytest
from django.core.handlers.wsgi import WSGIHandler
from django.test import RequestFactory

from project.wsgi import ContentTypeGuard

pytestmark = pytest.mark.django_db


def request_status(path: str, content_type: str) -> str:
    """Return the status line of a POST through the whole application."""
    environ = RequestFactory().post(path, data=b"{}", content_type="application/json").environ
    environ |= {"CONTENT_TYPE": content_type, "wsgi.input": io.BytesIO(b"{}"), "QUERY_STRING": "page=1"}
    lines: list[str] = []
    response = ContentTypeGuard(WSGIHandler())(environ, lambda status, *_: lines.append(status))  # type: ignore[arg-type] # nobody writes
    assert b"".join(response)
    return lines[0]


@pytest.mark.parametrize(
    "content_type",
    [
        "application/json; charset=undefined",
        "application/json; charset=idna",
        "application/json; charset=\x00",
        "application/json; x*=nonsense'en'%41",
        "application/json;" + " a=b;" * 5000,
    ],
)
def test_a_content_type_that_django_cannot_read_is_refused_as_an_unknown_type(content_type: str) -> None:
    assert request_status("/api/v1/auth/login", content_type).startswith("415 ")


@pytest.mark.parametrize("charset", ["utf-8", "UTF-8", '"utf-8"', "utf8"])
def test_a_content_type_with_our_charset_is_read(charset: str) -> None:
    assert request_status("/api/v1/auth/login", f"application/json; charset={charset}").startswith("400 ")
