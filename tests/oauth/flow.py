"""A client, a person and a browser that walk the authorization code flow as real ones do, over HTTP only."""

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from html import unescape
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlencode, urlsplit

from django.http import HttpResponse
from django.test import Client

if TYPE_CHECKING:
    from django.test.client import _MonkeyPatchedWSGIResponse

    type Answer = _MonkeyPatchedWSGIResponse  # what the stubs call a test response
else:
    Answer = HttpResponse

VERIFIER = "dBjftJeZ4CVP-mBWqVqyN_4gzq8xjwqrVUSUfXNPxyz"
CHALLENGE = "MNrOw0OVHeWwlbu6pB3kdKzCUAG7SmLMb7dTdpZDjdA"  # S256 of the verifier
REDIRECT_URI = "https://client.example/callback"
FORM = "application/x-www-form-urlencoded"

type Json = dict[str, Any]  # Any: whatever the server answered
#: Of a parameter: several values for one that may be there several times, None for one that is left out.
type Value = str | list[str] | None


def basic(client_id: str, secret: str, *, scheme: str = "Basic") -> str:
    """Return an Authorization header."""
    return f"{scheme} {base64.b64encode(f'{client_id}:{secret}'.encode()).decode()}"


def get_answer(response: Answer) -> dict[str, str]:
    """Return what a redirect carries to the client."""
    assert response.status_code == 302, response.content
    return {name: values[0] for name, values in parse_qs(urlsplit(response["Location"]).query).items()}


def get_hidden(response: Answer, name: str) -> str:
    """Return the value of a hidden field of a page."""
    found = re.search(rf'name="{name}" value="([^"]*)"', response.content.decode())
    assert found is not None, f"no field {name}"
    return unescape(found[1])


@dataclass(slots=True)
class Flow:
    """One client and one signed-in person."""

    client_id: str
    secret: str | None = None
    redirect_uri: str = REDIRECT_URI
    browser: Client = field(default_factory=Client)
    #: Programs have no cookies.
    program: Client = field(default_factory=Client)

    def build_request(self, **changes: Value) -> dict[str, str | list[str]]:
        """Return the parameters of an authorization request; None leaves one out."""
        parameters: dict[str, Value] = {
            "response_type": "code",
            "client_id": self.client_id,
            "redirect_uri": self.redirect_uri,
            "scope": "profile",
            "state": "a-state",
            "code_challenge": CHALLENGE,
            "code_challenge_method": "S256",
        }
        return {name: value for name, value in {**parameters, **changes}.items() if value is not None}

    def open(self, **changes: Value) -> Answer:
        """Open the authorization endpoint in the browser."""
        return self.browser.get("/oauth/authorize", self.build_request(**changes))

    def decide(self, page: Answer, decision: str = "allow") -> Answer:
        """Press a button of the consent page."""
        return self.browser.post("/oauth/consent", {"request": get_hidden(page, "request"), "decision": decision})

    def get_code(self, **changes: Value) -> str:
        """Return a code that the person allowed, now or before."""
        page = self.open(**changes)
        return get_answer(page if page.status_code == 302 else self.decide(page))["code"]

    def post(self, path: str, **form: Value) -> Answer:
        """Post a form as the client does: a confidential one authenticates, a public one names itself."""
        if self.secret is None:
            return self._send(path, {"client_id": self.client_id, **form})
        return self._send(path, form, Authorization=basic(self.client_id, self.secret))

    def post_anonymously(self, path: str, **form: Value) -> Answer:
        """Post a form as anybody could."""
        return self._send(path, form)

    def _send(self, path: str, form: Mapping[str, Value], **headers: str) -> Answer:
        body = urlencode({name: value for name, value in form.items() if value is not None}, doseq=True)
        return self.program.post(path, body, content_type=FORM, headers=headers)

    def exchange(self, code: str, **changes: Value) -> Answer:
        """Bring a code to the token endpoint."""
        form: dict[str, Value] = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self.redirect_uri,
            "code_verifier": VERIFIER,
        }
        return self.post("/oauth/token", **{**form, **changes})

    def get_tokens(self, **changes: Value) -> Json:
        """Return the answer to a whole authorization."""
        response = self.exchange(self.get_code(**changes))
        assert response.status_code == 200, response.content
        return dict(response.json())

    def refresh(self, refresh_token: str, **changes: Value) -> Answer:
        """Bring a refresh token to the token endpoint."""
        return self.post("/oauth/token", grant_type="refresh_token", refresh_token=refresh_token, **changes)

    def introspect(self, token: str) -> Json:
        """Return what the server says of a token."""
        response = self.post("/oauth/introspect", token=token)
        assert response.status_code == 200, response.content
        return dict(response.json())

    def call_api(self, token: str, path: str = "/api/v1/auth/me") -> int:
        """Use an access token and return the status."""
        return self.program.get(path, headers={"Authorization": f"Bearer {token}"}).status_code
