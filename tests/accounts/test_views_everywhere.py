"""What holds on every page of accounts."""

from datetime import timedelta
from http import HTTPStatus
from uuid import uuid4

import pytest
from django.contrib.auth.hashers import get_hasher
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django import Settings

from accounts.exceptions import TooBusy
from accounts.models import EmailToken, Registration, Session, User
from accounts.services import make_email_token
from accounts.urls import urlpatterns
from permissions import audit
from tests.accounts.conftest import PASSWORD

pytestmark = pytest.mark.django_db

FORMS = ["register", "login", "resend-verification", "request-password-reset"]
SAYINGS = [
    "registered",
    "email-verified",
    "verification-resent",
    "password-reset-requested",
    "password-reset",
    "email-changed",
    "account-deleted",
]
LINKS = {
    "verify-email": EmailToken.Purpose.VERIFY_EMAIL,
    "reset-password": EmailToken.Purpose.RESET_PASSWORD,
    "confirm-email": EmailToken.Purpose.CHANGE_EMAIL,
}
SENSITIVE = ["change-email", "delete-account", "export"]
OWN_FORMS = ["reauthenticate", "profile", "change-password", *SENSITIVE]
OWN_SEEN = [*OWN_FORMS, "sessions", "security-events"]
OWN_DONE = ["end-session", "end-other-sessions", "end-all-sessions"]


def get_address(name: str, user: User) -> str:
    """Return the address of a page as it is for a user."""
    if name in LINKS:
        email = "other@example.com" if name == "confirm-email" else ""
        token = make_email_token(user=user, purpose=LINKS[name], email=email, now=timezone.now())
        return reverse(f"accounts:{name}", args=[token])
    if name == "end-session":
        return reverse("accounts:end-session", args=[Session.objects.filter(user=user).first().pk])  # type: ignore[union-attr] # each test has one
    return reverse(f"accounts:{name}")


def read_all() -> list[object]:
    """Return all that the pages could change."""
    models = (User, Session, EmailToken, Registration)
    return [list(model.objects.order_by("pk").values()) for model in models] + [audit.list_events().count()]


def make_old(user: User) -> None:
    """Let the user's sign-ins be too old for what is sensitive."""
    Session.objects.filter(user=user).update(authenticated_at=timezone.now() - timedelta(minutes=6))


def test_the_lists_here_leave_no_page_out() -> None:
    named = {route.name for route in urlpatterns if route.name}
    assert named == {*FORMS, *SAYINGS, *LINKS, *OWN_SEEN, *OWN_DONE, "logout"}


@pytest.mark.compliance("Security", "AC10", "looking at a page of accounts changes nothing")
@pytest.mark.parametrize("name", [*FORMS, *SAYINGS, *LINKS, *OWN_SEEN, "logout"])
def test_looking_changes_nothing_and_no_cache_keeps_it(client: Client, user: User, name: str) -> None:
    client.force_login(user)
    address = get_address(name, user)
    before = read_all()
    for method in (client.get, client.head):
        response = method(address)
        assert (response.status_code, "no-store" in response["Cache-Control"]) == (200, True)
    assert read_all() == before


@pytest.mark.compliance("Security", "AC10", "no form of accounts works without its CSRF token")
@pytest.mark.parametrize("name", [*FORMS, *LINKS, *OWN_FORMS, *OWN_DONE, "logout"])
def test_no_form_works_without_its_csrf_token(user: User, name: str) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(user)
    address = get_address(name, user)
    before = read_all()
    data = {"email": "a@example.com", "username": user.email, "password": PASSWORD, "name": "B"}
    assert client.post(address, data).status_code == 403
    body = '{"password": "a long new password"}'
    assert client.post(address, body, content_type="text/plain").status_code == 403
    assert client.post(address, data, headers={"Origin": "https://evil.example"}).status_code == 403
    assert read_all() == before


@pytest.mark.parametrize("name", OWN_DONE)
def test_what_only_does_something_is_not_to_be_looked_at(client: Client, user: User, name: str) -> None:
    client.force_login(user)
    assert client.get(get_address(name, user)).status_code == 405


@pytest.mark.parametrize("name", SAYINGS)
def test_what_only_says_something_takes_no_form(client: Client, name: str) -> None:
    assert client.post(reverse(f"accounts:{name}")).status_code == 405


@pytest.mark.parametrize("name", OWN_SEEN)
@pytest.mark.parametrize("method", ["get", "post"])
def test_strangers_are_sent_to_sign_in_and_back(client: Client, name: str, method: str) -> None:
    address = reverse(f"accounts:{name}")
    response = getattr(client, method)(address)
    assert (response.status_code, response["Location"]) == (302, f"/accounts/login/?next={address.replace('/', '%2F')}")
    assert "no-store" in response["Cache-Control"]


@pytest.mark.parametrize("name", OWN_DONE)
def test_strangers_end_nothing(client: Client, user: User, name: str) -> None:
    client.force_login(user)
    address = get_address(name, user)
    response = Client().post(address)
    assert response["Location"] == "/accounts/login/?next=%2Faccounts%2Fprofile%2F"
    assert Session.objects.get().revoked_at is None


