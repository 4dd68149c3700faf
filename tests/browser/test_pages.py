"""The pages of the house in real Chromium: sound in each look."""

from collections.abc import Callable
from pathlib import Path

import pytest
from django.contrib.auth.base_user import AbstractBaseUser
from django.core.mail import send_mail
from django.test import override_settings
from playwright.sync_api import Page

from permissions import audit
from permissions.services import create_role
from project.devmail import refuse_address
from tests.browser.looks import Console, assert_sound

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]

type SignIn = Callable[..., AbstractBaseUser]


def test_the_home_page_is_sound_for_a_stranger(house: str, page: Page) -> None:
    console = Console(page)
    page.goto(house)
    assert_sound(page, console)


def test_the_home_page_is_sound_for_somebody_signed_in(house: str, page: Page, sign_in: SignIn) -> None:
    sign_in()
    console = Console(page)
    page.goto(house)
    assert page.get_by_text("ada@example.com").is_visible()
    assert_sound(page, console)


def test_a_person_signs_out_from_the_home_page(house: str, page: Page, sign_in: SignIn) -> None:
    sign_in()
    page.goto(house)
    page.get_by_role("button", name="Sign out").click()
    page.get_by_role("link", name="Sign in").wait_for()


@pytest.mark.urls("tests.browser.urls")
@pytest.mark.parametrize("address", ["broken/400", "broken/403", "nowhere", "broken/500"])
def test_the_error_pages_are_sound(house: str, page: Page, address: str) -> None:
    console = Console(page)
    page.goto(f"{house}/{address}")
    assert page.get_by_role("link", name="Go to the home page").is_visible()
    assert_sound(page, console)


def test_the_page_about_an_expired_form_is_sound(house: str, page: Page, sign_in: SignIn) -> None:
    sign_in()
    page.goto(house)
    page.context.clear_cookies()
    console = Console(page)
    page.get_by_role("button", name="Sign out").click()
    page.get_by_role("heading", name="This form has expired").wait_for()
    assert_sound(page, console)


def test_the_mail_page_is_sound(house: str, page: Page, tmp_path: Path) -> None:
    mailer = {"BACKEND": "project.devmail.FileEmailBackend", "OPTIONS": {"file_path": str(tmp_path)}}
    with override_settings(MAILERS={"default": mailer}):
        send_mail("Welcome", f"Please open {house}/{'long' * 50}", None, ["ada@example.com"])
        refuse_address(tmp_path, address=f"{'long' * 15}@example.com")
        console = Console(page)
        page.goto(f"{house}/dev/mail")
        assert_sound(page, console)


@pytest.mark.parametrize(
    "address",
    [
        "",
        "accounts/user/",
        "jobs/failedjob/",
        "oauth/application/add/",
        "permissions/auditevent/",
        "permissions/role/matrix/",
        "permissions/roleassignment/add/",
        "guardian/userobjectpermission/add/",
    ],
)
def test_the_admin_is_sound(house: str, page: Page, sign_in: SignIn, address: str) -> None:
    sign_in(is_staff=True, is_superuser=True)
    console = Console(page)
    page.goto(f"{house}/admin/{address}")
    assert page.get_by_role("link", name="API documentation").is_visible()
    assert_sound(page, console)


def test_roles_are_changed_by_ticking(house: str, page: Page, sign_in: SignIn) -> None:
    sign_in(is_staff=True, is_superuser=True)
    reader = create_role(name="reader", permissions=["accounts.view_user"])
    editor = create_role(name="a role with a rather long name", parents=[reader])
    console = Console(page)
    page.goto(f"{house}/admin/permissions/role/")
    page.get_by_role("link", name="All permissions at once").click()
    page.get_by_role("searchbox", name="Permissions").fill("accounts.")
    page.get_by_role("button", name="Show").click()
    page.get_by_role("checkbox", name="reader: accounts.add_user").check()
    page.get_by_role("checkbox", name="reader: accounts.view_user", exact=True).uncheck()
    page.get_by_role("button", name="Save").click()
    page.get_by_text("Changed: 2.").wait_for()
    assert page.get_by_role("checkbox", name=f"{editor.name}: accounts.add_user (inherited)").is_visible()
    assert reader.get_permission_names() == ["accounts.add_user"]
    assert_sound(page, console)


def test_roles_are_given_on_the_page_of_a_user(house: str, page: Page, sign_in: SignIn) -> None:
    ada = sign_in(is_staff=True, is_superuser=True)
    create_role(name="reader")
    console = Console(page)
    page.goto(f"{house}/admin/accounts/user/{ada.pk}/change/")
    page.get_by_text("Add another Role").click()
    page.get_by_role("row", name="reader").or_(page.locator("#role_assignments-0")).get_by_role("combobox").click()
    page.get_by_role("option", name="reader").click()
    page.get_by_role("button", name="Save and continue editing").click()
    page.get_by_role("cell", name="ada@example.com", exact=True).wait_for()
    assert_sound(page, console)


def test_an_audit_event_in_the_admin_is_sound(house: str, page: Page, sign_in: SignIn) -> None:
    ada = sign_in(is_staff=True, is_superuser=True)
    audit.record("role.attached", actor=ada, subject=ada, roles=["editor"])
    console = Console(page)
    page.goto(f"{house}/admin/permissions/auditevent/?event=role.attached")
    page.get_by_role("table").get_by_role("link", name="role.attached").click()
    page.locator("pre", has_text="editor").wait_for()
    assert_sound(page, console)
