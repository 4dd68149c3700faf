"""The admin, branded."""

from functools import partial
from http import HTTPStatus

import pytest
from django.contrib import admin as django_admin
from django.contrib.auth import get_user_model
from django.core.exceptions import BadRequest
from django.http import HttpRequest, HttpResponse
from django.test import Client, RequestFactory

from accounts.models import User
from project.exceptions import DomainError
from tests.accounts.racing import ROUNDS, race


@pytest.fixture
def admin(db: None, client: Client) -> Client:
    """A client signed in as a superuser."""
    user = get_user_model().objects.create_user(
        email="ada@example.com", password="correct horse battery", is_staff=True, is_superuser=True
    )
    client.force_login(user)
    return client


def test_a_search_for_very_many_words_is_a_bad_request(admin: Client) -> None:
    for page in ("accounts/user", "permissions/role", "permissions/auditevent"):
        assert admin.get(f"/admin/{page}/", {"q": " x" * 50}).status_code == HTTPStatus.OK
        assert admin.get(f"/admin/{page}/", {"q": " x" * 2000}).status_code == HTTPStatus.BAD_REQUEST


@pytest.mark.django_db(transaction=True)
def test_of_two_clicks_on_save_the_second_is_told_what_is_there_already() -> None:
    user = get_user_model().objects.create_superuser("ada@example.com", "correct horse battery")
    for number in range(ROUNDS):
        form = {"email": f"new{number}@example.com", "name": ""}
        done = race(partial(_press_save, user, form), threads=2)
        assert sorted(done) == [HTTPStatus.OK, HTTPStatus.FOUND]
        assert get_user_model().objects.filter(email=form["email"]).count() == 1


def _press_save(user: User, form: dict[str, str]) -> int:
    client = Client()
    client.force_login(user)
    return client.post("/admin/accounts/user/add/", form).status_code


def test_the_admin_bears_the_name_and_the_colours_of_the_house(admin: Client) -> None:
    page = admin.get("/admin/").content.decode()
    assert "Administration | Gatehouse" in page
    assert "/static/admin.css" in page


def test_the_admin_leads_back_to_the_home_page_and_to_the_docs(admin: Client) -> None:
    page = admin.get("/admin/").content.decode()
    assert '<a href="/">Home page</a>' in page
    assert '<a href="/docs">API documentation</a>' in page


@pytest.mark.django_db
def test_a_stranger_is_sent_to_the_one_sign_in_page_and_back(client: Client) -> None:
    response = client.get("/admin/accounts/user/", follow=True)
    assert response.redirect_chain[-1] == ("/accounts/login/?next=/admin/accounts/user/", 302)


@pytest.mark.django_db
def test_the_admin_takes_no_password_of_its_own(client: Client) -> None:
    response = client.post("/admin/login/", {"username": "ada@example.com", "password": "correct horse battery"})
    assert response.headers["Location"] == "/accounts/login/?next=/admin/"


@pytest.mark.django_db
def test_an_account_without_the_right_is_told_so_instead_of_being_asked_again(client: Client) -> None:
    client.force_login(get_user_model().objects.create_user(email="bo@example.com", password="correct horse battery"))
    response = client.get("/admin/", follow=True)
    assert response.status_code == 403


def test_somebody_who_is_in_goes_on_to_the_admin(admin: Client) -> None:
    assert admin.get("/admin/login/").headers["Location"] == "/admin/"


@pytest.mark.parametrize(
    ("model", "action"),
    [
        ("accounts/session", "end_sessions"),
        ("jobs/failedjob", "retry_failed_jobs"),
        ("oauth/application", "delete_selected"),
    ],
)
def test_a_key_that_cannot_be_is_a_bad_request(admin_client: Client, model: str, action: str) -> None:
    data = {"action": action, "_selected_action": "garbage"}
    assert admin_client.post(f"/admin/{model}/", data).status_code in {302, 400}


@pytest.mark.parametrize("view", ["change", "delete", "history"])
def test_a_number_beyond_every_column_is_no_server_error(admin_client: Client, view: str) -> None:
    assert admin_client.get(f"/admin/permissions/role/{'9' * 26}/{view}/", follow=True).status_code in {200, 400, 404}


class Full(DomainError):
    """No room just now."""

    status = HTTPStatus.SERVICE_UNAVAILABLE


@pytest.mark.django_db
@pytest.mark.parametrize(("wait", "expected"), [(3, Full), (None, BadRequest)], ids=["try again", "refused"])
def test_what_can_be_tried_again_is_no_bad_request(
    rf: RequestFactory, wait: int | None, expected: type[Exception]
) -> None:
    def view(request: HttpRequest) -> HttpResponse:
        raise Full(wait=wait)

    request = rf.get("/admin/")
    request.user = get_user_model().objects.create_superuser("ada@example.com", "correct horse battery")
    with pytest.raises(expected):
        django_admin.site.admin_view(view)(request)
