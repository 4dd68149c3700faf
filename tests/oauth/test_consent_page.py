"""The consent page: what it says, and that nothing but what it says can be allowed."""

import re
from datetime import timedelta
from html import unescape

import pytest
from django.conf import settings
from django.core import signing
from django.test import Client
from django.utils import timezone
from django.utils.formats import date_format

from accounts.models import User
from oauth.models import Application, Consent
from oauth.services import RegisteredClient
from permissions.audit import AuditEvent
from tests.oauth.flow import Flow, get_answer, get_hidden


def _read(flow: Flow, **changes: str | None) -> str:
    return unescape(flow.open(**changes).content.decode())


def _list_scopes(text: str) -> list[str]:
    return re.findall(r"<li>(.*?)</li>", text[text.index('<ul class="scopes"') :])


def test_the_page_names_client_account_and_destination(flow: Flow) -> None:
    text = _read(flow)
    assert "Example app" in text
    assert "app.example" in text
    assert "person@example.com" in text
    assert "client.example" in text


def test_the_page_names_the_scopes_as_sentences_the_powerful_ones_first(flow: Flow) -> None:
    items = _list_scopes(_read(flow, scope="profile roles:write"))
    assert items[0].startswith("Create roles, and change who has which role")
    assert "powerful" in items[0]
    assert items[1] == "See your name and your e-mail address"


def test_a_loopback_address_is_named_as_this_computer(flow: Flow) -> None:
    Application.objects.update(redirect_uris="http://127.0.0.1/callback")
    text = _read(flow, redirect_uri="http://127.0.0.1:49152/callback")
    assert "this computer" in text


def test_both_answers_look_the_same(flow: Flow) -> None:
    buttons = re.findall(r'<button class="([^"]*)" name="decision" value="(\w+)"', _read(flow))
    assert {value for _, value in buttons} == {"allow", "deny"}
    assert len({look for look, _ in buttons}) == 1


def test_enter_does_not_allow_by_surprise(flow: Flow) -> None:
    text = _read(flow)
    form = text[text.index('action="/oauth/consent"') :]
    assert form.index('value="deny"') < form.index('value="allow"')
    assert "autofocus" not in text
    assert not re.search(r'<input(?![^>]*type="hidden")', form)


def test_the_page_is_not_cached(flow: Flow) -> None:
    assert flow.open()["Cache-Control"] == "no-store"


def test_the_page_may_send_its_form_on_to_the_client_only(flow: Flow) -> None:
    policy = flow.open()["Content-Security-Policy"]
    assert "form-action 'self' https://client.example https://app.example;" in policy + ";"
    assert "frame-ancestors 'none'" in policy


def test_the_client_may_go_on_to_its_other_addresses(flow: Flow) -> None:
    Application.objects.update(
        redirect_uris="https://client.example/callback https://api.client.example/callback",
        allowed_origins="https://spa.client.example",
    )
    policy = flow.open()["Content-Security-Policy"]
    sources = "'self' https://client.example https://api.client.example https://spa.client.example https://app.example"
    assert f"form-action {sources};" in policy + ";"


def test_an_address_that_the_policy_cannot_name_is_let_through_by_its_scheme(flow: Flow) -> None:
    Application.objects.update(redirect_uris="http://[::1]/callback")
    policy = flow.open(redirect_uri="http://[::1]:5000/callback")["Content-Security-Policy"]
    assert "form-action 'self' http: https://app.example;" in policy + ";"


@pytest.mark.compliance("RFC 6749", "10.14", "what a client sends is shown as text")
def test_markup_in_a_name_or_state_is_shown_as_text(flow: Flow) -> None:
    Application.objects.update(name="<script>alert(1)</script>")
    content = flow.open(state='"><script>x</script>').content
    assert b"<script" not in content


@pytest.mark.compliance("RFC 6749", "10.14", "an error page shows what was sent as text")
def test_an_error_page_shows_nothing_as_markup(flow: Flow) -> None:
    assert b"<script" not in flow.open(redirect_uri="https://x/<script>").content


def test_switching_the_account_signs_out_and_comes_back(flow: Flow) -> None:
    page = flow.open(state="s" * 3000)
    response = flow.browser.post("/accounts/logout/", {"next": get_hidden(page, "next")})
    assert response["Location"] == get_hidden(page, "next")
    response = flow.browser.get(response["Location"])
    assert response["Location"].startswith("/accounts/login/?next=/oauth/authorize%3Frequest_handle%3D")


