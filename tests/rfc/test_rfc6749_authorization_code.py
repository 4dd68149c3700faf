"""RFC 6749 §4.1, the authorization code grant, at the authorization and the token endpoint."""

import pytest
from django.contrib.auth import get_user_model
from django.test import Client

from tests.oauth.flow import REDIRECT_URI, Flow, get_answer
from tests.oauth.passing import set_up


@pytest.mark.compliance("RFC 6749", "3.1", "the authorization endpoint takes GET")
@pytest.mark.compliance("RFC 6749", "4.1.2", "a code is answered at the redirect URI, with the state that was sent")
def test_allowing_sends_a_code_and_the_state_to_the_client(flow: Flow) -> None:
    response = flow.decide(flow.open(state="x y&z"))
    answer = get_answer(response)
    assert response["Location"].startswith(f"{REDIRECT_URI}?")
    assert answer["state"] == "x y&z"
    assert len(answer["code"]) >= 30


@pytest.mark.compliance("Security", "D17", "access tokens live for ten minutes")
@pytest.mark.compliance("RFC 9700", "2.1.1", "PKCE is supported")
@pytest.mark.compliance("RFC 7636", "4.2", "S256 works")
@pytest.mark.compliance("RFC 6749", "4.1.4", "a valid code gives an access token and a refresh token")
def test_a_code_gives_tokens_that_open_the_api(flow: Flow) -> None:
    tokens = flow.get_tokens()
    assert tokens["token_type"] == "Bearer"
    assert tokens["expires_in"] == 600
    assert tokens["scope"] == "profile"
    assert tokens["refresh_token"]
    assert flow.call_api(tokens["access_token"]) == 200


@pytest.mark.compliance("RFC 6749", "5.1", "responses with tokens must not be cached")
def test_token_responses_are_not_cached(flow: Flow) -> None:
    response = flow.exchange(flow.get_code())
    assert response["Cache-Control"] == "no-store"
    assert response["Pragma"] == "no-cache"
    assert response["Content-Type"] == "application/json"


@pytest.mark.compliance("RFC 6749", "4.1.2.1", "a refusal by the person is answered with access_denied")
def test_denying_sends_access_denied_and_the_state(flow: Flow) -> None:
    answer = get_answer(flow.decide(flow.open(), "deny"))
    assert answer["error"] == "access_denied"
    assert answer["state"] == "a-state"
    assert "code" not in answer


@pytest.mark.compliance("RFC 9700", "4.1.3", "redirect URIs are compared as strings, and exactly")
@pytest.mark.compliance("RFC 6749", "4.1.2.1", "an unverified redirect URI or client is never redirected to")
@pytest.mark.parametrize(
    "changes",
    [
        {"client_id": "nobody"},
        {"client_id": None},
        {"client_id": "a\x00b"},
        {"redirect_uri": "https://evil.example/"},
        {"redirect_uri": f"{REDIRECT_URI}?x=1"},
        {"redirect_uri": f"{REDIRECT_URI}/"},
        {"redirect_uri": f"{REDIRECT_URI}#f"},
        {"redirect_uri": "https://client.example:443/callback"},
        {"redirect_uri": "https://CLIENT.example/callback"},
        {"redirect_uri": "https://client.example/x/../callback"},
        {"redirect_uri": "https://client.example/%63allback"},
        {"redirect_uri": "https://user@client.example/callback"},
        {"redirect_uri": "https://client.example\\@evil.example/callback"},
        {"redirect_uri": "https://client.example.evil.example/callback"},
        {"redirect_uri": "http://client.example/callback"},
        {"redirect_uri": "//client.example/callback"},
        {"redirect_uri": "https://client.example/callback\r\nX: y"},
        {"redirect_uri": "https://client.example./callback"},
        {"redirect_uri": "https://client.example/callback "},
        {"redirect_uri": "javascript:alert(1)"},
        {"redirect_uri": "https://[::1"},
        {"redirect_uri": "https://client.example:99999999/callback"},
        {"redirect_uri": REDIRECT_URI + "a" * 10_000},
        {"redirect_uri": "https://evil.example/", "response_type": "token"},
        {"redirect_uri": "https://evil.example/", "scope": "nonsense"},
    ],
)
@pytest.mark.parametrize("is_signed_in", [True, False])
def test_an_untrusted_request_ends_on_our_own_page(
    flow: Flow, changes: dict[str, str | None], is_signed_in: bool
) -> None:
    browser = flow.browser if is_signed_in else Client()
    response = browser.get("/oauth/authorize", flow.build_request(**changes))
    assert response.status_code == 400
    assert "Location" not in response
    assert b"<h1>" in response.content


