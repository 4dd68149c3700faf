"""oidc-client-ts in Chromium: a page of another origin signs people in, without a server and without a secret."""

from collections.abc import Callable, Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import override

import pytest
from playwright.sync_api import Error, Page

from tests.interop.conftest import register
from tests.interop.person import EMAIL, PASSWORD, Person

pytestmark = [pytest.mark.browser, pytest.mark.house, pytest.mark.timeout(120)]

#: In a frame it hands the answer that came to its address up to the page around it.
PAGE = b"""<!doctype html><html lang="en"><link rel="icon" href="data:,"><title>Notes</title><h1>Notes</h1>
<script src="/oidc-client-ts.js"></script><script>
if (window !== top) new oidc.UserManager({ authority: '', client_id: '', redirect_uri: '' }).signinSilentCallback()
</script></html>"""
#: Makes ``manager`` with what the house knows of the page; it stays until the page is left.
START = """(settings) => { window.manager = new oidc.UserManager({
  scope: 'openid profile email offline_access', loadUserInfo: true, ...settings,
}) }"""


class Site(BaseHTTPRequestHandler):
    """A page and its script."""

    def __init__(self, script: bytes, *arguments: object) -> None:
        self.script = script
        super().__init__(*arguments)  # type: ignore[arg-type]  # handed through as they come

    def do_GET(self) -> None:
        is_script = self.path.endswith(".js")
        self.send_response(200)
        self.send_header("Content-Type", "text/javascript" if is_script else "text/html")
        self.end_headers()
        self.wfile.write(self.script if is_script else PAGE)

    @override
    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def host() -> str:
    """The name of the page's server: it makes the page one of another site than the house."""
    return "127.0.0.1"


@pytest.fixture
def site(node: Path, host: str) -> Iterator[str]:
    """The address of the page."""
    script = (node / "node_modules/oidc-client-ts/dist/browser/oidc-client-ts.min.js").read_bytes()
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Site, script))
    thread = Thread(target=server.serve_forever)
    thread.start()
    yield f"http://{host}:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def open_page(page: Page, house: str, site: str) -> Callable[..., None]:
    """Open an address of the page and start the library there."""

    def start(address: str, *, client_id: str, **settings: str) -> None:
        page.goto(address)
        known = {"redirect_uri": f"{site}/callback", "post_logout_redirect_uri": f"{site}/bye"}
        page.evaluate(START, {"authority": house, "client_id": client_id, **known, **settings})

    return start


def sign_in(page: Page, open_page: Callable[..., None], site: str, **settings: str) -> None:
    """Let the person sign in at the house, allow what is asked and come back."""
    open_page(site, **settings)
    page.evaluate("void manager.signinRedirect()")
    page.get_by_label("E-mail address").fill(EMAIL)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("button", name="Allow").click()
    page.wait_for_url(f"{site}/callback?**")
    open_page(page.url, **settings)


def test_a_page_signs_a_person_in_renews_and_signs_out(
    page: Page, open_page: Callable[..., None], site: str, house: str, person: Person
) -> None:
    client_id = register(
        "Notes", ["authorization_code", "refresh_token"], redirect_uri=f"{site}/callback", origin=site
    )["client_id"]
    sign_in(page, open_page, site, client_id=client_id)
    user = page.evaluate("manager.signinRedirectCallback()")
    assert (user["profile"]["email"], user["token_type"]) == (EMAIL, "Bearer")
    renewed = page.evaluate("manager.signinSilent()")
    assert renewed["access_token"] != user["access_token"]
    assert renewed["profile"]["sub"] == user["profile"]["sub"]
    page.evaluate("void manager.signoutRedirect({ state: 'bye' })")
    page.wait_for_url(f"{site}/bye?**")
    open_page(page.url, client_id=client_id)
    assert page.evaluate("manager.signoutRedirectCallback()")["userState"] == "bye"
    page.goto(f"{house}/accounts/profile/")
    assert page.url.startswith(f"{house}/accounts/login/")


@pytest.mark.parametrize(
    ("host", "refusal"),
    [
        pytest.param("127.0.0.1", "login_required", id="of another site: a frame there gets no cookies of the house"),
        pytest.param("localhost", "consent_required", id="of this computer: any program here could pass for it"),
    ],
)
def test_a_page_learns_in_a_frame_why_it_cannot_renew(
    page: Page, open_page: Callable[..., None], site: str, person: Person, refusal: str
) -> None:
    client_id = register("Notes", ["authorization_code"], redirect_uri=f"{site}/callback", origin=site)["client_id"]
    sign_in(page, open_page, site, client_id=client_id, scope="openid email")
    assert page.evaluate("manager.signinRedirectCallback()")["profile"]["email"] == EMAIL
    assert page.evaluate("manager.signinSilent().catch((refusal) => refusal.error)") == refusal


def test_a_page_of_an_origin_that_no_client_lists_gets_nothing(
    page: Page, open_page: Callable[..., None], site: str, person: Person
) -> None:
    client_id = register("Notes", ["authorization_code"], redirect_uri=f"{site}/callback")["client_id"]
    sign_in(page, open_page, site, client_id=client_id, scope="openid email")
    with pytest.raises(Error, match="Failed to fetch"):
        page.evaluate("manager.signinRedirectCallback()")
