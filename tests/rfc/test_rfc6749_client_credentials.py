"""RFC 6749 §4.4, the client credentials grant."""

import pytest

from oauth.models import Application
from oauth.services import RegisteredClient, register_client
from tests.oauth.flow import Flow


@pytest.mark.compliance("RFC 6749", "4.4.2", "an authenticated client gets an access token for itself")
def test_a_client_gets_a_token_of_its_own(service: Flow) -> None:
    response = service.post("/oauth/token", grant_type="client_credentials", scope="users:read")
    tokens = response.json()
    assert response.status_code == 200
    assert tokens["scope"] == "users:read"
    assert service.introspect(tokens["access_token"])["sub"] == service.client_id


@pytest.mark.compliance("RFC 6749", "4.4.3", "a refresh token is not included")
def test_there_is_no_refresh_token(service: Flow) -> None:
    assert "refresh_token" not in service.post("/oauth/token", grant_type="client_credentials").json()


@pytest.mark.compliance("Security", "D5", "a token without a person opens nothing that is a person's")
@pytest.mark.compliance("RFC 6749", "4.4", "no person stands behind the token")
def test_the_token_speaks_for_no_person(service: Flow) -> None:
    token = service.post("/oauth/token", grant_type="client_credentials", scope="users:read").json()["access_token"]
    assert "username" not in service.introspect(token)
    assert service.call_api(token) == 403


@pytest.mark.compliance("Security", "D5", "a client gets no scope for itself that it isn't allowed")
@pytest.mark.compliance("RFC 6749", "3.3", "scopes beyond what the client is allowed are refused")
@pytest.mark.parametrize("scope", ["roles:write", "users:read roles:write", "openid", "introspection", "*"])
def test_a_client_gets_only_scopes_that_it_is_allowed(service: Flow, scope: str) -> None:
    response = service.post("/oauth/token", grant_type="client_credentials", scope=scope)
    assert (response.status_code, response.json()["error"]) == (400, "invalid_scope")


@pytest.mark.compliance("Security", "D5", "no client gets openid for itself")
@pytest.mark.compliance("Security", "TK12", "who acts for itself gets no scope that only a person can give")
@pytest.mark.parametrize("scope", ["openid", "offline_access", "users:read openid"])
def test_a_client_that_acts_for_itself_is_nobody_to_sign_in(service: Flow, scope: str) -> None:
    everything = ["users:read", "openid", "offline_access"]
    Application.objects.filter(client_id=service.client_id).update(allowed_scopes=everything)
    response = service.post("/oauth/token", grant_type="client_credentials", scope=scope)
    assert (response.status_code, response.json()["error"]) == (400, "invalid_scope")


@pytest.mark.compliance("RFC 6749", "3.3", "without scope the default counts, as far as the client is allowed it")
def test_the_default_scope_is_narrowed_to_what_the_client_is_allowed(service: Flow) -> None:
    answer = service.post("/oauth/token", grant_type="client_credentials").json()
    assert "scope" not in answer
    assert service.call_api(answer["access_token"], "/api/v1/users") == 403


@pytest.mark.compliance("RFC 6749", "4.4", "the grant must only be used by confidential clients")
@pytest.mark.parametrize("form", [{}, {"client_secret": ""}, {"client_secret": "guess"}])
def test_a_public_client_gets_nothing(flow: Flow, form: dict[str, str]) -> None:
    response = flow.post("/oauth/token", grant_type="client_credentials", scope="profile", **form)
    assert response.status_code == 401
    assert response.json()["error"] == "invalid_client"


@pytest.mark.compliance("RFC 6749", "5.2", "a client that may not use the grant is told unauthorized_client")
def test_a_client_of_the_code_grant_may_not_act_for_itself(web: Flow) -> None:
    response = web.post("/oauth/token", grant_type="client_credentials", scope="profile")
    assert (response.status_code, response.json()["error"]) == (400, "unauthorized_client")


@pytest.mark.compliance("RFC 6749", "5.2", "a client that may not use the grant is told unauthorized_client")
def test_a_client_that_acts_for_itself_may_not_refresh(service: Flow) -> None:
    assert service.refresh("whatever").json()["error"] == "unauthorized_client"


@pytest.mark.compliance("RFC 6749", "4.4", "a client that was switched off gets nothing")
def test_an_inactive_client_gets_nothing(service: Flow, confidential: RegisteredClient) -> None:
    other = register_client(
        name="Gone", client_type="confidential", grant_types=["client_credentials"], allowed_scopes=["users:read"]
    )
    other.application.is_active = False
    other.application.save()
    response = Flow(other.application.client_id, other.client_secret).post(
        "/oauth/token", grant_type="client_credentials"
    )
    assert response.status_code == 401
