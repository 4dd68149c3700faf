"""What a second use, a narrower client or the end of a client means for tokens, told apart by injected times."""

from datetime import timedelta

import pytest
from django.utils import timezone

from oauth.models import AccessToken, Application, Grant, RefreshToken
from oauth.services import lock_refresh_token, redeem_code, revoke_client
from tests.oauth.flow import Flow

SECOND = timedelta(seconds=1)


@pytest.fixture
def application(flow: Flow) -> Application:
    found: Application = Application.objects.get(client_id=flow.client_id)
    return found


def test_a_request_that_began_after_the_code_was_used_ends_its_family(flow: Flow, application: Application) -> None:
    code = flow.get_code()
    flow.exchange(code)
    used_at = Grant.objects.get().consumed_at
    assert used_at is not None
    assert redeem_code(code=code, application=application, started_at=used_at + SECOND, now=timezone.now()) is None
    assert not RefreshToken.objects.filter(revoked=None).exists()
    assert not AccessToken.objects.exists()


def test_a_request_that_began_before_the_code_was_used_ends_nothing(flow: Flow, application: Application) -> None:
    code = flow.get_code()
    flow.exchange(code)
    used_at = Grant.objects.get().consumed_at
    assert used_at is not None
    assert redeem_code(code=code, application=application, started_at=used_at - SECOND, now=timezone.now()) is None
    assert RefreshToken.objects.filter(revoked=None).count() == AccessToken.objects.count() == 1


def test_a_request_that_began_after_the_refresh_token_was_used_ends_its_family(
    flow: Flow, application: Application
) -> None:
    token = flow.get_tokens()["refresh_token"]
    flow.refresh(token)
    used_at = RefreshToken.objects.get(revoked__isnull=False).revoked
    assert used_at is not None
    locked = lock_refresh_token(token=token, application=application, started_at=used_at + SECOND, now=timezone.now())
    assert locked is None
    assert not RefreshToken.objects.filter(revoked=None).exists()
    assert not AccessToken.objects.exists()


def test_a_request_that_began_before_the_refresh_token_was_used_ends_nothing(
    flow: Flow, application: Application
) -> None:
    token = flow.get_tokens()["refresh_token"]
    flow.refresh(token)
    used_at = RefreshToken.objects.get(revoked__isnull=False).revoked
    assert used_at is not None
    locked = lock_refresh_token(token=token, application=application, started_at=used_at - SECOND, now=timezone.now())
    assert locked is None
    assert RefreshToken.objects.filter(revoked=None).exists()
    assert AccessToken.objects.exists()


def test_the_end_of_a_client_kills_also_a_token_whose_row_is_missing(service: Flow) -> None:
    token = service.post("/oauth/token", grant_type="client_credentials", scope="users:read").json()["access_token"]
    rows = AccessToken.objects.all()
    rows._raw_delete(rows.db)  # as SQL does, past every receiver
    assert service.call_api(token, "/api/v1/users") == 403
    revoke_client(application=Application.objects.get(), now=timezone.now())
    assert service.call_api(token, "/api/v1/users") == 401
