"""Whatever is sent to the protocol's endpoints, the answer is one of those that are meant."""

from collections.abc import Mapping
from urllib.parse import urlencode

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.oauth.flow import FORM, Flow, basic

_NAMES = st.sampled_from(
    [
        *("response_type", "client_id", "redirect_uri", "scope", "state", "code_challenge", "code_challenge_method"),
        *("grant_type", "code", "code_verifier", "refresh_token", "client_secret", "token", "token_type_hint"),
        *("request", "request_uri", "prompt", "nonce", "claims", "max_age", "resource", "response_mode", "user"),
        *("client", "scopes", "extra_credentials", "username", "password", "assertion", "device_code"),
    ]
)
_TEXT = st.one_of(
    st.text(max_size=60),
    st.sampled_from(["", "\x00", "%00", "\ufffd", "😀", "a" * 5000, "[", "http://[", "__class__", "null", "-1", "{}"]),
)
_PARAMETERS = st.dictionaries(_NAMES | st.text(min_size=1, max_size=10), _TEXT, max_size=6)
_FEW = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def _encode(parameters: Mapping[str, str | list[str]]) -> str:
    return urlencode(parameters, doseq=True, errors="surrogatepass")


@given(changes=_PARAMETERS)
@_FEW
def test_the_authorization_endpoint_answers_a_page_or_a_redirect(flow: Flow, changes: dict[str, str]) -> None:
    response = flow.browser.get(f"/oauth/authorize?{_encode(flow.build_request() | changes)}")
    assert response.status_code in {200, 302, 400}
    if response.status_code == 302:
        assert response["Location"].startswith("https://client.example/callback?")


@given(query=st.text(alphabet=st.characters(min_codepoint=33, max_codepoint=126), max_size=80))
@_FEW
def test_the_authorization_endpoint_bears_any_query(flow: Flow, query: str) -> None:
    assert flow.browser.get("/oauth/authorize", QUERY_STRING=query).status_code in {200, 302, 400}


@given(decision=_TEXT, signed=_TEXT)
@_FEW
def test_the_decision_bears_anything(flow: Flow, decision: str, signed: str) -> None:
    body = _encode({"decision": decision, "request": signed})
    assert flow.browser.post("/oauth/authorize", body, content_type=FORM).status_code == 400


@given(
    path=st.sampled_from(["/oauth/token", "/oauth/revoke", "/oauth/introspect"]),
    grant_type=st.sampled_from(["authorization_code", "refresh_token", "client_credentials", "password"]),
    changes=_PARAMETERS,
    is_known=st.booleans(),
)
@settings(_FEW, max_examples=75)
def test_form_endpoints_answer_json(
    service: Flow, path: str, grant_type: str, changes: dict[str, str], is_known: bool
) -> None:
    headers = {"Authorization": basic(service.client_id, str(service.secret))} if is_known else {}
    form = {"grant_type": grant_type} | changes
    response = service.program.post(path, _encode(form), content_type=FORM, headers=headers)
    assert response.status_code in {200, 400, 401}
    assert response["Content-Type"] == "application/json"


@given(body=st.binary(max_size=200))
@_FEW
def test_form_endpoints_bear_any_bytes(flow: Flow, body: bytes) -> None:
    response = flow.program.generic("POST", "/oauth/token", body, content_type=FORM)
    assert response.status_code == 400
    assert response.json()["error"] in {"invalid_request", "unsupported_grant_type"}


@given(header=st.text(alphabet=st.characters(max_codepoint=255, exclude_characters="\r\n"), max_size=60))
@_FEW
def test_any_authorization_header_is_answered(flow: Flow, header: str) -> None:
    form = urlencode({"grant_type": "client_credentials"})
    response = flow.program.post("/oauth/token", form, content_type=FORM, headers={"Authorization": header})
    assert response.status_code in {400, 401}
