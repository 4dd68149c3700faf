"""The authorization endpoint: what it asks of the person, what it takes from clients, and how it answers."""

import json
import re
from datetime import timedelta
from itertools import takewhile
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

import pytest
from django.conf import settings
from django.test import Client
from django.utils import timezone
from joserfc import jwt

from accounts import keys
from accounts.models import Session, User
from accounts.tokens import read_access_token
from oauth.models import Application, Grant, StoredRequest
from tests.oauth.flow import CHALLENGE, FORM, REDIRECT_URI, Answer, Flow, get_answer, get_hidden
from tests.oauth.walk import PASSWORD, Walk, follow, give_password, walk, walk_by_form


@pytest.fixture
def op(rp: Flow, person: User) -> Flow:
    """A client whose person has a password and is not signed in."""
    give_password(person)
    rp.browser = Client()
    return rp


@pytest.fixture
def other(db: None) -> User:
    """Somebody else."""
    return User.objects.create(email="other@example.com", email_verified_at=timezone.now())


def _get_id_token(rp: Flow) -> str:
    return str(rp.get_tokens(scope="openid")["id_token"])


def _sign(claims: dict[str, object], **header: str) -> str:
    signer = keys.get_active_key()
    return jwt.encode(
        {"alg": signer.algorithm, "kid": signer.kid, **header}, claims, signer.key, registry=keys.REGISTRY
    )


def _make_hint(rp: Flow, **changes: object) -> str:
    """Return an ID token that expired long ago."""
    claims: dict[str, object] = {"iss": settings.BASE_URL, "aud": rp.client_id, "sub": "nobody", "exp": 1, "iat": 1}
    return _sign({**claims, **changes})


# --- What the person is asked ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("prompt", ["none login", "none consent", "consent none", "create", "NONE", "login other"])
def test_a_prompt_that_is_unknown_or_contradicts_itself_is_refused(rp: Flow, prompt: str) -> None:
    assert get_answer(rp.open(scope="openid", prompt=prompt))["error"] == "invalid_request"


@pytest.mark.compliance("Security", "B5", "prompt=consent and prompt=select_account are heeded")
@pytest.mark.parametrize("prompt", ["consent", "select_account", "consent select_account"])
def test_a_person_is_shown_the_page_again_where_the_client_asks_for_it(rp: Flow, prompt: str) -> None:
    rp.get_tokens(scope="openid")
    Application.objects.update(skip_authorization=True)
    page = rp.open(scope="openid", prompt=prompt)
    assert page.status_code == 200
    assert b"Switch account" in page.content
    assert "code" in get_answer(rp.decide(page))


@pytest.mark.compliance("Security", "B5", "prompt=none is answered where somebody is signed in")
@pytest.mark.compliance("Security", "D6", "prompt=none is answered where somebody is signed in")
def test_a_person_who_has_not_allowed_it_is_not_let_through_in_silence(rp: Flow) -> None:
    assert get_answer(rp.open(scope="openid", prompt="none"))["error"] == "consent_required"
    rp.get_tokens(scope="openid")
    assert get_answer(rp.open(scope="openid email", prompt="none"))["error"] == "consent_required"
    assert "code" in get_answer(rp.open(scope="openid", prompt="none"))


def test_an_age_of_zero_asks_for_a_sign_in_like_a_prompt_does(op: Flow, person: User) -> None:
    walk(op, person, scope="openid")
    assert walk(op, person, scope="openid", max_age="0").pages == ["reauthenticate"]
    assert walk(op, person, scope="openid", max_age="0").pages == ["reauthenticate"]


@pytest.mark.compliance("Security", "B5", "max_age is heeded")
@pytest.mark.compliance("Security", "D7", "max_age is heeded")
def test_a_sign_in_that_is_too_old_is_no_silent_one(rp: Flow, person: User) -> None:
    rp.get_tokens(scope="openid")
    Session.objects.filter(user=person).update(authenticated_at=timezone.now() - timedelta(minutes=5))
    assert get_answer(rp.open(scope="openid", prompt="none", max_age="299"))["error"] == "login_required"
    assert "code" in get_answer(rp.open(scope="openid", prompt="none", max_age="400"))


@pytest.mark.parametrize("max_age", ["-1", "1.5", "x", "\uff11", "1" * 11, " 1"])
def test_an_age_that_is_no_number_of_seconds_is_refused(rp: Flow, max_age: str) -> None:
    assert get_answer(rp.open(scope="openid", max_age=max_age))["error"] == "invalid_request"


