"""What ends tokens without anybody asking for it at the protocol's endpoints."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.db.models import F
from django.utils import timezone

from accounts.models import RefreshToken, Session, User
from accounts.services import end_all_sessions, end_session, replace_email, set_password, sign_in
from oauth.models import Application, ClientSecret, Consent, DeviceGrant, Grant, GrantType
from oauth.services import Presence, change_client, revoke_consent
from oauth.services.devices import Poll, allow_device, poll_device, start_device
from permissions import audit
from tests.oauth.flow import Flow


@pytest.fixture
def application(flow: Flow) -> Application:
    found: Application = Application.objects.get(client_id=flow.client_id)
    return found


def _switch(application: Application, *, is_active: bool) -> None:
    application.is_active = is_active
    application.save()


def test_switching_a_client_off_ends_everything_it_has(flow: Flow, application: Application) -> None:
    tokens, code = flow.get_tokens(), flow.get_code()
    _switch(application, is_active=False)
    assert flow.call_api(tokens["access_token"]) == 401
    assert flow.refresh(tokens["refresh_token"]).status_code == 401
    assert flow.exchange(code).status_code == 401
    assert flow.open().status_code == 400


def test_switching_a_client_on_again_revives_nothing(flow: Flow, application: Application) -> None:
    tokens, code = flow.get_tokens(), flow.get_code()
    _switch(application, is_active=False)
    _switch(application, is_active=True)
    assert flow.call_api(tokens["access_token"]) == 401
    assert flow.refresh(tokens["refresh_token"]).status_code == 400
    assert flow.exchange(code).status_code == 400


def test_a_client_that_was_switched_on_again_gets_tokens_that_work(flow: Flow, application: Application) -> None:
    _switch(application, is_active=False)
    _switch(application, is_active=True)
    assert flow.call_api(flow.get_tokens()["access_token"]) == 200


def test_deleting_a_client_kills_its_tokens(flow: Flow, application: Application) -> None:
    token = flow.get_tokens()["access_token"]
    application.delete()
    assert flow.call_api(token) == 401


def test_a_clients_own_tokens_die_with_it(service: Flow) -> None:
    token = service.post("/oauth/token", grant_type="client_credentials", scope="users:read").json()["access_token"]
    _switch(Application.objects.get(), is_active=False)
    assert service.call_api(token, "/api/v1/users") == 401


def test_switching_a_person_off_ends_the_codes_that_wait(flow: Flow, person: User) -> None:
    code = flow.get_code()
    person.is_active = False
    person.save()
    person.is_active = True
    person.save()
    assert flow.exchange(code).status_code == 400


def test_a_person_who_was_switched_off_by_a_bulk_update_gets_nothing(flow: Flow) -> None:
    tokens, code = flow.get_tokens(), flow.get_code()
    User.objects.update(is_active=False)
    assert flow.exchange(code).status_code == 400
    assert flow.refresh(tokens["refresh_token"]).status_code == 400


def test_deleting_a_person_kills_the_tokens(flow: Flow, person: User) -> None:
    tokens = flow.get_tokens()
    person.delete()
    assert flow.call_api(tokens["access_token"]) == 401
    assert flow.refresh(tokens["refresh_token"]).status_code == 400


def test_sign_in_of_the_house_is_not_touched_by_the_end_of_a_client(flow: Flow, application: Application) -> None:
    person = User.objects.get()
    person.set_password("correct horse battery")
    person.save()
    pair = sign_in(email=person.email, password="correct horse battery", now=timezone.now())
    application.delete()
    assert flow.call_api(pair.access_token) == 200


@pytest.mark.parametrize(("seconds", "status"), [(59, 200), (61, 400)])
def test_a_code_lives_for_a_minute(flow: Flow, seconds: int, status: int) -> None:
    code = flow.get_code()
    Grant.objects.update(expires=F("expires") - timedelta(seconds=seconds))
    assert flow.exchange(code).status_code == status


@pytest.mark.parametrize(("days", "status"), [(13, 200), (15, 400)])
def test_a_refresh_token_lives_for_two_weeks_unused(flow: Flow, days: int, status: int) -> None:
    token = flow.get_tokens()["refresh_token"]
    RefreshToken.objects.update(expires_at=F("expires_at") - timedelta(days=days))
    assert flow.refresh(token).status_code == status


@pytest.mark.compliance("Security", "B18", "no refresh token lives on for ever by being used")
@pytest.mark.parametrize(("days", "status"), [(89, 200), (91, 400)])
def test_what_a_person_allowed_ends_after_ninety_days_however_often_it_is_used(
    flow: Flow, days: int, status: int
) -> None:
    token = flow.refresh(flow.get_tokens()["refresh_token"]).json()["refresh_token"]
    Session.objects.filter(kind=Session.Kind.CLIENT).update(expires_at=F("expires_at") - timedelta(days=days))
    assert flow.refresh(token).status_code == status


def test_no_token_outlives_what_the_person_allowed(flow: Flow) -> None:
    token = flow.get_tokens()["refresh_token"]
    ends_at = timezone.now() + timedelta(seconds=100)
    Session.objects.filter(kind=Session.Kind.CLIENT).update(expires_at=ends_at)
    assert 90 <= flow.refresh(token).json()["expires_in"] <= 100
    assert RefreshToken.objects.latest("pk").expires_at == ends_at


def test_a_scope_that_was_taken_from_the_client_is_gone_from_the_next_refresh(flow: Flow) -> None:
    token = flow.get_tokens(scope="profile users:read")["refresh_token"]
    Application.objects.update(allowed_scopes=["profile"])
    answer = flow.refresh(token).json()
    assert answer["scope"] == "profile"
    Application.objects.update(allowed_scopes=["roles:read"])
    assert flow.refresh(answer["refresh_token"]).json()["error"] == "invalid_grant"


@pytest.mark.compliance("Security", "B15", "codes are not stored in clear")
@pytest.mark.compliance("Security", "D17", "tokens are not stored in clear")
def test_no_code_token_or_secret_is_stored_in_clear(web: Flow) -> None:
    code, tokens = web.get_code(), web.get_tokens()
    models = (Application, ClientSecret, Grant, Session, RefreshToken)
    stored = repr([list(model._default_manager.values()) for model in models])
    for secret in (code, tokens["access_token"], tokens["refresh_token"], str(web.secret)):
        assert secret not in stored


def test_no_code_token_or_secret_is_logged(web: Flow, capfd: pytest.CaptureFixture[str]) -> None:
    code = web.get_code()
    tokens = web.exchange(code).json()
    web.exchange(code)
    web.refresh(tokens["refresh_token"])
    logged = "".join(capfd.readouterr())
    for secret in (code, tokens["access_token"], tokens["refresh_token"], str(web.secret)):
        assert secret not in logged


def _narrow(flow: Flow, *scopes: str) -> None:
    application = Application.objects.get(client_id=flow.client_id)
    application.allowed_scopes = list(scopes)
    application.save()


@pytest.mark.django_db(transaction=True)
def test_a_scope_that_is_taken_from_a_client_ends_its_access_tokens_and_stays_away(flow: Flow) -> None:
    tokens = flow.get_tokens(scope="profile users:read")
    _narrow(flow, "profile")
    assert flow.call_api(tokens["access_token"]) == 401
    answer = flow.refresh(tokens["refresh_token"]).json()
    assert answer["scope"] == "profile"
    assert flow.call_api(answer["access_token"]) == 200


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("token_format", ["jwt", "opaque"])
def test_a_way_to_get_tokens_that_is_taken_from_a_client_ends_its_access_tokens(
    service: Flow, token_format: str
) -> None:
    Application.objects.update(access_token_format=token_format)
    token = service.post("/oauth/token", grant_type="client_credentials", scope="users:read").json()["access_token"]
    assert service.introspect(token)["active"]
    change_client(application=Application.objects.get(), changes={"grant_types": [GrantType.DEVICE_CODE.value]})
    assert service.introspect(token) == {"active": False}


def test_a_code_that_waits_gives_what_is_left_of_its_scope(flow: Flow) -> None:
    wide, lost = flow.get_code(scope="profile users:read"), flow.get_code(scope="users:read")
    _narrow(flow, "profile")
    assert flow.exchange(wide).json()["scope"] == "profile"
    assert flow.exchange(lost).json()["error"] == "invalid_grant"


def test_a_client_that_gains_a_scope_keeps_its_tokens(flow: Flow) -> None:
    _narrow(flow, "profile")
    token = flow.get_tokens()["access_token"]
    _narrow(flow, "profile", "users:read")
    assert flow.call_api(token) == 200


def _change_password(person: User) -> None:
    set_password(user=person, password="correct horse battery", now=timezone.now())


def _change_address(person: User) -> None:
    replace_email(user=person, previous_email=person.email, now=timezone.now())


@pytest.mark.compliance("Security", "D3", "another password ends access and refresh tokens")
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("change", [_change_password, _change_address])
def test_what_may_have_been_granted_by_somebody_else_ends(
    flow: Flow, person: User, change: Callable[[User], None]
) -> None:
    tokens, code = flow.get_tokens(), flow.get_code()
    change(person)
    assert flow.call_api(tokens["access_token"]) == 401
    assert flow.refresh(tokens["refresh_token"]).status_code == 400
    assert flow.exchange(code).status_code == 400


def test_switching_a_person_on_again_revives_nothing(flow: Flow, person: User) -> None:
    tokens = flow.get_tokens()
    for is_active in (False, True):
        person.is_active = is_active
        person.save()
    assert flow.call_api(tokens["access_token"]) == 401
    assert flow.refresh(tokens["refresh_token"]).status_code == 400
    ended = Session.objects.get(kind=Session.Kind.CLIENT)
    assert ended.end_reason == Session.EndReason.DEACTIVATED


def test_a_consent_that_is_revoked_ends_all_that_followed_from_it(flow: Flow, web: Flow) -> None:
    tokens, code, others = flow.get_tokens(), flow.get_code(), web.get_tokens()
    revoke_consent(consent=Consent.objects.get(application__client_id=flow.client_id), now=timezone.now())
    assert flow.call_api(tokens["access_token"]) == 401
    assert flow.refresh(tokens["refresh_token"]).status_code == 400
    assert flow.exchange(code).status_code == 400
    assert web.call_api(others["access_token"]) == 200
    assert audit.list_events(event="consent.revoked").get().data["sessions"] == 1


def test_a_code_under_way_gives_nothing_once_all_sessions_were_ended(flow: Flow, person: User) -> None:
    code = flow.get_code()
    end_all_sessions(user=person, now=timezone.now())
    assert flow.exchange(code).json()["error"] == "invalid_grant"
    assert not Session.objects.filter(kind=Session.Kind.CLIENT).exists()


def test_a_code_under_way_gives_nothing_once_the_session_was_ended_in_which_it_was_allowed(flow: Flow) -> None:
    code = flow.get_code()
    end_session(session=Session.objects.get(kind=Session.Kind.BROWSER), now=timezone.now())
    assert flow.exchange(code).json()["error"] == "invalid_grant"


@pytest.mark.django_db(transaction=True)
def test_a_device_under_way_gets_nothing_once_all_sessions_were_ended(flow: Flow, person: User) -> None:
    application = Application.objects.get(client_id=flow.client_id)
    session = Session.objects.get(kind=Session.Kind.BROWSER)
    now = timezone.now()
    started = start_device(application=application, scopes=["profile"], resource=(), ip_address=None, now=now)
    presence = Presence(user_id=person.pk, session_id=session.pk, authenticated_at=now)
    waiting = DeviceGrant.objects.get()
    assert allow_device(grant=waiting, presence=presence, now=now)
    end_all_sessions(user=person, now=now)
    found = poll_device(device_code=started.device_code, application=application, now=now)
    assert found is not None
    assert found[0] is Poll.DENIED