@pytest.mark.compliance("RFC 6749", "3.1", "parameters must not be included more than once")
def test_a_repeated_parameter_ends_on_our_own_page(flow: Flow) -> None:
    response = flow.browser.get("/oauth/authorize", [*flow.build_request().items(), ("state", "other")])
    assert response.status_code == 400


@pytest.mark.compliance("RFC 6749", "3.1", "unrecognized parameters must be ignored")
def test_unknown_parameters_change_nothing(flow: Flow) -> None:
    response = flow.open(user="admin", client="x", scopes="roles:write", approval_prompt="auto", audience="urn:x")
    assert response.status_code == 200
    assert b"change who has which role" not in response.content


@pytest.mark.compliance("Security", "D16", "request, request_uri and response_mode are not silently ignored")
@pytest.mark.compliance("RFC 9700", "2.1.2", "no response type gives a token in the authorization response")
@pytest.mark.compliance("RFC 6749", "3.1.1", "a missing or unknown response type is an error")
@pytest.mark.compliance("RFC 6749", "4.1.2.1", "other faults are told to the client at its redirect URI")
@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"response_type": None}, "invalid_request"),
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"response_type": "id_token"}, "unsupported_response_type"),
        ({"response_type": "none"}, "unsupported_response_type"),
        ({"response_type": "code token"}, "unsupported_response_type"),
        ({"response_type": "code code"}, "unsupported_response_type"),
        ({"scope": "nonsense"}, "invalid_scope"),
        ({"scope": "profile openid"}, "invalid_scope"),
        ({"scope": "profile\r\nroles:write"}, "invalid_scope"),
        ({"scope": " ".join(f"s{number}" for number in range(10_000))}, "invalid_scope"),
        ({"response_mode": "fragment"}, "invalid_request"),
        ({"response_mode": "form_post.jwt"}, "invalid_request"),
        ({"request": "eyJ"}, "request_not_supported"),
        ({"request_uri": "https://canary.example/"}, "request_uri_not_supported"),
        ({"registration": "{}"}, "registration_not_supported"),
    ],
)
def test_a_fault_of_a_trusted_client_is_told_to_it(flow: Flow, changes: dict[str, str | None], error: str) -> None:
    answer = get_answer(flow.open(**changes))
    assert answer["error"] == error
    assert answer["state"] == "a-state"
    assert not set(answer.get("error_description", "")) & set('"\\')


@pytest.mark.compliance("RFC 6749", "4.1.2.1", "a client without a redirect URI can't be told anything")
def test_a_client_that_acts_for_itself_cannot_ask_people(service: Flow, flow: Flow) -> None:
    response = flow.open(client_id=service.client_id, redirect_uri=None)
    assert response.status_code == 400


@pytest.mark.compliance("RFC 6749", "3.1.2.3", "the redirect URI may be left out where only one is registered")
def test_the_only_redirect_uri_may_be_left_out(flow: Flow) -> None:
    code = flow.get_code(redirect_uri=None)
    assert flow.exchange(code, redirect_uri=None).status_code == 200


@pytest.mark.compliance("Security", "B11", "who names no scope gets the default, not all")
@pytest.mark.compliance("RFC 6749", "5.1", "the scope is told where it isn't the one that was asked for")
@pytest.mark.compliance("RFC 6749", "3.1.2.3", "with several registered the request must name one")
def test_one_of_several_redirect_uris_must_be_named(flow: Flow) -> None:
    set_up(flow.client_id, redirect_uris=f"{REDIRECT_URI} https://client.example/other")
    response = flow.open(redirect_uri=None)
    assert response.status_code == 400
    assert "Location" not in response
    assert flow.open(redirect_uri="https://client.example/other").status_code == 200


