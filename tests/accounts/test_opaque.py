"""Bearer tokens that aren't signed, as other apps let them be read."""

from datetime import datetime, timedelta
from uuid import uuid4

import pytest
from django.conf import settings
from django.utils import timezone

from accounts import opaque
from accounts.exceptions import InvalidToken
from accounts.models import User
from accounts.tokens import FIRST_PARTY_CLIENT_ID, AccessClaims
from tests.accounts.clients import is_open

pytestmark = pytest.mark.django_db


@pytest.fixture
def asked(user: User, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Tokens of which a reader was asked; it knows all that begin with ``test_``, for the audience that follows."""
    monkeypatch.setattr(opaque, "_readers", dict(opaque._readers))
    found: list[str] = []

    def read(raw: str, now: datetime) -> AccessClaims:
        found.append(raw)
        audience = (raw.removeprefix("test_"),)
        return AccessClaims(
            subject=str(user.pk), client_id=FIRST_PARTY_CLIENT_ID, session_id=None, jti=str(uuid4()), issued_at=now,
            expires_at=now + timedelta(minutes=1), scope=None, audience=audience,
        )  # fmt: skip

    opaque.register_opaque_tokens("test_", read)
    return found


def test_a_token_is_read_by_whom_its_beginning_names(asked: list[str]) -> None:
    token = f"test_{settings.BASE_URL}"
    assert is_open(token)
    assert asked == [token]


@pytest.mark.compliance("RFC 6750", "5.2", "a token for another audience opens nothing here")
def test_an_opaque_token_for_another_audience_opens_nothing(asked: list[str]) -> None:
    token = "test_https://elsewhere.example"
    assert not is_open(token)
    assert asked == [token]
    assert opaque.read_bearer_token(token, now=timezone.now(), is_for_us=False).audience == (
        "https://elsewhere.example",
    )


@pytest.mark.parametrize("raw", ["test_é", "test_\ud800", "test_\u0661"])
def test_a_token_that_is_not_ascii_is_refused_before_anybody_reads_it(asked: list[str], raw: str) -> None:
    with pytest.raises(InvalidToken):
        opaque.read_bearer_token(raw, now=timezone.now())
    assert asked == []
