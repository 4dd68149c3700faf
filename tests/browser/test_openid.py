"""What OpenID Connect adds to the pages, in real Chromium: answers by form, a second sign-in, logout."""

from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import override
from urllib.parse import parse_qsl, urlencode

import pytest
from playwright.sync_api import Page, expect

from accounts.models import User
from accounts.services import ensure_user
from oauth.models import Application
from oauth.services import register_client
from tests.browser.looks import Console, assert_sound
from tests.oauth.flow import CHALLENGE, VERIFIER

pytestmark = [pytest.mark.browser, pytest.mark.timeout(240)]

EMAIL, PASSWORD = "ada@example.com", "correct horse battery staple"


class Callback(BaseHTTPRequestHandler):
    """The client's redirect endpoint, which says what it was told and how."""

    def do_GET(self) -> None:
        self._answer("GET", self.path.partition("?")[2])

    def do_POST(self) -> None:
        self._answer("POST", self.rfile.read(int(self.headers["Content-Length"])).decode())

    def _answer(self, method: str, told: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        page = f'<!doctype html><link rel="icon" href="data:,"><h1>Back by {method}</h1><output>{told}</output>'
        self.wfile.write(page.encode())

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
def client(house: str, callback: str) -> tuple[Application, str]:
    """A confidential client that signs people in, and its secret."""
    registered = register_client(
        name="Photo Printer",
        client_type="confidential",
        grant_types=["authorization_code", "refresh_token"],
        redirect_uris=[callback],
        allowed_scopes=["openid", "profile", "email", "roles:write"],
        homepage_url="https://printer.example/",
    )
    application = registered.application
    application.post_logout_redirect_uris = callback
    application.policy_uri = "https://printer.example/privacy"
    application.tos_uri = "https://printer.example/terms"
    application.allowed_resources = ["https://photos.example/", "https://albums.example/"]
    application.user = User.objects.create(email="maker@example.com", name="Mary the Maker")
    application.save()
    assert registered.client_secret
    return application, registered.client_secret


@pytest.fixture
def console(page: Page) -> Console:
    """What the browser complains about during the test."""
    return Console(page)


def build_url(house: str, application: Application, **changes: str) -> str:
    query = {
        "response_type": "code",
        "client_id": application.client_id,
        "redirect_uri": application.redirect_uris,
        "scope": "openid",
        "state": "the-state",
        "response_mode": "form_post",
        "code_challenge": CHALLENGE,
        "code_challenge_method": "S256",
        **changes,
    }
    return f"{house}/oauth/authorize?{urlencode(query)}"


def sign_in(page: Page) -> None:
    ensure_user(email=EMAIL, name="Ada", password=PASSWORD)
    page.get_by_label("E-mail address").fill(EMAIL)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()


def read_answer(page: Page, method: str) -> dict[str, str]:
    """Return what the client was told."""
    page.get_by_role("heading", name=f"Back by {method}").wait_for()
    return dict(parse_qsl(page.locator("output").inner_text()))


def get_id_token(page: Page, house: str, client: tuple[Application, str], code: str) -> str:
    application, secret = client
    form: dict[str, str | float | bool] = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": application.redirect_uris,
        "client_id": application.client_id,
        "client_secret": secret,
        "code_verifier": VERIFIER,
    }
    return str(page.request.post(f"{house}/oauth/token", form=form).json()["id_token"])


def test_the_browser_posts_the_answer_by_itself(
    house: str, page: Page, client: tuple[Application, str], console: Console
) -> None:
    page.goto(build_url(house, client[0]))
    sign_in(page)
    page.get_by_role("button", name="Allow").click()
    answer = read_answer(page, "POST")
    assert (answer["state"], answer["iss"]) == ("the-state", house)
    assert get_id_token(page, house, client, answer["code"])
    assert console.complaints == []


def test_the_browser_posts_an_error_by_itself(
    house: str, page: Page, client: tuple[Application, str], console: Console
) -> None:
    page.goto(build_url(house, client[0], prompt="none"))
    assert read_answer(page, "POST")["error"] == "login_required"
    assert console.complaints == []


@pytest.mark.browser_context_args(java_script_enabled=False)
def test_without_scripts_a_button_posts_the_answer(house: str, page: Page, client: tuple[Application, str]) -> None:
    page.goto(build_url(house, client[0]))
    sign_in(page)
    page.get_by_role("button", name="Allow").click()
    page.get_by_role("button", name="Go on").click()
    assert "code" in read_answer(page, "POST")


def test_the_page_that_posts_the_answer_is_sound(
    house: str, page: Page, client: tuple[Application, str], console: Console
) -> None:
    page.route("**/form_post*.js", lambda route: route.fulfill(body="", content_type="text/javascript"))
    page.goto(build_url(house, client[0], prompt="none"))
    expect(page.get_by_role("button", name="Go on")).to_be_visible()
    assert_sound(page, console)
    page.keyboard.press("Tab")  # the way past the header to the content
    page.get_by_role("button", name="Go on").press("Enter")
    assert read_answer(page, "POST")["error"] == "login_required"


