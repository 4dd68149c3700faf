"""docs/oauth.md names the versions of the clients that these tests run."""

import json
import re
from pathlib import Path

import pytest

from tests.processes import ROOT

_PYTHON = ("authlib", "mozilla-django-oidc", "requests-oauth2client")


def list_clients() -> dict[str, str]:
    """Return each client that a lock names with its version."""
    locked = json.loads((Path(__file__).parent / "node" / "package-lock.json").read_text())["packages"]
    names = locked[""]["dependencies"]
    found = {name: locked[f"node_modules/{name}"]["version"] for name in names}
    pins = dict(re.findall(r"^([\w-]+)==(\S+)", (ROOT / "requirements" / "dev.lock").read_text(), re.MULTILINE))
    return {**found, **{name: pins[name] for name in _PYTHON}}


@pytest.mark.parametrize(("name", "version"), list_clients().items())
def test_the_version_that_is_run_is_documented(name: str, version: str) -> None:
    assert re.search(rf"^\| {name} {re.escape(version)} \|", (ROOT / "docs" / "oauth.md").read_text(), re.MULTILINE)
