"""A Django site signs its people in at the house, with mozilla-django-oidc."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.interop.conftest import register
from tests.interop.person import EMAIL, Person

pytestmark = [pytest.mark.http, pytest.mark.house, pytest.mark.timeout(120)]


@pytest.fixture
def site(house: str) -> Iterator[str]:
    """The address of the site; the house knows it without its port, as of any program on one's own computer."""
    client = register(
        "Example site", ["authorization_code"], is_confidential=True, redirect_uri="http://127.0.0.1/oidc/callback/"
    )
    task = {"house": house, "client_id": client["client_id"], "client_secret": client["client_secret"]}
    script = Path(__file__).with_name("mozilla_site.py")
    with subprocess.Popen(
        [sys.executable, str(script), json.dumps(task)], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        try:
            yield f"http://127.0.0.1:{int(process.stdout.readline())}"
        finally:
            process.kill()


def test_mozilla_django_oidc_signs_a_person_in(site: str, person: Person) -> None:
    assert person.open(f"{site}/")[1] == "nobody"
    assert person.open(f"{site}/oidc/authenticate/") == (f"{site}/", EMAIL)
