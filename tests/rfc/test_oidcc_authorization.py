"""The modules of the OpenID suite's plans Basic OP and Form Post OP about the authorization endpoint."""

from datetime import timedelta

import pytest
from django.db.models import F

from accounts.models import Session, User
from tests.oauth.flow import REDIRECT_URI, Flow
from tests.oauth.walk import Walk, follow, walk_by_form
from tests.rfc.oidcc import Provider, module

#: What an answer says that the person would have to be shown something (OpenID Connect Core §3.1.2.6).
NEEDS_INTERACTION = {"interaction_required", "login_required", "account_selection_required", "consent_required"}
UNSIGNED_REQUEST = "eyJhbGciOiJub25lIn0.e30."


def walk_backwards(flow: Flow, person: User, **changes: str | None) -> Walk:
    """Ask with the parameters in the opposite order."""
    parameters = dict(reversed(flow.build_request(**changes).items()))
    return follow(flow.browser, person, flow.browser.get("/oauth/authorize", parameters), Walk())


def let_time_pass(person: User, **time: float) -> None:
    """Make all that the person did in the browser older."""
    Session.objects.filter(user=person).update(authenticated_at=F("authenticated_at") - timedelta(**time))


@module("response-type-missing", "a request without response_type is refused by name")
def test_oidcc_response_type_missing(op: Provider) -> None:
    assert op.ask(response_type=None).answer["error"] in {"invalid_request", "unsupported_response_type"}


@module("ensure-request-without-nonce-succeeds-for-code-flow", "a nonce may be left out; the ID token has none then")
def test_oidcc_ensure_request_without_nonce_succeeds_for_code_flow(op: Provider) -> None:
    assert "nonce" not in op.sign_in(nonce=None).claims


@module("alternate-happy-flow", "the order of scopes and parameters doesn't matter")
def test_oidcc_alternate_happy_flow(op: Provider) -> None:
    assert op.sign_in(walk_backwards, scope="email openid").userinfo["email"] == op.person.email


@module("display-page", "display=page makes no error")
def test_oidcc_display_page(op: Provider) -> None:
    op.sign_in(display="page")


@module("display-popup", "display=popup makes no error")
def test_oidcc_display_popup(op: Provider) -> None:
    op.sign_in(display="popup")


@module("prompt-login", "the person signs in a second time, and auth_time is later")
def test_oidcc_prompt_login(op: Provider) -> None:
    op.ask()
    let_time_pass(op.person, seconds=5)
    first, second = op.sign_in(), op.sign_in(prompt="login")
    assert second.pages == ["reauthenticate"]
    assert second.claims["auth_time"] > first.claims["auth_time"]


@pytest.mark.compliance("Security", "D6", "prompt=none is answered where nobody is signed in")
@module("prompt-none-not-logged-in", "a client that wants no page is told that one is needed")
def test_oidcc_prompt_none_not_logged_in(op: Provider) -> None:
    done = op.ask(prompt="none", state="s" * 128)
    assert done.pages == []
    assert done.answer["error"] in NEEDS_INTERACTION


@module("prompt-none-logged-in", "a client that wants no page gets none, the same sub and the same auth_time")
def test_oidcc_prompt_none_logged_in(op: Provider) -> None:
    first, second = op.sign_in(), op.sign_in(prompt="none")
    assert second.pages == []
    assert second.claims["auth_time"] == first.claims["auth_time"]


@module("max-age-1", "an older sign-in is done anew, and auth_time says so")
def test_oidcc_max_age_1(op: Provider) -> None:
    op.ask()
    let_time_pass(op.person, seconds=5)
    first, second = op.sign_in(), op.sign_in(max_age="1")
    assert second.pages == ["reauthenticate"]
    assert second.claims["auth_time"] > first.claims["auth_time"]
    assert second.claims["iat"] - second.claims["auth_time"] < 60


@module("max-age-10000", "a sign-in that is recent enough is not done anew, and auth_time stays")
def test_oidcc_max_age_10000(op: Provider) -> None:
    first, second = op.sign_in(max_age="15000"), op.sign_in(max_age="10000")
    assert second.pages == []
    assert second.claims["auth_time"] == first.claims["auth_time"]


@module("ensure-request-with-unknown-parameter-succeeds", "unknown parameters are ignored")
def test_oidcc_ensure_request_with_unknown_parameter_succeeds(op: Provider) -> None:
    op.sign_in(extra="foobar", request_handle="foobar", asked="foobar")


@module("id-token-hint", "a hint at who is signed in is taken, without a page")
def test_oidcc_id_token_hint(op: Provider) -> None:
    first = op.sign_in()
    second = op.sign_in(prompt="none", id_token_hint=first.tokens["id_token"])
    assert second.pages == []
    assert second.claims["auth_time"] == first.claims["auth_time"]


@module("login-hint", "a hint at the account makes no error, and is filled in")
def test_oidcc_login_hint(op: Provider) -> None:
    response = op.open(login_hint=op.person.email)
    page = op.client.browser.get(response["Location"]).content.decode()
    assert f'name="username" value="{op.person.email}"' in page
    op.sign_in(login_hint=op.person.email)


@module("ui-locales", "wishes for a language make no error")
def test_oidcc_ui_locales(op: Provider) -> None:
    op.sign_in(ui_locales="se")


@module("claims-locales", "wishes for the language of claims make no error")
def test_oidcc_claims_locales(op: Provider) -> None:
    op.sign_in(claims_locales="se")


@module("ensure-request-with-acr-values-succeeds", "wishes for a kind of sign-in make no error")
def test_oidcc_ensure_request_with_acr_values_succeeds(op: Provider) -> None:
    assert op.sign_in(acr_values="1 2").claims["acr"] in {"1", "2"}


@module("ensure-registered-redirect-uri", "an address that isn't registered ends on a page of the provider")
def test_oidcc_ensure_registered_redirect_uri(op: Provider) -> None:
    response = op.open(redirect_uri=f"{REDIRECT_URI}/random")
    assert response.status_code == 400
    assert "Location" not in response
    assert b"<h1>" in response.content


@module("ensure-post-request-succeeds", "a request may come as a form")
def test_oidcc_ensure_post_request_succeeds(op: Provider) -> None:
    assert op.sign_in(walk_by_form).pages == ["sign in", "consent"]


@module(
    "request-uri-unsigned-supported-correctly-or-rejected-as-unsupported",
    "request_uri is refused by name, and nobody fetches it",
)
def test_oidcc_request_uri_unsigned_supported_correctly_or_rejected_as_unsupported(op: Provider) -> None:
    done = op.ask(request_uri="https://client.example/request.jwt")
    assert done.answer["error"] == "request_uri_not_supported"


@module("unsigned-request-object-supported-correctly-or-rejected-as-unsupported", "request is refused by name")
def test_oidcc_unsigned_request_object_supported_correctly_or_rejected_as_unsupported(op: Provider) -> None:
    assert op.ask(request=UNSIGNED_REQUEST).answer["error"] == "request_not_supported"


@module("ensure-request-object-with-redirect-uri", "an unregistered address beside a request object is not used")
def test_oidcc_ensure_request_object_with_redirect_uri(op: Provider) -> None:
    response = op.open(request=UNSIGNED_REQUEST, redirect_uri="https://client.example/unregistered")
    assert response.status_code == 400
    assert "Location" not in response


@module("ensure-request-with-valid-pkce-succeeds", "PKCE with S256 works")
def test_oidcc_ensure_request_with_valid_pkce_succeeds(op: Provider) -> None:
    op.sign_in()
