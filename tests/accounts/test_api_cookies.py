"""The cookie mode: the refresh token where no script can read it."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.utils import timezone
from pytest_django import Settings
from rest_framework.test import APIClient

from accounts.models import RefreshToken, Session, User
from tests.accounts.clients import AUTH, NEW_PASSWORD, as_holder, is_open, is_refreshed, log_in, read_problem
from tests.accounts.conftest import PASSWORD, ApiResponse
from tests.accounts.racing import race

pytestmark = pytest.mark.django_db

REFRESH, CSRF = "gatehouse-refresh", "gatehouse-csrf"

type Make = Callable[[], APIClient]


@pytest.fixture
def https(settings: Settings) -> None:
    settings.BASE_URL = "https://testserver"


@pytest.fixture
def browser(user: User) -> APIClient:
    """A browser that is signed in by cookie; with its access token."""
    client = APIClient()
    token = log_in(client, user.email, cookie=True).json()["access_token"]
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {token}")
    return client


def refresh(client: APIClient, body: object = None, *, csrf: str | None = None, **headers: str) -> ApiResponse:
    """Refresh as a page of the house does: with the value of the readable cookie in the header."""
    value = client.cookies[CSRF].value if csrf is None else csrf
    return client.post(f"{AUTH}/refresh", body, headers={"X-CSRF-Token": value, **headers})


def get_refresh_cookie(client: APIClient) -> str:
    value: str = client.cookies[REFRESH].value
    return value


def is_forgotten(response: ApiResponse) -> bool:
    """Say whether the answer lets the browser forget both cookies."""
    return all(name in response.cookies and response.cookies[name]["max-age"] == 0 for name in (REFRESH, CSRF))


# --- Signing in -------------------------------------------------------------------------------------------------------


@pytest.mark.compliance("RFC 6265bis", "4.1.3", "the prefix of the refresh cookie makes browsers insist on Secure")
@pytest.mark.compliance("Security", "AC08", "the refresh cookie is Secure, HttpOnly and SameSite")
def test_by_https_the_refresh_token_is_in_a_cookie_that_no_script_reads(https: None, user: User) -> None:
    response = log_in(APIClient(), user.email, cookie=True)
    cookie = response.cookies["__Secure-gatehouse-refresh"]
    flags = (cookie["httponly"], cookie["secure"], cookie["samesite"], cookie["path"], cookie["domain"])
    assert flags == (True, True, "Strict", "/api/v1/auth/", "")
    assert response["Cache-Control"] == "no-store"


@pytest.mark.compliance("RFC 6265bis", "4.1.3", "the prefix of the CSRF cookie binds it to the host")
def test_by_https_the_csrf_cookie_is_readable_and_of_this_host_alone(https: None, user: User) -> None:
    cookie = log_in(APIClient(), user.email, cookie=True).cookies["__Host-gatehouse-csrf"]
    flags = (cookie["httponly"], cookie["secure"], cookie["samesite"], cookie["path"], cookie["domain"])
    assert flags == ("", True, "Strict", "/", "")


def test_by_http_names_have_no_prefix_and_cookies_no_secure(user: User) -> None:
    cookies = log_in(APIClient(), user.email, cookie=True).cookies
    assert set(cookies) == {REFRESH, CSRF}
    assert {cookie["secure"] for cookie in cookies.values()} == {""}


def test_the_refresh_token_is_not_in_the_body(user: User) -> None:
    assert set(log_in(APIClient(), user.email, cookie=True).json()) == {"access_token", "token_type", "expires_in"}


def test_the_access_token_is_in_no_cookie(user: User) -> None:
    response = log_in(APIClient(), user.email, cookie=True)
    assert response.json()["access_token"] not in response.cookies.output()


def test_without_the_word_there_is_no_cookie(user: User) -> None:
    assert not log_in(APIClient(), user.email).cookies


def test_the_cookie_lives_as_long_as_the_token(user: User) -> None:
    cookie = log_in(APIClient(), user.email, cookie=True).cookies[REFRESH]
    left = (RefreshToken.objects.get().expires_at - timezone.now()).total_seconds()
    assert abs(int(cookie["max-age"]) - left) < 60


def test_the_csrf_value_differs_by_session(user: User) -> None:
    values = {log_in(APIClient(), user.email, cookie=True).cookies[CSRF].value for _ in range(3)}
    assert len(values) == 3


@pytest.mark.compliance("Security", "AC10", "nobody is signed in by a foreign page")
@pytest.mark.parametrize("headers", [{"Sec-Fetch-Site": "cross-site"}, {"Origin": "https://evil.example"}])
def test_nobody_is_signed_in_by_a_foreign_page(user: User, headers: dict[str, str]) -> None:
    body = {"email": user.email, "password": PASSWORD, "cookie": True}
    response = APIClient().post(f"{AUTH}/login", body, headers=headers)
    assert read_problem(response) == (403, "csrf_failed")
    assert not response.cookies


# --- Refreshing -------------------------------------------------------------------------------------------------------


def test_a_refresh_renews_the_cookie(browser: APIClient) -> None:
    before = get_refresh_cookie(browser)
    response = refresh(browser)
    assert set(response.json()) == {"access_token", "token_type", "expires_in"}
    assert is_open(response.json()["access_token"])
    assert get_refresh_cookie(browser) != before


def test_refreshes_go_on_and_on(browser: APIClient) -> None:
    assert [refresh(browser).status_code for _ in range(4)] == [200] * 4


@pytest.mark.compliance("RFC 6749", "10.12", "a refresh by cookie needs a value that only our own pages can read")
@pytest.mark.compliance("Security", "AC10", "a refresh by cookie without the CSRF value changes nothing")
@pytest.mark.parametrize("csrf", ["", "x", "é", "0" * 64])
def test_a_refresh_without_the_value_is_refused_and_changes_nothing(browser: APIClient, csrf: str) -> None:
    response = refresh(browser, csrf=csrf)
    assert read_problem(response) == (403, "csrf_failed")
    assert "X-CSRF-Token" in response.json()["detail"]
    assert not response.cookies
    assert refresh(browser).status_code == 200


def test_the_value_of_another_session_is_refused(browser: APIClient, user: User) -> None:
    other = log_in(APIClient(), user.email, cookie=True).cookies[CSRF].value
    assert read_problem(refresh(browser, csrf=other)) == (403, "csrf_failed")


def test_the_value_that_a_stranger_planted_in_the_cookie_is_refused(browser: APIClient) -> None:
    browser.cookies[CSRF] = "planted"
    assert read_problem(refresh(browser)) == (403, "csrf_failed")


@pytest.mark.compliance("Security", "AC10", "a refresh by cookie from a foreign page is refused")
@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://testserver.evil.example"},
    ],
)
def test_a_refresh_for_a_foreign_page_is_refused_even_with_the_value(
    browser: APIClient, headers: dict[str, str]
) -> None:
    assert read_problem(refresh(browser, **headers)) == (403, "csrf_failed")


@pytest.mark.parametrize("headers", [{"Sec-Fetch-Site": "same-origin"}, {"Origin": "http://testserver"}])
def test_a_refresh_for_our_own_page_is_answered(browser: APIClient, headers: dict[str, str]) -> None:
    assert refresh(browser, **headers).status_code == 200


@pytest.mark.compliance("Security", "AC10", "what a foreign form can send refreshes nothing")
@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded"])
def test_what_a_foreign_form_can_send_is_refused(browser: APIClient, content_type: str) -> None:
    response = browser.post(f"{AUTH}/refresh", b"a=b", content_type=content_type)
    assert (response.status_code, len(response.cookies)) == (415, 0)
    empty = browser.post(f"{AUTH}/refresh", b"", content_type=content_type)
    assert read_problem(empty) == (403, "csrf_failed")


@pytest.mark.compliance("Security", "AC10", "another method in a header changes nothing")
def test_another_method_in_a_header_or_the_address_changes_nothing(browser: APIClient) -> None:
    for method in ("POST", "DELETE"):
        response = browser.get(f"{AUTH}/refresh?_method={method}", headers={"X-HTTP-Method-Override": method})
        assert (response.status_code, len(response.cookies)) == (405, 0)


def test_the_value_still_counts_after_a_change_of_the_secret(browser: APIClient, settings: Settings) -> None:
    settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
    settings.SECRET_KEY = "another-secret-" + "k3Zq8wT5" * 8
    assert refresh(browser).status_code == 200


def test_a_token_in_the_body_wins_over_the_cookie(browser: APIClient, user: User) -> None:
    other = log_in(APIClient(), user.email).json()["refresh_token"]
    response = browser.post(f"{AUTH}/refresh", {"refresh_token": other})
    assert "refresh_token" in response.json()
    assert not response.cookies


def test_a_bad_token_in_the_body_leaves_the_cookie(browser: APIClient) -> None:
    response = browser.post(f"{AUTH}/refresh", {"refresh_token": "x" * 43})
    assert (response.status_code, len(response.cookies)) == (401, 0)


def test_neither_token_nor_cookie_is_answered_400(api_client: APIClient) -> None:
    assert read_problem(api_client.post(f"{AUTH}/refresh", {})) == (400, "invalid")


@pytest.mark.parametrize("value", ["", "x", "é", "x" * 3000, "a b", '"q"'])
def test_a_cookie_that_is_no_token_is_forgotten(browser: APIClient, value: str) -> None:
    browser.cookies[REFRESH] = value
    response = refresh(browser)
    assert read_problem(response) == (401, "invalid_refresh_token")
    assert is_forgotten(response)


def test_a_refresh_of_an_ended_session_lets_the_browser_forget(browser: APIClient) -> None:
    Session.objects.update(revoked_at=timezone.now())
    response = refresh(browser)
    assert read_problem(response) == (401, "invalid_refresh_token")
    assert is_forgotten(response)


@pytest.mark.compliance("ASVS 5.0", "10.4.5", "A refresh token that is replayed ends its session")
def test_a_copied_cookie_that_is_used_late_ends_the_session(browser: APIClient, settings: Settings) -> None:
    settings.ACCOUNTS = settings.ACCOUNTS | {"REFRESH_GRACE_SECONDS": 0}
    copy, csrf = get_refresh_cookie(browser), browser.cookies[CSRF].value
    token = refresh(browser).json()["access_token"]
    thief = APIClient()
    thief.cookies[REFRESH] = copy
    assert refresh(thief, csrf=csrf).status_code == 401
    assert not is_open(token)


@pytest.mark.django_db(transaction=True)
def test_fifty_tabs_that_refresh_at_once_get_the_same_cookie(user: User) -> None:
    cookies = {name: one.value for name, one in log_in(APIClient(), user.email, cookie=True).cookies.items()}

    def open_tab() -> tuple[int, str]:
        tab = APIClient()
        tab.cookies.load(cookies)
        response = refresh(tab)
        return response.status_code, get_refresh_cookie(tab)

    answers = race(open_tab, threads=50)
    assert {status for status, _ in answers} == {200}
    assert len({cookie for _, cookie in answers}) == 1
    assert RefreshToken.objects.count() == 2


# --- Ending -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["logout", "logout-all"])
def test_signing_out_lets_the_browser_forget(browser: APIClient, path: str) -> None:
    response = browser.post(f"{AUTH}/{path}")
    assert response.status_code == 204
    assert is_forgotten(response)


def test_ending_the_own_session_lets_the_browser_forget(browser: APIClient) -> None:
    response = browser.delete(f"{AUTH}/sessions/{Session.objects.get().pk}")
    assert response.status_code == 204
    assert is_forgotten(response)


def test_deleting_the_account_lets_the_browser_forget(browser: APIClient) -> None:
    response = browser.delete(f"{AUTH}/me")
    assert response.status_code == 204
    assert is_forgotten(response)


def test_who_has_no_cookie_is_told_of_none(user: User) -> None:
    token = log_in(APIClient(), user.email).json()["access_token"]
    assert not as_holder(token).post(f"{AUTH}/logout").cookies


@pytest.mark.compliance("Security", "AC08", "a copy of the cookie is dead after signing out")
def test_a_copy_of_the_cookie_is_dead_after_signing_out(browser: APIClient) -> None:
    copy, csrf = get_refresh_cookie(browser), browser.cookies[CSRF].value
    browser.post(f"{AUTH}/logout")
    thief = APIClient()
    thief.cookies[REFRESH] = copy
    assert refresh(thief, csrf=csrf).status_code == 401
    assert not is_refreshed(copy)


def test_a_new_password_is_answered_with_a_new_cookie(browser: APIClient) -> None:
    before, csrf = get_refresh_cookie(browser), browser.cookies[CSRF].value
    response = browser.post(f"{AUTH}/password/change", {"current_password": PASSWORD, "new_password": NEW_PASSWORD})
    assert set(response.json()) == {"access_token", "token_type", "expires_in"}
    assert get_refresh_cookie(browser) != before
    assert browser.cookies[CSRF].value != csrf
    assert refresh(browser).status_code == 200


@pytest.mark.compliance("Security", "AC10", "the refresh cookie opens nothing by itself")
def test_a_cookie_opens_nothing_by_itself(browser: APIClient) -> None:
    browser.credentials()
    paths = ["logout", "logout-all", "password/change", "email/change", "reauthenticate"]
    assert {browser.post(f"{AUTH}/{path}").status_code for path in paths} == {401}
    assert {browser.get(f"{AUTH}/{path}").status_code for path in ("me", "sessions", "export")} == {401}


@pytest.mark.compliance("ASVS 5.0", "7.3.1", "A session ends when its cookie lies unused for too long")
@pytest.mark.compliance("Security", "AC08", "a refresh cookie is dead once it lay unused for too long")
def test_a_cookie_that_lay_unused_for_too_long_is_dead(browser: APIClient) -> None:
    RefreshToken.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    assert refresh(browser).status_code == 401
