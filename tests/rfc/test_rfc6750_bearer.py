"""RFC 6750, how access tokens of clients are used at the API."""

import re

import pytest
from django.test import Client

from accounts.models import User
from tests.oauth.flow import FORM, Answer, Flow
from tests.oauth.passing import set_up

_ME = "/api/v1/auth/me"


@pytest.fixture(params=["jwt", "opaque"])
def token(flow: Flow, request: pytest.FixtureRequest) -> str:
    """An access token of each kind."""
    set_up(flow.client_id, access_token_format=request.param)
    return str(flow.get_tokens()["access_token"])


def _get(header: str) -> Answer:
    return Client().get(_ME, headers={"Authorization": header})


@pytest.mark.compliance("RFC 6750", "2.1", "the Authorization header must be supported; the scheme has no case")
@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
def test_a_token_in_the_header_opens_the_api(token: str, scheme: str) -> None:
    assert _get(f"{scheme} {token}").status_code == 200


@pytest.mark.compliance("Security", "D17", "tokens in addresses are not read")
@pytest.mark.compliance("RFC 9700", "4.3.2", "a token in an address opens nothing")
@pytest.mark.compliance("RFC 6750", "2.2", "a token in the body is not taken")
@pytest.mark.compliance("RFC 6750", "2.3", "a token in the address is not taken")
def test_a_token_elsewhere_opens_nothing(token: str) -> None:
    client = Client()
    assert client.get(f"{_ME}?access_token={token}").status_code == 401
    assert client.generic("GET", _ME, f"access_token={token}", content_type=FORM).status_code == 401
    assert Client(headers={"Cookie": f"access_token={token}"}).get(_ME).status_code == 401


@pytest.mark.compliance("Security", "D12", "what only looks like a token is no error of the server")
@pytest.mark.compliance("RFC 6750", "5.2", "a token that was changed opens nothing")
@pytest.mark.compliance("RFC 6750", "3.1", "an expired, revoked or malformed token is a 401 with invalid_token")
@pytest.mark.parametrize(
    "spoil",
    [lambda token: token[:-2], lambda token: f"{token}x", lambda _: "gat_", lambda _: "x", lambda _: "ey.x.y"],
)
def test_a_spoilt_token_is_challenged(token: str, spoil: "type[str]") -> None:
    response = _get(f"Bearer {spoil(token)}")
    assert response.status_code == 401
    assert response["WWW-Authenticate"].startswith('Bearer realm="gatehouse", error="invalid_token"')


@pytest.mark.compliance("RFC 9700", "2.3", "the API refuses what a token's scope doesn't cover")
@pytest.mark.compliance("RFC 6750", "3.1", "a token with too few scopes is a 403 that names those that are needed")
def test_a_token_without_the_scope_is_told_which(flow: Flow, token: str) -> None:
    response = flow.program.get("/api/v1/users", headers={"Authorization": f"Bearer {token}"})
    assert response.status_code == 403
    challenge = 'Bearer realm="gatehouse", error="insufficient_scope", scope="users:read"'
    assert response["WWW-Authenticate"].startswith(challenge)


@pytest.mark.compliance("RFC 6750", "3", "no attribute is in a challenge twice, and all are of plain characters")
@pytest.mark.parametrize("path", [_ME, "/api/v1/users", "/oauth/userinfo"])
@pytest.mark.parametrize("header", [None, "Bearer x", 'Bearer \\"', "Bearer x, y", 'Bearer "', "token"])
def test_a_challenge_can_be_read(flow: Flow, token: str, path: str, header: str | None) -> None:
    sent = f"Bearer {token}" if header == "token" else header
    challenge = flow.program.get(path, headers={"Authorization": sent} if sent else {}).get("WWW-Authenticate", "")
    scheme, _, rest = challenge.partition(" ")
    names = re.findall(r'(\w+)="[ !#-\[\]-~]*"', rest)
    assert len(set(names)) == len(names)
    assert re.fullmatch(r'(\w+="[ !#-\[\]-~]*"(, |$))*', rest)
    assert scheme == ("Bearer" if challenge else "")


@pytest.mark.compliance("RFC 6750", "5.3", "a refresh token, a code or an ID token is no bearer token")
def test_other_tokens_open_nothing(rp: Flow) -> None:
    code = rp.get_code(scope="openid profile")
    tokens = rp.get_tokens(scope="openid profile offline_access")
    for other in (code, tokens["refresh_token"], tokens["id_token"], str(rp.secret)):
        assert _get(f"Bearer {other}").status_code == 401
    assert _get(f"Bearer {tokens['access_token']}").status_code == 200


@pytest.mark.compliance("RFC 9700", "4.10.2", "the API refuses a token that is for another audience")
@pytest.mark.compliance("RFC 6750", "5.2", "a token is good only at the audience that it names")
@pytest.mark.parametrize("token_format", ["jwt", "opaque"])
def test_a_token_for_another_house_opens_nothing_here(flow: Flow, token_format: str) -> None:
    set_up(flow.client_id, access_token_format=token_format, allowed_resources=["https://shop.example/"])
    token = flow.exchange(flow.get_code(resource="https://shop.example/")).json()["access_token"]
    for path in (_ME, "/oauth/userinfo"):
        response = Client().get(path, headers={"Authorization": f"Bearer {token}"})
        assert response.status_code == 401


@pytest.mark.compliance("RFC 9068", "5", "a token for nobody, or for somebody who is gone, opens nothing")
def test_a_token_whose_subject_is_gone_opens_nothing(token: str, person: User) -> None:
    User.objects.filter(pk=person.pk).delete()
    assert _get(f"Bearer {token}").status_code == 401
