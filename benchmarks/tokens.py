"""Access tokens: how many a core signs and reads."""

from datetime import timedelta
from uuid import uuid4

from django.utils import timezone

from accounts.tokens import FIRST_PARTY_CLIENT_ID, issue_access_token, read_access_token
from benchmarks.harness import Figure, rate


def measure() -> list[Figure]:
    """Sign and read access tokens of one user."""
    now = timezone.now()
    subject = str(uuid4())

    def sign() -> str:
        return issue_access_token(
            subject=subject, client_id=FIRST_PARTY_CLIENT_ID, now=now, lifetime=timedelta(minutes=10)
        )

    token = sign()
    return [
        Figure(name="sign an access token", value=rate(sign), unit="1/s"),
        Figure(name="read an access token", value=rate(lambda: read_access_token(token, now=now)), unit="1/s"),
    ]
