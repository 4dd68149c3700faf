"""The modules of the OpenID suite about the authorization endpoint: of its plans Basic OP and, again, Form Post OP.

Each test has the name of its module. The suite's browser is a person here who does what the pages ask.
"""

import json
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.conf import settings
from django.db.models import F
from django.test import Client

from accounts.models import Session, User
from tests.oauth.flow import REDIRECT_URI, Flow
from tests.oauth.openid import Json, verify
from tests.oauth.walk import Walk, follow, give_password, walk, walk_by_form

BASIC = "OpenID Basic OP"
FORM_POST = "OpenID Form Post OP"
#: What an answer says that the person would have to be shown something (OpenID Connect Core §3.1.2.6).
NEEDS_INTERACTION = {"interaction_required", "login_required", "account_selection_required", "consent_required"}

type Module = Callable[[Callable[..., None]], Callable[..., None]]


def module(name: str, says: str) -> Module:
    """Tag a test with the module that it is in both plans."""

    def tag(test: Callable[..., None]) -> Callable[..., None]:
        for plan, prefix in ((BASIC, "oidcc"), (FORM_POST, "oidcc-formpost")):
            test = pytest.mark.compliance(plan, f"{prefix}-{name}", says)(test)
        return test

    return tag


@pytest.fixture(params=["query", "form_post"])
def mode(request: pytest.FixtureRequest) -> str:
    """Each response mode of the two plans."""
    return str(request.param)


@pytest.fixture
def op(rp: Flow, person: User) -> Flow:
    """A client of the provider whose person has a password and is not signed in."""
    give_password(person)
    rp.browser = Client()
    return rp


def _authorize(op: Flow, person: User, mode: str, **changes: str | None) -> Walk:
    defaults: dict[str, str | None] = {
        "scope": "openid",
        "nonce": "a-nonce",
        "response_mode": None if mode == "query" else mode,
    }
    done = walk(op, person, **{**defaults, **changes})
    assert done.is_form_post is (mode == "form_post")
    assert done.arrived_at == REDIRECT_URI
    assert done.answer["iss"] == settings.BASE_URL
    assert done.answer.get("state") == changes.get("state", "a-state")
    return done


def _log_in(op: Flow, person: User, mode: str, **changes: str | None) -> tuple[Walk, Json, str]:
    """Return the way, the claims of the ID token, and the token."""
    done = _authorize(op, person, mode, **changes)
    assert "error" not in done.answer
    response = op.exchange(done.answer["code"])
    assert response.status_code == 200, response.content
    tokens = response.json()
    claims = verify(tokens["id_token"], client_id=op.client_id)
    assert claims["sub"] == str(person.pk)
    assert claims.get("nonce") == changes.get("nonce", "a-nonce")
    return done, claims, tokens["id_token"]


def _let_time_pass(person: User, **time: float) -> None:
    """Make all that the person did in the browser older."""
    Session.objects.filter(user=person).update(authenticated_at=F("authenticated_at") - timedelta(**time))


@module("prompt-login", "the person signs in a second time, and auth_time is later")
def test_oidcc_prompt_login(op: Flow, person: User, mode: str) -> None:
    _authorize(op, person, mode)
    _let_time_pass(person, seconds=5)
    _, first, _ = _log_in(op, person, mode)
    done, second, _ = _log_in(op, person, mode, prompt="login")
    assert done.pages == ["reauthenticate"]
    assert second["auth_time"] > first["auth_time"]


@module("prompt-none-not-logged-in", "a client that wants no page is told that one is needed")
def test_oidcc_prompt_none_not_logged_in(op: Flow, person: User, mode: str) -> None:
    done = _authorize(op, person, mode, prompt="none", state="s" * 128)
    assert done.pages == []
    assert done.answer["error"] in NEEDS_INTERACTION


