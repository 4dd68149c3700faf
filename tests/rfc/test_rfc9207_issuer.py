"""RFC 9207, the issuer in authorization responses."""

import pytest
from django.conf import settings
from django.test import Client

from tests.oauth.flow import Flow, get_answer


def _get_published_issuer() -> str:
    return str(Client().get("/.well-known/oauth-authorization-server").json()["issuer"])


@pytest.mark.compliance("RFC 9700", "4.4.2.1", "a response with a code says who gave it")
@pytest.mark.compliance("RFC 9207", "2", "a success response carries the published issuer")
def test_a_code_comes_with_the_issuer(flow: Flow) -> None:
    assert get_answer(flow.decide(flow.open()))["iss"] == _get_published_issuer() == settings.BASE_URL


@pytest.mark.compliance("Security", "B6", "a refusal carries the issuer")
@pytest.mark.compliance("RFC 9207", "2", "an error response carries it, too")
def test_a_refusal_comes_with_the_issuer(flow: Flow) -> None:
    assert get_answer(flow.decide(flow.open(), "deny"))["iss"] == _get_published_issuer()


@pytest.mark.compliance("Security", "B6", "an error carries the issuer")
@pytest.mark.compliance("RFC 9700", "4.4.2.1", "an error says who tells it")
@pytest.mark.compliance("RFC 9207", "2", "an error response carries it, too")
@pytest.mark.parametrize("changes", [{"scope": "nonsense"}, {"response_type": "token"}, {"code_challenge": None}])
def test_an_error_comes_with_the_issuer(flow: Flow, changes: dict[str, str | None]) -> None:
    assert get_answer(flow.open(**changes))["iss"] == _get_published_issuer()
