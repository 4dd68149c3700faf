"""Home and error pages."""

import re

import pytest
from django.contrib.auth import get_user_model
from django.core.exceptions import SuspiciousOperation
from django.http import HttpRequest, HttpResponse
from django.test import Client, RequestFactory, override_settings
from django.urls import path

from project import views
from project.api import PROBLEM_JSON

HTML = {"Accept": "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8"}
PROGRAM = {"Accept": "application/json"}


def fail(request: HttpRequest) -> HttpResponse:
    raise RuntimeError("a secret detail")


def suspect(request: HttpRequest) -> HttpResponse:
    raise SuspiciousOperation("a secret detail")


handler400 = "project.views.bad_request"
handler500 = "project.views.server_error"
urlpatterns = [path("fail", fail), path("suspect", suspect)]


@pytest.fixture
def visitor() -> Client:
    """A client that gets error pages as a browser does."""
    return Client(raise_request_exception=False, headers=HTML)


@pytest.mark.django_db
def test_the_home_page_leads_to_docs_admin_schema_health_and_sign_in(client: Client) -> None:
    page = client.get("/").content.decode()
    for address in ("/docs", "/admin/", "/api/v1/schema", "/readyz", "/dev/mail", "/accounts/login/"):
        assert f'href="{address}' in page


@pytest.mark.django_db
def test_the_home_page_says_who_is_signed_in_and_signs_out_by_a_form(client: Client) -> None:
    user = get_user_model().objects.create_user(email="ada@example.com", password="correct horse battery")
    client.force_login(user)
    page = client.get("/").content.decode()
    assert "ada@example.com" in page
    assert re.search(r'<form method="post" action="/accounts/logout/">', page)


@override_settings(DEV_PAGES=False)
@pytest.mark.django_db
def test_the_home_page_hides_the_mail_page_outside_development(client: Client) -> None:
    assert "/dev/mail" not in client.get("/").content.decode()


def test_an_unknown_address_answers_a_person_with_a_page_and_a_way_out(visitor: Client) -> None:
    response = visitor.get("/nowhere")
    assert response.status_code == 404
    assert "There is nothing here" in response.content.decode()
    assert 'href="/"' in response.content.decode()


def test_an_error_page_shows_the_request_id(visitor: Client) -> None:
    response = visitor.get("/nowhere", headers={"X-Request-ID": "asked-for-12345"})
    assert "asked-for-12345" in response.content.decode()


def test_an_unknown_address_of_the_api_is_a_problem_even_for_a_browser(visitor: Client) -> None:
    response = visitor.get("/api/v1/nowhere")
    assert (response.status_code, response["Content-Type"]) == (404, PROBLEM_JSON)
    assert response.json()["code"] == "not_found"


def test_a_program_gets_a_problem_from_any_address(client: Client) -> None:
    response = client.get("/nowhere", headers=PROGRAM)
    assert (response.status_code, response["Content-Type"]) == (404, PROBLEM_JSON)


@pytest.mark.urls(__name__)
def test_a_bug_answers_500_without_database_and_without_the_reason(visitor: Client) -> None:
    response = visitor.get("/fail")
    assert response.status_code == 500
    assert "Something went wrong on our side" in response.content.decode()
    assert "secret detail" not in response.content.decode()


@pytest.mark.urls(__name__)
def test_a_bug_answers_a_program_with_a_problem(visitor: Client) -> None:
    response = visitor.get("/fail", headers=PROGRAM)
    assert (response.status_code, response.json()["code"]) == (500, "server_error")


def test_a_bug_is_answered_even_when_the_error_page_itself_is_broken(rf: RequestFactory) -> None:
    with override_settings(TEMPLATES=[]):
        response = views.server_error(rf.get("/", headers=HTML))
    assert response.status_code == 500
    assert b"Something went wrong on our side" in response.content


@pytest.mark.urls(__name__)
def test_a_suspicious_request_answers_400_without_the_reason(visitor: Client) -> None:
    response = visitor.get("/suspect")
    assert response.status_code == 400
    assert "cannot be understood" in response.content.decode()
    assert "secret detail" not in response.content.decode()


def test_a_host_that_is_not_ours_is_answered_with_400(visitor: Client) -> None:
    assert visitor.get("/", headers={"Host": "evil.example"}).status_code == 400


@pytest.mark.django_db
def test_a_form_without_its_token_gets_a_page_that_tells_the_way_out() -> None:
    response = Client(enforce_csrf_checks=True, headers=HTML).post("/accounts/logout/")
    assert response.status_code == 403
    assert "This form has expired" in response.content.decode()


@pytest.mark.django_db
def test_a_program_without_the_token_gets_a_problem() -> None:
    response = Client(enforce_csrf_checks=True, headers=PROGRAM).post("/accounts/logout/")
    assert (response.status_code, response.json()["code"]) == (403, "csrf_failed")


def test_a_forbidden_page_says_so_in_plain_words(rf: RequestFactory) -> None:
    response = views.permission_denied(rf.get("/", headers=HTML), PermissionError())
    assert response.status_code == 403
    assert b"You may not open this page" in response.content