def test_a_form_of_another_origin_finds_the_person_signed_in(
    house: str, page: Page, client: tuple[Application, str], callback: str, console: Console
) -> None:
    application, _ = client
    page.goto(build_url(house, application))
    sign_in(page)
    page.get_by_role("button", name="Allow").click()
    read_answer(page, "POST")
    # Another site in the eyes of the browser: it sends no cookie along with a form from there.
    page.goto(callback.replace("127.0.0.1", "localhost"))
    fields = dict(parse_qsl(build_url(house, application, prompt="none", response_mode="query").partition("?")[2]))
    page.evaluate(
        """([url, fields]) => {
            const form = Object.assign(document.createElement("form"), {method: "post", action: url});
            for (const [name, value] of Object.entries(fields)) {
                form.append(Object.assign(document.createElement("input"), {type: "hidden", name, value}));
            }
            document.body.append(form);
            form.submit();
        }""",
        [f"{house}/oauth/authorize", fields],
    )
    assert "code" in read_answer(page, "GET")
    assert console.complaints == []


def test_the_consent_page_is_sound_with_all_that_it_can_say(
    house: str, page: Page, client: tuple[Application, str], console: Console
) -> None:
    page.goto(build_url(house, client[0], scope="openid email"))
    sign_in(page)
    page.get_by_role("button", name="Allow").click()
    read_answer(page, "POST")
    several = urlencode([("resource", one) for one in client[0].allowed_resources])
    page.goto(f"{build_url(house, client[0], scope='openid email profile roles:write')}&{several}")
    expect(page.get_by_text("Mary the Maker, a user of Gatehouse, answers for Photo Printer.")).to_be_visible()
    expect(page.get_by_role("link", name="Its privacy policy")).to_be_visible()
    expect(page.get_by_role("listitem").filter(has_text="powerful")).to_contain_text("new")
    expect(page.get_by_text("photos.example and albums.example")).to_be_visible()
    assert_sound(page, console)


def test_a_second_sign_in_and_logout_work_by_keyboard(
    house: str, page: Page, client: tuple[Application, str], console: Console
) -> None:
    application, _ = client
    page.goto(build_url(house, application, response_mode="query"))
    sign_in(page)
    page.get_by_role("button", name="Allow").press("Enter")
    read_answer(page, "GET")
    page.goto(build_url(house, application, response_mode="query", prompt="login"))
    page.locator("input:focus").wait_for()
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    id_token = get_id_token(page, house, client, read_answer(page, "GET")["code"])
    page.goto(f"{house}/oauth/logout?client_id={application.client_id}")
    page.get_by_role("button", name="Stay signed in").focus()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="You are signed out").wait_for()
    back = urlencode({"id_token_hint": id_token, "post_logout_redirect_uri": application.redirect_uris, "state": "x"})
    page.goto(f"{house}/oauth/logout?{back}")
    page.get_by_role("link", name="Go on to").press("Enter")  # nobody is signed in, and the client is a stranger's
    assert read_answer(page, "GET") == {"state": "x"}
    assert console.complaints == []


def test_the_pages_of_logout_are_sound(
    house: str, page: Page, client: tuple[Application, str], console: Console
) -> None:
    application, _ = client
    page.goto(build_url(house, application, response_mode="query"))
    sign_in(page)
    page.get_by_role("button", name="Allow").click()
    read_answer(page, "GET")
    ask = urlencode({"client_id": application.client_id, "post_logout_redirect_uri": application.redirect_uris})
    page.goto(f"{house}/oauth/logout?{ask}")
    expect(page.get_by_text("Photo Printer asks to sign you out.")).to_be_visible()
    assert_sound(page, console)
    page.get_by_role("button", name="Sign out").click()
    read_answer(page, "GET")
    page.goto(f"{house}/oauth/logout?{ask}")
    expect(page.get_by_role("link", name="Go on to")).to_be_visible()
    assert_sound(page, console)


@pytest.mark.browser_context_args(java_script_enabled=False)
def test_logout_works_without_scripts(house: str, page: Page, client: tuple[Application, str]) -> None:
    page.goto(build_url(house, client[0], response_mode="query"))
    sign_in(page)
    page.goto(f"{house}/oauth/logout")
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("You are signed out")


def test_the_page_about_a_logout_that_cannot_be_trusted_is_sound(house: str, page: Page, console: Console) -> None:
    page.goto(f"{house}/oauth/logout?id_token_hint=x")
    expect(page.get_by_text("The id_token_hint is no ID token of this server.")).to_be_visible()
    assert_sound(page, console)


def test_the_page_about_a_request_that_has_run_out_is_sound(house: str, page: Page, console: Console) -> None:
    page.goto(f"{house}/oauth/authorize?request_handle=x")
    expect(page.get_by_text("begin again")).to_be_visible()
    assert_sound(page, console)
