"""The pages of accounts in real Chromium: sound in each look, by keyboard alone, and without scripts."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any, Literal, override

import pytest
from django.conf import settings as django_settings
from django.core import mail
from django.utils import timezone
from playwright.sync_api import Locator, Page, expect

from accounts.models import EmailToken, Session, User
from accounts.services import Access, Device, Proof, make_email_token, open_api_session, open_client_session
from jobs.worker.loop import Worker, WorkerOptions
from tests.browser.looks import Console, assert_sound

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]

EMAIL, PASSWORD, NEW_PASSWORD = "ada@example.com", "correct horse battery", "seven violet umbrellas"
NEW_EMAIL = "countess@example.com"
PHONE = "Mozilla/5.0 (Android 15; Mobile; rv:140.0) Gecko/140.0 Firefox/140.0"

type SignIn = Callable[..., Any]  # Any: a user, whose class the fixture doesn't name


def make_link(house: str, user: User, purpose: EmailToken.Purpose, *, email: str = "") -> str:
    token = make_email_token(user=user, purpose=purpose, email=email, now=timezone.now())
    name = {"verify_email": "verify-email", "reset_password": "reset-password", "change_email": "confirm-email"}
    return f"{house}/accounts/{name[purpose]}/{token}/"


def get_mailed_link(*, to: str = EMAIL) -> str:
    """Let a worker send what is to be sent, and return the link in the last mail to an address."""
    Worker(WorkerOptions(sleep=timedelta(0), stop_when_empty=True)).run()
    body = next(str(message.body) for message in reversed(mail.outbox) if message.to == [to])
    return next(word for word in body.split() if word.startswith("http"))


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
    access = Access(user_id=user.pk, client_id="app", scope=(), authenticated_at=timezone.now())
    open_client_session(access=access, lifetime=timedelta(hours=1), idle=None, now=timezone.now())
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


def press(page: Page, target: Locator) -> None:
    """Go on with the Tab key to a link or a button, and press it."""
    target.wait_for()
    reach(page, target)
    page.keyboard.press("Enter")


def reach(page: Page, target: Locator) -> None:
    """Press the Tab key until the target has the focus."""
    for _ in range(40):
        if target.evaluate("element => element === document.activeElement"):
            return
        page.keyboard.press("Tab")
    pytest.fail(f"The Tab key doesn't reach {target}.")


class Pointer:
    """Somebody who points at things, and types."""

    def __init__(self, page: Page) -> None:
        self.page = page

    def fill(self, label: str, text: str) -> None:
        self.page.get_by_label(label, exact=True).fill(text)

    def tick(self, label: str) -> None:
        self.page.get_by_label(label).check()

    def skip(self) -> None:
        """Leave out what is above the main part of a page of the admin."""

    def choose(self, label: str, option: str) -> None:
        self.page.get_by_label(label, exact=True).select_option(option)

    def press(self, name: str, *, role: Literal["button", "link"] = "button") -> None:
        """Press what has that name; of several, the last on the page, which is the one in its main part."""
        self.press_it(self.page.get_by_role(role, name=name, exact=True).last)

    def press_it(self, target: Locator) -> None:
        target.click()


class Keyboard(Pointer):
    """Somebody who has keys alone."""

    @override
    def fill(self, label: str, text: str) -> None:
        walk_by_keyboard(self.page, label, text)

    @override
    def tick(self, label: str) -> None:
        reach(self.page, self.page.get_by_label(label))
        self.page.keyboard.press("Space")

    @override
    def skip(self) -> None:
        press(self.page, self.page.get_by_role("link", name="Skip to main content"))

    @override
    def choose(self, label: str, option: str) -> None:
        walk_by_keyboard(self.page, label, option)

    @override
    def press_it(self, target: Locator) -> None:
        press(self.page, target)


def sign_in_by(hands: Pointer, email: str, password: str) -> None:
    hands.page.get_by_role("heading", name="Sign in").wait_for()
    hands.fill("E-mail address", email)
    hands.fill("Password", password)
    hands.press("Sign in")


@pytest.mark.parametrize(
    "kind",
    [
        pytest.param(Keyboard, id="by keyboard"),
        pytest.param(Pointer, id="without scripts", marks=pytest.mark.browser_context_args(java_script_enabled=False)),
    ],
)
def test_the_whole_way_works(house: str, page: Page, kind: type[Pointer]) -> None:
    console, hands = Console(page), kind(page)

    # Signing up, where the first mail is lost.
    page.goto(f"{house}/accounts/login/?next=/docs")
    hands.press("Sign up", role="link")
    page.get_by_role("heading", name="Sign up").wait_for()
    hands.fill("E-mail address", EMAIL)
    hands.fill("Name (optional)", "Ada")
    hands.fill("Password", PASSWORD)
    hands.press("Sign up")
    page.get_by_role("heading", name="Check your mail").wait_for()
    get_mailed_link()
    hands.press("Go to sign-in", role="link")
    sign_in_by(hands, EMAIL, PASSWORD)
    hands.press("Have it sent again", role="link")
    page.get_by_role("heading", name="Get another link").wait_for()
    hands.fill("E-mail address", EMAIL)
    hands.press("Send the link")
    page.get_by_role("heading", name="Check your mail").wait_for()
    page.goto(get_mailed_link())
    hands.press("Yes, confirm this address")
    page.get_by_role("heading", name="Your address is confirmed").wait_for()

    # A password that is forgotten.
    hands.press("Sign in", role="link")
    hands.press("Forgot your password?", role="link")
    page.get_by_role("heading", name="Forgot your password?").wait_for()
    hands.fill("E-mail address", EMAIL)
    hands.press("Send the link")
    page.get_by_role("heading", name="Check your mail").wait_for()
    page.goto(get_mailed_link())
    hands.fill("New password", NEW_PASSWORD)
    hands.press("Change the password")
    page.get_by_role("heading", name="Your password is changed").wait_for()
    hands.press("Sign in", role="link")
    sign_in_by(hands, EMAIL, NEW_PASSWORD)
    page.wait_for_url(f"{house}/docs")

    # Another address, which needs a fresh sign-in.
    user = User.objects.get(email=EMAIL)
    make_old(user)
    page.goto(f"{house}/accounts/profile/")
    hands.press("Change the address", role="link")
    page.get_by_role("heading", name="Confirm that it is you").wait_for()
    hands.fill("Password", NEW_PASSWORD)
    hands.press("Go on")
    page.get_by_role("heading", name="Change your address").wait_for()
    hands.fill("New e-mail address", NEW_EMAIL)
    hands.press("Send the link")
    expect(page.get_by_role("status")).to_contain_text("We sent a link to the new address.")
    page.goto(get_mailed_link(to=NEW_EMAIL))
    hands.press("Yes, change my address")
    page.get_by_role("heading", name="Your address is changed").wait_for()
    hands.press("Sign in", role="link")
    sign_in_by(hands, NEW_EMAIL, NEW_PASSWORD)

    # Password, name and data.
    hands.press(NEW_EMAIL, role="link")
    hands.press("Change the password", role="link")
    hands.fill("Present password", NEW_PASSWORD)
    hands.fill("New password", PASSWORD)
    hands.press("Change the password")
    expect(page.get_by_role("status")).to_contain_text("Your password is changed.")
    hands.fill("Name (optional)", "Augusta")
    hands.press("Save the name")
    expect(page.get_by_role("status")).to_contain_text("Your name is saved.")
    expect(page.get_by_label("Name (optional)")).to_have_value("Augusta")
    hands.press("Download my data", role="link")
    with page.expect_download() as download:
        hands.press("Download the file")
    assert download.value.suggested_filename.startswith("gatehouse-export-")

    # Who has watched, and where one is signed in.
    hands.press("Events", role="link")
    page.get_by_text("Downloaded all data of the account").wait_for()
    open_api_session(proof=Proof(User.objects.get(), timezone.now()), now=timezone.now())
    hands.press("Devices", role="link")
    page.get_by_role("heading", name="Your devices").wait_for()
    hands.press("Sign out all others")
    expect(page.get_by_role("status")).to_contain_text("All other devices are signed out.")
    hands.press("Sign out everywhere")
    page.get_by_text("You are signed out on all devices.").wait_for()
    sign_in_by(hands, NEW_EMAIL, PASSWORD)

    # Leaving, for now and for good.
    hands.press_it(page.get_by_role("banner").get_by_role("button", name="Sign out"))
    page.get_by_role("banner").get_by_role("link", name="Sign in").wait_for()
    page.goto(f"{house}/accounts/delete-account/")
    sign_in_by(hands, NEW_EMAIL, PASSWORD)
    hands.press("Delete my account for good")
    page.get_by_role("heading", name="Your account is deleted").wait_for()
    assert not User.objects.exists()
    assert console.complaints == []


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
