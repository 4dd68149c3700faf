"""RFC 7636, proof key for code exchange."""

import pytest

from tests.oauth.flow import CHALLENGE, VERIFIER, Flow, get_answer


@pytest.mark.compliance("RFC 9700", "2.1.1", "PKCE is required of every client, a confidential one, too")
@pytest.mark.compliance("RFC 7636", "4.4.1", "a request without a challenge is refused, whatever the client")
@pytest.mark.parametrize("changes", [{"code_challenge": None}, {"code_challenge": None, "code_challenge_method": None}])
def test_every_client_needs_a_challenge(flow: Flow, web: Flow, changes: dict[str, str | None]) -> None:
    for client in (flow, web):
        assert get_answer(client.open(**changes))["error"] == "invalid_request"


@pytest.mark.compliance("Security", "D17", "plain challenges are refused")
@pytest.mark.compliance("RFC 7636", "4.3", "S256 is the only method")
@pytest.mark.parametrize("method", [None, "plain", "s256", "S512", "none"])
def test_other_methods_are_refused(flow: Flow, method: str | None) -> None:
    assert get_answer(flow.open(code_challenge_method=method))["error"] == "invalid_request"


@pytest.mark.compliance("Security", "B15", "a challenge of 5 characters is refused")
@pytest.mark.compliance("RFC 7636", "4.2", "a challenge of S256 has 43 characters of base64url")
@pytest.mark.parametrize(
    "challenge", ["abcde", CHALLENGE[:-1], CHALLENGE + "A", CHALLENGE[:-1] + "=", CHALLENGE[:-1] + "+", "é" * 43]
)
def test_what_can_be_no_challenge_is_refused(flow: Flow, challenge: str) -> None:
    assert get_answer(flow.open(code_challenge=challenge))["error"] == "invalid_request"


@pytest.mark.compliance("RFC 9700", "2.1.1", "the verifier is enforced")
@pytest.mark.compliance("RFC 7636", "4.6", "the verifier must fit; if not, the error is invalid_grant")
def test_a_wrong_verifier_is_refused_and_burns_the_code(flow: Flow) -> None:
    code = flow.get_code()
    response = flow.exchange(code, code_verifier="x" * 43)
    assert (response.status_code, response.json()["error"]) == (400, "invalid_grant")
    assert flow.exchange(code).json()["error"] == "invalid_grant"


@pytest.mark.compliance("RFC 7636", "4.5", "the verifier is required at the exchange")
@pytest.mark.parametrize("verifier", [None, "short", "x" * 129, "ü" * 43, CHALLENGE[:42] + " "])
def test_what_can_be_no_verifier_is_a_bad_request(flow: Flow, verifier: str | None) -> None:
    code = flow.get_code()
    assert flow.exchange(code, code_verifier=verifier).json()["error"] == "invalid_request"
    assert flow.exchange(code, code_verifier=VERIFIER).status_code == 200


@pytest.mark.compliance("RFC 7636", "4.6", "the challenge itself is no verifier")
def test_the_challenge_is_no_verifier(flow: Flow) -> None:
    assert flow.exchange(flow.get_code(), code_verifier=CHALLENGE).json()["error"] == "invalid_grant"