@module("prompt-none-logged-in", "a client that wants no page gets none, the same sub and the same auth_time")
def test_oidcc_prompt_none_logged_in(op: Flow, person: User, mode: str) -> None:
    _, first, _ = _log_in(op, person, mode)
    done, second, _ = _log_in(op, person, mode, prompt="none")
    assert done.pages == []
    assert (second["sub"], second["auth_time"]) == (first["sub"], first["auth_time"])


@module("max-age-1", "an older sign-in is done anew, and auth_time says so")
def test_oidcc_max_age_1(op: Flow, person: User, mode: str) -> None:
    _authorize(op, person, mode)
    _let_time_pass(person, seconds=5)
    _, first, _ = _log_in(op, person, mode)
    done, second, _ = _log_in(op, person, mode, max_age="1")
    assert done.pages == ["reauthenticate"]
    assert second["auth_time"] > first["auth_time"]
    assert second["iat"] - second["auth_time"] < 60


@module("max-age-10000", "a sign-in that is recent enough is not done anew, and auth_time stays")
def test_oidcc_max_age_10000(op: Flow, person: User, mode: str) -> None:
    _, first, _ = _log_in(op, person, mode, max_age="15000")
    done, second, _ = _log_in(op, person, mode, max_age="10000")
    assert done.pages == []
    assert (second["sub"], second["auth_time"]) == (first["sub"], first["auth_time"])


@module("id-token-hint", "a hint at who is signed in is taken, without a page")
def test_oidcc_id_token_hint(op: Flow, person: User, mode: str) -> None:
    _, first, id_token = _log_in(op, person, mode)
    done, second, _ = _log_in(op, person, mode, prompt="none", id_token_hint=id_token)
    assert done.pages == []
    assert (second["sub"], second["auth_time"]) == (first["sub"], first["auth_time"])


@module("login-hint", "a hint at the account makes no error, and is filled in")
def test_oidcc_login_hint(op: Flow, person: User, mode: str) -> None:
    response = op.open(scope="openid", login_hint=person.email)
    page = op.browser.get(response["Location"]).content.decode()
    assert f'name="username" value="{person.email}"' in page
    _log_in(op, person, mode, login_hint=person.email)


@module("ui-locales", "wishes for a language make no error")
def test_oidcc_ui_locales(op: Flow, person: User, mode: str) -> None:
    _log_in(op, person, mode, ui_locales="se")


@module("claims-locales", "wishes for the language of claims make no error")
def test_oidcc_claims_locales(op: Flow, person: User, mode: str) -> None:
    _log_in(op, person, mode, claims_locales="se")


@module("display-page", "display=page makes no error")
def test_oidcc_display_page(op: Flow, person: User, mode: str) -> None:
    _log_in(op, person, mode, display="page")


@module("display-popup", "display=popup makes no error")
def test_oidcc_display_popup(op: Flow, person: User, mode: str) -> None:
    _log_in(op, person, mode, display="popup")


@module("ensure-request-with-acr-values-succeeds", "wishes for a kind of sign-in make no error")
def test_oidcc_ensure_request_with_acr_values_succeeds(op: Flow, person: User, mode: str) -> None:
    _, claims, _ = _log_in(op, person, mode, acr_values="1 2")
    assert claims["acr"] in {"1", "2"}


@module("ensure-request-without-nonce-succeeds-for-code-flow", "a nonce may be left out")
def test_oidcc_ensure_request_without_nonce_succeeds_for_code_flow(op: Flow, person: User, mode: str) -> None:
    _, claims, _ = _log_in(op, person, mode, nonce=None)
    assert "nonce" not in claims


@module("ensure-request-with-unknown-parameter-succeeds", "unknown parameters are ignored")
def test_oidcc_ensure_request_with_unknown_parameter_succeeds(op: Flow, person: User, mode: str) -> None:
    _log_in(op, person, mode, extra="foobar", request_handle="foobar", asked="foobar")


