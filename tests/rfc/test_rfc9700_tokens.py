"""RFC 9700, best current practice at the token endpoint, and what other servers got wrong there."""

from datetime import timedelta

import pytest
from django.db.models import F

from oauth.models import Application, Grant
from oauth.services import register_client
from tests.oauth.flow import CHALLENGE, VERIFIER, Answer, Flow
from tests.oauth.passing import let_grace_pass, set_up

_SERVICE_FORM = {"grant_type": "client_credentials", "scope": "users:read"}


def _get_error(response: Answer) -> tuple[int, str]:
    return response.status_code, response.json().get("error", "")


@pytest.mark.compliance("RFC 9700", "4.5.3.1", "one wrong verifier is enough: a code can't be tried with others")
def test_a_code_dies_with_the_first_wrong_verifier(flow: Flow) -> None:
    code = flow.get_code()
    assert _get_error(flow.exchange(code, code_verifier="x" * 43)) == (400, "invalid_grant")
    assert _get_error(flow.exchange(code, code_verifier=VERIFIER)) == (400, "invalid_grant")


@pytest.mark.compliance("RFC 6749", "4.1.2", "a code lives for a short while")
@pytest.mark.parametrize(("seconds", "status"), [(50, 200), (61, 400)])
def test_a_code_lives_for_a_minute(flow: Flow, seconds: int, status: int) -> None:
    code = flow.get_code()
    Grant.objects.update(expires=F("expires") - timedelta(seconds=seconds))
    assert flow.exchange(code).status_code == status


@pytest.mark.compliance("RFC 9700", "4.5", "a code that comes back ends the tokens of every kind that it gave")
@pytest.mark.parametrize("token_format", ["jwt", "opaque"])
def test_a_replayed_code_ends_tokens_of_each_kind(web: Flow, token_format: str) -> None:
    set_up(web.client_id, access_token_format=token_format)
    code = web.get_code()
    tokens = web.exchange(code).json()
    let_grace_pass()
    assert _get_error(web.exchange(code)) == (400, "invalid_grant")
    assert web.call_api(tokens["access_token"]) == 401
    for kind in ("access_token", "refresh_token"):
        assert web.introspect(tokens[kind]) == {"active": False}


@pytest.mark.compliance("RFC 9700", "4.5", "a code that another client brings gives it nothing and is used up")
def test_a_stolen_code_gives_nothing_to_another_client(flow: Flow, web: Flow) -> None:
    code = flow.get_code()
    assert _get_error(web.exchange(code)) == (400, "invalid_grant")
    assert _get_error(flow.exchange(code)) == (400, "invalid_grant")


@pytest.mark.compliance("RFC 9700", "2.3", "a token is restricted to what was allowed, and narrower where asked")
def test_a_token_says_no_more_than_was_allowed(flow: Flow) -> None:
    tokens = flow.get_tokens(scope="profile")
    assert tokens["scope"] == "profile"
    assert flow.call_api(tokens["access_token"], "/api/v1/users") == 403


@pytest.mark.compliance("Security", "B15", "OpenID Connect gives no refresh token without offline_access")
@pytest.mark.compliance("OpenID Connect Core", "11", "a refresh token needs offline_access where openid is asked for")
@pytest.mark.parametrize(("scope", "is_lasting"), [("openid profile", False), ("openid offline_access", True)])
def test_there_is_a_refresh_token_only_where_the_person_allowed_that(rp: Flow, scope: str, is_lasting: bool) -> None:
    assert ("refresh_token" in rp.get_tokens(scope=scope)) is is_lasting


@pytest.mark.compliance("RFC 9700", "4.14.2", "a client that isn't registered for refresh tokens gets none")
def test_a_client_without_the_grant_gets_no_refresh_token(flow: Flow) -> None:
    set_up(flow.client_id, grant_types=["authorization_code"])
    assert "refresh_token" not in flow.get_tokens()


@pytest.mark.compliance("RFC 6749", "5.2", "a client that may not use the grant is told unauthorized_client")
@pytest.mark.parametrize(
    "form",
    [
        {"grant_type": "authorization_code", "code": "x", "code_verifier": VERIFIER},
        {"grant_type": "refresh_token", "refresh_token": "x"},
        {"grant_type": "urn:ietf:params:oauth:grant-type:device_code", "device_code": "x"},
    ],
)
def test_a_grant_that_a_client_is_not_registered_for_is_unauthorized(service: Flow, form: dict[str, str]) -> None:
    assert _get_error(service.post("/oauth/token", **form)) == (400, "unauthorized_client")


