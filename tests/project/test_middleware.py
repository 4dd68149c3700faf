"""What every request meets."""

from contextlib import closing
from datetime import timedelta
from http import HTTPStatus

import pytest
from django.http import HttpRequest, HttpResponse
from django.middleware import csp
from django.test import Client, RequestFactory, override_settings
from django.urls import reverse
from django.utils import timezone
from django.utils.csp import CSP
from django.views.decorators.clickjacking import xframe_options_exempt
from django.views.decorators.csp import csp_override
from pytest_django import Settings

from accounts.models import User
from accounts.services import Proof, open_api_session
from accounts.tokens import issue_access_token
from project.exceptions import DomainError
from project.middleware import DomainErrorMiddleware, SecurityMiddleware

HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Frame-Options": "DENY",
}
ADDRESSES = {
    "page": "/",
    "static file": "/static/gatehouse.css",
    "static file that isn't there": "/static/nothing.css",
    "unknown address": "/nowhere",
    "redirect": "/admin",
    "admin": "/admin/login/",
    "docs": "/docs",
    "script of the docs": "/docs?script=",
    "end of the docs' popup": "/docs/oauth2-redirect",
    "schema": "/api/v1/schema",
    "api without credentials": "/api/v1/auth/me",
    "unknown address of the api": "/api/v1/nowhere",
    "probe": "/healthz",
    "mail of development": "/dev/mail",
    "login": "/accounts/login/",
    "metadata": "/.well-known/oauth-authorization-server",
}


@pytest.fixture
def user(db: None) -> User:
    return User.objects.create_user("user@example.com", "correct horse battery", email_verified_at=timezone.now())


def headers_of(client: Client, address: str) -> dict[str, str]:
    # Closed, because a static file is sent from an open one.
    with closing(client.get(address)) as response:
        return dict(response.headers)


@pytest.mark.django_db
@pytest.mark.parametrize("address", ADDRESSES.values(), ids=ADDRESSES.keys())
def test_every_response_carries_the_security_headers(client: Client, address: str) -> None:
    headers = headers_of(client, address)
    assert {name: headers.get(name) for name in HEADERS} == HEADERS
    assert "camera=()" in headers["Permissions-Policy"]
    assert headers["X-Request-ID"]


