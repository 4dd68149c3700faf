"""``/docs`` in real Chromium: offline, without a complaint of the content policy, and with working "Authorize"."""

from collections.abc import Callable

import pytest
from django.contrib.auth.base_user import AbstractBaseUser
from playwright.sync_api import Page, expect

from accounts.services import ensure_user
from oauth.services import seed_clients
from tests.browser.looks import Console

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]


def call_me(page: Page) -> None:
    """Try the call that says who one is."""
    page.locator("#operations-auth-get_me").get_by_role("button").first.click()
    page.get_by_role("button", name="Try it out").click()
    page.get_by_role("button", name="Execute").click()


def test_the_docs_load_and_unfold_without_a_complaint(house: str, page: Page) -> None:
    console = Console(page)
    page.goto(f"{house}/docs")
    call_me(page)
    expect(page.locator(".live-responses-table .response-col_status").last).to_contain_text("401")
    page.get_by_role("button", name="Authorize", exact=True).click()
    page.get_by_role("button", name="Close").first.wait_for()
    assert [complaint for complaint in console.complaints if "401" not in complaint] == []


def test_nothing_of_the_docs_comes_from_another_host(house: str, page: Page) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(f"{house}/docs")
    page.get_by_role("button", name="Authorize", exact=True).wait_for()
    assert [url for url in asked if not url.startswith((house, "data:"))] == []


def test_authorize_by_oauth_and_pkce_through_the_popup_opens_the_api(
    house: str, page: Page, sign_in: Callable[..., AbstractBaseUser]
) -> None:
    seed_clients(base_url=house)
    sign_in()
    console = Console(page)
    page.goto(f"{house}/docs")
    page.get_by_role("button", name="Authorize", exact=True).click()
    oauth = page.locator(".auth-container", has_text="authorizationCode")
    oauth.get_by_text("select all").click()
    with page.expect_popup() as opened:
        oauth.get_by_role("button", name="Apply given OAuth2 credentials").click()
    popup = opened.value
    popup_console = Console(popup)
    with popup.expect_event("close"):
        popup.get_by_role("button", name="Allow").click()
    oauth.get_by_role("button", name="Remove authorization").wait_for()
    page.get_by_role("button", name="Close").first.click()
    call_me(page)
    expect(page.locator(".live-responses-table")).to_contain_text("ada@example.com")
    assert console.complaints + popup_console.complaints == []


def test_authorize_that_is_denied_is_told_in_the_docs(
    house: str, page: Page, sign_in: Callable[..., AbstractBaseUser]
) -> None:
    seed_clients(base_url=house)
    sign_in()
    page.goto(f"{house}/docs")
    page.get_by_role("button", name="Authorize", exact=True).click()
    oauth = page.locator(".auth-container", has_text="authorizationCode")
    with page.expect_popup() as opened:
        oauth.get_by_role("button", name="Apply given OAuth2 credentials").click()
    opened.value.get_by_role("button", name="Deny").click()
    expect(oauth.locator(".errors")).to_contain_text("access_denied")


def test_authorize_by_bearer_token_opens_the_api(house: str, page: Page) -> None:
    ensure_user(email="ada@example.com", name="Ada", password="correct horse battery staple")
    login = {"email": "ada@example.com", "password": "correct horse battery staple"}
    token = page.request.post(f"{house}/api/v1/auth/login", data=login).json()["access_token"]
    page.goto(f"{house}/docs")
    page.get_by_role("button", name="Authorize", exact=True).click()
    bearer = page.locator(".auth-container", has_text="bearer (http, Bearer)")
    bearer.get_by_role("textbox").fill(token)
    bearer.get_by_role("button", name="Apply credentials").click()
    page.get_by_role("button", name="Close").first.click()
    call_me(page)
    expect(page.locator(".live-responses-table")).to_contain_text("ada@example.com")


def test_an_answer_that_nobody_waits_for_is_not_used(house: str, page: Page) -> None:
    console = Console(page)
    page.goto(f"{house}/docs/oauth2-redirect?code=stray&state=stray")
    expect(page.get_by_role("status")).to_contain_text("No documentation page is waiting")
    assert console.complaints == []
