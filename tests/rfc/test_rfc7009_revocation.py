"""RFC 7009, token revocation."""

import pytest

from tests.oauth.flow import Flow
from tests.oauth.passing import set_up


@pytest.mark.compliance("RFC 7009", "2.1", "a wrong hint hinders nothing")
@pytest.mark.compliance("RFC 7009", "2.1", "an access token is dead at once, and so is its refresh token")
@pytest.mark.parametrize("token_format", ["jwt", "opaque"])
@pytest.mark.parametrize("hint", [None, "access_token", "refresh_token", "nonsense"])
def test_revoking_an_access_token_ends_it(flow: Flow, hint: str | None, token_format: str) -> None:
    set_up(flow.client_id, access_token_format=token_format)
    tokens = flow.get_tokens()
    response = flow.post("/oauth/revoke", token=tokens["access_token"], token_type_hint=hint)
    assert response.status_code == 200
    assert flow.call_api(tokens["access_token"]) == 401
    assert flow.refresh(tokens["refresh_token"]).json()["error"] == "invalid_grant"


@pytest.mark.compliance("RFC 7009", "2.1", "a refresh token takes the access tokens of its authorization along")
@pytest.mark.parametrize("token_format", ["jwt", "opaque"])
@pytest.mark.parametrize("hint", [None, "access_token", "refresh_token"])
def test_revoking_a_refresh_token_ends_its_access_tokens(flow: Flow, hint: str | None, token_format: str) -> None:
    set_up(flow.client_id, access_token_format=token_format)
    first = flow.get_tokens()
    second = flow.refresh(first["refresh_token"]).json()
    response = flow.post("/oauth/revoke", token=second["refresh_token"], token_type_hint=hint)
    assert response.status_code == 200
    assert flow.refresh(second["refresh_token"]).json()["error"] == "invalid_grant"
    assert flow.call_api(first["access_token"]) == 401
    assert flow.call_api(second["access_token"]) == 401


@pytest.mark.compliance("RFC 7009", "2.1", "a client's own token is dead at once")
@pytest.mark.parametrize("token_format", ["jwt", "opaque"])
def test_revoking_the_token_of_a_client_ends_it_and_no_other(service: Flow, token_format: str) -> None:
    set_up(service.client_id, access_token_format=token_format)
    form = {"grant_type": "client_credentials", "scope": "users:read"}
    token, other = (service.post("/oauth/token", **form).json()["access_token"] for _ in range(2))
    assert service.call_api(token, "/api/v1/users") == 403
    service.post("/oauth/revoke", token=token)
    assert service.call_api(token, "/api/v1/users") == 401
    assert service.introspect(other)["active"] is True


@pytest.mark.compliance("RFC 7009", "2.2", "an unknown token is answered with 200")
@pytest.mark.parametrize("token", ["unknown", "ey.x.y", "gat_unknown", "gat_ü", "a" * 100_000, "ünknown"])
def test_an_unknown_token_is_fine(flow: Flow, token: str) -> None:
    assert flow.post("/oauth/revoke", token=token).status_code == 200


@pytest.mark.compliance("RFC 7009", "2.1", "the token must have been issued to the client that revokes it")
@pytest.mark.parametrize("token_format", ["jwt", "opaque"])
@pytest.mark.parametrize("kind", ["access_token", "refresh_token"])
def test_another_client_changes_nothing(flow: Flow, web: Flow, kind: str, token_format: str) -> None:
    set_up(flow.client_id, access_token_format=token_format)
    tokens = flow.get_tokens()
    assert web.post("/oauth/revoke", token=tokens[kind]).status_code == 200
    assert flow.call_api(tokens["access_token"]) == 200
    assert flow.refresh(tokens["refresh_token"]).status_code == 200


@pytest.mark.compliance("RFC 7009", "2.1", "confidential clients must authenticate; others name themselves")
def test_a_client_that_does_not_authenticate_is_refused(web: Flow) -> None:
    tokens = web.get_tokens()
    wrong = {"client_id": web.client_id, "client_secret": "guess"}
    for form in ({}, {"client_id": web.client_id}, {"client_id": "nobody"}, wrong):
        response = web.post_anonymously("/oauth/revoke", token=tokens["access_token"], **form)
        assert (response.status_code, response.json()["error"]) == (401, "invalid_client")
        assert response["WWW-Authenticate"].startswith("Basic ")
    assert web.call_api(tokens["access_token"]) == 200


@pytest.mark.compliance("RFC 7009", "2.2.1", "errors are those of RFC 6749 §5.2")
def test_a_missing_token_is_a_bad_request(flow: Flow) -> None:
    response = flow.post("/oauth/revoke")
    assert (response.status_code, response.json()["error"]) == (400, "invalid_request")
