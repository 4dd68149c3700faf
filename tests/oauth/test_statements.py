"""How many statements the token endpoint sends, begin and commit included, and how much of it is none."""

from collections.abc import Callable
from functools import partial

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from oauth.models import AccessToken
from project import shared_facts
from tests.oauth.flow import Answer, Flow
from tests.oauth.passing import set_up

pytestmark = pytest.mark.django_db(transaction=True)
needs_cache = pytest.mark.skipif(not shared_facts.is_shared(), reason="needs a shared cache: --stores=servers")
_MOST = 9
#: After one in fifty requests a little is swept, which isn't counted.
_TIMES = 3
_SCOPE = "openid profile offline_access"


def _count(call: Callable[[], Answer]) -> int:
    with CaptureQueriesContext(connection) as captured:
        answer = call()
    assert answer.status_code == 200, answer.content
    return len(captured)


def _get_own(service: Flow, scope: str = "users:read") -> Answer:
    return service.post("/oauth/token", grant_type="client_credentials", scope=scope)


@needs_cache
def test_a_client_gets_a_token_of_its_own_without_any_statement(service: Flow) -> None:
    _get_own(service)
    assert _count(lambda: _get_own(service)) == 0
    assert _count(lambda: _get_own(service, "roles:read")) == 0


def test_a_client_gets_a_token_of_its_own_and_nothing_is_written(service: Flow) -> None:
    _get_own(service)
    with CaptureQueriesContext(connection) as captured:
        assert _get_own(service).status_code == 200
    assert not [query["sql"] for query in captured if not query["sql"].startswith("SELECT")]
    assert not AccessToken.objects.exists()


@needs_cache
@pytest.mark.parametrize("token_format", ["jwt", "opaque"])
def test_a_code_gives_access_refresh_and_id_token_in_few_statements(rp: Flow, token_format: str) -> None:
    set_up(rp.client_id, access_token_format=token_format)
    rp.get_tokens(scope=_SCOPE)
    codes = [rp.get_code(scope=_SCOPE) for _ in range(_TIMES)]
    own_row = token_format == "opaque"
    assert min(_count(partial(rp.exchange, code)) for code in codes) <= _MOST + own_row


@needs_cache
@pytest.mark.parametrize("token_format", ["jwt", "opaque"])
def test_a_refresh_gives_a_pair_and_an_id_token_in_few_statements(rp: Flow, token_format: str) -> None:
    set_up(rp.client_id, access_token_format=token_format)
    rp.refresh(rp.get_tokens(scope=_SCOPE)["refresh_token"])
    tokens = [rp.get_tokens(scope=_SCOPE)["refresh_token"] for _ in range(_TIMES)]
    assert min(_count(partial(rp.refresh, token)) for token in tokens) <= _MOST
