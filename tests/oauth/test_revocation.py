"""What a second use or the end of a client means for tokens, told apart by injected times."""

from datetime import timedelta

import pytest
from django.utils import timezone

from accounts.exceptions import InvalidRefreshToken
from accounts.models import RefreshToken, Revocation, Session
from oauth.models import Application, Grant
from oauth.services import issue_for_refresh, redeem_code, revoke_client
from tests.oauth.flow import Flow

SECOND = timedelta(seconds=1)
GRACE = timedelta(seconds=10)


@pytest.fixture
def application(flow: Flow) -> Application:
    found: Application = Application.objects.get(client_id=flow.client_id)
    return found


def _is_living() -> bool:
    return Session.objects.filter(kind=Session.Kind.CLIENT, revoked_at=None).exists()


@pytest.mark.parametrize(("delay", "is_living"), [(SECOND, False), (-SECOND, True)])
def test_a_request_that_began_after_the_code_was_used_ends_its_session(
    flow: Flow, application: Application, delay: timedelta, is_living: bool
) -> None:
    code = flow.get_code()
    flow.exchange(code)
    used_at = Grant.objects.get().consumed_at
    assert used_at is not None
    assert redeem_code(code=code, application=application, started_at=used_at + delay, now=timezone.now()) is None
    assert _is_living() is is_living


@pytest.mark.parametrize(("delay", "is_living"), [(GRACE + SECOND, False), (GRACE - SECOND, True), (-SECOND, True)])
def test_a_request_that_began_after_the_grace_period_of_a_refresh_token_ends_its_session(
    flow: Flow, application: Application, delay: timedelta, is_living: bool
) -> None:
    token = flow.get_tokens()["refresh_token"]
    second = flow.refresh(token).json()
    used_at = RefreshToken.objects.get(used_at__isnull=False).used_at
    assert used_at is not None
    try:
        repeated = issue_for_refresh(
            application=application,
            refresh_token=token,
            scopes=["profile"],
            resource=[],
            started_at=used_at + delay,
            now=timezone.now(),
        )
    except InvalidRefreshToken:
        assert not is_living
    else:
        assert repeated.refresh_token == second["refresh_token"]
    assert _is_living() is is_living


def test_a_code_that_nobody_ever_had_ends_nothing(flow: Flow, application: Application) -> None:
    assert redeem_code(code="guess", application=application, started_at=timezone.now(), now=timezone.now()) is None
    assert not Revocation.objects.exists()


@pytest.mark.parametrize("is_opaque", [False, True])
def test_the_end_of_a_client_kills_the_tokens_it_has_for_itself(service: Flow, is_opaque: bool) -> None:
    application = Application.objects.get()
    application.access_token_format = "opaque" if is_opaque else "jwt"
    application.save()
    token = service.post("/oauth/token", grant_type="client_credentials", scope="users:read").json()["access_token"]
    assert service.call_api(token, "/api/v1/users") == 403
    revoke_client(application=application, now=timezone.now())
    assert service.call_api(token, "/api/v1/users") == 401
