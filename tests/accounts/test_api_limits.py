"""Every endpoint of accounts that strangers or wrong passwords can try is limited."""

from io import BytesIO
from typing import Any

import pytest
from django.test import Client
from pytest_django import Settings

from accounts.services import TokenPair
from accounts.throttles import Door
from tests.accounts.clients import AUTH, as_holder, read_problem
from tests.accounts.conftest import PASSWORD

pytestmark = pytest.mark.django_db

WRONG = "a wrong password, long"
BODIES: dict[str, dict[str, str]] = {
    "register": {"email": "ada@example.com", "password": PASSWORD},
    "verify-email": {"token": "x" * 43},
    "verify-email/resend": {"email": "ada@example.com"},
    "login": {"email": "ada@example.com", "password": WRONG},
    "refresh": {"refresh_token": "x" * 43},
    "reauthenticate": {"password": WRONG},
    "password/change": {"current_password": WRONG, "new_password": PASSWORD},
    "password/reset": {"email": "ada@example.com"},
    "password/reset/confirm": {"token": "x" * 43, "password": PASSWORD},
    "email/change": {"email": "ada@example.com"},
    "email/change/confirm": {"token": "x" * 43},
}


#: Those that name no account have a limit of the address alone.
ANONYMOUS = {"verify-email", "refresh", "password/reset/confirm", "email/change/confirm"}
CASES = [(path, "ADDRESS") for path in BODIES] + [(path, "PAIR") for path in BODIES if path not in ANONYMOUS]

type Limits = dict[str, dict[str, dict[str, int] | None]]


@pytest.mark.compliance("ASVS 5.0", "6.3.1", "Each endpoint that can be tried is limited")
@pytest.mark.parametrize(("path", "scope"), CASES)
def test_one_attempt_too_many_is_answered_429(pair: TokenPair, settings: Settings, path: str, scope: str) -> None:
    few = {"FREE": 2, "FIRST_DELAY_SECONDS": 60}
    none: dict[str, dict[str, int] | None] = {"ADDRESS": None, "ACCOUNT": None, "PAIR": None}
    limits: Limits = {door.name: none | {scope: few} for door in Door}
    settings.ACCOUNTS = settings.ACCOUNTS | {"LIMITS": limits}
    client = as_holder(pair.access_token)
    first, second, third = (client.post(f"{AUTH}/{path}", BODIES[path]) for _ in range(3))
    assert 429 not in {first.status_code, second.status_code}
    assert read_problem(third) == (429, "throttled")
    assert int(third["Retry-After"]) == third.json()["retry_after"] > 0


@pytest.mark.parametrize("length", [8_193, 1_000_000])
def test_a_long_body_is_counted_before_it_is_read(settings: Settings, length: int) -> None:
    of_address = {"ADDRESS": {"FREE": 2, "FIRST_DELAY_SECONDS": 60}, "ACCOUNT": None, "PAIR": None}
    settings.ACCOUNTS = settings.ACCOUNTS | {"LIMITS": {Door.LOGIN.name: of_address}}
    body = '{"email": "ada@example.com", "password": "a wrong password, long"}'.ljust(length)
    for _ in range(2):
        assert Client().post(f"{AUTH}/login", body, content_type="application/json").status_code == 401
    stream = BytesIO(body.encode())
    sent: dict[str, Any] = {"wsgi.input": stream, "CONTENT_LENGTH": str(length)}  # Any: as the stubs want it
    response = Client().generic("POST", f"{AUTH}/login", b"{}", content_type="application/json", **sent)
    assert (response.status_code, stream.tell()) == (429, 0)
