"""RFC 7662, token introspection."""

from datetime import timedelta

import pytest
from django.conf import settings
from django.contrib.auth import get_user_model
from django.utils import timezone
from pytest_django import Settings

from accounts.models import User
from accounts.services import sign_in
from tests.oauth.flow import Flow
from tests.oauth.passing import let_sessions_pass, set_up

_SHOP, _BANK = "https://shop.example/api", "https://bank.example/v1"


@pytest.mark.compliance("Security", "B9", "a token is described in full")
@pytest.mark.compliance("RFC 7662", "2.2", "an active access token is described")
@pytest.mark.parametrize("token_format", ["jwt", "opaque"])
def test_an_access_token_is_described(web: Flow, token_format: str) -> None:
    set_up(web.client_id, access_token_format=token_format)
    user = get_user_model().objects.get()
    answer = web.introspect(web.get_tokens(scope="profile users:read")["access_token"])
    assert answer.pop("jti")
    assert answer.pop("exp") - answer["iat"] == 600
    assert answer.pop("auth_time") <= answer.pop("iat")
    assert answer == {
        "active": True,
        "token_type": "Bearer",
        "scope": "profile users:read",
        "client_id": web.client_id,
        "username": "person@example.com",
        "sub": str(user.pk),
        "iss": settings.BASE_URL,
        "aud": settings.BASE_URL,
    }


@pytest.mark.compliance("Security", "B9", "a living refresh token is active")
@pytest.mark.compliance("RFC 7662", "2.1", "a wrong hint hinders nothing")
@pytest.mark.compliance("RFC 7662", "2.1", "refresh tokens may be introspected, too")
@pytest.mark.parametrize("hint", [None, "access_token", "refresh_token"])
def test_a_refresh_token_is_described(web: Flow, hint: str | None) -> None:
    token = web.get_tokens()["refresh_token"]
    answer = web.post("/oauth/introspect", token=token, token_type_hint=hint).json()
    assert answer.pop("exp") - answer.pop("iat") == 14 * 24 * 3600
    assert answer == {
        "active": True,
        "scope": "profile",
        "client_id": web.client_id,
        "username": "person@example.com",
        "sub": str(get_user_model().objects.get().pk),
        "iss": settings.BASE_URL,
        "aud": settings.BASE_URL,
    }


@pytest.mark.compliance("RFC 7662", "2.2", "of an inactive token nothing but that is said")
@pytest.mark.parametrize("token", ["unknown", "ey.x.y", "a" * 100_000, "ü"])
def test_an_unknown_token_is_inactive(web: Flow, token: str) -> None:
    assert web.introspect(token) == {"active": False}


@pytest.mark.compliance("Security", "B9", "no client is told of the tokens of another")
@pytest.mark.compliance("Security", "D4", "no client is told of the tokens of another")
@pytest.mark.compliance("RFC 7662", "4", "a token whose signature isn't the house's is inactive")
def test_a_token_that_somebody_else_signed_is_inactive(web: Flow) -> None:
    token = web.get_tokens()["access_token"]
    head, _, signature = token.rpartition(".")
    for forged in (f"{head}.{'A' * len(signature)}", f"{head}.", head, f"{token}A"):
        assert web.introspect(forged) == {"active": False}


@pytest.mark.compliance("RFC 7662", "4", "a token of another client is inactive")
def test_another_clients_tokens_are_inactive(web: Flow, service: Flow, flow: Flow) -> None:
    set_up(flow.client_id, access_token_format="opaque")
    for tokens in (web.get_tokens(), flow.get_tokens()):
        assert service.introspect(tokens["access_token"]) == {"active": False}
        assert service.introspect(tokens["refresh_token"]) == {"active": False}


@pytest.mark.compliance("RFC 7662", "4", "a protected resource is told of tokens that are for it, and of no others")
@pytest.mark.parametrize("token_format", ["jwt", "opaque"])
def test_a_client_that_is_an_audience_is_told_of_access_tokens(flow: Flow, service: Flow, token_format: str) -> None:
    set_up(flow.client_id, access_token_format=token_format, allowed_resources=[_SHOP, _BANK])
    set_up(service.client_id, allowed_resources=[_SHOP])
    tokens = flow.exchange(flow.get_code(resource=[_SHOP, _BANK])).json()
    bank = flow.refresh(tokens["refresh_token"], resource=_BANK).json()
    answer = service.introspect(tokens["access_token"])
    assert (answer["active"], answer["client_id"], answer["aud"]) == (True, flow.client_id, [_SHOP, _BANK])
    assert service.introspect(bank["access_token"]) == {"active": False}
    assert service.introspect(bank["refresh_token"]) == {"active": False}


@pytest.mark.compliance("RFC 7662", "4", "tokens of the house's own sign-in concern no client")
def test_a_first_party_token_is_inactive(web: Flow, person: User) -> None:
    person.set_password("correct horse battery")
    person.save()
    pair = sign_in(email=person.email, password="correct horse battery", now=timezone.now())
    assert web.introspect(pair.access_token) == {"active": False}
    assert web.introspect(pair.refresh_token) == {"active": False}


