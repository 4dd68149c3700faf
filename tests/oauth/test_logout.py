"""Logout that clients ask for: whom it signs out, what it ends, whom it asks."""

from urllib.parse import urlencode

import pytest
from django.test import Client
from django.utils import timezone

from accounts.models import Session, User
from oauth.models import Application
from oauth.services import register_client
from permissions.audit import AuditEvent
from tests.oauth.flow import FORM, REDIRECT_URI, Answer, Flow, Json, get_answer, get_hidden

TARGET = "https://client.example/bye"


@pytest.fixture
def op(rp: Flow) -> Flow:
    """A client that has registered where people go after logout."""
    Application.objects.filter(client_id=rp.client_id).update(post_logout_redirect_uris=TARGET)
    return rp


@pytest.fixture
def second(op: Flow, person: User) -> Flow:
    """Another one, in the same browser."""
    client = register_client(
        name="Second relying party",
        client_type="confidential",
        grant_types=["authorization_code", "refresh_token"],
        redirect_uris=[REDIRECT_URI],
        allowed_scopes=["openid", "offline_access"],
    )
    Application.objects.filter(pk=client.application.pk).update(post_logout_redirect_uris=TARGET)
    return Flow(client.application.client_id, client.client_secret, browser=op.browser)


def _log_out(flow: Flow, tokens: Json | None = None, **parameters: str) -> Answer:
    hint = {} if tokens is None else {"id_token_hint": str(tokens["id_token"])}
    return flow.browser.get("/oauth/logout", {**hint, **parameters})


def _is_signed_in(flow: Flow) -> bool:
    return flow.browser.get("/accounts/profile/").status_code == 200


def _answer(flow: Flow, page: Answer, decision: str) -> Answer:
    return flow.browser.post("/oauth/logout/confirm", {"request": get_hidden(page, "request"), "decision": decision})


def test_logout_ends_the_session_on_the_pages_and_what_the_client_has_of_it(op: Flow) -> None:
    tokens = op.get_tokens(scope="openid profile")
    assert op.call_api(tokens["access_token"]) == 200
    assert _log_out(op, tokens, post_logout_redirect_uri=TARGET, state="a b")["Location"] == f"{TARGET}?state=a+b"
    assert not _is_signed_in(op)
    assert op.call_api(tokens["access_token"]) == 401
    assert not Session.objects.filter(revoked_at=None).exists()
    assert AuditEvent.objects.get(event="client.logged_out").data["sessions"] == 1


def test_no_byte_of_the_query_of_an_address_after_logout_is_changed(op: Flow) -> None:
    target = f"{TARGET}?a=%7e1&b=&c=x%20y&d=/%2f&e"
    Application.objects.filter(client_id=op.client_id).update(post_logout_redirect_uris=target)
    response = _log_out(op, op.get_tokens(scope="openid"), post_logout_redirect_uri=target, state="a b")
    assert response["Location"] == f"{target}&state=a+b"


def test_what_the_client_may_do_while_the_person_is_away_goes_on(op: Flow) -> None:
    tokens = op.get_tokens(scope="openid offline_access profile")
    _log_out(op, tokens)
    assert not _is_signed_in(op)
    assert op.call_api(tokens["access_token"]) == 200
    assert op.refresh(tokens["refresh_token"]).status_code == 200


def test_a_scope_that_only_looks_like_that_spares_nothing(op: Flow) -> None:
    tokens = op.get_tokens(scope="openid profile")
    Session.objects.filter(kind=Session.Kind.CLIENT).update(scope="openid offline_accesses not_offline_access")
    _log_out(op, tokens)
    assert not Session.objects.filter(kind=Session.Kind.CLIENT, revoked_at=None).exists()


@pytest.mark.compliance("Security", "B17", "logout ends nothing of other clients and other devices, and answers twice")
def test_a_second_client_logs_out_after_the_first(op: Flow, second: Flow) -> None:
    first, other = op.get_tokens(scope="openid profile"), second.get_tokens(scope="openid")
    assert _log_out(op, first, post_logout_redirect_uri=TARGET).status_code == 302
    living = Session.objects.filter(kind=Session.Kind.CLIENT, revoked_at=None)
    assert [session.client_id for session in living] == [second.client_id]
    response = _log_out(second, other, post_logout_redirect_uri=TARGET, state="x")
    assert response["Location"] == f"{TARGET}?state=x"
    assert not living.all().exists()


def test_logout_on_one_device_leaves_another_alone(op: Flow, person: User) -> None:
    elsewhere = Flow(op.client_id, op.secret, browser=Client())
    elsewhere.browser.force_login(person)
    here, there = op.get_tokens(scope="openid profile"), elsewhere.get_tokens(scope="openid profile")
    _log_out(op, here)
    assert _is_signed_in(elsewhere)
    assert elsewhere.call_api(there["access_token"]) == 200


def test_a_hint_from_another_session_is_asked_about(op: Flow, person: User) -> None:
    tokens = op.get_tokens(scope="openid")
    op.browser = Client()
    op.browser.force_login(person)
    page = _log_out(op, tokens, post_logout_redirect_uri=TARGET)
    assert page.status_code == 200
    assert _is_signed_in(op)
    assert _answer(op, page, "sign_out")["Location"] == TARGET
    assert not _is_signed_in(op)


def test_a_hint_at_somebody_else_is_asked_about(op: Flow) -> None:
    tokens = op.get_tokens(scope="openid")
    other = User.objects.create(email="other@example.com", email_verified_at=timezone.now())
    op.browser = Client()
    op.browser.force_login(other)
    page = _log_out(op, tokens)
    assert b"other@example.com" in page.content
    assert _is_signed_in(op)


