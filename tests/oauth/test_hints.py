"""ID tokens that come back as hints, long after the key that has signed them has given way to another."""

from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from accounts.models import SigningKey, User
from accounts.services import maintain_keys, rotate_keys
from oauth.models import Application
from tests.oauth.flow import Answer, Flow, Json, get_answer, get_hidden

TARGET = "https://client.example/bye"


@pytest.fixture
def op(rp: Flow) -> Flow:
    """A client that has registered where people go after logout."""
    Application.objects.filter(client_id=rp.client_id).update(post_logout_redirect_uris=TARGET)
    return rp


def _rotate(algorithm: str, *, days: float, is_compromised: bool = False) -> None:
    """Let another key sign, and let so much time pass for the keys."""
    rotate_keys(
        now=timezone.now() + timedelta(seconds=1), is_forced=True, is_compromised=is_compromised, algorithm=algorithm
    )
    maintain_keys(now=timezone.now() + timedelta(days=days))


def _log_out(flow: Flow, tokens: Json, **parameters: str) -> Answer:
    return flow.browser.get("/oauth/logout", {"id_token_hint": str(tokens["id_token"]), **parameters})


def _confirm(flow: Flow, page: Answer) -> Answer:
    assert b"Sign out of Gatehouse?" in page.content
    return flow.browser.post("/oauth/logout/confirm", {"request": get_hidden(page, "request"), "decision": "sign_out"})


def _is_signed_in(flow: Flow) -> bool:
    return flow.browser.get("/accounts/profile/").status_code == 200


@pytest.mark.compliance("OpenID RP-Initiated Logout", "2", "an ID token is a hint after its key has left the key set")
@pytest.mark.parametrize("days", [1, 89])
def test_a_hint_is_good_as_long_as_the_session_that_it_is_about_can_last(op: Flow, days: int) -> None:
    tokens = op.get_tokens(scope="openid")
    _rotate("RS256", days=days)
    assert "code" in get_answer(op.open(scope="openid", prompt="none", id_token_hint=str(tokens["id_token"])))
    assert _log_out(op, tokens, post_logout_redirect_uri=TARGET)["Location"] == TARGET
    assert not _is_signed_in(op)


def test_what_verifies_hints_alone_is_not_in_the_key_set(op: Flow, rs256: SigningKey) -> None:
    op.get_tokens(scope="openid")
    _rotate("RS256", days=1)
    shown = {key["kid"] for key in Client().get("/oauth/jwks").json()["keys"]}
    assert rs256.kid not in shown
    assert len(shown) == 3


def test_what_verifies_hints_alone_can_sign_nothing_any_more(op: Flow, rs256: SigningKey) -> None:
    _rotate("RS256", days=1)
    rs256.refresh_from_db()
    assert (rs256.state, bytes(rs256.private_jwk)) == ("withdrawn", b"")


def test_what_verifies_hints_alone_verifies_no_access_token(op: Flow) -> None:
    token = op.get_tokens(scope="openid profile")["access_token"]
    assert op.call_api(token) == 200
    _rotate("ES256", days=1)
    assert op.call_api(token) == 401


def test_a_hint_that_cannot_be_verified_any_more_has_the_person_asked_at_logout(op: Flow) -> None:
    tokens = op.get_tokens(scope="openid")
    _rotate("RS256", days=91)
    page = _log_out(op, tokens, post_logout_redirect_uri=TARGET)
    assert page.status_code == 200
    assert _is_signed_in(op)
    ended = _confirm(op, page)  # nobody knows whose address it is
    assert ended.status_code == 200
    assert TARGET not in ended.content.decode()
    assert not _is_signed_in(op)


def test_the_client_that_a_request_names_beside_it_is_gone_back_to(op: Flow) -> None:
    tokens = op.get_tokens(scope="openid")
    _rotate("RS256", days=91)
    page = _log_out(op, tokens, post_logout_redirect_uri=TARGET, client_id=op.client_id, state="x")
    assert _confirm(op, page)["Location"] == f"{TARGET}?state=x"


def test_an_address_that_is_not_the_named_clients_is_refused_all_the_same(op: Flow) -> None:
    tokens = op.get_tokens(scope="openid")
    _rotate("RS256", days=91)
    page = _log_out(op, tokens, post_logout_redirect_uri=f"{TARGET}/other", client_id=op.client_id)
    assert page.status_code == 400


def test_a_hint_that_cannot_be_verified_any_more_is_no_silent_sign_in(op: Flow, person: User) -> None:
    hint = str(op.get_tokens(scope="openid")["id_token"])
    _rotate("RS256", days=91)
    assert get_answer(op.open(scope="openid", prompt="none", id_token_hint=hint))["error"] == "login_required"
    assert "code" in get_answer(op.open(scope="openid", id_token_hint=hint))


def test_a_key_in_wrong_hands_makes_no_hints(op: Flow) -> None:
    tokens = op.get_tokens(scope="openid")
    _rotate("RS256", days=0, is_compromised=True)
    assert _log_out(op, tokens, post_logout_redirect_uri=TARGET).status_code == 200
    assert _is_signed_in(op)
