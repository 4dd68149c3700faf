"""What is for browsers alone, and where programs are served."""

from collections.abc import Iterator

import pytest
from django.conf import settings
from django.contrib.auth.models import AnonymousUser
from django.contrib.sessions.models import Session
from django.db import connection
from django.http import HttpRequest, HttpResponse
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import URLPattern, URLResolver, get_resolver
from django.views.generic import View
from rest_framework.views import APIView

from accounts.models import User
from oauth.views.cross_origin import CrossOriginView
from project.browsers import AuthenticationMiddleware, is_for_programs

PROGRAMS = ["/api/v1/auth/me", "/oauth/userinfo", "/oauth/jwks", "/.well-known/openid-configuration", "/healthz"]
BROWSERS = ["/", "/accounts/", "/admin/", "/oauth/authorize", "/oauth/device", "/oauth/logout", "/docs"]


def ask(path: str) -> HttpRequest:
    request = HttpRequest()
    request.path = request.path_info = path
    return request


def list_views(resolver: URLResolver, prefix: str = "/") -> Iterator[tuple[str, type[View] | None]]:
    for entry in resolver.url_patterns:
        path = prefix + str(entry.pattern)
        match entry:
            case URLResolver():
                yield from list_views(entry, path)
            case URLPattern():
                yield path, getattr(entry.callback, "view_class", getattr(entry.callback, "cls", None))


def test_programs_are_served_where_the_settings_say_and_nowhere_else() -> None:
    kinds = {
        path: view is not None and issubclass(view, (APIView, CrossOriginView))
        for path, view in list_views(get_resolver())
    }
    assert len(kinds) > 100
    wrong = {
        path for path, is_for_program in kinds.items() if path.startswith(settings.PROGRAM_PATHS) != is_for_program
    }
    assert wrong == {"/healthz", "/readyz", "/docs"}  # two plain functions, and a page that is a view of the API


@pytest.mark.parametrize("path", PROGRAMS)
def test_a_program_is_nobody_until_a_view_has_read_its_token(path: str) -> None:
    request = ask(path)
    assert is_for_programs(request)
    AuthenticationMiddleware(lambda _: HttpResponse()).process_request(request)
    assert isinstance(request.user, AnonymousUser)


@pytest.mark.parametrize("path", BROWSERS)
def test_pages_are_for_browsers(path: str) -> None:
    assert not is_for_programs(ask(path))


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["/oauth/jwks", "/.well-known/openid-configuration", "/healthz"])
def test_the_cookie_of_a_session_is_neither_read_nor_set_for_programs(client: Client, path: str) -> None:
    client.get(path)
    before = len(client.get(path).headers)
    client.force_login(User.objects.create(email="signed-in@example.com"))
    with CaptureQueriesContext(connection) as queries:
        answer = client.get(path)
    assert not any("session" in query["sql"] for query in queries)
    assert "Set-Cookie" not in answer.headers
    assert "Cookie" not in answer.headers.get("Vary", "")
    assert len(answer.headers) == before


@pytest.mark.django_db
def test_a_session_opens_no_endpoint_for_programs(client: Client) -> None:
    client.force_login(User.objects.create(email="signed-in@example.com"))
    assert client.get("/api/v1/auth/me").status_code == 401
    assert client.get("/oauth/userinfo").status_code == 401
    assert Session.objects.count() == 1
