"""RFC 7662, token introspection."""

import pytest
from django.conf import settings
from django.contrib.auth import get_user_model

from tests.oauth.flow import Flow


@pytest.mark.compliance("RFC 7662", "2.2", "an active access token is described")
def test_an_access_token_is_described(web: Flow) -> None:
    user = get_user_model().objects.get()
    answer = web.introspect(web.get_tokens(scope="profile users:read")["access_token"])
    assert answer.pop("jti")
    assert answer.pop("exp") - answer.pop("iat") == 600
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


@pytest.mark.compliance("RFC 7662", "2.1", "refresh tokens may be introspected, too")
@pytest.mark.parametrize("hint", [None, "access_token", "refresh_token"])
def test_a_refresh_token_is_described(web: Flow, hint: str | None) -> None:
    token = web.get_tokens()["refresh_token"]
    answer = web.post("/oauth/introspect", token=token, token_type_hint=hint).json()
    assert answer["active"] is True
    assert answer["scope"] == "profile"
    assert answer["exp"] > answer["iat"]


@pytest.mark.compliance("RFC 7662", "2.2", "of an inactive token nothing but that is said")
@pytest.mark.parametrize("token", ["unknown", "ey.x.y", "a" * 100_000, "ü"])
def test_an_unknown_token_is_inactive(web: Flow, token: str) -> None:
    assert web.introspect(token) == {"active": False}


@pytest.mark.compliance("RFC 7662", "4", "a token of another client is inactive")
def test_another_clients_tokens_are_inactive(web: Flow, service: Flow, flow: Flow) -> None:
    for tokens in (web.get_tokens(), flow.get_tokens()):
        assert service.introspect(tokens["access_token"]) == {"active": False}
        assert service.introspect(tokens["refresh_token"]) == {"active": False}


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


@pytest.mark.compliance("RFC 7662", "2.2", "the tokens of an inactive person are inactive")
def test_the_tokens_of_an_inactive_person_are_inactive(web: Flow) -> None:
    tokens = web.get_tokens()
    get_user_model().objects.update(is_active=False)
    assert web.introspect(tokens["access_token"]) == {"active": False}
    assert web.introspect(tokens["refresh_token"]) == {"active": False}


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