@pytest.mark.compliance("Security", "B5", "the time of the sign-in is that of the session")
def test_the_code_knows_when_and_how_the_person_signed_in(rp: Flow, person: User) -> None:
    Session.objects.update(authenticated_at=timezone.now() - timedelta(hours=1), amr="pwd otp")
    rp.get_code(scope="openid", nonce="n", claims='{"id_token":{"name":null}}')
    grant, session = Grant.objects.get(), Session.objects.get(user=person)
    assert (grant.authenticated_at, grant.amr, grant.opened_in_id) == (session.authenticated_at, "pwd otp", session.pk)
    assert (grant.nonce, grant.claims) == ("n", '{"id_token":{"name":null}}')


# --- Hints -----------------------------------------------------------------------------------------------------------


def test_a_hint_that_expired_long_ago_is_a_hint(rp: Flow, person: User) -> None:
    rp.get_tokens(scope="openid")
    hint = _make_hint(rp, sub=str(person.pk))
    assert "code" in get_answer(rp.open(scope="openid", prompt="none", id_token_hint=hint))


@pytest.mark.compliance("Security", "B5", "the hint at a person is checked")
@pytest.mark.compliance("Security", "D7", "the hint at a person is checked")
def test_a_hint_at_somebody_else_is_no_silent_sign_in(rp: Flow, other: User) -> None:
    rp.get_tokens(scope="openid")
    hint = _make_hint(rp, sub=str(other.pk))
    assert get_answer(rp.open(scope="openid", prompt="none", id_token_hint=hint))["error"] == "login_required"


def test_a_hint_at_somebody_else_leads_to_sign_in_and_then_no_further(op: Flow, person: User, other: User) -> None:
    walk(op, person, scope="openid")
    done = walk(op, person, scope="openid", id_token_hint=_make_hint(op, sub=str(other.pk)))
    assert (done.pages, done.answer["error"]) == (["sign in"], "login_required")


def test_a_hint_at_who_signs_in_then_is_answered(op: Flow, person: User, other: User) -> None:
    op.browser.force_login(other)
    done = walk(op, person, scope="openid", id_token_hint=_make_hint(op, sub=str(person.pk)))
    assert done.pages == ["sign in", "consent"]
    assert op.exchange(done.answer["code"]).status_code == 200


@pytest.mark.parametrize("kind", ["other client", "other issuer", "access token", "no token", "unsigned", "tampered"])
def test_a_hint_that_is_no_id_token_for_the_client_is_refused(rp: Flow, web: Flow, person: User, kind: str) -> None:
    tokens = rp.get_tokens(scope="openid")
    head, body, signature = str(tokens["id_token"]).split(".")
    hint = {
        "other client": _make_hint(web, sub=str(person.pk)),
        "other issuer": _make_hint(rp, sub=str(person.pk), iss="https://evil.example"),
        "access token": str(tokens["access_token"]),
        "no token": "x",
        "unsigned": f"eyJhbGciOiJub25lIn0.{body}.",
        "tampered": f"{head}.{body}.{signature[:-6]}AAAAAA",
    }[kind]
    answer = get_answer(rp.open(scope="openid", prompt="none", id_token_hint=hint))
    assert answer["error"] == "invalid_request"


def test_a_subject_in_the_claims_counts_like_a_hint(rp: Flow, person: User, other: User) -> None:
    rp.get_tokens(scope="openid")
    mine, theirs = (json.dumps({"id_token": {"sub": {"value": str(one.pk)}}}) for one in (person, other))
    assert "code" in get_answer(rp.open(scope="openid", prompt="none", claims=mine))
    assert get_answer(rp.open(scope="openid", prompt="none", claims=theirs))["error"] == "login_required"
    both = rp.open(scope="openid", claims=theirs, id_token_hint=_make_hint(rp, sub=str(person.pk)))
    assert get_answer(both)["error"] == "invalid_request"


def test_a_login_hint_is_shown_as_text(op: Flow) -> None:
    response = op.open(scope="openid", login_hint='"><script>alert(1)</script>')
    assert b"<script" not in op.browser.get(response["Location"]).content


# --- What is asked for -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "claims",
    ["x", "[]", '"x"', "{", "[" * 3000, '{"id_token": []}', '{"userinfo": {"sub": 1}}', json.dumps({"x": "y" * 4000})],
)
def test_claims_that_cannot_be_read_are_refused(rp: Flow, claims: str) -> None:
    answer = get_answer(rp.open(scope="openid", claims=claims))
    assert answer["error"] == "invalid_request"
    assert not set(answer["error_description"]) & set('"\\')


