"""The pages of accounts in real Chromium: sound in each look, by keyboard alone, and without scripts."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.core import mail
from django.utils import timezone
from playwright.sync_api import Page, expect

from accounts.models import EmailToken, Session, User
from accounts.services import Device, Proof, make_email_token, open_api_session
from jobs.worker.loop import Worker, WorkerOptions
from tests.browser.looks import Console, assert_sound

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]

EMAIL, PASSWORD, NEW_PASSWORD = "ada@example.com", "correct horse battery", "seven violet umbrellas"
PHONE = "Mozilla/5.0 (Android 15; Mobile; rv:140.0) Gecko/140.0 Firefox/140.0"

type SignIn = Callable[..., Any]  # Any: a user, whose class the fixture doesn't name


def make_link(house: str, user: User, purpose: EmailToken.Purpose, *, email: str = "") -> str:
    token = make_email_token(user=user, purpose=purpose, email=email, now=timezone.now())
    name = {"verify_email": "verify-email", "reset_password": "reset-password", "change_email": "confirm-email"}
    return f"{house}/accounts/{name[purpose]}/{token}/"


def get_mailed_link() -> str:
    """Let a worker send what is to be sent, and return the link in the last mail."""
    Worker(WorkerOptions(sleep=timedelta(0), stop_when_empty=True)).run()
    return next(word for word in str(mail.outbox[-1].body).split() if word.startswith("http"))


def make_old(user: User) -> None:
    """Let the sign-ins of a user be too old for what is sensitive."""
    Session.objects.filter(user=user).update(authenticated_at=timezone.now() - timedelta(hours=1))


@pytest.mark.parametrize(
    "address",
    [
        "register",
        "registered",
        "login",
        "resend-verification",
        "verification-resent",
        "email-verified",
        "reset-password",
        "password-reset-requested",
        "password-reset",
        "email-changed",
        "account-deleted",
        "verify-email/none",
        "reset-password/none",
        "confirm-email/none",
    ],
)
def test_the_pages_for_strangers_are_sound(house: str, page: Page, address: str) -> None:
    console = Console(page)
    page.goto(f"{house}/accounts/{address}/")
    assert page.get_by_role("heading", level=1).is_visible()
    assert_sound(page, console)


@pytest.mark.parametrize("purpose", list(EmailToken.Purpose))
def test_the_pages_of_mailed_links_are_sound_and_tell_no_request_the_token(
    house: str, page: Page, purpose: EmailToken.Purpose
) -> None:
    user = User.objects.create_user(EMAIL, PASSWORD)
    link = make_link(house, user, purpose, email="a-new-and-rather-long-address-of-ada-lovelace@example.com")
    referrers: list[str] = []
    page.on("request", lambda request: referrers.append(request.headers.get("referer", "")))
    console = Console(page)
    page.goto(link)
    assert_sound(page, console)
    if purpose == EmailToken.Purpose.RESET_PASSWORD:
        page.get_by_label("New password").fill(NEW_PASSWORD)
    page.get_by_role("main").get_by_role("button").click()
    page.get_by_role("link", name="Sign in").click()
    page.get_by_role("heading", name="Sign in").wait_for()
    assert len(referrers) > 3
    assert not any(link.split("/")[-2] in referrer for referrer in referrers)
    assert console.complaints == []


@pytest.mark.parametrize(
    "address",
    [
        "profile",
        "change-password",
        "change-email",
        "delete-account",
        "export",
        "reauthenticate",
        "sessions",
        "security-events",
    ],
)
def test_the_pages_of_an_account_are_sound(house: str, page: Page, sign_in: SignIn, address: str) -> None:
    user = sign_in(name="Augusta Ada King, Countess of Lovelace", email_verified_at=timezone.now())
    open_api_session(
        proof=Proof(user, timezone.now()),
        device=Device("2001:db8:ffff:ffff:ffff:ffff:ffff:ffff", PHONE),
        now=timezone.now(),
    )
    console = Console(page)
    page.goto(f"{house}/accounts/{address}/")
    assert page.get_by_role("heading", level=1).is_visible()
    assert page.get_by_role("banner").get_by_text(EMAIL).is_visible()
    assert_sound(page, console)


def test_security_events_go_on_on_further_pages(house: str, page: Page, sign_in: SignIn) -> None:
    user = sign_in(email_verified_at=timezone.now())
    for _ in range(26):
        open_api_session(proof=Proof(user, timezone.now()), now=timezone.now())
    console = Console(page)
    page.goto(f"{house}/accounts/security-events/")
    page.get_by_role("link", name="Older").click()
    page.get_by_role("link", name="Newest").wait_for()
    expect(page.get_by_role("main").get_by_role("listitem").filter(has_text="Signed in")).to_have_count(2)
    assert_sound(page, console)


def test_what_is_wrong_with_a_form_is_told_above_it_and_beside_the_field(house: str, page: Page) -> None:
    console = Console(page)
    page.goto(f"{house}/accounts/register/")
    page.get_by_label("E-mail address").fill("no address")
    page.get_by_label("Password").fill("ada")
    page.get_by_role("button", name="Sign up").click()
    expect(page.get_by_role("alert")).to_be_focused()
    expect(page).to_have_title("Error: Sign up · Gatehouse")
    expect(page.get_by_label("E-mail address")).to_have_accessible_description(
        "Enter an e-mail address, such as name@example.com."
    )
    page.get_by_role("alert").get_by_role("link", name="E-mail address").click()
    expect(page.get_by_label("E-mail address")).to_be_focused()
    assert_sound(page, console)


def test_a_weak_password_is_told_why(house: str, page: Page, sign_in: SignIn) -> None:
    sign_in(email_verified_at=timezone.now())
    console = Console(page)
    page.goto(f"{house}/accounts/change-password/")
    page.get_by_label("Present password").fill(PASSWORD)
    page.get_by_label("New password").fill("gatehouse")
    page.get_by_role("button", name="Change the password").click()
    expect(page.get_by_role("alert")).to_contain_text("too short")
    assert_sound(page, console)


def test_too_many_attempts_are_told_how_long_to_wait(
    house: str, page: Page, settings: Any
) -> None:  # Any: as in conftest
    settings.ACCOUNTS = settings.ACCOUNTS | {"LIMITS": {"LOGIN": {"ADDRESS": {"FREE": 1, "FIRST_DELAY_SECONDS": 60}}}}
    console = Console(page)
    page.goto(f"{house}/accounts/login/")
    for _ in range(2):
        page.get_by_role("button", name="Sign in").click()
    page.get_by_role("heading", name="Too many attempts").wait_for()
    assert_sound(page, console)


def walk_by_keyboard(page: Page, label: str, text: str) -> None:
    """Go on with the Tab key to a field, and type into it."""
    reach(page, page.get_by_label(label, exact=True))
    page.keyboard.type(text)


def reach(page: Page, target: Any) -> None:  # Any: a Locator
    """Press the Tab key until the target has the focus."""
    for _ in range(40):
        if target.evaluate("element => element === document.activeElement"):
            return
        page.keyboard.press("Tab")
    pytest.fail(f"The Tab key doesn't reach {target}.")


def test_the_whole_way_works_by_keyboard(house: str, page: Page) -> None:
    console = Console(page)
    page.goto(house)
    press(page, page.get_by_role("link", name="Sign up"))
    page.get_by_role("heading", name="Sign up").wait_for()
    walk_by_keyboard(page, "E-mail address", EMAIL)
    walk_by_keyboard(page, "Name (optional)", "Ada")
    walk_by_keyboard(page, "Password", NEW_PASSWORD)
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="Check your mail").wait_for()
    page.goto(get_mailed_link())
    press(page, page.get_by_role("button", name="Yes, confirm this address"))
    page.get_by_role("heading", name="Your address is confirmed").wait_for()
    press(page, page.get_by_role("main").get_by_role("link", name="Sign in"))
    page.get_by_role("heading", name="Sign in").wait_for()
    walk_by_keyboard(page, "E-mail address", EMAIL)
    walk_by_keyboard(page, "Password", NEW_PASSWORD)
    page.keyboard.press("Enter")
    press(page, page.get_by_role("link", name=EMAIL))
    page.get_by_role("heading", name="Your profile").wait_for()
    press(page, page.get_by_role("link", name="Devices"))
    page.get_by_role("heading", name="Your devices").wait_for()
    press(page, page.get_by_role("button", name="Sign out everywhere"))
    page.get_by_text("You are signed out on all devices.").wait_for()
    assert console.complaints == []


def press(page: Page, target: Any) -> None:  # Any: a Locator
    """Go on with the Tab key to a link or a button, and press it."""
    target.wait_for()
    reach(page, target)
    page.keyboard.press("Enter")


@pytest.mark.browser_context_args(java_script_enabled=False)
def test_the_whole_way_works_without_scripts(house: str, page: Page) -> None:
    page.goto(f"{house}/accounts/register/?next=/docs")
    page.get_by_label("E-mail address").fill(EMAIL)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign up").click()
    page.goto(get_mailed_link())
    page.get_by_role("button", name="Yes, confirm this address").click()
    page.get_by_role("main").get_by_role("link", name="Sign in").click()
    page.get_by_label("E-mail address").fill(EMAIL)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(f"{house}/docs")
    user = User.objects.get(email=EMAIL)
    make_old(user)
    page.goto(f"{house}/accounts/change-email/")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Go on").click()
    page.get_by_label("New e-mail address").fill("countess@example.com")
    page.get_by_role("button", name="Send the link").click()
    expect(page.get_by_role("status")).to_contain_text("We sent a link to the new address.")
    page.get_by_role("link", name="Change the password").click()
    page.get_by_label("Present password").fill(PASSWORD)
    page.get_by_label("New password").fill(NEW_PASSWORD)
    page.get_by_role("button", name="Change the password").click()
    expect(page.get_by_role("status")).to_contain_text("Your password is changed.")
    page.get_by_label("Name (optional)").fill("Ada")
    page.get_by_role("button", name="Save the name").click()
    expect(page.get_by_label("Name (optional)")).to_have_value("Ada")
    page.get_by_role("link", name="Download my data").click()
    with page.expect_download() as download:
        page.get_by_role("button", name="Download the file").click()
    assert download.value.suggested_filename.startswith("gatehouse-export-")
    page.goto(f"{house}/accounts/profile/")
    page.get_by_role("link", name="Delete my account").click()
    page.get_by_role("button", name="Delete my account for good").click()
    page.get_by_role("heading", name="Your account is deleted").wait_for()
    assert not User.objects.exists()


def test_a_new_password_signs_this_browser_in_anew(house: str, page: Page, sign_in: SignIn) -> None:
    sign_in(email_verified_at=timezone.now())
    page.goto(f"{house}/accounts/change-password/")
    before = {cookie["name"]: cookie["value"] for cookie in page.context.cookies()}[django_settings.SESSION_COOKIE_NAME]
    page.get_by_label("Present password").fill(PASSWORD)
    page.get_by_label("New password").fill(NEW_PASSWORD)
    page.get_by_role("button", name="Change the password").click()
    page.get_by_role("heading", name="Your profile").wait_for()
    after = {cookie["name"]: cookie["value"] for cookie in page.context.cookies()}[django_settings.SESSION_COOKIE_NAME]
    assert before != after
