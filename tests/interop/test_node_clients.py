"""openid-client and oauth4webapi on Node: they hold each answer against the specifications."""

from pathlib import Path

import pytest

from tests.interop.conftest import LOGGED_OUT_URI, Registration, register
from tests.interop.foreign import run_script
from tests.interop.person import EMAIL, Person

pytestmark = [pytest.mark.http, pytest.mark.house, pytest.mark.timeout(120)]


def test_openid_client_goes_every_way(node: Path, house: str, person: Person, clients: dict[str, Registration]) -> None:
    task = {"issuer": house, **clients}
    assert run_script(node / "openid_client.mjs", task, person) == {
        "signed_in": {
            "email": EMAIL,
            "is_same_person": True,
            "was_active": True,
            "is_active": False,
            "left_at": f"{LOGGED_OUT_URI}?state=bye",
        },
        "by_form": clients["web"]["client_id"],
        "service": "users:read",
        "device": "profile",
        "refused": ["WWWAuthenticateChallengeError", "basic"],
    }


def test_oauth4webapi_goes_every_way(node: Path, house: str, person: Person, clients: dict[str, Registration]) -> None:
    es256, eddsa = (
        register(f"Example app {name}", ["authorization_code", "refresh_token"], algorithm=name)
        for name in ("ES256", "EdDSA")
    )
    task = {"issuer": house, **clients, "es256": es256, "eddsa": eddsa}
    assert run_script(node / "oauth4webapi.mjs", task, person) == {
        "same_metadata": True,
        "website": {
            "email": EMAIL,
            "token_is_for": clients["web"]["client_id"],
            "was_active": True,
            "is_active": False,
        },
        "ES256": es256["client_id"],
        "EdDSA": eddsa["client_id"],
        "service": "users:read",
        "device": ["authorization_pending", "profile"],
        "refused": ["invalid_grant", "bearer", "invalid_token"],
        "resource": [house],
    }