def test_who_stays_signed_in_is_sent_nowhere(op: Flow) -> None:
    page = _log_out(op, client_id=op.client_id, post_logout_redirect_uri=TARGET)
    assert b"<bdi>Example relying party</bdi> asks to sign you out" in page.content
    for decision in ("stay", "perhaps", ""):
        assert _answer(op, page, decision)["Location"] == "/"
    assert _is_signed_in(op)


def test_who_confirms_is_sent_to_the_client_that_the_request_names(op: Flow) -> None:
    page = _log_out(op, client_id=op.client_id, post_logout_redirect_uri=TARGET, state="x")
    assert "form-action 'self' https://client.example;" in page["Content-Security-Policy"] + ";"
    assert _answer(op, page, "sign_out")["Location"] == f"{TARGET}?state=x"


def test_nobody_is_redirected_on_a_mere_name_without_being_asked(op: Flow) -> None:
    op.browser = Client()
    page = _log_out(op, client_id=op.client_id, post_logout_redirect_uri=TARGET, state='"><script>')
    assert page.status_code == 200
    assert f'href="{TARGET}?state=%22%3E%3Cscript%3E"' in page.content.decode()


@pytest.mark.compliance("RFC 9700", "4.11.2", "The logout endpoint redirects nobody at once who wasn't signed in here")
def test_who_was_not_signed_in_is_sent_at_once_to_a_client_of_the_house_only(op: Flow) -> None:
    tokens = op.get_tokens(scope="openid")
    asked = {"id_token_hint": str(tokens["id_token"]), "post_logout_redirect_uri": TARGET}
    assert Client().get("/oauth/logout", asked)["Location"] == TARGET
    owner = User.objects.create(email="owner@example.com", name="Olga", email_verified_at=timezone.now())
    Application.objects.filter(client_id=op.client_id).update(user=owner)
    page = Client().get("/oauth/logout", asked)
    assert page.status_code == 200
    assert f'href="{TARGET}"' in page.content.decode()
    assert op.browser.get("/oauth/logout", asked)["Location"] == TARGET  # who was signed in asked for it


@pytest.mark.compliance("Security", "D12", "an unknown client at the logout endpoint is no error of the server")
@pytest.mark.parametrize(
    "parameters",
    [
        {"client_id": "nobody"},
        {"id_token_hint": "x"},
        {"post_logout_redirect_uri": TARGET},
        {"client_id": "RP", "post_logout_redirect_uri": "https://evil.example/"},
        {"client_id": "RP", "post_logout_redirect_uri": REDIRECT_URI},
        {"client_id": "RP", "post_logout_redirect_uri": "javascript:alert(1)"},
        {"client_id": "RP\n"},
    ],
)
def test_a_request_that_cannot_be_trusted_ends_on_our_own_page(op: Flow, parameters: dict[str, str]) -> None:
    named = {name: value.replace("RP", op.client_id) for name, value in parameters.items()}
    page = op.browser.get("/oauth/logout", named)
    assert page.status_code == 400
    assert b"<h1>" in page.content
    assert _is_signed_in(op)


def test_a_hint_for_another_client_than_the_one_named_is_refused(op: Flow, second: Flow) -> None:
    assert _log_out(op, op.get_tokens(scope="openid"), client_id=second.client_id).status_code == 400


def test_an_access_token_is_no_hint(op: Flow) -> None:
    tokens = op.get_tokens(scope="openid")
    assert op.browser.get("/oauth/logout", {"id_token_hint": tokens["access_token"]}).status_code == 400


def test_a_repeated_parameter_is_refused(op: Flow) -> None:
    assert op.browser.get("/oauth/logout?state=a&state=b").status_code == 400


def test_a_client_may_post_without_a_csrf_token(op: Flow) -> None:
    tokens = op.get_tokens(scope="openid")
    body = urlencode({"id_token_hint": tokens["id_token"], "post_logout_redirect_uri": TARGET, "ui_locales": "de"})
    elsewhere = Client(enforce_csrf_checks=True)  # browsers send no cookies with a form from elsewhere
    response = elsewhere.generic("POST", "/oauth/logout", body, FORM)
    assert response["Location"].startswith("/oauth/logout?id_token_hint=")
    assert _is_signed_in(op)
    assert op.browser.get(response["Location"])["Location"] == TARGET
    assert not _is_signed_in(op)


def test_the_answer_of_the_person_needs_a_csrf_token(op: Flow, person: User) -> None:
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(person)
    assert browser.post("/oauth/logout/confirm", {"decision": "sign_out"}).status_code == 403
    assert browser.get("/oauth/logout/confirm").status_code == 405


@pytest.mark.parametrize("signed", ["", "x", "x:y:z"])
def test_a_page_that_was_changed_is_refused(op: Flow, signed: str) -> None:
    response = op.browser.post("/oauth/logout/confirm", {"request": signed, "decision": "sign_out"})
    assert response.status_code == 400
    assert _is_signed_in(op)


def test_a_client_that_is_switched_off_sends_nobody_anywhere(op: Flow) -> None:
    tokens = op.get_tokens(scope="openid")
    application = Application.objects.get(client_id=op.client_id)
    application.is_active = False
    application.save()
    assert _log_out(op, tokens, post_logout_redirect_uri=TARGET).status_code == 400


def test_the_answers_are_kept_nowhere(op: Flow) -> None:
    for response in (_log_out(op), _log_out(op, client_id="nobody")):
        assert response["Cache-Control"] == "no-store"


def test_after_logout_the_client_has_to_ask_for_a_sign_in(op: Flow) -> None:
    _log_out(op, op.get_tokens(scope="openid"))
    assert get_answer(op.open(scope="openid", prompt="none"))["error"] == "login_required"
