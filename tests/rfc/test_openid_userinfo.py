"""OpenID Connect Core §5, claims and userinfo: what the modules of the OpenID suite don't ask."""

import json

import pytest
from django.contrib.auth import get_user_model
from django.test import Client

from tests.oauth.flow import Answer, Flow, Json, get_answer
from tests.oauth.openid import get_userinfo, verify


def sign_in(flow: Flow, **changes: str) -> tuple[Json, Json]:
    """Return the claims of the ID token and of userinfo."""
    tokens = flow.get_tokens(**changes)
    return verify(tokens["id_token"], client_id=flow.client_id), get_userinfo(tokens["access_token"])


@pytest.fixture
def token(rp: Flow) -> str:
    """An access token for everything that a relying party may know."""
    return str(rp.get_tokens(scope="openid profile email")["access_token"])


@pytest.mark.compliance("OpenID Connect Core", "5.3.2", "the answer is JSON, and nobody keeps it")
def test_the_answer_is_json_and_is_not_kept(token: str) -> None:
    response = Client().get("/oauth/userinfo", headers={"Authorization": f"Bearer {token}"})
    assert response["Content-Type"] == "application/json"
    assert response["Cache-Control"] == "no-store"


@pytest.mark.compliance("OpenID Connect Core", "5.1", "email_verified says whether the address was verified")
def test_an_address_that_was_not_verified_is_told_as_such(rp: Flow) -> None:
    token = rp.get_tokens(scope="openid email")["access_token"]
    get_user_model().objects.update(email_verified_at=None)
    assert get_userinfo(token)["email_verified"] is False


@pytest.mark.compliance("OpenID Connect Core", "5.3.2", "what isn't known is left out rather than empty")
def test_a_person_without_a_name_has_no_name(rp: Flow, token: str) -> None:
    user = get_user_model().objects.get()
    user.name = ""
    user.save()
    assert "name" not in get_userinfo(token)


@pytest.mark.compliance(
    "OpenID Connect Core", "5.5", "a claim beyond what the client may know is not told, and no error"
)
def test_a_claim_beyond_the_clients_scopes_is_not_told(rp: Flow) -> None:
    claims = json.dumps({"id_token": {"groups": None, "phone_number": {"essential": True}}, "extra": {"x": None}})
    id_token, userinfo = sign_in(rp, scope="openid", claims=claims)
    assert userinfo == {"sub": id_token["sub"]}
    assert not {"groups", "phone_number"} & set(id_token)


@pytest.mark.compliance("OpenID Connect Core", "5.5", "who asks for claims in the ID token finds them there")
def test_claims_of_the_id_token_are_there(rp: Flow) -> None:
    claims = json.dumps({"id_token": {"email": None, "auth_time": {"essential": True}}})
    id_token, _ = sign_in(rp, scope="openid", claims=claims)
    assert id_token["email"] == "person@example.com"
    assert id_token["auth_time"]
    assert "email_verified" not in id_token


@pytest.mark.compliance("OpenID Connect Core", "5.5", "a parameter claims that can't be read is invalid_request")
@pytest.mark.parametrize(
    "claims",
    ["x", "[]", '{"userinfo": []}', '{"id_token": {"sub": 1}}', '{"id_token": {"sub": {"value": 1}}}', '{"a":' * 3000],
)
def test_claims_that_cannot_be_read_are_told(rp: Flow, claims: str) -> None:
    assert get_answer(rp.open(scope="openid", claims=claims))["error"] == "invalid_request"


def refuse(headers: dict[str, str] | None = None) -> Answer:
    return Client().get("/oauth/userinfo", headers=headers or {})


@pytest.mark.compliance("RFC 6750", "3.1", "without a token the challenge names no error")
def test_without_a_token_the_challenge_names_no_error(db: None) -> None:
    response = refuse()
    assert (response.status_code, response.json()) == (401, {})
    metadata = "http://testserver/.well-known/oauth-protected-resource"
    assert response["WWW-Authenticate"] == f'Bearer realm="gatehouse", resource_metadata="{metadata}"'


@pytest.mark.compliance("RFC 6750", "3.1", "a token that isn't valid is answered invalid_token, with 401")
@pytest.mark.parametrize("token", ["x", "a.b.c", "gat_x", "ü", "x" * 9000])
def test_what_is_no_token_is_refused(db: None, token: str) -> None:
    response = refuse({"Authorization": f"Bearer {token}"})
    assert (response.status_code, response.json()["error"]) == (401, "invalid_token")
    assert response["WWW-Authenticate"].startswith('Bearer realm="gatehouse", error="invalid_token", ')


@pytest.mark.compliance("RFC 6750", "3.1", "a token without the scope is answered insufficient_scope, with 403")
def test_a_token_without_openid_is_refused(rp: Flow, service: Flow) -> None:
    own = service.post("/oauth/token", grant_type="client_credentials", scope="users:read").json()["access_token"]
    for token in (rp.get_tokens(scope="profile")["access_token"], own):
        response = refuse({"Authorization": f"Bearer {token}"})
        assert (response.status_code, response.json()["error"]) == (403, "insufficient_scope")
        assert 'scope="openid"' in response["WWW-Authenticate"]


@pytest.mark.compliance("RFC 6750", "2", "a token must come in one way only")
@pytest.mark.parametrize("body", ["access_token={0}&access_token={0}", "access_token={0}"])
def test_two_tokens_are_a_bad_request(token: str, body: str) -> None:
    headers = {} if body.count("{0}") > 1 else {"Authorization": f"Bearer {token}"}
    response = Client().post(
        "/oauth/userinfo", body.format(token), content_type="application/x-www-form-urlencoded", headers=headers
    )
    assert (response.status_code, response.json()["error"]) == (400, "invalid_request")


@pytest.mark.compliance("RFC 9700", "2.3", "a token in an address is not read")
def test_a_token_in_the_address_is_not_read(token: str) -> None:
    assert Client().get("/oauth/userinfo", {"access_token": token}).status_code == 401
    assert Client().post(f"/oauth/userinfo?access_token={token}").status_code == 401


@pytest.mark.compliance("Security", "B3", "of who was switched off userinfo tells nothing")
@pytest.mark.compliance("OpenID Connect Core", "5.3.3", "a revoked token, and one of an inactive person, tell nothing")
@pytest.mark.parametrize("is_switched_off", [True, False])
def test_a_dead_token_tells_nothing(rp: Flow, token: str, is_switched_off: bool) -> None:
    if is_switched_off:
        user = get_user_model().objects.get()
        user.is_active = False
        user.save()
    else:
        rp.post("/oauth/revoke", token=token)
    assert refuse({"Authorization": f"Bearer {token}"}).status_code == 401
