"""What works once works once, also where many ask at the same moment, over HTTP."""

from collections.abc import Callable, Iterator
from functools import partial

import pytest
from django.utils import timezone
from rest_framework.test import APIClient

from accounts.models import EmailToken, RefreshToken, Session, User
from accounts.services import TokenPair, make_email_token
from tests.accounts.clients import AUTH, NEW_PASSWORD, read_problem
from tests.accounts.conftest import PASSWORD, ApiResponse
from tests.accounts.racing import ROUNDS, race

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("no_limits"),
    pytest.mark.timeout(60 + 5 * ROUNDS),
]

Purpose = EmailToken.Purpose


def post(path: str, **body: str) -> ApiResponse:
    return APIClient().post(f"{AUTH}/{path}", body)


def expect_one_winner(send: Callable[[], ApiResponse]) -> None:
    """Send a one-time token from all clients at once: one gets it done, the others a problem that blames the token."""
    answers = sorted(race(send), key=lambda answer: answer.status_code)
    assert [answer.status_code for answer in answers] == [200] + [400] * 15
    for loser in answers[1:]:
        assert read_problem(loser) == (400, "invalid")
        assert [(one["field"], one["code"]) for one in loser.json()["errors"]] == [("token", "invalid_email_token")]


@pytest.mark.compliance("Security", "JW08", "refreshes that race make one successor, and all get it")
def test_simultaneous_refreshes_are_all_answered_with_the_same_pair(pair: TokenPair) -> None:
    token = pair.refresh_token
    for number in range(ROUNDS):
        answers = race(partial(post, "refresh", refresh_token=token))
        assert {answer.status_code for answer in answers} == {200}
        pairs = {(answer.json()["access_token"], answer.json()["refresh_token"]) for answer in answers}
        assert len(pairs) == 1
        token = pairs.pop()[1]
        assert RefreshToken.objects.count() == number + 2
    assert Session.objects.get().revoked_at is None


def reset(token: str, passwords: Iterator[str], chosen: list[str]) -> ApiResponse:
    """Try to set the next of the passwords, and note it where that was done."""
    password = next(passwords)
    answer = post("password/reset/confirm", token=token, password=password)
    if answer.status_code == 200:
        chosen.append(password)
    return answer


@pytest.mark.compliance("Security", "AC04", "of simultaneous resets with one link one sets the password")
def test_of_simultaneous_resets_with_one_link_one_wins(user: User) -> None:
    for number in range(ROUNDS):
        token = make_email_token(user=user, purpose=Purpose.RESET_PASSWORD, now=timezone.now())
        passwords = iter([f"{NEW_PASSWORD} {number} {racer}" for racer in range(16)])
        chosen: list[str] = []
        expect_one_winner(partial(reset, token, passwords, chosen))
        user.refresh_from_db()
        assert user.check_password(*chosen)


@pytest.mark.compliance("Security", "AC11", "of simultaneous verifications with one link one is done")
def test_of_simultaneous_verifications_one_wins() -> None:
    for number in range(ROUNDS):
        user = User.objects.create_user(f"racer{number}@example.com", PASSWORD)
        expect_one_winner(partial(post, "verify-email", token=make_email_token(user=user, now=timezone.now())))
        user.refresh_from_db()
        assert user.email_verified_at is not None


@pytest.mark.compliance("Security", "AC11", "of simultaneous changes to one address one is done")
def test_of_simultaneous_changes_of_the_address_one_wins(user: User) -> None:
    for number in range(ROUNDS):
        email = f"racer{number}@example.com"
        token = make_email_token(user=user, purpose=Purpose.CHANGE_EMAIL, email=email, now=timezone.now())
        expect_one_winner(partial(post, "email/change/confirm", token=token))
        user.refresh_from_db()
        assert user.email == email