@pytest.mark.compliance("RFC 6749", "3.1", "parameters without a value are treated as left out")
def test_parameters_without_a_value_change_nothing(flow: Flow) -> None:
    empty = ("scope", "redirect_uri", "response_mode", "prompt", "max_age", "nonce", "request", "request_uri", "claims")
    assert flow.get_tokens(**dict.fromkeys(empty, ""))["scope"] == "profile"


@pytest.mark.compliance("RFC 6749", "3.3", "a request without scope gets the default")
def test_no_scope_means_the_default_scope(flow: Flow) -> None:
    assert flow.get_tokens(scope=None)["scope"] == "profile"


@pytest.mark.compliance("RFC 6749", "4.1.3", "the redirect URI must be identical to the one of the request")
@pytest.mark.parametrize("redirect_uri", ["https://client.example/other", None])
def test_another_or_no_redirect_uri_at_the_exchange_is_refused(flow: Flow, redirect_uri: str | None) -> None:
    response = flow.exchange(flow.get_code(), redirect_uri=redirect_uri)
    assert (response.status_code, response.json()["error"]) == (400, "invalid_grant")


@pytest.mark.compliance("RFC 6749", "4.1.3", "a code is bound to the client that it was issued to")
def test_another_client_cannot_use_a_code_and_burns_it(flow: Flow, web: Flow) -> None:
    code = flow.get_code()
    response = web.exchange(code)
    assert (response.status_code, response.json()["error"]) == (400, "invalid_grant")
    assert flow.exchange(code).json()["error"] == "invalid_grant"


@pytest.mark.compliance("Security", "B7", "tokens don't outlive the replay of their code")
@pytest.mark.compliance("Security", "D1", "tokens don't outlive the replay of their code")
@pytest.mark.compliance("RFC 9700", "4.2.4", "a code is worth nothing after its first use")
@pytest.mark.compliance("RFC 6749", "4.1.2", "a code must not be used twice, and a second use revokes its tokens")
def test_a_replayed_code_is_refused_and_ends_what_it_gave(flow: Flow) -> None:
    code = flow.get_code()
    tokens = flow.exchange(code).json()
    response = flow.exchange(code)
    assert (response.status_code, response.json()["error"]) == (400, "invalid_grant")
    assert flow.call_api(tokens["access_token"]) == 401
    assert flow.refresh(tokens["refresh_token"]).json()["error"] == "invalid_grant"


@pytest.mark.compliance("RFC 6749", "4.1.2", "a second use revokes tokens that were refreshed meanwhile, too")
def test_a_replayed_code_ends_what_followed_from_it(flow: Flow) -> None:
    code = flow.get_code()
    first = flow.exchange(code).json()
    second = flow.refresh(first["refresh_token"]).json()
    flow.exchange(code)
    assert flow.call_api(first["access_token"]) == 401
    assert flow.call_api(second["access_token"]) == 401
    assert flow.refresh(second["refresh_token"]).status_code == 400


@pytest.mark.compliance("RFC 9700", "4.7", "nobody decides by a forged request")
@pytest.mark.compliance("RFC 6749", "10.12", "the decision needs a CSRF token")
def test_a_decision_without_a_csrf_token_is_refused(flow: Flow) -> None:
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(get_user_model().objects.get())
    assert browser.post("/oauth/consent", {"decision": "allow"}).status_code == 403


@pytest.mark.compliance("RFC 6749", "3.1", "the person is authenticated first")
def test_a_person_who_is_not_signed_in_is_sent_to_sign_in_and_back(flow: Flow) -> None:
    response = Client().get("/oauth/authorize", flow.build_request(state="s" * 1000))
    assert response.status_code == 302
    assert response["Location"].startswith("/accounts/login/?next=/oauth/authorize")
    assert "s" * 1000 in response["Location"]
