"""RFC 6749 §6 and RFC 9700 §4.14, refreshing access tokens."""

from datetime import timedelta

import pytest
from django.contrib.auth import get_user_model

from tests.oauth.flow import Flow
from tests.oauth.passing import let_grace_pass, let_sessions_pass, set_up


@pytest.mark.compliance("RFC 6749", "6", "a refresh token gives a new access token")
def test_a_refresh_gives_new_tokens(flow: Flow) -> None:
    first = flow.get_tokens()
    second = flow.refresh(first["refresh_token"]).json()
    assert second["refresh_token"] != first["refresh_token"]
    assert flow.call_api(second["access_token"]) == 200


@pytest.mark.compliance("RFC 9700", "2.2.2", "refresh tokens rotate, those of public clients, too")
@pytest.mark.compliance("RFC 9700", "4.14.2", "refresh tokens rotate; reuse ends the whole family")
def test_a_refresh_token_used_again_ends_the_family(flow: Flow) -> None:
    first = flow.get_tokens()
    second = flow.refresh(first["refresh_token"]).json()
    let_grace_pass()
    response = flow.refresh(first["refresh_token"])
    assert (response.status_code, response.json()["error"]) == (400, "invalid_grant")
    assert flow.call_api(first["access_token"]) == 401
    assert flow.call_api(second["access_token"]) == 401
    assert flow.refresh(second["refresh_token"]).json()["error"] == "invalid_grant"


@pytest.mark.compliance("RFC 9700", "4.14.2", "a client that missed the answer gets the same one once more")
@pytest.mark.parametrize("token_format", ["jwt", "opaque"])
def test_a_refresh_token_used_again_at_once_gives_the_same_pair(flow: Flow, token_format: str) -> None:
    set_up(flow.client_id, access_token_format=token_format)
    first = flow.get_tokens()
    second, again = (flow.refresh(first["refresh_token"]).json() for _ in range(2))
    assert (second["access_token"], second["refresh_token"]) == (again["access_token"], again["refresh_token"])
    assert flow.call_api(again["access_token"]) == 200


@pytest.mark.compliance("Security", "D17", "refresh tokens expire")
@pytest.mark.compliance("RFC 9700", "4.14.2", "a refresh token expires when it lies unused, and with its grant")
@pytest.mark.parametrize(("days", "status"), [(13, 200), (15, 400)])
def test_a_refresh_token_that_lies_unused_expires(flow: Flow, days: int, status: int) -> None:
    token = flow.get_tokens()["refresh_token"]
    let_sessions_pass(by=timedelta(days=days))
    assert flow.refresh(token).status_code == status


@pytest.mark.compliance("RFC 9700", "4.14.2", "another authorization of the same client and person lives on")
def test_reuse_ends_one_family_only(flow: Flow) -> None:
    first, other = flow.get_tokens(), flow.get_tokens()
    flow.refresh(first["refresh_token"])
    let_grace_pass()
    assert flow.refresh(first["refresh_token"]).status_code == 400
    assert flow.refresh(other["refresh_token"]).status_code == 200


@pytest.mark.compliance("RFC 6749", "6", "the next refresh token has the scope of the one before")
@pytest.mark.compliance("RFC 6749", "6", "a narrower scope may be asked for, and narrows that access token only")
def test_a_narrower_scope_narrows_one_token_only(flow: Flow) -> None:
    first = flow.get_tokens(scope="profile users:read")
    second = flow.refresh(first["refresh_token"], scope="users:read").json()
    third = flow.refresh(second["refresh_token"]).json()
    assert second["scope"] == "users:read"
    assert flow.call_api(second["access_token"]) == 403
    assert set(third["scope"].split()) == {"profile", "users:read"}
    assert flow.call_api(third["access_token"]) == 200


@pytest.mark.compliance("RFC 9700", "4.14.2", "a refresh token is bound to the scope that was allowed")
@pytest.mark.compliance("RFC 6749", "6", "the scope must not include any that was not granted")
@pytest.mark.parametrize("scope", ["profile users:read", "roles:write", "openid"])
def test_more_scope_than_granted_is_refused_and_the_token_stays(flow: Flow, scope: str) -> None:
    tokens = flow.get_tokens(scope="profile")
    response = flow.refresh(tokens["refresh_token"], scope=scope)
    assert (response.status_code, response.json()["error"]) == (400, "invalid_scope")
    assert flow.refresh(tokens["refresh_token"]).status_code == 200


@pytest.mark.compliance("RFC 6749", "10.4", "a refresh token is bound to its client, and that is checked")
@pytest.mark.compliance("RFC 6749", "6", "the refresh token is bound to the client that it was issued to")
def test_another_client_cannot_refresh(flow: Flow, web: Flow) -> None:
    tokens = flow.get_tokens()
    assert web.refresh(tokens["refresh_token"]).json()["error"] == "invalid_grant"
    assert flow.refresh(tokens["refresh_token"]).status_code == 200


@pytest.mark.compliance("RFC 6749", "6", "a confidential client must authenticate")
def test_a_confidential_client_cannot_refresh_without_its_secret(web: Flow) -> None:
    tokens = web.get_tokens()
    form = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"], "client_id": web.client_id}
    assert web.post_anonymously("/oauth/token", **form).json()["error"] == "invalid_client"


@pytest.mark.compliance("RFC 6749", "5.2", "what is no refresh token is invalid_grant; none at all is a bad request")
def test_an_unknown_refresh_token_is_refused(flow: Flow) -> None:
    assert flow.refresh("unknown").json()["error"] == "invalid_grant"
    assert flow.refresh(flow.get_tokens()["access_token"]).json()["error"] == "invalid_grant"
    assert flow.post("/oauth/token", grant_type="refresh_token").json()["error"] == "invalid_request"


@pytest.mark.compliance("Security", "B3", "who was switched off has neither access nor refresh tokens")
@pytest.mark.compliance("Security", "D3", "who was switched off has neither access nor refresh tokens")
@pytest.mark.compliance("RFC 9700", "4.14", "an account that was switched off keeps nothing, not even afterwards")
def test_an_inactive_person_keeps_nothing(flow: Flow) -> None:
    tokens = flow.get_tokens()
    user = get_user_model().objects.get()
    user.is_active = False
    user.save()
    assert flow.call_api(tokens["access_token"]) == 401
    assert flow.refresh(tokens["refresh_token"]).json()["error"] == "invalid_grant"
    user.is_active = True
    user.save()
    assert flow.call_api(tokens["access_token"]) == 401
    assert flow.refresh(tokens["refresh_token"]).json()["error"] == "invalid_grant"