@pytest.mark.compliance("RFC 7662", "2.2", "the token of a client for itself names it as subject, and no user")
@pytest.mark.parametrize("token_format", ["jwt", "opaque"])
def test_a_clients_own_token_names_no_user(service: Flow, token_format: str) -> None:
    set_up(service.client_id, access_token_format=token_format)
    form = {"grant_type": "client_credentials", "scope": "users:read"}
    answer = service.introspect(service.post("/oauth/token", **form).json()["access_token"])
    assert (answer["sub"], answer["client_id"]) == (service.client_id, service.client_id)
    assert not {"username", "auth_time"} & set(answer)


@pytest.mark.compliance("RFC 7662", "2.2", "an expired token is inactive")
@pytest.mark.parametrize("token_format", ["jwt", "opaque"])
def test_expired_tokens_are_inactive(web: Flow, token_format: str, settings: Settings) -> None:
    set_up(web.client_id, access_token_format=token_format)
    settings.OAUTH2_PROVIDER = {**settings.OAUTH2_PROVIDER, "ACCESS_TOKEN_EXPIRE_SECONDS": 0}
    tokens = web.get_tokens()
    let_sessions_pass(by=timedelta(days=14))
    assert web.introspect(tokens["access_token"]) == {"active": False}
    assert web.introspect(tokens["refresh_token"]) == {"active": False}


@pytest.mark.compliance("RFC 7662", "2.2", "the tokens of a client that was switched off are inactive for everybody")
@pytest.mark.parametrize("token_format", ["jwt", "opaque"])
def test_the_tokens_of_an_inactive_client_are_inactive(flow: Flow, service: Flow, token_format: str) -> None:
    set_up(flow.client_id, access_token_format=token_format, allowed_resources=[_SHOP])
    set_up(service.client_id, allowed_resources=[_SHOP])
    token = flow.exchange(flow.get_code(resource=_SHOP)).json()["access_token"]
    assert service.introspect(token)["active"] is True
    set_up(flow.client_id, is_active=False)
    assert service.introspect(token) == {"active": False}


@pytest.mark.compliance("RFC 7662", "2.2", "a revoked token is inactive")
def test_revoked_tokens_are_inactive(web: Flow) -> None:
    tokens = web.get_tokens()
    web.post("/oauth/revoke", token=tokens["refresh_token"])
    assert web.introspect(tokens["access_token"]) == {"active": False}
    assert web.introspect(tokens["refresh_token"]) == {"active": False}


@pytest.mark.compliance("RFC 7662", "2.2", "a refresh token that was exchanged is inactive")
def test_an_exchanged_refresh_token_is_inactive(web: Flow) -> None:
    token = web.get_tokens()["refresh_token"]
    web.refresh(token)
    assert web.introspect(token) == {"active": False}


@pytest.mark.compliance("Security", "B3", "of who was switched off introspection tells nothing")
@pytest.mark.compliance("RFC 7662", "2.2", "the tokens of an inactive person are inactive")
def test_the_tokens_of_an_inactive_person_are_inactive(web: Flow) -> None:
    tokens = web.get_tokens()
    get_user_model().objects.update(is_active=False)
    assert web.introspect(tokens["access_token"]) == {"active": False}
    assert web.introspect(tokens["refresh_token"]) == {"active": False}


@pytest.mark.compliance("Security", "B9", "a public client is told nothing, and who doesn't authenticate is challenged")
@pytest.mark.compliance("RFC 7662", "2.1", "the endpoint must require authentication")
def test_only_a_confidential_client_that_authenticates_may_ask(web: Flow, flow: Flow) -> None:
    token = flow.get_tokens()["access_token"]
    for form in ({}, {"client_id": web.client_id}, {"client_id": flow.client_id}, {"client_secret": "x"}):
        response = web.post_anonymously("/oauth/introspect", token=token, **form)
        assert (response.status_code, response.json()["error"]) == (401, "invalid_client")
        assert response["WWW-Authenticate"].startswith("Basic ")


@pytest.mark.compliance("RFC 7662", "2.3", "an access token doesn't authenticate a client here")
def test_a_bearer_token_does_not_open_it(web: Flow) -> None:
    token = web.get_tokens()["access_token"]
    response = web.program.post("/oauth/introspect", {"token": token}, headers={"Authorization": f"Bearer {token}"})
    assert response.status_code in {400, 401}


@pytest.mark.compliance("RFC 7662", "2.1", "the token is required; the answer is not cached")
def test_a_missing_token_is_a_bad_request(web: Flow) -> None:
    response = web.post("/oauth/introspect")
    assert (response.status_code, response.json()["error"]) == (400, "invalid_request")
    assert response["Cache-Control"] == "no-store"
