"""Many answers to one consent page at once: each is answered, and one consent is kept."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection
from django.test import Client

from oauth.models import Consent, Grant
from tests.accounts.racing import ROUNDS
from tests.oauth.flow import Answer, Flow, get_answer, get_hidden

_PARALLEL = 16


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("_round", range(ROUNDS))
def test_of_parallel_answers_to_one_page_one_consent_is_left(flow: Flow, _round: int) -> None:
    form = {"request": get_hidden(flow.open(scope="profile users:read"), "request"), "decision": "allow"}
    gate = threading.Barrier(_PARALLEL)

    def answer(_: int) -> Answer:
        browser = Client()
        browser.cookies = flow.browser.cookies
        gate.wait()
        try:
            return browser.post("/oauth/consent", form)
        finally:
            connection.close()

    with ThreadPoolExecutor(_PARALLEL) as pool:
        codes = {get_answer(response)["code"] for response in pool.map(answer, range(_PARALLEL))}
    assert len(codes) == Grant.objects.count() == _PARALLEL
    assert Consent.objects.get().scope == "profile users:read"
    assert {flow.exchange(code).status_code for code in codes} == {200}
