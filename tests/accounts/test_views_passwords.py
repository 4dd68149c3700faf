"""Pages: a new password, by a mailed link or by the present one."""

import re
from datetime import timedelta

import pytest
from django.conf import settings
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django import Settings

from accounts.models import EmailToken, Session, User
from accounts.services import make_email_token
from permissions import audit
from tests.accounts.conftest import PASSWORD, PageResponse
from tests.accounts.racing import race

pytestmark = pytest.mark.django_db

CHANGE, NEW = "/accounts/change-password/", "seven violet umbrellas"


@pytest.fixture
def link(user: User) -> str:
    token = make_email_token(user=user, purpose=EmailToken.Purpose.RESET_PASSWORD, now=timezone.now())
    return reverse("accounts:reset-password", args=[token])


def change(client: Client, current: str = PASSWORD, new: str = NEW) -> PageResponse:
    return client.post(CHANGE, {"current_password": current, "new_password": new})


def can_sign_in(user: User, password: str) -> bool:
    client = Client()
    client.post("/accounts/login/", {"username": user.email, "password": password})
    return "_auth_user_id" in client.session


def test_a_link_is_asked_for(client: Client, user: User) -> None:
    response = client.post("/accounts/reset-password/", {"email": user.email.upper(), "next": "/docs"})
    assert response["Location"] == "/accounts/password-reset-requested/?next=%2Fdocs"
    assert audit.list_events(event="user.password_reset_requested").count() == 1


def test_the_page_of_the_link_suits_password_managers(client: Client, user: User, link: str) -> None:
    page = client.get(link).content.decode()
    assert re.search(rf'<input type="text"[^>]* value="{user.email}" autocomplete="username" readonly hidden>', page)
    assert re.search(r'<input type="password" name="password" autocomplete="new-password"', page)


@pytest.mark.compliance("Security", "AC04", "a link of a reset works once, and signs nobody in")
def test_a_link_sets_a_password_once_and_signs_nobody_in(client: Client, user: User, link: str) -> None:
    response = client.post(link, {"password": NEW})
    assert (response.status_code, response["Location"]) == (302, "/accounts/password-reset/")
    assert "_auth_user_id" not in client.session
    assert client.post(link, {"password": "another long password"}).status_code == 400
    assert (can_sign_in(user, NEW), can_sign_in(user, PASSWORD)) == (True, False)


def test_a_link_ends_every_session(client: Client, user: User, link: str) -> None:
    client.force_login(user)
    Client().post(link, {"password": NEW})
    assert client.get("/accounts/profile/").status_code == 302


def test_a_weak_password_leaves_the_link_good(client: Client, user: User, link: str) -> None:
    response = client.post(link, {"password": "short"})
    assert "too short" in response.content.decode()
    assert user.email in response.content.decode()
    assert client.post(link, {"password": NEW}).status_code == 302


@pytest.mark.compliance("Security", "AC04", "a link of a reset is dead after another password or address")
@pytest.mark.parametrize("fields", [{"password": "changed"}, {"email": "changed@example.com"}])
def test_a_link_is_dead_once_the_address_or_the_password_is_another(
    client: Client, user: User, link: str, fields: dict[str, str]
) -> None:
    if "password" in fields:
        client.force_login(user)
        change(client)
    else:
        User.objects.update(**fields)
    assert client.get(link).status_code == 400
    assert client.post(link, {"password": NEW}).status_code == 400


@pytest.mark.compliance("Security", "AC04", "of sixteen who use a link of a reset at once one wins, on the page")
@pytest.mark.django_db(transaction=True)
def test_of_sixteen_who_use_a_link_at_once_one_wins(user: User, link: str) -> None:
    statuses = race(lambda: Client().post(link, {"password": NEW}).status_code)
    assert sorted(statuses) == [302, *[400] * 15]


