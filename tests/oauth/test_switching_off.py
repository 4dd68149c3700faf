"""Clients that are switched off: with their owner, or many at once. They are dead on the next request."""

from collections.abc import Callable

import pytest
from django.test import Client
from django.utils import timezone

from accounts.models import User
from oauth.models import AccessToken, Application
from oauth.services import register_client
from permissions import audit
from tests.oauth.devices import Device
from tests.oauth.flow import REDIRECT_URI, Flow

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def owner(db: None) -> User:
    """Somebody who has clients of their own."""
    return User.objects.create(email="owner@example.com", name="Olga", email_verified_at=timezone.now())


@pytest.fixture(params=["jwt", "opaque"])
def owned(owner: User, person: User, request: pytest.FixtureRequest) -> Flow:
    """A client of the owner, with either kind of tokens, and another person who uses it."""
    client = register_client(
        name="Olga's app",
        client_type="confidential",
        grant_types=["authorization_code", "refresh_token", "client_credentials"],
        redirect_uris=[REDIRECT_URI],
        allowed_scopes=["profile", "users:read"],
        owner=owner,
    )
    Application.objects.update(access_token_format=request.param, allowed_origins="https://olga.example")
    flow = Flow(client.application.client_id, client.client_secret)
    flow.browser.force_login(person)
    return flow


def _deactivate(owner: User) -> None:
    owner.is_active = False
    owner.save()


def _get_own_token(flow: Flow) -> str:
    response = flow.post("/oauth/token", grant_type="client_credentials", scope="users:read")
    assert response.status_code == 200, response.content
    return str(response.json()["access_token"])


def _assert_dead(flow: Flow, *tokens: str) -> None:
    response = flow.post("/oauth/token", grant_type="client_credentials", scope="users:read")
    assert (response.status_code, response.json()["error"]) == (401, "invalid_client")
    assert flow.post("/oauth/introspect", token=tokens[0]).status_code == 401
    page = flow.open()
    assert page.status_code == 400
    assert "Location" not in page
    for token in tokens:
        assert flow.call_api(token) == 401


@pytest.mark.compliance("Security", "TK11", "a client dies with the deactivation of who answers for it")
def test_a_client_is_dead_once_its_owner_is_deactivated(owned: Flow, owner: User) -> None:
    given, code, own = owned.get_tokens(), owned.get_code(), _get_own_token(owned)
    assert owned.call_api(given["access_token"]) == 200
    _deactivate(owner)
    _assert_dead(owned, given["access_token"], own)
    assert owned.refresh(given["refresh_token"]).status_code == 401
    assert owned.exchange(code).status_code == 401
    assert not AccessToken.objects.exists()
    assert audit.list_events(event="client.revoked").count() == 1


def test_its_scripts_are_let_in_no_more(owned: Flow, owner: User) -> None:
    headers = {"Origin": "https://olga.example"}
    assert "Access-Control-Allow-Origin" in Client().get("/oauth/userinfo", headers=headers)
    _deactivate(owner)
    assert "Access-Control-Allow-Origin" not in Client().get("/oauth/userinfo", headers=headers)


def test_it_comes_back_with_its_owner_but_what_it_had_does_not(owned: Flow, owner: User) -> None:
    given, own = owned.get_tokens(), _get_own_token(owned)
    _deactivate(owner)
    owner.is_active = True
    owner.save()
    for token in (given["access_token"], own):
        assert owned.call_api(token) == 401
    assert owned.refresh(given["refresh_token"]).json()["error"] == "invalid_grant"
    assert owned.call_api(owned.get_tokens()["access_token"]) == 200


def test_an_inactive_owner_who_is_changed_ends_nothing_twice(owned: Flow, owner: User) -> None:
    _deactivate(owner)
    owner.name = "Olga, gone"
    owner.save()
    assert audit.list_events(event="client.revoked").count() == 1


def test_a_client_without_an_owner_goes_on(web: Flow, owned: Flow, owner: User) -> None:
    tokens = web.get_tokens()
    _deactivate(owner)
    assert web.call_api(tokens["access_token"]) == 200
    assert web.refresh(tokens["refresh_token"]).status_code == 200


def test_a_waiting_device_gets_nothing_from_a_client_whose_owner_is_gone(device: Device, owner: User) -> None:
    Application.objects.update(user=owner)
    codes = device.get_codes()
    _deactivate(owner)
    assert device.poll(codes["device_code"]).status_code == 401
    page = device.enter(codes["user_code"])
    assert "Example TV" not in page.content.decode()


def test_an_owner_who_was_switched_off_before_has_no_client_that_works(owned: Flow) -> None:
    User.objects.create(email="late@example.com", is_active=False)
    Application.objects.update(user=User.objects.get(email="late@example.com"))
    response = owned.post("/oauth/token", grant_type="client_credentials", scope="users:read")
    assert response.status_code == 401


def _hand_over(client_id: str, owner: User) -> None:
    application = Application.objects.get(client_id=client_id)
    application.user = owner
    application.save()


def _hand_over_in_bulk(client_id: str, owner: User) -> None:
    Application.objects.filter(client_id=client_id).update(user=owner)


@pytest.mark.parametrize("hand_over", [_hand_over, _hand_over_in_bulk])
def test_a_client_that_is_given_to_somebody_inactive_loses_all_that_it_has(
    owned: Flow, web: Flow, hand_over: Callable[[str, User], None]
) -> None:
    late = User.objects.create(email="late@example.com", is_active=False)
    given, own, others = owned.get_tokens(), _get_own_token(owned), web.get_tokens()
    hand_over(owned.client_id, late)
    _assert_dead(owned, given["access_token"], own)
    assert web.call_api(others["access_token"]) == 200
    User.objects.filter(pk=late.pk).update(is_active=True)
    for token in (given["access_token"], own):
        assert owned.call_api(token) == 401
    assert owned.refresh(given["refresh_token"]).status_code == 400


@pytest.mark.parametrize("hand_over", [_hand_over, _hand_over_in_bulk])
def test_a_client_that_is_given_to_somebody_active_keeps_what_it_has(
    owned: Flow, person: User, hand_over: Callable[[str, User], None]
) -> None:
    given = owned.get_tokens()
    hand_over(owned.client_id, person)
    assert owned.call_api(given["access_token"]) == 200
    assert owned.refresh(given["refresh_token"]).status_code == 200


def _by_update(client_id: str) -> None:
    Application.objects.filter(client_id=client_id).update(is_active=False)


def _by_bulk_update(client_id: str) -> None:
    application = Application.objects.get(client_id=client_id)
    application.is_active = False
    Application.objects.bulk_update([application], ["is_active"])


@pytest.mark.parametrize("switch_off", [_by_update, _by_bulk_update])
def test_clients_that_are_switched_off_in_bulk_lose_all_that_they_have(
    owned: Flow, web: Flow, switch_off: Callable[[str], None]
) -> None:
    given, own, others = owned.get_tokens(), _get_own_token(owned), web.get_tokens()
    switch_off(owned.client_id)
    _assert_dead(owned, given["access_token"], own)
    assert web.call_api(others["access_token"]) == 200
    Application.objects.filter(client_id=owned.client_id).update(is_active=True)
    for token in (given["access_token"], own):
        assert owned.call_api(token) == 401
    assert owned.refresh(given["refresh_token"]).json()["error"] == "invalid_grant"
    events = audit.list_events(event="client.revoked")
    assert [event.data for event in events] == [{}]
