"""Real Chromium against a live server of the running test."""

import os
import shutil
from collections.abc import Callable
from typing import Any

import pytest
from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.auth.base_user import AbstractBaseUser
from django.test import Client
from playwright.sync_api import BrowserContext
from pytest_django.live_server_helper import LiveServer

_CHROMIUM_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_MISSING = "Chromium was not found: run scripts/install-browser, or set CHROMIUM_PATH to a browser you have."


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the browser last: its event loop stays in this thread, and the tests after it could not tell."""
    items.sort(key=lambda item: item.get_closest_marker("browser") is not None)


@pytest.fixture(scope="session", autouse=True)
def _synchronous_django() -> None:
    """Let tests use the ORM beside Playwright's event loop."""
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "1"


@pytest.fixture(scope="session")
def browser_type_launch_args(browser_type_launch_args: dict[str, Any]) -> dict[str, Any]:  # Any: Playwright's own type
    """Use the system's Chromium, quiet and without a sandbox, which containers don't allow."""
    found = os.environ.get("CHROMIUM_PATH") or next(filter(None, map(shutil.which, _CHROMIUM_NAMES)), None)
    if not found:
        (pytest.fail if os.environ.get("REQUIRE_BROWSER") == "1" else pytest.skip)(_MISSING)
    arguments = [
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
    ]
    return {**browser_type_launch_args, "executable_path": found, "args": arguments}


@pytest.fixture(scope="session")
def base_url() -> None:
    """Stand in for Playwright's own fixture of this name, which pytest warns about; tests name whole addresses."""


@pytest.fixture
def house(live_server: LiveServer, settings: Any) -> str:  # Any: pytest-django's settings take any name
    """The address of a running house that knows its own address."""
    settings.BASE_URL = live_server.url
    return live_server.url


@pytest.fixture
def sign_in(house: str, context: BrowserContext) -> Callable[..., AbstractBaseUser]:
    """Make a user whom the browser is signed in as, without going through the login page."""

    def make(**fields: object) -> AbstractBaseUser:
        user = get_user_model().objects.create_user(email="ada@example.com", password="correct horse battery", **fields)
        client = Client()
        client.force_login(user)
        name = settings.SESSION_COOKIE_NAME
        context.add_cookies([{"name": name, "value": client.cookies[name].value, "url": house}])
        return user

    return make
