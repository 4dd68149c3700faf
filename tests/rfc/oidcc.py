"""Basic OP and Form Post OP, two plans of the OpenID conformance suite with the same 38 modules, and what each does.

The suite's client is a relying party here, and its browser a person who does what the pages ask. Each test has the name
of its module and runs once in each plan: ``test_oidcc_server[oidcc-formpost-basic]``. Unlike the suite's client, which
sends PKCE in one module, this one always does: the house requires it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import pytest
from django.conf import settings

from accounts.models import User
from tests.oauth.flow import REDIRECT_URI, Answer, Flow
from tests.oauth.openid import Json, get_userinfo, verify
from tests.oauth.walk import Walk, walk

type Test = Callable[..., None]


@dataclass(frozen=True, slots=True)
class Plan:
    """One of the plans.

    Attributes:
        name: What its tests are called.
        title: What it certifies, and its section of docs/compliance.md.
        response_mode: What its client asks for.
    """

    name: str
    title: str
    response_mode: str | None


PLANS = (
    Plan("oidcc-basic", "OpenID Basic OP", None),
    Plan("oidcc-formpost-basic", "OpenID Form Post OP", "form_post"),
)


def module(name: str, says: str) -> Callable[[Test], Test]:
    """Run a test as a module of each plan."""
    plans = [
        pytest.param(plan, id=plan.name, marks=pytest.mark.compliance(plan.title, f"oidcc-{name}", says))
        for plan in PLANS
    ]
    return pytest.mark.parametrize("op", plans, indirect=True)


@dataclass(frozen=True, slots=True)
class SignIn:
    """What the client has when somebody signed in.

    Attributes:
        pages: Which pages asked the person for something, in order.
        code: The authorization code, which was exchanged.
        tokens: The answer to the exchange.
        claims: Those of the ID token.
        userinfo: What the access token opens.
    """

    pages: list[str]
    code: str
    tokens: Json
    claims: Json
    userinfo: Json


class Way(Protocol):
    """How a request comes to the provider."""

    def __call__(self, flow: Flow, person: User, **changes: str | None) -> Walk:
        """Ask for authorization and go where the pages lead."""


@dataclass(slots=True)
class Provider:
    """The provider as a client of one of the plans and its person see it."""

    client: Flow
    person: User
    response_mode: str | None

    def open(self, **changes: str | None) -> Answer:
        """Open the authorization endpoint and go no further."""
        return self.client.open(**self._complete(changes))

    def ask(self, way: Way = walk, **changes: str | None) -> Walk:
        """Ask for authorization and check whatever the answer is."""
        done = way(self.client, self.person, **self._complete(changes))
        assert done.is_form_post is (self.response_mode == "form_post")
        assert done.arrived_at == REDIRECT_URI
        assert done.answer["iss"] == settings.BASE_URL
        assert done.answer.get("state") == changes.get("state", "a-state")
        return done

    def sign_in(self, way: Way = walk, **changes: str | None) -> SignIn:
        """Sign the person in and check the tokens."""
        done = self.ask(way, **changes)
        assert "error" not in done.answer
        response = self.client.exchange(done.answer["code"])
        assert response.status_code == 200, response.content
        tokens = response.json()
        claims = verify(tokens["id_token"], client_id=self.client.client_id)
        assert claims["sub"] == str(self.person.pk)
        assert claims.get("nonce") == changes.get("nonce", "a-nonce")
        userinfo = get_userinfo(tokens["access_token"])
        assert userinfo["sub"] == claims["sub"]
        return SignIn(done.pages, done.answer["code"], tokens, claims, userinfo)

    def _complete(self, changes: dict[str, str | None]) -> dict[str, str | None]:
        return {"scope": "openid", "nonce": "a-nonce", "response_mode": self.response_mode, **changes}
