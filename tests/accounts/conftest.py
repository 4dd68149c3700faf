"""People, tokens and jobs that the tests of this app share."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest
from django.core import mail
from django.utils import timezone
from pytest_django import Settings
from rest_framework.test import APIClient

from accounts import tokens
from accounts.models import User
from accounts.services import TokenPair, sign_in
from accounts.throttles import Door
from jobs.worker.loop import Worker, WorkerOptions

if TYPE_CHECKING:
    from django.test.client import _MonkeyPatchedWSGIResponse
    from rest_framework.response import _MonkeyPatchedResponse

    PageResponse = _MonkeyPatchedWSGIResponse
    ApiResponse = _MonkeyPatchedResponse
else:  # what a test client answers has a name in the stubs only
    PageResponse = ApiResponse = object

PASSWORD = "correct horse battery"
NOW = datetime(2027, 3, 1, 12, tzinfo=UTC)

type Issue = Callable[..., str]


@pytest.fixture
def user(db: None) -> User:
    """A verified user who holds nothing."""
    return User.objects.create_user("user@example.com", PASSWORD, name="Ada", email_verified_at=timezone.now())


@pytest.fixture
def unverified(db: None) -> User:
    return User.objects.create_user("new@example.com", PASSWORD)


@pytest.fixture
def pair(user: User) -> TokenPair:
    """The tokens of a sign-in of the user."""
    return sign_in(email=user.email, password=PASSWORD, now=timezone.now())


@pytest.fixture
def signed_in(api_client: APIClient, pair: TokenPair) -> APIClient:
    """A client with the user's access token."""
    api_client.credentials(HTTP_AUTHORIZATION=f"Bearer {pair.access_token}")
    return api_client


@pytest.fixture
def issue(db: None) -> Issue:
    """Return a function that issues an access token, valid now unless told otherwise."""

    def make(subject: object = None, **options: object) -> str:
        values: dict[str, object] = {
            "subject": str(subject or uuid4()),
            "client_id": tokens.FIRST_PARTY_CLIENT_ID,
            "now": timezone.now(),
            "lifetime": timedelta(minutes=10),
        }
        call: Issue = tokens.issue_access_token
        return call(**(values | options))

    return make


@pytest.fixture
def no_limits(settings: Settings) -> None:
    """Let everything be tried as often as a test likes."""
    unlimited = {"ADDRESS": None, "ACCOUNT": None, "PAIR": None}
    settings.ACCOUNTS = settings.ACCOUNTS | {"LIMITS": {door.name: unlimited for door in Door}}


@pytest.fixture
def run_jobs() -> Callable[[], int]:
    """Return a function that does all jobs that are due, as a worker would."""
    return Worker(WorkerOptions(sleep=timedelta(0), stop_when_empty=True)).run


def get_mailed_link(to: str) -> str:
    """Return the link in the last mail to that address."""
    body = next(str(message.body) for message in reversed(mail.outbox) if message.to == [to])
    return next(word for word in body.split() if word.startswith("http"))
