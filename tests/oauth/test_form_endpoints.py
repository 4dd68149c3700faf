"""Faults that reach the token endpoint and its siblings are answered in JSON, never with a page."""

import re
from collections.abc import Callable
from io import BytesIO
from typing import Any, NoReturn, override
from urllib.parse import urlencode

import pytest
from django.db import Error, InterfaceError, OperationalError, connection
from django.test import Client, RequestFactory

from oauth.views import TokenView
from tests.oauth.flow import FORM, Flow, basic

_PATHS = ["/oauth/token", "/oauth/introspect", "/oauth/revoke"]


def _fail_with(error: type[Error]) -> Callable[..., NoReturn]:
    def fail(*_: object) -> NoReturn:
        raise error("the server closed the connection")

    return fail


@pytest.mark.parametrize("path", _PATHS)
@pytest.mark.parametrize("error", [OperationalError, InterfaceError])
def test_a_database_that_is_away_is_said_to_be_away_for_a_while(web: Flow, path: str, error: type[Error]) -> None:
    with connection.execute_wrapper(_fail_with(error)):
        response = web.post(path, token="a", grant_type="authorization_code")
    assert (response.status_code, response["Content-Type"]) == (503, "application/json")
    assert response.json() == {"error": "temporarily_unavailable"}
    assert response["Cache-Control"] == "no-store"


@pytest.mark.compliance("Security", "B9", "no token is introspected by GET")
@pytest.mark.compliance("Security", "D4", "no token is introspected by GET")
@pytest.mark.compliance("RFC 7662", "2.1", "the introspection endpoint takes POST")
@pytest.mark.compliance("RFC 7009", "2.1", "the revocation endpoint takes POST")
@pytest.mark.parametrize("path", _PATHS)
@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH"])
def test_another_method_is_refused_in_json(client: Client, path: str, method: str) -> None:
    response = client.generic(method, path, headers={"Accept": "text/html"})
    assert (response.status_code, response["Content-Type"]) == (405, "application/json")


@pytest.mark.parametrize("path", _PATHS)
@pytest.mark.parametrize("body", ["a=" + "x" * 3_000_000, "&".join(["a=1"] * 2000), "a=%00", "a"])
def test_a_form_that_cannot_be_read_is_refused_in_json(client: Client, path: str, body: str) -> None:
    response = client.post(path, body, content_type=FORM, headers={"Accept": "text/html"})
    assert response.status_code in {400, 401, 413}
    assert response["Content-Type"] in {"application/json", "application/problem+json"}


class _BrokenOff(BytesIO):
    """A body whose sender went away."""

    @override
    def read(self, size: int | None = -1, /) -> NoReturn:
        raise OSError


def test_a_form_that_breaks_off_is_refused_in_json(rf: RequestFactory) -> None:
    request = rf.post("/oauth/token", b"grant_type=x", content_type=FORM)
    request._stream = _BrokenOff()  # where Django reads the body from
    response = TokenView.as_view()(request)
    assert (response.status_code, response["Content-Type"]) == (400, "application/json")


@pytest.mark.parametrize(
    "path",
    [
        *("/oauth/authorize", "/oauth/consent", "/oauth/logout", "/oauth/logout/confirm", "/oauth/device"),
        *("/oauth/device/decision", "/oauth/userinfo", "/accounts/login/", "/accounts/profile/"),
    ],
)
def test_a_form_on_a_page_that_breaks_off_is_a_bad_request(flow: Flow, path: str) -> None:
    broken: dict[str, Any] = {"wsgi.input": _BrokenOff(), "CONTENT_LENGTH": "3"}  # Any: as the stubs want it
    response = flow.browser.generic("POST", path, b"a=b", content_type=FORM, **broken)
    assert response.status_code == 400


@pytest.mark.parametrize("charset", ["utf-8", "UTF-8", '"utf-8"', "utf8"])
def test_a_form_may_say_that_it_is_in_utf_8(service: Flow, charset: str) -> None:
    assert service.secret is not None
    headers = {"Authorization": basic(service.client_id, service.secret)}
    content_type = f"{FORM}; charset={charset}"
    body = "grant_type=client_credentials"
    response = Client().generic("POST", "/oauth/token", body, content_type, headers=headers)
    assert response.status_code == 200


@pytest.mark.parametrize(
    "path",
    [
        *("/oauth/jwks", "/healthz", "/readyz", "/.well-known/oauth-authorization-server"),
        *("/.well-known/openid-configuration", "/.well-known/oauth-protected-resource"),
    ],
)
def test_what_can_only_be_read_says_so_to_whoever_posts(path: str) -> None:
    assert Client(enforce_csrf_checks=True).post(path).status_code == 405


@pytest.mark.parametrize(
    ("changes", "error", "way_out"),
    [
        ({"scope": "users:read nosuch"}, "invalid_scope", "may not ask for nosuch"),
        ({"scope": "users:read openid"}, "invalid_scope", "may not ask for openid"),
        ({"scope": 'a"\\é\x01' + "x" * 5_000}, "invalid_scope", "may not ask for such a scope"),
        ({"scope": "x:" * 20 + " " + "y:" * 20 + " z"}, "invalid_scope", "may not ask for x:x:"),
        ({"grant_type": "client_credential"}, "unsupported_grant_type", "none of authorization_code, refresh_token"),
        ({"grant_type": "refresh_token", "refresh_token": "x"}, "unauthorized_client", "not registered"),
        ({"scope": "users:read  openid"}, "invalid_scope", "one space"),
        ({"client_secret": "x"}, "invalid_client", "its secret is missing or wrong"),
        ({"client_id": "x"}, "invalid_client", "The client is unknown"),
    ],
)
def test_a_developer_is_told_the_way_out_in_characters_that_a_description_may_have(
    service: Flow, changes: dict[str, str], error: str, way_out: str
) -> None:
    sent = {
        "grant_type": "client_credentials", "client_id": service.client_id, "client_secret": str(service.secret),
    } | changes  # fmt: skip
    response = Client().post("/oauth/token", urlencode(sent), content_type=FORM)
    told = response.json()
    assert told["error"] == error, told
    assert way_out in told["error_description"]
    assert re.fullmatch(r"[\x20-\x21\x23-\x5b\x5d-\x7e]{1,300}", told["error_description"])


def test_who_brings_what_is_worth_nothing_is_told_what_that_may_be(web: Flow) -> None:
    told = web.exchange("nosuch").json()
    assert told["error"] == "invalid_grant"
    assert "unknown, used, expired" in told["error_description"]
