"""RFC 9700 §4.11.2: nobody is sent to the address of a client that somebody registered for themselves, unasked."""

from collections.abc import Callable
from html import unescape
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest
from django.conf import settings
from django.db import connection
from django.test import Client

from accounts.models import User
from oauth.models import Application
from tests.oauth.flow import FORM, REDIRECT_URI, Answer, Flow, get_answer, get_hidden
from tests.oauth.walk import Walk, follow, give_password, walk

_FAULTS = {
    "scope": ("nonsense", "invalid_scope"),
    "response_type": ("token", "unsupported_response_type"),
    "code_challenge": (None, "invalid_request"),
    "prompt": ("login none", "invalid_request"),
    "resource": ("https://other.example/", "invalid_target"),
    "request": ("x", "request_not_supported"),
}
#: Of what is wrong with a request: the changed parameter, its value, and the error that follows.
each_fault = pytest.mark.parametrize(
    ("changes", "error"), [pytest.param({name: value}, error, id=name) for name, (value, error) in _FAULTS.items()]
)


@pytest.fixture
def op(rp: Flow, person: User) -> Flow:
    """A client that a person has registered for themselves, and nobody signed in."""
    owner = User.objects.create_user("owner@example.com", None, name="Mallory")
    Application.objects.filter(client_id=rp.client_id).update(user=owner)
    give_password(person)
    rp.browser = Client()
    return rp


def _get_way(page: Answer) -> tuple[str, dict[str, str]]:
    """Return where the link of the page leads, and what the client is told there."""
    text = page.content.decode()
    start = text.index(f'href="{REDIRECT_URI}') + len('href="')
    target = urlsplit(unescape(text[start : text.index('"', start)]))
    return target._replace(query="").geturl(), dict(parse_qsl(target.query))


def _assert_asks(page: Answer, error: str) -> None:
    assert page.status_code == 400
    assert "Location" not in page
    assert b"http-equiv" not in page.content
    assert b"<script" not in page.content
    assert error.encode() in page.content
    assert b"client.example" in page.content


@pytest.mark.compliance("RFC 9700", "4.11.2", "a fault leads nobody to a client that a person registered, unasked")
@each_fault
@pytest.mark.parametrize("is_signed_in", [False, True])
def test_a_fault_shows_where_it_leads_and_leads_nowhere_by_itself(
    op: Flow, person: User, changes: dict[str, str | None], error: str, is_signed_in: bool
) -> None:
    if is_signed_in:
        op.browser.force_login(person)
    page = op.open(**{"scope": "openid", **changes})
    _assert_asks(page, error)
    assert "Mallory" in page.content.decode()
    address, told = _get_way(page)
    assert (address, told["error"], told["iss"]) == (REDIRECT_URI, error, settings.BASE_URL)
    assert told["state"] == "a-state"


def test_what_is_too_long_to_wait_for_a_sign_in_leads_nowhere_by_itself(op: Flow) -> None:
    _assert_asks(op.open(scope="openid", state="s" * 60_000), "invalid_request")


@each_fault
def test_a_fault_of_a_client_of_the_house_is_told_to_it_at_once(
    rp: Flow, changes: dict[str, str | None], error: str
) -> None:
    rp.browser = Client()
    assert get_answer(rp.open(**{"scope": "openid", **changes}))["error"] == error


@pytest.mark.parametrize("prompt", [None, "none"])
def test_a_client_that_is_switched_off_meanwhile_is_sent_nobody(op: Flow, prompt: str | None) -> None:
    left = [Application.objects.filter(client_id=op.client_id)]

    def switch_off_after[R](execute: Callable[..., R], sql: str, *rest: object) -> R:
        result = execute(sql, *rest)
        if left and Application._meta.db_table in sql:
            left.pop().update(is_active=False)
        return result

    with connection.execute_wrapper(switch_off_after):
        page = op.open(scope="nonsense", prompt=prompt)
    assert not left
    assert page.status_code == 400
    assert "Location" not in page
    assert REDIRECT_URI not in page.content.decode()


def test_whom_the_house_spares_the_consent_page_it_trusts_with_errors_too(op: Flow) -> None:
    Application.objects.update(skip_authorization=True)
    assert get_answer(op.open(scope="nonsense"))["error"] == "invalid_scope"


def test_a_form_is_posted_by_a_button_alone(op: Flow) -> None:
    page = op.open(scope="nonsense", response_mode="form_post")
    _assert_asks(page, "invalid_scope")
    assert f'<form method="post" action="{REDIRECT_URI}">' in page.content.decode()
    assert (get_hidden(page, "error"), get_hidden(page, "state")) == ("invalid_scope", "a-state")
    assert "form-action 'self' https://client.example" in page["Content-Security-Policy"]


def test_a_request_that_comes_as_a_form_is_held_to_the_same(op: Flow) -> None:
    body = urlencode(op.build_request(scope="nonsense"))
    _assert_asks(op.browser.generic("POST", "/oauth/authorize", body, FORM), "invalid_scope")


def test_a_stored_request_is_held_to_the_same(op: Flow, person: User) -> None:
    response = op.open(scope="openid", state="s" * 6000)
    Application.objects.filter(client_id=op.client_id).update(allowed_scopes=["profile"])
    form = {"username": person.email, "password": "correct horse battery staple"}
    page = op.browser.get(response["Location"])
    response = op.browser.post("/accounts/login/", {**form, "next": get_hidden(page, "next")})
    _assert_asks(op.browser.get(response["Location"]), "invalid_scope")


@pytest.mark.compliance("RFC 9700", "4.11.2", "a person signs in before they are sent to a client")
def test_a_valid_request_asks_for_a_sign_in_first(op: Flow, person: User) -> None:
    assert op.open(scope="openid")["Location"].startswith("/accounts/login/")
    assert "code" in walk(op, person, scope="openid").answer


def test_another_person_than_the_one_meant_is_not_sent_away_unasked(op: Flow, person: User) -> None:
    other = User.objects.create_user("other@example.com", None)
    claims = f'{{"id_token": {{"sub": {{"value": "{other.pk}"}}}}}}'
    op.browser.force_login(person)
    response = op.open(scope="openid", claims=claims)
    page = op.browser.get(response["Location"])
    form = {"username": person.email, "password": "correct horse battery staple", "next": get_hidden(page, "next")}
    _assert_asks(op.browser.get(op.browser.post("/accounts/login/", form)["Location"]), "login_required")


@pytest.mark.compliance("RFC 9700", "4.11.2", "silent requests are answered at once, as OpenID Connect asks")
def test_a_silent_request_is_answered_at_once(op: Flow, person: User) -> None:
    assert get_answer(op.open(scope="openid", prompt="none"))["error"] == "login_required"
    op.browser.force_login(person)
    assert get_answer(op.open(scope="openid", prompt="none"))["error"] == "consent_required"
    assert get_answer(op.open(scope="nonsense", prompt="none"))["error"] == "invalid_scope"


def test_what_the_person_decides_is_told_at_once(op: Flow, person: User) -> None:
    op.browser.force_login(person)
    assert get_answer(op.decide(op.open(scope="openid"), "deny"))["error"] == "access_denied"
    assert "code" in follow(op.browser, person, op.open(scope="openid"), Walk()).answer
