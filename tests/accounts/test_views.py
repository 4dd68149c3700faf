import logging
import re
from urllib.parse import quote

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django import Settings

from accounts.models import User
from accounts.services import make_email_token
from tests.accounts.conftest import PASSWORD, PageResponse

pytestmark = pytest.mark.django_db

LOGIN = "/accounts/login/"


def sign_in(client: Client, email: str, password: str = PASSWORD, **more: str) -> PageResponse:
    return client.post(LOGIN, {"username": email, "password": password, **more})


def is_signed_in(client: Client) -> bool:
    return "_auth_user_id" in client.session


def text_of(response: PageResponse) -> str:
    return response.content.decode()


@pytest.fixture
def link(unverified: User) -> str:
    """The path in a verification mail of the user who isn't verified yet."""
    return reverse("accounts:verify-email", args=[make_email_token(user=unverified, now=timezone.now())])


def test_the_addresses_have_the_agreed_names() -> None:
    assert (reverse("accounts:login"), reverse("accounts:logout")) == (LOGIN, "/accounts/logout/")
    assert reverse("accounts:verify-email", args=["x"]) == "/accounts/verify-email/x/"


def test_the_page_suits_password_managers(client: Client) -> None:
    page = text_of(client.get(LOGIN))
    assert re.search(r'<input type="email" name="username" autocomplete="username"[^>]*required', page)
    assert re.search(r'<input type="password" name="password" autocomplete="current-password"[^>]*required', page)
    assert "onpaste" not in page


def test_the_page_is_not_cached(client: Client) -> None:
    assert "no-store" in client.get(LOGIN)["Cache-Control"]


def test_signing_in_goes_home(client: Client, user: User) -> None:
    response = sign_in(client, user.email.upper())
    assert (response.status_code, response["Location"], is_signed_in(client)) == (302, "/", True)


def test_signing_in_changes_the_session_key(client: Client, user: User) -> None:
    session = client.session
    session["kept"] = "yes"
    session.save()
    before = session.session_key
    sign_in(client, user.email)
    assert client.session.session_key != before
    assert client.session["kept"] == "yes"


@pytest.mark.parametrize("next_url", ["/oauth/authorize?client_id=a&state=b%26c", "http://testserver/docs"])
def test_signing_in_goes_on_to_a_page_of_this_host(client: Client, user: User, next_url: str) -> None:
    page = text_of(client.get(f"{LOGIN}?next={quote(next_url)}"))
    assert f'name="next" value="{next_url.replace("&", "&amp;")}"' in page
    assert sign_in(client, user.email, next=next_url)["Location"] == next_url


def test_a_long_next_survives_the_way_through_the_page(client: Client, user: User) -> None:
    next_url = "/oauth/authorize?state=" + "x" * 8000
    assert next_url in text_of(client.get(f"{LOGIN}?next={quote(next_url)}"))
    wrong = sign_in(client, user.email, "wrong", next=next_url)
    assert next_url in text_of(wrong)
    assert sign_in(client, user.email, next=next_url)["Location"] == next_url


@pytest.mark.parametrize(
    "next_url",
    [
        "https://evil.example/",
        "//evil.example/",
        "///evil.example/",
        "/\\evil.example/",
        "\\\\evil.example",
        "https:evil.example",
        "http:///evil.example",
        "javascript:alert(1)",
        "http://testserver@evil.example/",
        "http://testserver.evil.example/",
        "http://evil.example?http://testserver/",
        "//evil.example?" + "x" * 3000,
        "\x00//evil.example",
        " //evil.example",
        "/?" + "x" * 20_000,
        "/?" + "é" * 10_000,
    ],
)
def test_another_host_or_an_endless_address_is_not_gone_to(client: Client, user: User, next_url: str) -> None:
    assert "evil" not in text_of(client.get(LOGIN, {"next": next_url}))
    assert sign_in(client, user.email, next=next_url)["Location"] == "/"


def test_a_line_break_in_next_stays_harmless(client: Client, user: User) -> None:
    response = sign_in(client, user.email, next="/docs?a\r\nSet-Cookie: a=b")
    assert response["Location"] == "/docs?a%0D%0ASet-Cookie:%20a=b"


