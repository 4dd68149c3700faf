"""The pages about clients, for owners and administrators: sound in each look, by keyboard, and without scripts."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.utils import timezone
from playwright.sync_api import Page, expect

from accounts.models import Session, User
from oauth.models import Application, ClientSecret
from oauth.services import register_client, renew_client_secret
from tests.browser.looks import Console, assert_sound
from tests.browser.test_accounts import PASSWORD, Keyboard, Pointer, make_old
from tests.browser.test_own_apps import connect

pytestmark = [pytest.mark.browser, pytest.mark.timeout(240)]

_LONG_NAME = "A-program-whose-name-has-no-space-in-it-at-all-and-is-rather-long-as-names-may-be"
_LONG_ADDRESS = "https://shop.example/a/rather/long/path/such-as-frameworks-make-them/oauth2/callback?tenant=123456789"

type SignIn = Callable[..., Any]  # Any: a user, whose class the fixture doesn't name

_HANDS = [
    pytest.param(Keyboard, id="by keyboard"),
    pytest.param(Pointer, id="without scripts", marks=pytest.mark.browser_context_args(java_script_enabled=False)),
]


@pytest.fixture
def owner(sign_in: SignIn) -> User:
    """Who may have clients, and is signed in."""
    user: User = sign_in(email_verified_at=timezone.now())
    user.user_permissions.add(Permission.objects.get(codename="add_application"))
    return user


@pytest.fixture
def admin(sign_in: SignIn) -> User:
    """Who may do everything, and is signed in."""
    user: User = sign_in(is_staff=True, is_superuser=True, email_verified_at=timezone.now())
    return user


def make_client(user: User | None, name: str = "Photo Printer", **changes: Any) -> Application:  # Any: as it is stored
    """Return a client with a long address and three secrets: one that has ended, one that ends, and the newest."""
    application = register_client(
        name=name,
        client_type="confidential",
        grant_types=["authorization_code", "refresh_token"],
        redirect_uris=[_LONG_ADDRESS, "http://127.0.0.1/callback"],
        allowed_scopes=["profile", "roles:write"],
    ).application
    for overlap in (timedelta(0), timedelta(days=7)):
        renew_client_secret(application=application, overlap=overlap)
    ClientSecret.objects.filter(application=application, expires_at=None).update(last_used_at=timezone.now())
    Application.objects.filter(pk=application.pk).update(user=user, **changes)
    return application


# --- Of an owner


def test_the_list_of_clients_is_sound(house: str, page: Page, owner: User) -> None:
    make_client(owner)
    make_client(owner, _LONG_NAME, is_active=False)
    console = Console(page)
    page.goto(f"{house}/accounts/clients/")
    expect(page.get_by_role("link", name="Clients")).to_have_attribute("aria-current", "page")
    expect(page.get_by_text("switched off")).to_have_count(1)
    assert_sound(page, console)


@pytest.mark.parametrize("address", ["", "secret/", "delete/"])
@pytest.mark.parametrize("name", ["Photo Printer", _LONG_NAME])
def test_the_pages_of_a_client_are_sound(house: str, page: Page, owner: User, address: str, name: str) -> None:
    application = make_client(owner, name, is_active=name != _LONG_NAME)
    console = Console(page)
    page.goto(f"{house}/accounts/clients/{application.client_id}/{address}")
    expect(page.get_by_role("heading", level=1)).to_contain_text(name)
    assert_sound(page, console)


def test_what_is_wrong_with_a_client_is_told_above_the_form_and_beside_the_field(
    house: str, page: Page, owner: User
) -> None:
    console = Console(page)
    page.goto(f"{house}/accounts/clients/new/")
    assert_sound(page, console)
    page.get_by_role("textbox", name="Redirect addresses").fill("http://shop.example/cb")
    page.get_by_role("button", name="Make the client").click()
    expect(page.get_by_role("alert")).to_be_focused()
    expect(page).to_have_title("Error: Make a client · Gatehouse")
    page.get_by_role("alert").get_by_role("link", name="Name").click()
    expect(page.get_by_role("textbox", name="Name")).to_be_focused()
    page.get_by_role("alert").get_by_role("link", name="Ways to get tokens").click()
    expect(page.get_by_role("group", name="Ways to get tokens")).to_be_focused()
    assert_sound(page, console)


@pytest.mark.parametrize("kind", _HANDS)
def test_an_owner_makes_changes_and_deletes_a_client(house: str, page: Page, owner: User, kind: type[Pointer]) -> None:
    console, hands = Console(page), kind(page)
    make_old(owner)
    page.goto(f"{house}/accounts/profile/")
    hands.press("Clients", role="link")
    page.get_by_text("You have none.").wait_for()
    hands.press("Make a client", role="link")
    page.get_by_role("heading", name="Confirm that it is you").wait_for()
    hands.fill("Password", PASSWORD)
    hands.press("Go on")

    page.get_by_role("heading", name="Make a client").wait_for()
    hands.fill("Name", "Shop")
    hands.choose("Client type", "Confidential")
    hands.tick("Authorization code: ")
    hands.fill("Redirect addresses", "https://shop.example/cb")
    hands.tick("profile: ")
    hands.press("Make the client")
    page.get_by_role("heading", name="Shop").wait_for()
    secret = page.get_by_label("Client secret").input_value()
    assert len(secret) >= 43
    if kind is Keyboard:
        expect(page.get_by_label("Client secret")).to_be_focused()
        assert_sound(page, console)
    hands.press("I have copied it", role="link")

    page.get_by_text(f"{secret[:4]}").first.wait_for()
    hands.press("Make another secret", role="link")
    page.get_by_role("heading", name="Another secret for Shop").wait_for()
    hands.press("Make another secret")
    hands.press("I have copied it", role="link")
    hands.press_it(page.get_by_role("button", name="End at once").last)
    page.get_by_text("no longer works").wait_for()
    assert ClientSecret.objects.filter(expires_at=None).count() == 1

    hands.fill("Name", "Shop of the house")
    hands.press("Save")
    page.get_by_text("The client is saved.").wait_for()
    hands.press("Delete the client", role="link")
    page.get_by_role("heading", name="Delete").wait_for()
    hands.press("Delete the client")
    page.get_by_text("is deleted.").wait_for()
    assert not Application.objects.exists()
    assert console.complaints == []


# --- Of an administrator


@pytest.mark.parametrize(
    "address", ["", "{0}/change/", "{0}/secrets/", "{0}/usage/", "{0}/redirect-test/", "{0}/delete/"]
)
def test_the_pages_of_the_admin_about_clients_are_sound(house: str, page: Page, admin: User, address: str) -> None:
    application = make_client(admin, _LONG_NAME)
    connect(admin, "Photo Printer")
    Session.objects.filter(client_id__gt="").update(client_id=application.client_id)
    console = Console(page)
    page.goto(f"{house}/admin/oauth/application/{address.format(application.pk)}")
    expect(page.get_by_role("heading", level=1).last).to_be_visible()
    assert_sound(page, console)


@pytest.mark.parametrize("address", ["oauth/application/{client}/change/", "accounts/user/{user}/history/"])
def test_the_admin_breaks_a_long_name_rather_than_scroll_sideways(
    house: str, page: Page, admin: User, address: str
) -> None:
    User.objects.filter(pk=admin.pk).update(name="N" * 150, email=f"{'e' * 60}@{'long' * 15}.example")
    application = make_client(admin, "N" * 250)
    console = Console(page)
    page.goto(f"{house}/admin/{address.format(client=application.pk, user=admin.pk)}")
    expect(page.get_by_role("heading", level=1).last).to_be_visible()
    assert_sound(page, console)


@pytest.mark.parametrize("kind", _HANDS)
def test_an_admin_makes_a_client_and_gives_it_another_secret(
    house: str, page: Page, admin: User, kind: type[Pointer]
) -> None:
    console, hands = Console(page), kind(page)
    page.goto(f"{house}/admin/oauth/application/add/")
    hands.fill("Name:", "Shop")
    hands.choose("Client type:", "Confidential")
    hands.tick("Authorization code: ")
    hands.fill("Redirect addresses:", _LONG_ADDRESS)
    hands.tick("profile: ")
    hands.press("Save and continue editing")
    page.get_by_role("heading", name="Change client").wait_for()
    expect(page.get_by_role("listitem").filter(has_text="secret").first).to_contain_text("Shop")

    hands.skip()
    hands.press("Secrets", role="link")
    page.get_by_role("heading", name="Make another secret").wait_for()
    hands.skip()
    hands.press("Make another secret")
    page.get_by_role("row").nth(2).wait_for()
    if kind is Keyboard:
        assert_sound(page, console)
    newest = ClientSecret.objects.get(expires_at=None)
    hands.skip()
    hands.press_it(page.get_by_role("button", name=f"End {newest.hint}… at once"))
    page.get_by_text(f"The secret {newest.hint}… no longer works.").wait_for()

    page.goto(f"{house}/admin/oauth/application/{newest.application_id}/change/")
    hands.skip()
    hands.press("Test a redirect address", role="link")
    page.get_by_role("heading", name="Test a redirect address").wait_for()
    hands.skip()
    hands.fill("Address that the client names in redirect_uri", f"{_LONG_ADDRESS}/")
    hands.press("Test")
    page.get_by_role("heading", name="Refused").wait_for()
    if kind is Keyboard:
        assert_sound(page, console)