def test_who_asks_for_a_claim_asks_for_its_scope(rp: Flow) -> None:
    page = rp.open(scope="openid", claims='{"userinfo":{"email":null}}')
    assert b"See your e-mail address" in page.content
    assert rp.exchange(get_answer(rp.decide(page))["code"]).json()["scope"] == "openid email"


def test_a_kind_of_sign_in_that_there_is_not_is_refused_where_it_is_essential(rp: Flow) -> None:
    essential = {"essential": True, "values": ["urn:gold"]}
    answer = get_answer(rp.open(scope="openid", claims=json.dumps({"id_token": {"acr": essential}})))
    assert answer["error"] == "unmet_authentication_requirements"
    assert rp.open(scope="openid", claims=json.dumps({"id_token": {"acr": {"value": "urn:gold"}}})).status_code == 200


def test_a_nonce_has_a_longest_length(rp: Flow) -> None:
    assert get_answer(rp.open(scope="openid", nonce="n" * 256))["error"] == "invalid_request"
    rp.get_code(scope="openid", nonce="n" * 255)
    assert Grant.objects.get().nonce == "n" * 255


@pytest.mark.compliance("RFC 8707", "2.1", "an audience that the client may not have is refused as invalid_target")
@pytest.mark.parametrize(
    "resource", ["https://other.example/", "https://files.example/API", "urn:x", "files", "https://files.example/api#f"]
)
def test_an_audience_that_is_not_the_clients_is_refused(flow: Flow, resource: str) -> None:
    Application.objects.update(allowed_resources=["https://files.example/api"])
    assert get_answer(flow.open(resource=resource))["error"] == "invalid_target"


@pytest.mark.compliance("RFC 8707", "2", "several audiences may be asked for, and the token names what was allowed")
def test_several_audiences_may_be_asked_for(flow: Flow) -> None:
    Application.objects.update(allowed_resources=["https://files.example/api"])
    several = [("resource", "https://files.example/api"), ("resource", settings.BASE_URL)]
    page = flow.browser.get("/oauth/authorize", [*flow.build_request().items(), *several])
    token = flow.exchange(get_answer(flow.decide(page))["code"]).json()["access_token"]
    assert read_access_token(token, now=timezone.now()).audience == ("https://files.example/api", settings.BASE_URL)


def test_one_of_several_audiences_that_is_not_the_clients_spoils_them_all(flow: Flow) -> None:
    Application.objects.update(allowed_resources=["https://files.example/api"])
    several = [("resource", "https://files.example/api"), ("resource", "https://other.example/")]
    response = flow.browser.get("/oauth/authorize", [*flow.build_request().items(), *several])
    assert get_answer(response)["error"] == "invalid_target"


# --- Long requests ---------------------------------------------------------------------------------------------------


def _open_long(op: Flow, **changes: str | None) -> Answer:
    return op.open(scope="openid", state="s" * 6000, **changes)


def test_a_long_request_is_stored_once_and_comes_back_with_its_proof(op: Flow, person: User) -> None:
    done = follow(op.browser, person, _open_long(op, prompt="login"), Walk())
    assert done.pages == ["sign in", "consent"]
    assert done.answer["state"] == "s" * 6000
    assert StoredRequest.objects.count() == 1


def test_a_long_request_that_comes_as_a_form_is_stored_once(op: Flow, person: User) -> None:
    done = walk_by_form(op, person, scope="openid", state="s" * 6000)
    assert done.answer["state"] == "s" * 6000
    assert StoredRequest.objects.count() == 1


def test_a_handle_is_stored_hashed_and_opens_nothing_in_another_browser(op: Flow) -> None:
    response = _open_long(op)
    back = parse_qs(urlsplit(response["Location"]).query)["next"][0]
    handle = parse_qs(urlsplit(back).query)["request_handle"][0]
    row = StoredRequest.objects.get()
    assert handle not in row.digest
    assert handle not in json.dumps(row.parameters)
    assert Client().get(back).status_code == 400
    assert op.browser.get(back).status_code == 302


def test_a_handle_works_for_ten_minutes(op: Flow) -> None:
    back = parse_qs(urlsplit(_open_long(op)["Location"]).query)["next"][0]
    row = StoredRequest.objects.get()
    assert row.expires_at - row.created_at == timedelta(minutes=10)
    StoredRequest.objects.update(expires_at=timezone.now())
    page = op.browser.get(back)
    assert page.status_code == 400
    assert b"begin again" in page.content


