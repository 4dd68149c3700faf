"""RFC 9470: asking for a sign-in that is recent enough."""

from datetime import timedelta

import pytest
from django.utils import timezone

from accounts.models import User
from accounts.tokens import FIRST_PARTY_CLIENT_ID, issue_access_token
from tests.accounts.clients import AUTH, as_holder
from tests.accounts.conftest import ApiResponse

pytestmark = pytest.mark.django_db


def delete_account(person: User, *, minutes_ago: int) -> ApiResponse:
    now = timezone.now()
    token = issue_access_token(
        subject=str(person.pk),
        client_id=FIRST_PARTY_CLIENT_ID,
        now=now,
        lifetime=timedelta(minutes=10),
        authenticated_at=now - timedelta(minutes=minutes_ago),
        amr=["pwd"],
    )
    return as_holder(token).delete(f"{AUTH}/me")


@pytest.mark.compliance("RFC 9470", "3", "an old sign-in is a 401 whose challenge names error and greatest age")
def test_an_old_sign_in_is_challenged(person: User) -> None:
    response = delete_account(person, minutes_ago=6)
    challenge = 'Bearer realm="gatehouse", error="insufficient_user_authentication", max_age="300"'
    assert (response.status_code, response["WWW-Authenticate"]) == (401, challenge)


@pytest.mark.compliance("RFC 9470", "5", "a token with a recent enough auth_time is let in")
def test_a_recent_sign_in_is_let_in(person: User) -> None:
    assert delete_account(person, minutes_ago=4).status_code == 204