def test_a_long_request_survives_sign_in(flow: Flow, person: User) -> None:
    person.set_password("correct horse battery")
    person.save()
    browser = Client()
    response = browser.get("/oauth/authorize", flow.build_request(state="s" * 20_000))
    assert len(response["Location"]) < 500
    page = browser.get(response["Location"])
    form = {"username": person.email, "password": "correct horse battery", "next": get_hidden(page, "next")}
    response = browser.post("/accounts/login/", form)
    flow.browser = browser
    assert get_answer(flow.decide(browser.get(response["Location"])))["state"] == "s" * 20_000


def test_what_was_allowed_is_not_asked_again(flow: Flow) -> None:
    flow.get_tokens(scope="profile users:read")
    assert "code" in get_answer(flow.open(scope="users:read"))


@pytest.mark.compliance("Security", "B16", "no parameter of a client takes the question away")
@pytest.mark.compliance("Security", "D8", "no parameter of a client takes the question away")
@pytest.mark.parametrize("prompt", ["auto", "force"])
def test_what_the_client_would_like_about_being_asked_does_not_count(flow: Flow, prompt: str) -> None:
    assert flow.open(approval_prompt=prompt).status_code == 200
    flow.get_tokens()
    assert "code" in get_answer(flow.open(approval_prompt=prompt))
    assert flow.open(scope="profile roles:write", approval_prompt=prompt).status_code == 200


def test_more_is_asked_for_and_marked_as_new(flow: Flow) -> None:
    flow.get_tokens(scope="profile")
    items = _list_scopes(_read(flow, scope="profile users:read"))
    marked = {item.split(" <")[0]: ">new<" in item for item in items}
    assert marked == {
        "See your name and your e-mail address": False,
        "See the list of users and their roles": True,
    }


def test_nothing_is_marked_as_new_where_nothing_is_old(flow: Flow) -> None:
    assert 'class="badge">new' not in _read(flow, scope="profile users:read")


def test_a_consent_that_has_run_out_is_asked_for_again(flow: Flow) -> None:
    flow.get_tokens()
    Consent.objects.update(expires_at=timezone.now())
    assert flow.open().status_code == 200


def test_another_audience_is_asked_for_and_named(flow: Flow) -> None:
    Application.objects.update(allowed_resources=["https://files.example/api", "https://mail.example/"])
    flow.get_tokens()
    both = [("resource", "https://files.example/api"), ("resource", "https://mail.example/")]
    page = flow.browser.get("/oauth/authorize", [*flow.build_request().items(), *both])
    text = page.content.decode()
    assert "<strong>files.example</strong> and <strong>mail.example</strong>" in text
    assert "code" in get_answer(flow.decide(page))
    assert Consent.objects.get().resource == ["https://files.example/api", "https://mail.example/"]
    assert "code" in get_answer(flow.open(resource="https://files.example/api"))


def test_this_house_as_audience_is_part_of_every_consent(flow: Flow) -> None:
    flow.get_tokens()
    assert "code" in get_answer(flow.open(resource=settings.BASE_URL))


def test_a_consent_to_one_client_is_none_to_another(flow: Flow, web: Flow) -> None:
    flow.get_tokens()
    assert web.open().status_code == 200


@pytest.mark.compliance("Security", "D8", "a public client that anybody could pass for gets no code without a question")
def test_a_public_client_on_this_computer_is_asked_for_each_time(flow: Flow) -> None:
    Application.objects.update(redirect_uris="http://127.0.0.1/callback", skip_authorization=True)
    flow.redirect_uri = "http://127.0.0.1:5000/callback"
    flow.get_tokens()
    assert "You are asked each time" in _read(flow)
    assert get_answer(flow.open(prompt="none"))["error"] == "consent_required"


def test_a_confidential_client_on_this_computer_is_known_by_its_secret(web: Flow) -> None:
    Application.objects.update(redirect_uris="http://127.0.0.1/callback")
    web.redirect_uri = "http://127.0.0.1:5000/callback"
    web.get_tokens()
    assert "code" in get_answer(web.open())


def test_a_client_of_the_house_is_not_asked_for_but_recorded(flow: Flow, person: User) -> None:
    Application.objects.update(skip_authorization=True)
    assert "code" in get_answer(flow.open(scope="profile users:read"))
    assert "code" in get_answer(flow.open(scope="profile"))
    consent = Consent.objects.get()
    assert (consent.user_id, consent.scope) == (person.pk, "profile users:read")
    event = AuditEvent.objects.get(event="consent.given")
    assert event.data["is_asked"] is False


def test_being_let_in_again_makes_a_consent_no_longer(flow: Flow) -> None:
    flow.get_tokens()
    before = Consent.objects.get()
    flow.open()
    assert Consent.objects.get().expires_at == before.expires_at


def test_policy_and_terms_are_linked(flow: Flow) -> None:
    Application.objects.update(policy_uri="https://app.example/privacy", tos_uri="https://app.example/terms")
    text = _read(flow)
    for link in ("https://app.example/", "https://app.example/privacy", "https://app.example/terms"):
        assert f'<a href="{link}" rel="noreferrer">' in text