@pytest.mark.compliance("ASVS 5.0", "7.5.1", "pages change what is sensitive for who signed in a short while ago alone")
@pytest.mark.parametrize("name", SENSITIVE)
@pytest.mark.parametrize("method", ["get", "post"])
def test_who_signed_in_a_while_ago_is_asked_for_the_password_first(
    client: Client, user: User, name: str, method: str
) -> None:
    client.force_login(user)
    make_old(user)
    before = read_all()
    address = reverse(f"accounts:{name}")
    response = getattr(client, method)(address, {"email": "other@example.com"})
    assert response["Location"] == f"/accounts/reauthenticate/?next={address.replace('/', '%2F')}"
    assert read_all() == before


@pytest.mark.compliance("Security", "AC11", "no step of a flow on the pages is passed by an empty form")
@pytest.mark.parametrize("name", [*FORMS, "reset-password", "reauthenticate", "change-password", "change-email"])
def test_an_empty_form_is_told_what_is_missing(client: Client, user: User, name: str) -> None:
    client.force_login(user)
    address = get_address(name, user)
    before = read_all()
    response = client.post(address)
    page = response.content.decode()
    assert response.status_code == 200
    assert 'role="alert" tabindex="-1" autofocus' in page
    assert page.count("autofocus") == 1
    assert 'aria-invalid="true"' in page
    assert read_all() == before


@pytest.mark.compliance("Security", "AC12", "an expired link opens nothing, also before it is swept")
@pytest.mark.parametrize("name", list(LINKS))
def test_an_expired_link_is_refused_before_any_sweep(client: Client, user: User, name: str) -> None:
    address = get_address(name, user)
    EmailToken.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    before = read_all()
    assert client.get(address).status_code == 400
    assert client.post(address, {"password": "seven violet umbrellas"}).status_code == 400
    assert read_all() == before


@pytest.mark.compliance("Security", "AC11", "a link of one flow opens no step of another")
@pytest.mark.parametrize("name", list(LINKS))
def test_a_link_of_another_purpose_is_refused(client: Client, user: User, name: str) -> None:
    for other in LINKS.keys() - {name}:
        token = get_address(other, user).split("/")[-2]
        address = reverse(f"accounts:{name}", args=[token])
        assert client.get(address).status_code == 400
        assert client.post(address, {"password": "seven violet umbrellas"}).status_code == 400


@pytest.mark.compliance("Security", "AC04", "no Referer names a mailed link")
@pytest.mark.parametrize("name", list(LINKS))
@pytest.mark.parametrize("end", ["/", ""])
def test_no_request_is_told_the_address_of_a_mailed_link(client: Client, user: User, name: str, end: str) -> None:
    address = get_address(name, user).rstrip("/") + end
    assert client.get(address)["Referrer-Policy"] == "strict-origin"
    refused = Client(enforce_csrf_checks=True).post(address)
    assert (refused.status_code, refused["Referrer-Policy"]) == (403, "strict-origin")
    assert client.get("/accounts/login/")["Referrer-Policy"] == "same-origin"


@pytest.mark.compliance("Security", "AC04", "a forged Host is refused")
@pytest.mark.parametrize("name", ["request-password-reset", "register", "resend-verification"])
def test_a_foreign_host_is_refused(client: Client, name: str) -> None:
    data = {"email": "a@example.com", "password": "seven violet umbrellas"}
    response = client.post(reverse(f"accounts:{name}"), data, headers={"Host": "evil.example"})
    assert response.status_code == 400
    assert not User.objects.exists()


@pytest.mark.parametrize("name", ["registered", "email-verified", "password-reset-requested", "password-reset"])
def test_a_foreign_next_is_not_shown(client: Client, name: str) -> None:
    client.cookies["next"] = "https://evil.example/"
    response = client.get(reverse(f"accounts:{name}"), {"next": "//evil.example"})
    assert "evil" not in response.content.decode()


@pytest.mark.parametrize("name", ["register", "change-password"])
def test_a_house_that_is_busy_hashing_says_when_to_try_again(
    client: Client, user: User, settings: Settings, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_args: object, **_kwargs: object) -> str:
        raise TooBusy(wait=3)

    client.force_login(user)
    monkeypatch.setattr(type(get_hasher()), "encode", refuse)
    data = {"email": "a@example.com", "password": "seven violet umbrellas", "current_password": PASSWORD}
    response = client.post(reverse(f"accounts:{name}"), data | {"new_password": "seven violet umbrellas"})
    assert (response.status_code, response["Retry-After"]) == (HTTPStatus.SERVICE_UNAVAILABLE, "3")
    assert "Too many people are signing in" in response.content.decode()


def test_a_session_that_never_was_is_no_mistake(client: Client, user: User) -> None:
    client.force_login(user)
    response = client.post(reverse("accounts:end-session", args=[uuid4()]))
    assert response["Location"] == "/accounts/sessions/"


@pytest.mark.parametrize("name", ["register", "request-password-reset", "resend-verification", "change-email"])
@pytest.mark.parametrize(
    "email", ["", "x", "a\x00@example.com", "x" * 300 + "@example.com", "İ" * 120 + "@example.com"]
)
def test_what_is_no_address_is_named(client: Client, user: User, name: str, email: str) -> None:
    client.force_login(user)
    response = client.post(reverse(f"accounts:{name}"), {"email": email, "password": "seven violet umbrellas"})
    assert (response.status_code, 'id="id_email_error"' in response.content.decode()) == (200, True)