@pytest.mark.compliance("Security", "B10", "a public client gets nothing for itself by an empty secret")
@pytest.mark.compliance("RFC 6749", "4.4", "a public client gets nothing for itself, even with an empty secret")
@pytest.mark.parametrize("secret", [None, "", " "])
def test_an_empty_secret_is_no_secret(flow: Flow, secret: str | None) -> None:
    Application.objects.update(grant_types=["client_credentials"])  # no form would let that through
    form = _SERVICE_FORM | ({} if secret is None else {"client_secret": secret})
    assert flow.post("/oauth/token", **form).status_code in {400, 401}
    assert flow.post("/oauth/introspect", token="x", **form).status_code == 401


@pytest.mark.compliance("RFC 6749", "5.2", "error_description has no quotes, backslashes or other forbidden characters")
@pytest.mark.parametrize("path", ["/oauth/token", "/oauth/revoke", "/oauth/introspect"])
@pytest.mark.parametrize(
    "form",
    [
        {"grant_type": 'x"\\y'},
        {"grant_type": "client_credentials", "scope": 'a"\\b'},
        {"grant_type": "client_credentials", "resource": 'https://"\\/'},
        {"grant_type": "client_credentials", "client_id": '"\\'},
        {"token_type_hint": '"\\'},
        {"grant_type": "client_credentials", "client_secret": '"\\'},
        {"grant_type": "refresh_token", "refresh_token": '"\\é'},
        {"grant_type": "authorization_code", "code": '"\\', "code_verifier": '"\\'},
    ],
)
def test_errors_are_described_in_plain_characters(service: Flow, path: str, form: dict[str, str]) -> None:
    response = service.post(path, **form)
    assert response.status_code in {400, 401}
    described = response.json().get("error_description", "")
    assert all(" " <= character <= "~" and character not in '"\\' for character in described)


@pytest.mark.compliance("RFC 6749", "3.2.1", "the client id in the body must be that of the header")
def test_a_second_client_id_is_a_bad_request_at_each_endpoint(service: Flow, flow: Flow) -> None:
    for path in ("/oauth/token", "/oauth/revoke", "/oauth/introspect"):
        response = service.post(path, client_id=flow.client_id, token="x", **_SERVICE_FORM)
        assert _get_error(response) == (400, "invalid_request")


@pytest.mark.compliance("RFC 7636", "4.4", "the challenge belongs to its code; that of another code doesn't fit")
def test_a_verifier_of_another_code_does_not_fit(flow: Flow) -> None:
    other = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"  # RFC 7636 appendix B
    code = flow.get_code(code_challenge=other)
    assert other != CHALLENGE
    assert _get_error(flow.exchange(code)) == (400, "invalid_grant")
    fitting = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
    assert flow.exchange(flow.get_code(code_challenge=other), code_verifier=fitting).status_code == 200


@pytest.mark.compliance("RFC 9207", "2", "the token endpoint and the documents name the same issuer as the response")
def test_tokens_name_the_issuer_of_the_response(rp: Flow) -> None:
    document = rp.program.get("/.well-known/oauth-authorization-server").json()
    answer = rp.introspect(rp.get_tokens(scope="openid profile")["access_token"])
    assert answer["iss"] == document["issuer"]


@pytest.mark.compliance("Security", "B11", "every client has its own scopes, and who names none gets no more")
@pytest.mark.compliance("RFC 6749", "3.3", "every client has its own list of scopes, and gets none beyond it")
def test_no_client_gets_what_is_not_on_its_list(person: object) -> None:
    client = register_client(
        name="Small", client_type="confidential", grant_types=["client_credentials"], allowed_scopes=["roles:read"]
    )
    small = Flow(client.application.client_id, client.client_secret)
    assert _get_error(small.post("/oauth/token", **_SERVICE_FORM)) == (400, "invalid_scope")
    assert "scope" not in small.post("/oauth/token", grant_type="client_credentials").json()
