"""Many requests with one code or one refresh token at once: one wins, the others are told so, nothing is left over."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection
from django.test import Client

from oauth.models import AccessToken, RefreshToken
from tests.oauth.flow import Answer, Flow

_PARALLEL = 16

pytestmark = pytest.mark.django_db(transaction=True)


def _run_at_once(flow: Flow, call: Callable[[Flow], Answer]) -> list[Answer]:
    gate = threading.Barrier(_PARALLEL)

    def run(_: int) -> Answer:
        own = Flow(flow.client_id, flow.secret, flow.redirect_uri, browser=flow.browser, program=Client())
        gate.wait()
        try:
            return call(own)
        finally:
            connection.close()

    with ThreadPoolExecutor(_PARALLEL) as pool:
        return list(pool.map(run, range(_PARALLEL)))


def _check_one_winner(responses: list[Answer]) -> dict[str, str]:
    winners = [response for response in responses if response.status_code == 200]
    losers = [response for response in responses if response.status_code != 200]
    assert len(winners) == 1
    assert {(response.status_code, response.json()["error"]) for response in losers} == {(400, "invalid_grant")}
    return dict(winners[0].json())


@pytest.mark.parametrize("_round", range(2))
def test_of_parallel_redemptions_one_wins(flow: Flow, _round: int) -> None:
    code = flow.get_code()
    _check_one_winner(_run_at_once(flow, lambda own: own.exchange(code)))
    assert RefreshToken.objects.count() == 1
    # A loser that came late enough to be a replay ends what the winner got.
    is_replayed = RefreshToken.objects.filter(revoked=None).count() == 0
    assert AccessToken.objects.count() == (0 if is_replayed else 1)


@pytest.mark.parametrize("_round", range(2))
def test_of_parallel_refreshes_one_wins(flow: Flow, _round: int) -> None:
    tokens = flow.get_tokens()
    winner = _check_one_winner(_run_at_once(flow, lambda own: own.refresh(tokens["refresh_token"])))
    assert RefreshToken.objects.count() == 2
    is_living = RefreshToken.objects.filter(revoked=None).exists()
    assert AccessToken.objects.count() == (2 if is_living else 0)
    assert flow.call_api(winner["access_token"]) == (200 if is_living else 401)


def test_revocation_beats_parallel_refreshes(flow: Flow) -> None:
    tokens = flow.get_tokens()

    def refresh_or_revoke(own: Flow) -> Answer:
        if threading.get_ident() % 2:
            return own.post("/oauth/revoke", token=tokens["refresh_token"])
        return own.refresh(tokens["refresh_token"])

    responses = _run_at_once(flow, refresh_or_revoke)
    flow.post("/oauth/revoke", token=tokens["refresh_token"])
    assert {response.status_code for response in responses} <= {200, 400}
    assert not RefreshToken.objects.filter(revoked=None).exists()
    assert not AccessToken.objects.exists()
