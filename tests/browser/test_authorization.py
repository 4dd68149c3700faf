"""A person signs in, is asked, and is sent back to the client: in real Chromium, with PKCE."""

import base64
import hashlib
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import override
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest
from playwright.sync_api import Page, expect

from accounts.services import ensure_user
from oauth.models import Application
from oauth.services import register_client
from tests.browser.looks import Console, assert_sound

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]

EMAIL, PASSWORD = "ada@example.com", "correct horse battery staple"
VERIFIER = "a-verifier-of-the-test-" + "x" * 40


class Callback(BaseHTTPRequestHandler):
    """The client's redirect endpoint."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(b'<!doctype html><link rel="icon" href="data:,"><title>Printer</title><h1>Back</h1>')

    do_POST = do_GET  # noqa: N815 - its name in the library

    @override
    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def callback() -> Iterator[str]:
    """The address of a client's redirect endpoint on another port of this machine."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Callback)
    thread = Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/callback"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def authorize_url(house: str, callback: str) -> str:
    """Where a public client sends a person to ask for access."""
    registered = register_client(
        name="Photo Printer",
        client_type="public",
        grant_types=["authorization_code", "refresh_token"],
        redirect_uris=[callback],
        allowed_scopes=["profile", "roles:write"],
    )
    challenge = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()
    query = {
        "response_type": "code",
        "client_id": registered.application.client_id,
        "redirect_uri": callback,
        "scope": "profile roles:write",
        "state": "the-state",
        "code_challenge": challenge,
        "code_challenge_method": "S256",
    }
    return f"{house}/oauth/authorize?{urlencode(query)}"


@pytest.fixture
def console(page: Page) -> Console:
    """What the browser complains about during the test."""
    return Console(page)


def sign_in(page: Page) -> None:
    ensure_user(email=EMAIL, name="Ada", password=PASSWORD)
    page.get_by_label("E-mail address").fill(EMAIL)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()


def answer_of(page: Page) -> dict[str, str]:
    """Return what the client was told at its redirect endpoint."""
    page.get_by_role("heading", name="Back").wait_for()
    return dict(parse_qsl(urlsplit(page.url).query))


def test_a_person_who_allows_is_sent_back_with_a_code_that_opens_the_api(
    house: str, page: Page, authorize_url: str, callback: str, console: Console
) -> None:
    page.goto(authorize_url)
    sign_in(page)
    page.get_by_role("button", name="Allow").click()
    answer = answer_of(page)
    assert (answer["state"], answer["iss"]) == ("the-state", house)
    client_id = dict(parse_qsl(urlsplit(authorize_url).query))["client_id"]
    form: dict[str, str | float | bool] = {
        "grant_type": "authorization_code",
        "code": answer["code"],
        "redirect_uri": callback,
        "client_id": client_id,
        "code_verifier": VERIFIER,
    }
    token = page.request.post(f"{house}/oauth/token", form=form).json()
    bearer = {"Authorization": f"Bearer {token['access_token']}"}
    assert page.request.get(f"{house}/api/v1/auth/me", headers=bearer).json()["email"] == EMAIL
    assert console.complaints == []


def test_a_person_who_denies_is_sent_back_without_a_code(page: Page, authorize_url: str, console: Console) -> None:
    page.goto(authorize_url)
    sign_in(page)
    page.get_by_role("button", name="Deny").click()
    answer = answer_of(page)
    assert (answer["error"], answer["state"]) == ("access_denied", "the-state")
    assert "code" not in answer
    assert console.complaints == []


@pytest.mark.parametrize("mode", ["query", "form_post"])
def test_a_person_chooses_whether_a_mistake_leads_to_a_strangers_address(
    page: Page, authorize_url: str, callback: str, console: Console, mode: str
) -> None:
    owner, _ = ensure_user(email=EMAIL, name="Ada", password=PASSWORD)
    Application.objects.update(user=owner)
    page.goto(f"{authorize_url.replace('scope=profile', 'scope=nonsense')}&response_mode={mode}")
    expect(page.get_by_role("heading", level=1)).to_have_text("This request can't be answered")
    expect(page.get_by_text("Ada, a user of Gatehouse")).to_be_visible()
    # That the page itself is answered 400 is what it should say.
    console.complaints[:] = [one for one in console.complaints if "400" not in one]
    assert_sound(page, console)
    page.get_by_role("link" if mode == "query" else "button", name="Go on to").click()
    page.get_by_role("heading", name="Back").wait_for()
    assert page.url.startswith(callback)


def test_the_whole_way_works_by_keyboard(page: Page, authorize_url: str, console: Console) -> None:
    ensure_user(email=EMAIL, name="Ada", password=PASSWORD)
    page.goto(authorize_url)
    page.locator("input:focus").wait_for()  # the page puts the cursor there, a moment after it has loaded
    page.keyboard.type(EMAIL)
    page.keyboard.press("Tab")
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Allow").focus()
    page.keyboard.press("Enter")
    assert "code" in answer_of(page)
    assert console.complaints == []


@pytest.mark.browser_context_args(java_script_enabled=False)
def test_the_whole_way_works_without_scripts(page: Page, authorize_url: str) -> None:
    page.goto(authorize_url)
    sign_in(page)
    page.get_by_role("button", name="Allow").click()
    assert "code" in answer_of(page)


def test_the_consent_page_is_sound_and_says_who_asks_for_what(page: Page, authorize_url: str, console: Console) -> None:
    page.goto(authorize_url)
    sign_in(page)
    expect(page.get_by_role("heading", level=1)).to_contain_text("Photo Printer")
    expect(page.get_by_text(EMAIL)).to_be_visible()
    expect(page.get_by_role("listitem").first).to_contain_text("Create roles, and change who has which role")
    assert_sound(page, console)


def test_allow_and_deny_are_of_equal_size(page: Page, authorize_url: str) -> None:
    page.goto(authorize_url)
    sign_in(page)
    allow = page.get_by_role("button", name="Allow").bounding_box()
    deny = page.get_by_role("button", name="Deny").bounding_box()
    assert allow
    assert deny
    assert (allow["width"], allow["height"]) == (deny["width"], deny["height"])


def test_the_login_page_is_sound(house: str, page: Page, console: Console) -> None:
    page.goto(f"{house}/accounts/login/")
    assert_sound(page, console)


def test_the_login_page_is_sound_with_its_errors(house: str, page: Page, console: Console) -> None:
    page.goto(f"{house}/accounts/login/")
    page.get_by_label("E-mail address").fill(EMAIL)
    page.get_by_label("Password").fill("not the right one")
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("alert").wait_for()
    assert_sound(page, console)


def test_the_page_about_a_client_that_made_a_mistake_is_sound(house: str, page: Page, console: Console) -> None:
    page.goto(f"{house}/oauth/authorize?response_type=code&client_id=nobody")
    page.get_by_role("link", name="Go to the home page").wait_for()
    assert_sound(page, console)
