"""The way through sign-in and back, and the decision that comes after it: for one request, in one browser, once."""

import re
from datetime import timedelta
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from django.db.models import F
from django.test import Client
from django.utils import timezone

from accounts.models import Session, User
from oauth.models import Grant
from oauth.prompts import Interaction
from tests.oauth.flow import Answer, Flow, get_answer, get_hidden
from tests.oauth.walk import PASSWORD, Walk, follow, give_password, walk


@pytest.fixture
def op(rp: Flow, person: User) -> Flow:
    """A client whose person has a password and is not signed in."""
    give_password(person)
    rp.browser = Client()
    return rp


def test_a_sign_in_is_asked_for_once_and_not_again_on_the_way_back(op: Flow, person: User) -> None:
    done = walk(op, person, scope="openid", prompt="login")
    assert done.pages == ["sign in", "consent"]
    done = walk(op, person, scope="openid", prompt="login consent")
    assert done.pages == ["reauthenticate", "consent"]


@pytest.mark.compliance("Security", "D7", "prompt=login is not satisfied by skipping the page")
def test_coming_back_without_having_signed_in_is_not_enough(op: Flow, person: User) -> None:
    walk(op, person, scope="openid")
    response = op.open(scope="openid", prompt="login")
    back = parse_qs(urlsplit(response["Location"]).query)["next"][0]
    assert op.browser.get(back)["Location"].startswith("/accounts/reauthenticate/")


def test_a_way_back_is_good_for_its_own_request_alone(op: Flow, person: User) -> None:
    walk(op, person, scope="openid")
    first = op.open(scope="openid", prompt="login")
    proof = re.search(r"&asked=.*", parse_qs(urlsplit(first["Location"]).query)["next"][0])
    assert proof is not None
    follow(op.browser, person, first, Walk())
    again = urlencode(op.build_request(scope="openid", prompt="login", state="other"))
    response = op.browser.get(f"/oauth/authorize?{again}{proof[0]}")
    assert response["Location"].startswith("/accounts/reauthenticate/")


def _get_way_back(response: Answer) -> str:
    return parse_qs(urlsplit(response["Location"]).query)["next"][0]


def _reauthenticate(browser: Client, way_back: str) -> Answer:
    return browser.get(browser.post("/accounts/reauthenticate/", {"password": PASSWORD, "next": way_back})["Location"])


def test_a_way_back_is_good_for_one_answer(op: Flow, person: User) -> None:
    walk(op, person, scope="openid")
    way_back = _get_way_back(op.open(scope="openid", prompt="login"))
    assert b"You are being sent back" in _reauthenticate(op.browser, way_back).content
    assert op.browser.get(way_back)["Location"].startswith("/accounts/reauthenticate/")


def test_a_way_back_may_be_gone_again_until_the_person_has_decided(op: Flow, person: User) -> None:
    walk(op, person, scope="openid")
    way_back = _get_way_back(op.open(scope="openid", prompt="login consent"))
    _reauthenticate(op.browser, way_back)
    page = op.browser.get(way_back)
    assert page.status_code == 200
    assert "code" in get_answer(op.decide(page))
    for response in (op.browser.get(way_back), op.browser.get(op.decide(page)["Location"])):
        assert response["Location"].startswith("/accounts/reauthenticate/")


def test_a_way_back_that_ended_in_an_error_is_used_up_too(op: Flow, person: User) -> None:
    walk(op, person, scope="openid")
    way_back = _get_way_back(op.open(scope="openid", prompt="login consent"))
    assert get_answer(op.decide(_reauthenticate(op.browser, way_back), "deny"))["error"] == "access_denied"
    assert op.browser.get(way_back)["Location"].startswith("/accounts/reauthenticate/")


def test_two_ways_back_do_not_disturb_each_other(op: Flow, person: User) -> None:
    walk(op, person, scope="openid")
    first, second = (_get_way_back(op.open(scope="openid", prompt="login", state=state)) for state in "ab")
    assert b"You are being sent back" in _reauthenticate(op.browser, second).content
    assert b"You are being sent back" in op.browser.get(first).content


def test_a_way_back_leads_nowhere_in_another_browser_of_the_same_person(op: Flow, person: User) -> None:
    walk(op, person, scope="openid")
    way_back = _get_way_back(op.open(scope="openid", prompt="login"))
    elsewhere = Client()
    elsewhere.force_login(person)  # later than the way back was made
    assert elsewhere.get(way_back)["Location"].startswith("/accounts/reauthenticate/")
    assert b"You are being sent back" in _reauthenticate(op.browser, way_back).content


def test_a_way_back_from_before_sign_in_leads_nowhere_in_another_browser(op: Flow, person: User) -> None:
    way_back = _get_way_back(op.open(scope="openid", prompt="login"))
    elsewhere = Client()
    elsewhere.force_login(person)
    assert elsewhere.get(way_back)["Location"].startswith("/accounts/reauthenticate/")


# --- When the decision comes back ------------------------------------------------------------------------------------


def _let_time_pass(person: User, **time: float) -> None:
    Session.objects.filter(user=person).update(authenticated_at=F("authenticated_at") - timedelta(**time))


def test_a_sign_in_that_got_too_old_while_the_page_was_open_is_done_anew(rp: Flow, person: User) -> None:
    page = rp.open(scope="openid", max_age="600")
    _let_time_pass(person, seconds=601)
    again = rp.browser.get(rp.decide(page)["Location"])
    assert again["Location"].startswith("/accounts/reauthenticate/")
    assert not Grant.objects.exists()


def test_a_sign_in_that_is_still_young_enough_is_enough(rp: Flow, person: User) -> None:
    page = rp.open(scope="openid", max_age="600")
    _let_time_pass(person, seconds=590)
    assert "code" in get_answer(rp.decide(page))


def test_who_has_signed_in_for_the_request_may_read_what_it_asks(op: Flow, person: User) -> None:
    walk(op, person, scope="openid")
    done = walk(op, person, scope="openid", prompt="consent", max_age="0")
    assert done.pages == ["reauthenticate", "consent"]
    assert "code" in done.answer


@pytest.mark.parametrize(("signed_in", "seconds", "is_enough"), [(1, 299, True), (1, 302, False), (-1, 2, False)])
def test_there_are_five_minutes_for_that(signed_in: int, seconds: int, is_enough: bool) -> None:
    asked_at, wish = timezone.now(), Interaction(max_age=timedelta(seconds=1))
    signed_in_at, now = asked_at + timedelta(seconds=signed_in), asked_at + timedelta(seconds=seconds)
    assert wish.is_recent_enough(signed_in_at, asked_at=asked_at, now=now) is is_enough


def test_a_page_is_answered_in_the_session_that_it_was_shown_in(rp: Flow, person: User) -> None:
    page = rp.open(scope="openid", max_age="600")
    elsewhere = Client()
    elsewhere.force_login(person)
    form = {"request": get_hidden(page, "request"), "decision": "allow"}
    assert elsewhere.post("/oauth/consent", form)["Location"].startswith("/oauth/authorize?")
    assert not Grant.objects.exists()


def test_an_invented_proof_of_the_way_back_counts_for_nothing(rp: Flow) -> None:
    for proof in ("x", "x:y:z", ""):
        query = urlencode({**rp.build_request(scope="openid", prompt="login"), "asked": proof})
        response = rp.browser.get(f"/oauth/authorize?{query}")
        assert response["Location"].startswith("/accounts/reauthenticate/")