@pytest.mark.parametrize(("email", "password"), [("user@example.com", "wrong"), ("nobody@example.com", PASSWORD)])
def test_wrong_password_and_unknown_address_are_told_alike(
    client: Client, user: User, email: str, password: str
) -> None:
    page = text_of(sign_in(client, email, password))
    assert "The e-mail address or the password is wrong." in page
    assert 'role="alert"' in page
    assert not is_signed_in(client)


def test_an_inactive_user_is_told_what_a_wrong_password_is_told(client: Client, user: User) -> None:
    User.objects.update(is_active=False)
    assert "The e-mail address or the password is wrong." in text_of(sign_in(client, user.email))


def test_an_unverified_address_is_told_the_way_out(client: Client, unverified: User) -> None:
    page = text_of(sign_in(client, unverified.email))
    assert "Follow the link in the mail that we sent to it" in page
    assert not is_signed_in(client)


@pytest.mark.parametrize("email", ["", "x", "a\x00@example.com", "x" * 300 + "@example.com"])
def test_what_is_no_address_is_named(client: Client, email: str) -> None:
    response = sign_in(client, email)
    assert (response.status_code, 'id="id_username_error"' in text_of(response)) == (200, True)


def test_a_typed_password_is_not_sent_back(client: Client, user: User) -> None:
    assert "wrong password typed" not in text_of(sign_in(client, user.email, "wrong password typed"))


def test_signing_in_needs_the_csrf_token(user: User) -> None:
    assert sign_in(Client(enforce_csrf_checks=True), user.email).status_code == 403


def test_the_page_and_the_api_share_one_count(client: Client, user: User, settings: Settings) -> None:
    settings.ACCOUNTS = settings.ACCOUNTS | {"LIMITS": {"LOGIN": {"ADDRESS": {"FREE": 2}}}}
    client.post("/api/v1/auth/login", {}, content_type="application/json")
    assert sign_in(client, user.email, "wrong").status_code == 200
    response = sign_in(client, user.email)
    assert (response.status_code, int(response["Retry-After"]) > 0, is_signed_in(client)) == (429, True, False)
    assert "Too many attempts" in text_of(response)


def test_signing_out_takes_a_post(client: Client, user: User) -> None:
    client.force_login(user)
    page = client.get("/accounts/logout/")
    assert (page.status_code, is_signed_in(client)) == (200, True)
    assert "Sign out of this browser?" in page.content.decode()
    response = client.post("/accounts/logout/")
    assert (response.status_code, response["Location"], is_signed_in(client)) == (302, "/", False)


def test_who_is_not_signed_in_is_not_asked_to_sign_out(client: Client) -> None:
    response = client.get("/accounts/logout/")
    assert (response.status_code, response["Location"]) == (302, "/")


def test_signing_out_needs_the_csrf_token(user: User) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(user)
    assert client.post("/accounts/logout/").status_code == 403
    assert is_signed_in(client)


def test_opening_a_mailed_link_changes_nothing(client: Client, unverified: User, link: str) -> None:
    for _ in range(2):
        assert unverified.email in text_of(client.get(link))
    assert client.head(link).status_code == 200
    assert User.objects.get().email_verified_at is None


def test_the_button_of_a_mailed_link_verifies_once(client: Client, unverified: User, link: str) -> None:
    response = client.post(link, follow=True)
    assert "Your address is confirmed" in text_of(response)
    assert User.objects.get().email_verified_at is not None
    again = client.post(link)
    assert (again.status_code, "does not work" in text_of(again)) == (400, True)


@pytest.mark.parametrize("token", ["x", "%00", "%ED%A0%80", "é", "a" * 2000])
@pytest.mark.parametrize("method", ["get", "post"])
def test_a_link_that_is_not_valid_is_told_so(client: Client, token: str, method: str) -> None:
    response = getattr(client, method)(f"/accounts/verify-email/{token}/")
    assert response.status_code == 400


def test_the_button_needs_the_csrf_token(link: str) -> None:
    assert Client(enforce_csrf_checks=True).post(link).status_code == 403


@pytest.mark.parametrize("end", ["/", ""])
def test_the_token_of_a_link_reaches_no_log(
    client: Client, link: str, end: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    address = link.rstrip("/") + end
    assert client.get(address).status_code == 200
    client.post(address)
    client.post(address)
    assert link.split("/")[-2] not in " ".join(str(record.__dict__) for record in caplog.records)