@module("ensure-request-with-valid-pkce-succeeds", "PKCE with S256 works")
def test_oidcc_ensure_request_with_valid_pkce_succeeds(op: Flow, person: User, mode: str) -> None:
    _log_in(op, person, mode)


@module("alternate-happy-flow", "the order of scopes and parameters doesn't matter")
def test_oidcc_alternate_happy_flow(op: Flow, person: User, mode: str) -> None:
    parameters = op.build_request(scope="email openid", nonce="a-nonce", response_mode=mode)
    response = op.browser.get("/oauth/authorize", dict(reversed(parameters.items())))
    done = follow(op.browser, person, response, Walk())
    assert op.exchange(done.answer["code"]).json()["id_token"]


@module("ensure-post-request-succeeds", "a request may come as a form")
def test_oidcc_ensure_post_request_succeeds(op: Flow, person: User, mode: str) -> None:
    done = walk_by_form(op, person, scope="openid", response_mode=mode)
    assert done.pages == ["sign in", "consent"]
    assert "id_token" in op.exchange(done.answer["code"]).json()


@module("ensure-registered-redirect-uri", "an address that isn't registered ends on a page of the provider")
def test_oidcc_ensure_registered_redirect_uri(op: Flow, mode: str) -> None:
    response = op.open(scope="openid", response_mode=mode, redirect_uri=f"{REDIRECT_URI}/random")
    assert response.status_code == 400
    assert "Location" not in response
    assert b"<h1>" in response.content


@module("response-type-missing", "a request without response_type is refused by name")
def test_oidcc_response_type_missing(op: Flow, person: User, mode: str) -> None:
    done = _authorize(op, person, mode, response_type=None)
    assert done.answer["error"] in {"invalid_request", "unsupported_response_type"}


@module("claims-essential", "a claim may be asked for as essential")
def test_oidcc_claims_essential(op: Flow, person: User, mode: str) -> None:
    done = _authorize(op, person, mode, claims=json.dumps({"userinfo": {"name": {"essential": True}}}))
    token = op.exchange(done.answer["code"]).json()["access_token"]
    answer = Client().get("/oauth/userinfo", headers={"Authorization": f"Bearer {token}"})
    assert answer.json()["name"] == person.name


@module(
    "request-uri-unsigned-supported-correctly-or-rejected-as-unsupported",
    "request_uri is refused by name, and nobody fetches it",
)
def test_oidcc_request_uri_unsigned_supported_correctly_or_rejected_as_unsupported(
    op: Flow, person: User, mode: str
) -> None:
    done = _authorize(op, person, mode, request_uri="https://client.example/request.jwt")
    assert done.answer["error"] == "request_uri_not_supported"


@module("unsigned-request-object-supported-correctly-or-rejected-as-unsupported", "request is refused by name")
def test_oidcc_unsigned_request_object_supported_correctly_or_rejected_as_unsupported(
    op: Flow, person: User, mode: str
) -> None:
    done = _authorize(op, person, mode, request="eyJhbGciOiJub25lIn0.e30.")
    assert done.answer["error"] == "request_not_supported"


@module("ensure-request-object-with-redirect-uri", "an unregistered address beside a request object is not used")
def test_oidcc_ensure_request_object_with_redirect_uri(op: Flow, mode: str) -> None:
    unregistered = "https://client.example/unregistered"
    response = op.open(
        scope="openid", response_mode=mode, request="eyJhbGciOiJub25lIn0.e30.", redirect_uri=unregistered
    )
    assert response.status_code == 400
    assert "Location" not in response


@module("server-client-secret-post", "the client may authenticate in the body")
def test_oidcc_server_client_secret_post(op: Flow, person: User, mode: str) -> None:
    code = _authorize(op, person, mode).answer["code"]
    form: dict[str, str | None] = {"client_id": op.client_id, "client_secret": op.secret}
    secret, op.secret = op.secret, None
    response = op.exchange(code, **form)
    op.secret = secret
    assert response.status_code == 200
