"""The 11 modules of the OpenID suite's plan for RP-initiated logout; each test has the name of its module."""

import base64
import json
from collections.abc import Callable

import pytest
from django.conf import settings
from django.test import Client
from jwcrypto.jwk import JWK
from jwcrypto.jwt import JWT

from accounts.models import User
from oauth.models import Application
from tests.oauth.flow import Answer, Flow, get_answer, get_hidden
from tests.oauth.openid import discover
from tests.oauth.walk import give_password, walk

PLAN = "OpenID RP-Initiated Logout OP"
TARGET = "https://client.example/post_logout_redirect"
STATE = "s" * 128

type Module = Callable[[Callable[..., None]], Callable[..., None]]


def module(name: str, says: str) -> Module:
    """Tag a test with its module."""
    return pytest.mark.compliance(PLAN, f"oidcc-rp-initiated-logout{name}", says)


@pytest.fixture
def id_token(rp: Flow, person: User) -> str:
    """The ID token of a person who signed in on the pages."""
    give_password(person)
    rp.browser = Client()
    Application.objects.update(post_logout_redirect_uris=TARGET)
    done = walk(rp, person, scope="openid")
    return str(rp.exchange(done.answer["code"]).json()["id_token"])


def _log_out(rp: Flow, **parameters: str | None) -> Answer:
    path = discover()["end_session_endpoint"].removeprefix(settings.BASE_URL)
    return rp.browser.get(path, {name: value for name, value in parameters.items() if value is not None})


def _confirm(rp: Flow, page: Answer) -> Answer:
    """Press the button of the page that asks."""
    assert page.status_code == 200
    assert b"Sign out of Gatehouse?" in page.content
    return rp.browser.post("/oauth/logout/confirm", {"request": get_hidden(page, "request"), "decision": "sign_out"})


def _is_signed_in(rp: Flow) -> bool:
    return "code" in get_answer(rp.open(scope="openid", prompt="none"))


def _is_not_sent_away(page: Answer) -> bool:
    return page.status_code in {200, 400} and "Location" not in page and b"<h1>" in page.content


@module("-discovery-endpoint-verification", "the metadata name the endpoint")
def test_oidcc_rp_initiated_logout_discovery_endpoint_verification(db: None) -> None:
    assert discover()["end_session_endpoint"] == f"{settings.BASE_URL}/oauth/logout"


@module("", "the person is signed out and sent to the registered address with the state")
def test_oidcc_rp_initiated_logout(rp: Flow, id_token: str) -> None:
    response = _log_out(rp, id_token_hint=id_token, post_logout_redirect_uri=TARGET, state=STATE)
    assert response["Location"] == f"{TARGET}?state={STATE}"
    assert get_answer(rp.open(scope="openid", prompt="none"))["error"] == "login_required"


@module("-bad-post-logout-redirect-uri", "nobody is sent to an address that isn't registered")
def test_oidcc_rp_initiated_logout_bad_post_logout_redirect_uri(rp: Flow, id_token: str) -> None:
    page = _log_out(rp, id_token_hint=id_token, post_logout_redirect_uri="https://client.example/other", state=STATE)
    assert _is_not_sent_away(page)
    assert _is_signed_in(rp)


@module("-query-added-to-post-logout-redirect-uri", "a query makes it another address")
def test_oidcc_rp_initiated_logout_query_added_to_post_logout_redirect_uri(rp: Flow, id_token: str) -> None:
    page = _log_out(rp, id_token_hint=id_token, post_logout_redirect_uri=f"{TARGET}?foo=bar", state=STATE)
    assert _is_not_sent_away(page)
    assert _is_signed_in(rp)


@module("-modified-id-token-hint", "an unsigned hint is none")
def test_oidcc_rp_initiated_logout_modified_id_token_hint(rp: Flow, id_token: str) -> None:
    header = base64.urlsafe_b64encode(json.dumps({"alg": "none"}).encode()).rstrip(b"=").decode()
    hint = f"{header}.{id_token.split('.')[1]}."
    page = _log_out(rp, id_token_hint=hint, post_logout_redirect_uri=TARGET, state=STATE)
    assert _is_not_sent_away(page)
    assert _is_signed_in(rp)


@module("-bad-id-token-hint", "a hint that somebody else signed is none")
def test_oidcc_rp_initiated_logout_bad_id_token_hint(rp: Flow, id_token: str) -> None:
    claims = json.loads(base64.urlsafe_b64decode(id_token.split(".")[1] + "=="))
    fake = JWT(header={"alg": "ES256"}, claims=claims)
    fake.make_signed_token(JWK.generate(kty="EC", crv="P-256"))
    page = _log_out(rp, id_token_hint=fake.serialize(), post_logout_redirect_uri=TARGET, state=STATE)
    assert _is_not_sent_away(page)
    assert _is_signed_in(rp)


@module("-no-id-token-hint", "nobody is sent away without a hint")
def test_oidcc_rp_initiated_logout_no_id_token_hint(rp: Flow, id_token: str) -> None:
    page = _log_out(rp, post_logout_redirect_uri=TARGET, state=STATE)
    assert _is_not_sent_away(page)
    assert _is_signed_in(rp)


@module("-no-params", "without anything, the person is asked and signed out")
def test_oidcc_rp_initiated_logout_no_params(rp: Flow, id_token: str) -> None:
    page = _confirm(rp, _log_out(rp))
    assert b"You are signed out" in page.content
    assert not _is_signed_in(rp)


@module("-no-post-logout-redirect-uri", "without an address the person ends on a page of the provider")
def test_oidcc_rp_initiated_logout_no_post_logout_redirect_uri(rp: Flow, id_token: str) -> None:
    page = _log_out(rp, id_token_hint=id_token, state=STATE)
    assert b"You are signed out" in page.content
    assert not _is_signed_in(rp)


@module("-no-state", "without a state none comes back")
def test_oidcc_rp_initiated_logout_no_state(rp: Flow, id_token: str) -> None:
    response = _log_out(rp, id_token_hint=id_token, post_logout_redirect_uri=TARGET)
    assert response["Location"] == TARGET
    assert not _is_signed_in(rp)


@module("-only-state", "with a state alone, the person is asked and signed out")
def test_oidcc_rp_initiated_logout_only_state(rp: Flow, id_token: str) -> None:
    page = _confirm(rp, _log_out(rp, state=STATE))
    assert b"You are signed out" in page.content
    assert not _is_signed_in(rp)
