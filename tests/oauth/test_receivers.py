"""What ends tokens without anybody asking for it at the protocol's endpoints."""

from datetime import timedelta

import pytest
from django.db.models import F
from django.utils import timezone

from accounts.models import User
from accounts.services import set_password, sign_in
from oauth.models import AccessToken, Application, Grant, RefreshToken
from oauth.services import revoke_access_token
from tests.oauth.flow import Flow


def test_deleting_the_row_of_an_access_token_kills_the_token(flow: Flow) -> None:
    token = flow.get_tokens()["access_token"]
    AccessToken.objects.all().delete()
    assert flow.call_api(token) == 401


def test_deleting_one_token_leaves_the_others_alone(flow: Flow) -> None:
    dead, alive = flow.get_tokens()["access_token"], flow.get_tokens()["access_token"]
    AccessToken.objects.order_by("pk")[0].delete()
    assert (flow.call_api(dead), flow.call_api(alive)) == (401, 200)


def test_an_expired_token_needs_no_revocation(flow: Flow) -> None:
    from accounts.models import Revocation  # noqa: PLC0415 - looked at in this test only

    flow.get_tokens()
    AccessToken.objects.update(expires=timezone.now() - timedelta(seconds=1))
    AccessToken.objects.all().delete()
    assert not Revocation.objects.exists()


def test_revoking_one_access_token_ends_its_family(flow: Flow) -> None:
    tokens = flow.get_tokens()
    revoke_access_token(access_token=AccessToken.objects.get(), now=timezone.now())
    assert flow.call_api(tokens["access_token"]) == 401
    assert flow.refresh(tokens["refresh_token"]).status_code == 400


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
    RefreshToken.objects.update(expires=F("expires") - timedelta(days=days))
    assert flow.refresh(token).status_code == status


def test_a_scope_that_was_taken_from_the_client_is_gone_from_the_next_refresh(flow: Flow) -> None:
    token = flow.get_tokens(scope="profile users:read")["refresh_token"]
    Application.objects.update(allowed_scopes=["profile"])
    answer = flow.refresh(token).json()
    assert answer["scope"] == "profile"
    Application.objects.update(allowed_scopes=["roles:read"])
    assert flow.refresh(answer["refresh_token"]).json()["error"] == "invalid_grant"


def test_no_code_token_or_secret_is_stored_in_clear(web: Flow) -> None:
    code, tokens = web.get_code(), web.get_tokens()
    stored = repr([list(model.objects.values()) for model in (Application, Grant, AccessToken, RefreshToken)])
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


def test_a_scope_that_is_taken_from_a_client_ends_the_access_tokens_that_hold_it(flow: Flow) -> None:
    wide, narrow = flow.get_tokens(scope="profile users:read"), flow.get_tokens(scope="profile")
    _narrow(flow, "profile")
    assert (flow.call_api(wide["access_token"]), flow.call_api(narrow["access_token"])) == (401, 200)
    assert flow.refresh(wide["refresh_token"]).json()["scope"] == "profile"


def test_a_code_that_waits_with_a_scope_taken_from_the_client_gives_nothing(flow: Flow) -> None:
    wide, narrow = flow.get_code(scope="profile users:read"), flow.get_code(scope="profile")
    _narrow(flow, "profile")
    assert (flow.exchange(wide).status_code, flow.exchange(narrow).status_code) == (400, 200)


def test_a_client_that_gains_a_scope_keeps_its_tokens(flow: Flow) -> None:
    _narrow(flow, "profile")
    token = flow.get_tokens()["access_token"]
    _narrow(flow, "profile", "users:read")
    assert flow.call_api(token) == 200


@pytest.mark.django_db(transaction=True)
def test_a_new_password_ends_what_the_old_one_may_have_granted(flow: Flow, person: User) -> None:
    tokens, code = flow.get_tokens(), flow.get_code()
    set_password(user=person, password="correct horse battery", now=timezone.now())
    assert flow.call_api(tokens["access_token"]) == 401
    assert flow.refresh(tokens["refresh_token"]).status_code == 400
    assert flow.exchange(code).status_code == 400