def test_a_client_of_a_user_is_marked_as_unchecked(flow: Flow, person: User) -> None:
    assert "has not checked it" not in _read(flow)
    Application.objects.update(user=person)
    # The names can't turn the sentence round: each is written by itself.
    sentence = "<bdi>Pat</bdi>, a user of Gatehouse, answers for <bdi>Example app</bdi>. Gatehouse has not checked it."
    assert sentence in " ".join(_read(flow).split())


def test_the_page_says_how_long_it_lasts_and_where_to_take_it_back(flow: Flow) -> None:
    assert '<a href="/accounts/apps/">Connected apps</a>' in _read(flow)
    assert f"asked again after {date_format(timezone.now() + timedelta(days=365), 'j F Y')}" in _read(flow)


@pytest.mark.compliance("Security", "D9", "nothing but what was shown can be allowed")
@pytest.mark.parametrize("field", ["scope", "redirect_uri", "client_id", "state", "code_challenge"])
def test_nothing_beside_the_signed_request_counts(flow: Flow, web: Flow, field: str) -> None:
    page = flow.open()
    changed = {"scope": "roles:write", "redirect_uri": "https://evil.example/", "client_id": web.client_id}
    form = {"request": get_hidden(page, "request"), "decision": "allow", field: changed.get(field, "changed")}
    response = flow.browser.post("/oauth/consent", form)
    assert response["Location"].startswith("https://client.example/callback?")
    tokens = flow.exchange(get_answer(response)["code"]).json()
    assert tokens["scope"] == "profile"


def test_default_scopes_are_spelled_out_in_what_is_signed(flow: Flow) -> None:
    page = flow.open(scope=None)
    shown = signing.loads(get_hidden(page, "request"), salt="oauth.consent")
    assert shown["parameters"]["scope"] == "profile"


@pytest.mark.parametrize("signed", ["", "x", "x:y:z", "\x00", "é"])
def test_a_request_that_is_not_signed_by_us_is_refused(flow: Flow, signed: str) -> None:
    response = flow.browser.post("/oauth/consent", {"request": signed, "decision": "allow"})
    assert response.status_code == 400


def test_a_request_signed_for_another_purpose_is_refused(flow: Flow) -> None:
    signed = signing.dumps({"parameters": flow.build_request(), "user": "x"}, salt="other")
    assert flow.browser.post("/oauth/consent", {"request": signed, "decision": "allow"}).status_code == 400


def test_a_page_shown_to_one_person_cannot_be_answered_by_another(flow: Flow) -> None:
    page = flow.open()
    other = User.objects.create(email="other@example.com", email_verified_at=timezone.now())
    flow.browser.force_login(other)
    response = flow.decide(page)
    assert response["Location"].startswith("/oauth/authorize?")
    assert b"other@example.com" in flow.browser.get(response["Location"]).content


def test_a_page_answered_after_sign_out_leads_to_sign_in(flow: Flow) -> None:
    page = flow.open()
    flow.browser.logout()
    response = flow.browser.get(flow.decide(page)["Location"])
    assert response["Location"].startswith("/accounts/login/")


def test_an_answer_that_is_none_asks_again(flow: Flow) -> None:
    assert flow.decide(flow.open(), "perhaps")["Location"].startswith("/oauth/authorize?")


def test_a_scope_that_was_taken_from_the_client_meanwhile_is_refused(flow: Flow) -> None:
    page = flow.open(scope="profile users:read")
    Application.objects.update(allowed_scopes=["profile"])
    assert get_answer(flow.decide(page))["error"] == "invalid_scope"


def test_a_client_that_was_switched_off_meanwhile_gets_nothing(flow: Flow) -> None:
    page = flow.open()
    Application.objects.update(is_active=False)
    assert flow.decide(page).status_code == 400


def test_a_client_without_homepage_is_shown_without(confidential: RegisteredClient, web: Flow) -> None:
    assert "is at" not in _read(web)


@pytest.mark.compliance("Security", "AZ13", "nothing that a client is registered with changes the policy of a page")
@pytest.mark.parametrize(
    "changes",
    [
        {"homepage_url": "https://例え.jp/"},
        {"allowed_origins": "https://x;frame-ancestors https://evil.example"},
        {"allowed_origins": "https://x,script-src"},
    ],
    ids=str,
)
def test_what_a_client_says_of_itself_cannot_change_the_policy_of_the_page(flow: Flow, changes: dict[str, str]) -> None:
    Application.objects.filter(client_id=flow.client_id).update(**changes)
    policy = flow.open()["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'")
    assert policy.count("frame-ancestors") == 1
    assert "x;" not in policy
    assert "x,script-src" not in policy