@pytest.mark.compliance("ASVS 5.0", "6.2.3", "another password needs the present one, on the page")
@pytest.mark.compliance("Security", "AC06", "another password needs the present one")
def test_a_change_needs_the_present_password(client: Client, user: User) -> None:
    client.force_login(user)
    response = change(client, current="wrong")
    assert re.search(r'id="id_current_password_error"><li>The password is wrong', response.content.decode())
    assert can_sign_in(user, PASSWORD)


@pytest.mark.parametrize("new", ["short", "gatehouse gatehouse", "x" * 257])
def test_a_change_to_a_weak_password_is_told_why(client: Client, user: User, new: str) -> None:
    client.force_login(user)
    response = change(client, new=new)
    assert 'id="id_new_password_error"' in response.content.decode()
    assert can_sign_in(user, PASSWORD)


@pytest.mark.compliance("ASVS 5.0", "7.4.3", "another password ends all other sessions")
@pytest.mark.compliance("Security", "AC06", "another password ends all other sessions")
def test_a_change_ends_the_others_and_signs_this_browser_in_anew(client: Client, user: User) -> None:
    client.force_login(user)
    other = Client()
    other.force_login(user)
    stolen = client.cookies[settings.SESSION_COOKIE_NAME].value
    ours = client.session["_session_id"]
    response = change(client)
    assert (response.status_code, response["Location"]) == (302, "/accounts/profile/")
    assert "Your password is changed." in client.get("/accounts/profile/").content.decode()
    assert client.session["_session_id"] != ours
    thief = Client()
    thief.cookies[settings.SESSION_COOKIE_NAME] = stolen
    assert [one.get("/accounts/profile/").status_code for one in (other, thief)] == [302, 302]
    living = Session.objects.get(revoked_at=None)
    assert str(living.pk) == client.session["_session_id"]


def test_wrong_present_passwords_are_limited_with_those_at_the_question_who_it_is(
    client: Client, user: User, settings: Settings
) -> None:
    settings.ACCOUNTS = settings.ACCOUNTS | {"LIMITS": {"REAUTHENTICATE": {"PAIR": {"FREE": 2}}}}
    client.force_login(user)
    assert change(client, current="wrong").status_code == 200
    assert client.post("/accounts/reauthenticate/", {"password": "wrong"}).status_code == 200
    assert change(client).status_code == 429


def test_a_weak_new_password_is_no_wrong_attempt(client: Client, user: User, settings: Settings) -> None:
    settings.ACCOUNTS = settings.ACCOUNTS | {"LIMITS": {"REAUTHENTICATE": {"PAIR": {"FREE": 2}}}}
    client.force_login(user)
    for _ in range(4):
        assert change(client, new="short").status_code == 200


@pytest.mark.compliance("ASVS 5.0", "7.2.4", "showing again who one is gives another session key")
def test_who_shows_again_who_they_are_goes_back_with_another_session_key(client: Client, user: User) -> None:
    client.force_login(user)
    Session.objects.update(authenticated_at=timezone.now() - timedelta(hours=1))
    before = client.session.session_key
    data = {"password": PASSWORD, "next": "/accounts/change-email/"}
    response = client.post("/accounts/reauthenticate/", data)
    assert response["Location"] == "/accounts/change-email/"
    assert client.session.session_key != before
    assert client.get("/accounts/change-email/").status_code == 200


def test_a_wrong_password_opens_nothing(client: Client, user: User) -> None:
    client.force_login(user)
    Session.objects.update(authenticated_at=timezone.now() - timedelta(hours=1))
    response = client.post("/accounts/reauthenticate/", {"password": "wrong"})
    assert "The password is wrong." in response.content.decode()
    assert client.get("/accounts/change-email/").status_code == 302


@pytest.mark.parametrize("next_url", ["https://evil.example", "//evil.example", ""])
def test_who_shows_again_who_they_are_goes_to_no_other_host(client: Client, user: User, next_url: str) -> None:
    client.force_login(user)
    response = client.post("/accounts/reauthenticate/", {"password": PASSWORD, "next": next_url})
    assert response["Location"] == "/accounts/profile/"