def test_what_has_waited_in_vain_goes_with_the_next(op: Flow) -> None:
    for _ in range(3):
        _open_long(op)
    StoredRequest.objects.update(expires_at=timezone.now())
    _open_long(op)
    assert StoredRequest.objects.count() == 1


def test_the_cookie_is_for_these_pages_alone(op: Flow) -> None:
    cookie = _open_long(op).cookies["authorization"]
    assert (cookie["path"], cookie["samesite"], cookie["httponly"]) == ("/oauth/", "Lax", True)


def test_a_request_that_is_too_long_is_refused(op: Flow) -> None:
    response = op.open(scope="openid", state="s" * 60_000)
    assert get_answer(response)["error"] == "invalid_request"
    assert not StoredRequest.objects.exists()


def test_one_address_cannot_have_stored_as_much_as_it_likes(op: Flow) -> None:
    statuses = list(takewhile(lambda status: status == 302, (_open_long(op).status_code for _ in range(200))))
    assert 60 <= len(statuses) < 200  # by time, some are forgiven
    assert _open_long(op).status_code == 429
    assert StoredRequest.objects.count() == len(statuses)


def test_a_refused_request_is_not_stored(op: Flow) -> None:
    _open_long(op, client_id="nobody")
    _open_long(op, prompt="none")
    assert not StoredRequest.objects.exists()


# --- Requests by form ------------------------------------------------------------------------------------------------


def test_a_form_from_elsewhere_needs_no_csrf_token_and_loses_no_session(rp: Flow) -> None:
    rp.get_tokens(scope="openid")
    stranger = Client(enforce_csrf_checks=True)  # browsers send no cookies with it
    body = urlencode(rp.build_request(scope="openid", prompt="none"))
    response = stranger.generic("POST", "/oauth/authorize", body, FORM)
    assert response["Location"].startswith("/oauth/authorize?")
    assert "code" in get_answer(rp.browser.get(response["Location"]))


def test_the_faults_of_a_form_are_told_as_ever(rp: Flow) -> None:
    body = urlencode(rp.build_request(scope="openid", prompt="x"))
    assert get_answer(Client().generic("POST", "/oauth/authorize", body, FORM))["error"] == "invalid_request"
    for content_type in ("application/json", "text/plain"):
        assert Client().generic("POST", "/oauth/authorize", "{}", content_type).status_code == 400


@pytest.mark.parametrize("method", ["put", "delete", "patch"])
def test_other_methods_are_refused(method: str, db: None) -> None:
    assert getattr(Client(), method)("/oauth/authorize").status_code == 405


def test_a_decision_is_taken_by_post_alone(rp: Flow) -> None:
    assert rp.browser.get("/oauth/consent").status_code == 405


# --- Answers ---------------------------------------------------------------------------------------------------------


def test_a_form_for_the_client_goes_to_its_address_and_nowhere_else(rp: Flow) -> None:
    page = rp.decide(rp.open(scope="openid", response_mode="form_post", state='"><script>x</script>'))
    text = page.content.decode()
    assert page.status_code == 200
    assert f'<form method="post" action="{REDIRECT_URI}">' in text
    assert get_hidden(page, "state") == '"><script>x</script>'
    assert get_hidden(page, "iss") == settings.BASE_URL
    assert get_hidden(page, "code")
    assert "<script>x" not in text
    assert "csrfmiddlewaretoken" not in text
    policy = page["Content-Security-Policy"]
    assert "form-action 'self' https://client.example;" in policy + ";"
    assert "unsafe-inline" not in policy
    assert page["Cache-Control"] == "no-store"


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"prompt": "none", "scope": "openid email"}, "consent_required"),
        ({"scope": "nonsense"}, "invalid_scope"),
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"prompt": "x"}, "invalid_request"),
        ({"request": "x"}, "request_not_supported"),
    ],
)
def test_errors_are_posted_too(rp: Flow, changes: dict[str, str | None], error: str) -> None:
    page = rp.open(**{"scope": "openid", "response_mode": "form_post", **changes})
    assert get_hidden(page, "error") == error
    assert get_hidden(page, "state") == "a-state"
    assert get_hidden(page, "iss") == settings.BASE_URL


def test_a_refusal_by_the_person_is_posted_too(rp: Flow) -> None:
    page = rp.decide(rp.open(scope="openid", response_mode="form_post"), "deny")
    assert get_hidden(page, "error") == "access_denied"