@pytest.mark.django_db
@pytest.mark.parametrize("address", ADDRESSES.values(), ids=ADDRESSES.keys())
def test_no_response_allows_inline_scripts_styles_or_eval(client: Client, address: str) -> None:
    policy = headers_of(client, address)["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy


@override_settings(SECURE_SSL_REDIRECT=True)
@pytest.mark.parametrize(("host", "status"), [("testserver", 301), ("evil.example", 400)])
def test_what_is_answered_before_any_view_carries_the_headers_too(host: str, status: int) -> None:
    response = Client(headers={"Host": host}).get("/")
    assert response.status_code == status
    assert {name: response.headers.get(name) for name in HEADERS} == HEADERS
    assert "default-src 'none'" in response["Content-Security-Policy"]


def test_a_harmless_request_id_of_a_proxy_is_kept(client: Client) -> None:
    response = client.get("/healthz", headers={"X-Request-ID": "abcDEF-12345"})
    assert response["X-Request-ID"] == "abcDEF-12345"


def test_a_request_id_with_control_characters_is_replaced(client: Client) -> None:
    response = client.get("/healthz", headers={"X-Request-ID": "evil\x1b[31m-12345678"})
    assert "evil" not in response["X-Request-ID"]


def test_a_body_over_the_limit_is_refused_with_413_before_it_is_read(client: Client) -> None:
    response = client.post("/api/v1/auth/login", data=b"x" * 1_000_001, content_type="application/json")
    assert response.status_code == 413
    assert response.json()["code"] == "body_too_large"


@pytest.mark.parametrize(("length", "status"), [("9" * 5000, 413), ("-1", 400), ("many", 400), ("²", 400)])
def test_a_length_that_makes_no_sense_is_refused(client: Client, length: str, status: int) -> None:
    response = client.post("/api/v1/auth/login", CONTENT_LENGTH=length)
    assert response.status_code == status


@pytest.mark.django_db
def test_a_token_in_an_address_never_reaches_the_log(client: Client, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", logger="gatehouse.request")
    client.get(reverse("accounts:verify-email", args=["the-very-token"]))
    assert "accounts/verify-email/" in caplog.text
    assert "the-very-token" not in caplog.text


@pytest.mark.parametrize("address", ["/?q=%00", "/api/v1/users?page=%00", "/%00", "/api/v1/roles%00", "/admin/?x=%00"])
def test_a_nul_in_the_address_is_a_bad_request(client: Client, address: str) -> None:
    assert client.get(address).status_code == 400


def test_a_nul_in_a_query_is_answered_to_a_program_with_the_name_of_the_parameter(client: Client) -> None:
    problem = client.get("/api/v1/users?page_size=2&page=1%00").json()
    assert [error["field"] for error in problem["errors"]] == ["page"]


def test_a_nul_in_a_quoted_cookie_is_a_bad_request(client: Client) -> None:
    assert client.get("/", headers={"Cookie": 'sessionid="\\000aaaaaaaaaaaa"'}).status_code == 400


def test_a_body_in_chunks_is_refused_rather_than_taken_for_empty(client: Client) -> None:
    headers = {"Transfer-Encoding": "chunked"}
    response = client.post("/api/v1/auth/login", b"{}", "application/json", headers=headers)
    assert (response.status_code, response.json()["code"]) == (411, "length_required")


@pytest.mark.parametrize("path", ["/oauth/token", "/oauth/introspect", "/oauth/revoke"])
def test_programs_at_the_token_endpoints_never_get_a_page(client: Client, path: str) -> None:
    response = client.post(f"{path}?a=%00", headers={"Accept": "text/html"})
    assert (response.status_code, response["Content-Type"]) == (400, "application/problem+json")


LINK = "/accounts/verify-email/mJ8Xq2vT0cZr5LwYb7NdKfHs3GpEu9AaQi1Oo4RxWy6"


@pytest.mark.django_db
@pytest.mark.parametrize("path", [f"{LINK}/?a=%00", f"/{LINK}/", f"{LINK}/x", LINK.replace("verify-e", "verify-E")])
def test_the_token_of_a_link_is_not_logged_even_where_no_route_is_found(
    client: Client, caplog: pytest.LogCaptureFixture, path: str
) -> None:
    client.get(path)
    assert "mJ8Xq2vT0cZr5" not in caplog.text
    assert "[redacted]" in caplog.text


def test_ids_and_words_in_a_path_are_logged(client: Client, caplog: pytest.LogCaptureFixture) -> None:
    path = "/nowhere/0b5c61a0-3f0e-4d35-9e0f-0f4b0ad7c0de/oauth-authorization-server"
    client.get(path)
    assert path in caplog.text


def read_request_log(caplog: pytest.LogCaptureFixture) -> dict[str, object]:
    """Return what the last line about a request says."""
    entry = next(record.msg for record in reversed(caplog.records) if record.name == "gatehouse.request")
    assert isinstance(entry, dict)
    return entry


@pytest.mark.compliance("ASVS 5.0", "16.3.2", "a request that is refused is logged: what, when, by whom")
@pytest.mark.parametrize("address", ["/api/v1/users", "/admin/"])
def test_a_refused_request_is_logged_with_its_sender(
    client: Client, user: User, caplog: pytest.LogCaptureFixture, address: str
) -> None:
    caplog.set_level("INFO", logger="gatehouse.request")
    now = timezone.now()
    token = open_api_session(proof=Proof(user, now), now=now).access_token
    client.force_login(user)
    headers = {"Authorization": f"Bearer {token}"} if address.startswith("/api") else {}
    assert client.get(address, headers=headers, follow=True).status_code == 403
    entry = read_request_log(caplog)
    assert (entry["status"], entry["user_id"]) == (403, str(user.pk))
    assert str(entry["path"]).startswith(address)


@pytest.mark.django_db
def test_a_refused_client_is_logged_by_its_id(client: Client, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", logger="gatehouse.request")
    lifetime, now = timedelta(minutes=10), timezone.now()
    token = issue_access_token(subject="robot", client_id="robot", scope=["users:read"], now=now, lifetime=lifetime)
    assert client.get("/api/v1/users", headers={"Authorization": f"Bearer {token}"}).status_code == 403
    entry = read_request_log(caplog)
    assert (entry["client_id"], "user_id" in entry) == ("robot", False)


@pytest.mark.django_db
def test_a_stranger_is_logged_without_a_name(client: Client, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", logger="gatehouse.request")
    assert client.get("/api/v1/users").status_code == 401
    assert {"user_id", "client_id"} & read_request_log(caplog).keys() == set()


class OverFull(DomainError):
    """No room <just> now."""

    code = "over_full"
    status = HTTPStatus.SERVICE_UNAVAILABLE


def answer_error(request: HttpRequest, error: Exception) -> HttpResponse | None:
    return DomainErrorMiddleware(lambda _: HttpResponse()).process_exception(request, error)


def test_a_page_that_used_the_nonce_names_it_in_its_policy(rf: RequestFactory) -> None:
    layer = SecurityMiddleware(lambda request: HttpResponse(f"{csp.get_nonce(request)}"))
    answers = [layer(rf.get("/")) for _ in range(2)]
    nonces = set()
    for answer in answers:
        assert isinstance(answer, HttpResponse)
        assert f"script-src 'self' 'nonce-{answer.text}';" in answer["Content-Security-Policy"]
        nonces.add(answer.text)
    assert len(nonces) == 2


def test_what_a_view_says_itself_counts_before_the_headers_of_the_house(rf: RequestFactory) -> None:
    headers = {"referrer-policy": "origin", "X-Frame-Options": "SAMEORIGIN"}
    answer = SecurityMiddleware(lambda _: HttpResponse(headers=headers))(rf.get("/"))
    assert (answer["Referrer-Policy"], answer["X-Frame-Options"]) == ("origin", "SAMEORIGIN")
    assert answer["X-Content-Type-Options"] == "nosniff"


def test_a_view_may_have_its_own_policy_and_stand_in_frames(rf: RequestFactory) -> None:
    view = xframe_options_exempt(csp_override({"default-src": [CSP.SELF]})(lambda _: HttpResponse()))
    answer = SecurityMiddleware(view)(rf.get("/"))
    assert answer["Content-Security-Policy"] == "default-src 'self'"
    assert "X-Frame-Options" not in answer
    assert answer["Permissions-Policy"]


def test_browsers_are_told_to_come_by_https_alone_where_they_did(rf: RequestFactory, settings: Settings) -> None:
    settings.SECURE_HSTS_SECONDS, settings.SECURE_SSL_REDIRECT = 60, True
    layer = SecurityMiddleware(lambda _: HttpResponse())
    assert layer(rf.get("/", secure=True))["Strict-Transport-Security"] == "max-age=60"
    redirect = layer(rf.get("/page?a=b"))
    assert (redirect.status_code, redirect["Location"]) == (301, "https://testserver/page?a=b")
    assert "Strict-Transport-Security" not in redirect
    assert redirect["Content-Security-Policy"]


def test_an_error_that_a_page_did_not_expect_is_answered_with_its_own_words(rf: RequestFactory) -> None:
    request = rf.get("/accounts/login/", headers={"Accept": "text/html"})
    response = answer_error(request, OverFull(wait=2.1, detail="private"))
    assert response is not None
    assert (response.status_code, response["Retry-After"]) == (503, "3")
    assert "No room &lt;just&gt; now." in response.text
    assert "private" not in response.text


def test_a_program_gets_the_same_error_as_a_problem(rf: RequestFactory) -> None:
    response = answer_error(rf.get("/api/v1/x"), OverFull(fields={"room": ["Too small."]}))
    assert response is not None
    assert (response.status_code, response["Content-Type"]) == (503, "application/problem+json")
    assert "Retry-After" not in response
    assert b'"field": "room", "code": "over_full", "message": "Too small."' in response.content


def test_a_bug_is_left_to_the_error_page(rf: RequestFactory) -> None:
    assert answer_error(rf.get("/"), ValueError("a bug")) is None
