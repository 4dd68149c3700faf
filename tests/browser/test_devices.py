"""A person lets a device in, in real Chromium: with the code in the address or typed, by keyboard, without scripts."""

import pytest
from playwright.sync_api import APIResponse, Page, expect

from accounts.services import ensure_user
from oauth.services import register_client
from tests.browser.looks import Console, assert_sound
from tests.oauth.devices import DEVICE_CODE

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]

EMAIL, PASSWORD = "ada@example.com", "correct horse battery staple"


class Television:
    """A device with a screen that shows a code, and no keyboard."""

    def __init__(self, house: str, page: Page) -> None:
        registered = register_client(
            name="Living-room TV",
            client_type="public",
            grant_types=[DEVICE_CODE],
            allowed_scopes=["profile", "roles:write"],
            homepage_url="https://tv.example/",
        )
        self._house, self._page = house, page
        self._client_id = registered.application.client_id
        form: dict[str, str | float | bool] = {"client_id": self._client_id, "scope": "profile roles:write"}
        self.told = page.request.post(f"{house}/oauth/device-authorization", form=form).json()

    def poll(self) -> APIResponse:
        """Ask for tokens."""
        form: dict[str, str | float | bool] = {
            "grant_type": DEVICE_CODE,
            "client_id": self._client_id,
            "device_code": self.told["device_code"],
        }
        return self._page.request.post(f"{self._house}/oauth/token", form=form)


@pytest.fixture
def television(house: str, page: Page) -> Television:
    """A device that waits."""
    return Television(house, page)


@pytest.fixture
def console(page: Page) -> Console:
    """What the browser complains about during the test."""
    return Console(page)


def sign_in(page: Page) -> None:
    ensure_user(email=EMAIL, name="Ada", password=PASSWORD)
    page.get_by_label("E-mail address").fill(EMAIL)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()


def test_a_person_types_the_code_and_allows_the_device(page: Page, television: Television, console: Console) -> None:
    page.goto(television.told["verification_uri"])
    sign_in(page)
    page.get_by_label("Code").fill(television.told["user_code"].lower().replace("-", " "))
    page.get_by_role("button", name="Go on").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Living-room TV")
    page.get_by_role("button", name="Allow").click()
    expect(page.get_by_role("heading", name="Go back to your device")).to_be_visible()
    expect(page.get_by_role("status")).to_have_text("Living-room TV can go on now.")
    assert "access_token" in television.poll().json()
    assert console.complaints == []


def test_the_code_in_the_address_survives_sign_in_and_allows_nothing(
    page: Page, television: Television, console: Console
) -> None:
    page.goto(television.told["verification_uri_complete"])
    sign_in(page)
    expect(page.get_by_label("Code")).to_have_value(television.told["user_code"])
    assert television.poll().json()["error"] == "authorization_pending"
    page.get_by_role("button", name="Go on").click()
    page.get_by_role("button", name="Deny").click()
    expect(page.get_by_role("status")).to_have_text("Living-room TV was sent away.")
    assert television.poll().json()["error"] == "access_denied"
    assert console.complaints == []


def test_the_whole_way_works_by_keyboard(page: Page, television: Television, console: Console) -> None:
    page.goto(television.told["verification_uri"])
    sign_in(page)
    page.locator("#id_user_code:focus").wait_for()  # the page puts the cursor there, a moment after it has loaded
    page.keyboard.type(television.told["user_code"])
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Allow").focus()
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="Go back to your device").wait_for()
    assert "access_token" in television.poll().json()
    assert console.complaints == []


@pytest.mark.browser_context_args(java_script_enabled=False)
def test_the_whole_way_works_without_scripts(page: Page, television: Television) -> None:
    page.goto(television.told["verification_uri_complete"])
    sign_in(page)
    page.get_by_role("button", name="Go on").click()
    page.get_by_role("button", name="Allow").click()
    page.get_by_role("heading", name="Go back to your device").wait_for()
    assert "access_token" in television.poll().json()


def test_the_pages_are_sound(page: Page, television: Television, console: Console) -> None:
    page.goto(television.told["verification_uri"])
    sign_in(page)
    page.get_by_role("button", name="Go on").wait_for()
    assert_sound(page, console)
    page.get_by_label("Code").fill(television.told["user_code"])
    page.get_by_role("button", name="Go on").click()
    expect(page.get_by_role("listitem").filter(has_text="powerful")).to_contain_text("Create roles")
    assert_sound(page, console)
    page.get_by_role("button", name="Allow").click()
    page.get_by_role("heading", name="Go back to your device").wait_for()
    assert_sound(page, console)


def test_the_page_with_a_wrong_code_is_sound_and_begins_at_what_is_wrong(
    page: Page, television: Television, console: Console
) -> None:
    page.goto(television.told["verification_uri"])
    sign_in(page)
    page.get_by_label("Code").fill("BCDF-GHJK")
    page.get_by_role("button", name="Go on").click()
    expect(page.get_by_role("alert")).to_contain_text("No device waits with this code.")
    expect(page.get_by_role("alert")).to_be_focused()
    assert_sound(page, console)


def test_allow_and_deny_are_of_equal_size(page: Page, television: Television) -> None:
    page.goto(television.told["verification_uri_complete"])
    sign_in(page)
    page.get_by_role("button", name="Go on").click()
    allow = page.get_by_role("button", name="Allow").bounding_box()
    deny = page.get_by_role("button", name="Deny").bounding_box()
    assert allow
    assert deny
    assert (allow["width"], allow["height"]) == (deny["width"], deny["height"])
