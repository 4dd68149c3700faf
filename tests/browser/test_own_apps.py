"""Connected apps and personal access tokens in real Chromium: sound in each look, by keyboard, and without scripts."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone
from playwright.sync_api import Page, expect

from accounts.models import Session, User
from accounts.services import Access, Device, open_client_session
from oauth.models import Application, Consent, PersonalAccessToken
from oauth.services import give_consent, register_client
from tests.browser.looks import Console, assert_sound
from tests.browser.test_accounts import press, reach, walk_by_keyboard

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]

PASSWORD = "correct horse battery"
PHONE = "Mozilla/5.0 (Android 15; Mobile; rv:140.0) Gecko/140.0 Firefox/140.0"

type SignIn = Callable[..., Any]  # Any: a user, whose class the fixture doesn't name


def connect(user: User, name: str) -> Application:
    """Let an app in, twice from a phone."""
    now = timezone.now()
    application = register_client(
        name=name,
        client_type="public",
        grant_types=["authorization_code"],
        redirect_uris=["https://client.example/"],
        allowed_scopes=["profile", "roles:write"],
    ).application
    give_consent(user_id=user.pk, application=application, scopes=["profile", "roles:write"], now=now)
    access = Access(user_id=user.pk, client_id=application.client_id, scope=("profile",), authenticated_at=now)
    for address in ("192.0.2.7", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff"):
        open_client_session(
            access=access, device=Device(address, PHONE), lifetime=timedelta(days=1), idle=None, now=now
        )
    return application


def keep_token(user: User, name: str, **fields: Any) -> PersonalAccessToken:  # Any: as Django has it
    values = {"digest": name, "hint": "a1B2", "scope": "profile roles:write", **fields}
    return PersonalAccessToken.objects.create(user=user, name=name, **values)


def test_connected_apps_are_sound(house: str, page: Page, sign_in: SignIn) -> None:
    user = sign_in(email_verified_at=timezone.now())
    connect(user, "Photo Printer")
    old = connect(user, "A program with quite a long name, such as people give to programs")
    Application.objects.filter(pk=old.pk).update(is_active=False)
    Consent.objects.filter(application__name="Photo Printer").update(expires_at=timezone.now())
    console = Console(page)
    page.goto(f"{house}/accounts/apps/")
    expect(page.get_by_role("link", name="Apps")).to_have_attribute("aria-current", "page")
    expect(page.get_by_role("button", name="Take back")).to_have_count(2)
    assert_sound(page, console)


def test_many_apps_go_on_on_further_pages(house: str, page: Page, sign_in: SignIn) -> None:
    user = sign_in(email_verified_at=timezone.now())
    for number in range(26):
        connect(user, f"App {number:02}")
    console = Console(page)
    page.goto(f"{house}/accounts/apps/")
    page.get_by_role("link", name="Next").click()
    page.get_by_text("App 25").wait_for()
    assert_sound(page, console)


def test_an_app_is_shut_out_by_keyboard(house: str, page: Page, sign_in: SignIn) -> None:
    user = sign_in(email_verified_at=timezone.now())
    connect(user, "Photo Printer")
    console = Console(page)
    page.goto(f"{house}/accounts/profile/")
    press(page, page.get_by_role("link", name="Apps"))
    page.get_by_role("heading", name="Connected apps").wait_for()
    press(page, page.get_by_role("button", name="Take back"))
    page.get_by_text("No app can use your account.").wait_for()
    assert not Session.objects.filter(kind=Session.Kind.CLIENT, revoked_at=None).exists()
    assert console.complaints == []


def test_the_list_of_tokens_is_sound(house: str, page: Page, sign_in: SignIn) -> None:
    user = sign_in(email_verified_at=timezone.now())
    now = timezone.now()
    keep_token(user, "Backup of the office", last_used_at=now, expires_at=now + timedelta(days=9))
    keep_token(user, "An-old-one-whose-name-has-no-space-in-it-at-all-and-is-rather-long", expires_at=now)
    console = Console(page)
    page.goto(f"{house}/accounts/tokens/")
    expect(page.get_by_role("link", name="Tokens")).to_have_attribute("aria-current", "page")
    expect(page.get_by_role("button", name="Remove")).to_have_count(1)
    assert_sound(page, console)


def test_a_token_is_made_and_revoked_by_keyboard(house: str, page: Page, sign_in: SignIn) -> None:
    sign_in(email_verified_at=timezone.now())
    console = Console(page)
    page.goto(f"{house}/accounts/tokens/")
    press(page, page.get_by_role("link", name="Make a token"))
    page.get_by_role("heading", name="Make a personal access token").wait_for()
    expect(page.get_by_role("textbox", name="Name")).to_be_focused()
    assert_sound(page, console)
    walk_by_keyboard(page, "Name", "Backup")
    reach(page, page.get_by_label("Works for"))
    page.keyboard.press("ArrowUp")
    reach(page, page.get_by_label("See your name and your e-mail address"))
    page.keyboard.press("Space")
    press(page, page.get_by_role("button", name="Make the token"))
    page.get_by_role("heading", name="Your new token").wait_for()
    expect(page.get_by_label("Backup")).to_be_focused()
    token = page.get_by_label("Backup").input_value()
    assert token.startswith("gpat_")
    assert_sound(page, console)
    press(page, page.get_by_role("link", name="I have copied it"))
    page.get_by_text(f"…{token[-4:]}").wait_for()
    row = PersonalAccessToken.objects.get()
    assert row.expires_at is not None
    assert (row.expires_at - row.created_at).days == 30
    press(page, page.get_by_role("button", name="Revoke"))
    page.get_by_text("You have none.").wait_for()
    assert console.complaints == []


def test_what_is_missing_is_told_above_the_form_and_beside_the_field(house: str, page: Page, sign_in: SignIn) -> None:
    sign_in(email_verified_at=timezone.now())
    console = Console(page)
    page.goto(f"{house}/accounts/tokens/new/")
    page.get_by_role("button", name="Make the token").click()
    expect(page.get_by_role("alert")).to_be_focused()
    expect(page).to_have_title("Error: Make a personal access token · Gatehouse")
    expect(page.get_by_role("textbox", name="Name")).to_have_accessible_description(
        "For you, to know later what it is for, such as “Backup of the office”. Give it a name."
    )
    page.get_by_role("alert").get_by_role("link", name="What it may do").click()
    expect(page.get_by_role("group", name="What it may do")).to_be_focused()
    assert_sound(page, console)


@pytest.mark.browser_context_args(java_script_enabled=False)
def test_all_works_without_scripts(house: str, page: Page, sign_in: SignIn) -> None:
    user = sign_in(email_verified_at=timezone.now())
    connect(user, "Photo Printer")
    Session.objects.filter(user=user, client_id="").update(authenticated_at=timezone.now() - timedelta(hours=1))
    page.goto(f"{house}/accounts/tokens/")
    page.get_by_role("link", name="Make a token").click()
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Go on").click()
    page.get_by_role("textbox", name="Name").fill("Backup")
    page.get_by_label("Works for").select_option("As long as it is there")
    page.get_by_label("Create roles, and change who has which role (powerful)").check()
    page.get_by_role("button", name="Make the token").click()
    assert page.get_by_label("Backup").input_value().startswith("gpat_")
    page.get_by_role("link", name="I have copied it").click()
    page.get_by_text("Doesn't expire").wait_for()
    page.get_by_role("button", name="Revoke").click()
    page.get_by_text("That token works no longer.").wait_for()
    page.get_by_role("link", name="Apps").click()
    page.get_by_role("button", name="Take back").click()
    page.get_by_text("That app can no longer use your account.").wait_for()