@pytest.mark.compliance("RFC 6749", "3.1.2", "the query of a redirect URI stays as it is")
def test_the_query_of_a_redirect_uri_stays_as_it_is(rp: Flow) -> None:
    rp.redirect_uri = f"{REDIRECT_URI}?a=1&b="
    Application.objects.update(redirect_uris=rp.redirect_uri)
    response = rp.decide(rp.open(scope="openid"))
    assert response["Location"].startswith(f"{rp.redirect_uri}&code=")
    page = rp.open(scope="openid", response_mode="form_post")
    fields = dict(re.findall(r'type="hidden" name="([^"]*)"()', page.content.decode()))
    assert set(fields) == {"code", "state", "iss"}
    assert f'action="{REDIRECT_URI}?a=1&amp;b="' in page.content.decode()


@pytest.mark.compliance("RFC 6749", "3.1.2", "the query of a redirect URI is retained byte for byte")
@pytest.mark.parametrize("query", ["?a=%7e1&b=&c=x%20y&d=/%2f&e;f&&g=%C3%BC", "?", "?a=1&", "?a", ""])
def test_no_byte_of_the_query_of_a_redirect_uri_is_changed(rp: Flow, query: str) -> None:
    rp.redirect_uri = f"{REDIRECT_URI}{query}"
    Application.objects.update(redirect_uris=rp.redirect_uri)
    joint = "" if query[-1:] in {"?", "&"} else "&" if query else "?"
    granted = rp.decide(rp.open(scope="openid"))["Location"]
    refused = rp.open(scope="openid email", prompt="none")["Location"]
    for location, first in ((granted, "code"), (refused, "error")):
        assert location.startswith(f"{rp.redirect_uri}{joint}{first}=")
        told = dict(parse_qsl(location.removeprefix(f"{rp.redirect_uri}{joint}")))
        assert (told["state"], told["iss"]) == ("a-state", settings.BASE_URL)


def test_after_sign_in_a_page_sends_the_person_back(op: Flow, person: User) -> None:
    walk(op, person, scope="openid")
    response = op.open(scope="openid", prompt="login", state='"&<')
    form = {"password": PASSWORD, "next": parse_qs(urlsplit(response["Location"]).query)["next"][0]}
    back = op.browser.post("/accounts/reauthenticate/", form)["Location"]
    page = op.browser.get(back)
    assert page.status_code == 200
    assert re.search(rf'content="0; url={REDIRECT_URI}\?code=\w+&amp;state=%22%26%3C&amp;iss=', page.content.decode())
    assert page["Cache-Control"] == "no-store"
    assert page["Referrer-Policy"] == "same-origin"


def test_no_script_of_another_origin_may_read_an_answer(rp: Flow) -> None:
    response = rp.browser.get(
        "/oauth/authorize", rp.build_request(scope="openid"), headers={"Origin": "https://x.example"}
    )
    assert "Access-Control-Allow-Origin" not in response


@pytest.mark.parametrize(
    ("changes", "way_out"),
    [
        ({"code_challenge": None}, "Send a code_challenge, with S256"),
        ({"code_challenge_method": None}, "Send a code_challenge, with S256"),
        ({"code_challenge_method": "plain"}, "Send a code_challenge, with S256"),
        ({"scope": "openid nosuch"}, "may not ask for nosuch"),
        ({"scope": "openid https://evil.example"}, "may not ask for such a scope"),
        ({"response_type": "token", "code_challenge": None}, "Use code as the response_type"),
        ({"response_type": None, "code_challenge": None}, "Missing response_type"),
    ],
)
def test_a_client_is_told_the_way_out(rp: Flow, changes: dict[str, str | None], way_out: str) -> None:
    assert way_out in get_answer(rp.open(**changes))["error_description"]


def test_a_page_says_that_an_address_is_not_registered(rp: Flow) -> None:
    response = rp.open(redirect_uri="https://elsewhere.example/callback")
    assert response.status_code == 400
    assert "not among those that this client has registered" in response.text


@pytest.mark.parametrize("challenge", [None, CHALLENGE])
def test_a_client_that_may_ask_nobody_is_told_so_whatever_else_is_wrong(rp: Flow, challenge: str | None) -> None:
    Application.objects.filter(client_id=rp.client_id).update(grant_types=["client_credentials"])
    told = get_answer(rp.open(code_challenge=challenge))
    assert (told["error"], told["error_description"]) == (
        "unauthorized_client", "The client is not registered for that grant type.",
    )  # fmt: skip
