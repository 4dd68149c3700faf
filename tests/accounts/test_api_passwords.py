"""Choosing another password, over HTTP."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.utils import timezone
from rest_framework.test import APIClient

from accounts import services
from accounts.models import EmailToken, Session, User
from accounts.services import TokenPair
from accounts.throttles.doors import DEFAULTS, Door
from tests.accounts.clients import (
    AUTH,
    NEW_PASSWORD,
    as_holder,
    is_alive,
    is_open,
    is_refreshed,
    log_in,
    read_problem,
)
from tests.accounts.conftest import PASSWORD, ApiResponse
from tests.accounts.racing import race

pytestmark = pytest.mark.django_db

WRONG = "a wrong password, long"

type MakeLink = Callable[..., str]


@pytest.fixture
def make_link(user: User) -> MakeLink:
    """Return a function that makes the token of a link which lets the user choose a new password."""

    def make(**options: object) -> str:
        make_token: MakeLink = services.make_email_token
        values = {"user": user, "purpose": EmailToken.Purpose.RESET_PASSWORD, "now": timezone.now()}
        return make_token(**(values | options))

    return make


def change(client: APIClient, current: str = PASSWORD, new: str = NEW_PASSWORD) -> ApiResponse:
    return client.post(f"{AUTH}/password/change", {"current_password": current, "new_password": new})


def reset(token: str, password: str = NEW_PASSWORD) -> ApiResponse:
    return APIClient().post(f"{AUTH}/password/reset/confirm", {"token": token, "password": password})


# --- Changing ---------------------------------------------------------------------------------------------------------


@pytest.mark.compliance("ASVS 5.0", "6.2.2", "People can change their password")
def test_the_new_password_opens_and_the_old_one_does_not(signed_in: APIClient, user: User) -> None:
    assert change(signed_in).status_code == 200
    statuses = [log_in(APIClient(), user.email, password).status_code for password in (PASSWORD, NEW_PASSWORD)]
    assert statuses == [401, 200]


@pytest.mark.compliance("ASVS 5.0", "6.2.3", "A change needs the present password")
@pytest.mark.compliance("Security", "AC06", "another password needs the present one, by the API")
def test_a_wrong_present_password_is_refused_and_nothing_changes(
    signed_in: APIClient, user: User, pair: TokenPair
) -> None:
    assert read_problem(change(signed_in, current=WRONG)) == (403, "wrong_password")
    assert log_in(APIClient(), user.email).status_code == 200
    assert is_alive(pair)


@pytest.mark.compliance("ASVS 5.0", "6.2.3", "A change without the present password is refused")
def test_the_present_password_cannot_be_left_out(signed_in: APIClient, pair: TokenPair) -> None:
    response = signed_in.post(f"{AUTH}/password/change", {"new_password": NEW_PASSWORD})
    assert [error["field"] for error in response.json()["errors"]] == ["current_password"]
    assert is_alive(pair)


def test_this_device_goes_on_with_the_new_pair(signed_in: APIClient, pair: TokenPair) -> None:
    body = change(signed_in).json()
    assert set(body) == {"access_token", "refresh_token", "token_type", "expires_in"}
    assert is_open(body["access_token"])
    assert is_refreshed(body["refresh_token"])
    assert not is_alive(pair)


def test_the_new_session_counts_as_just_signed_in(signed_in: APIClient, pair: TokenPair) -> None:
    token = change(signed_in).json()["access_token"]
    assert as_holder(token).delete(f"{AUTH}/me").status_code == 204


def test_a_weak_new_password_is_blamed_on_its_field(signed_in: APIClient, pair: TokenPair) -> None:
    response = change(signed_in, new="short")
    assert {(error["field"], error["code"]) for error in response.json()["errors"]} == {
        ("new_password", "password_refused")
    }
    assert is_alive(pair)


def test_the_present_password_can_be_tried_a_few_times_only(signed_in: APIClient) -> None:
    limit = DEFAULTS[Door.REAUTHENTICATE].pair
    assert limit is not None
    statuses = [change(signed_in, current=WRONG).status_code for _ in range(limit.free + 1)]
    assert statuses == [403] * limit.free + [429]


def test_right_passwords_use_no_attempts_up(signed_in: APIClient) -> None:
    body = {"password": PASSWORD}
    assert {signed_in.post(f"{AUTH}/reauthenticate", body).status_code for _ in range(8)} == {200}


@pytest.mark.django_db(transaction=True)
def test_of_simultaneous_changes_only_the_last_session_lives(signed_in: APIClient, pair: TokenPair) -> None:
    token = pair.access_token
    answers = race(lambda: change(as_holder(token)), threads=4)
    assert {answer.status_code for answer in answers} <= {200, 401, 403}
    assert not is_alive(pair)


# --- Giving it again --------------------------------------------------------------------------------------------------


def test_a_wrong_password_gives_no_token(signed_in: APIClient) -> None:
    response = signed_in.post(f"{AUTH}/reauthenticate", {"password": WRONG})
    assert read_problem(response) == (403, "wrong_password")
    assert "WWW-Authenticate" not in response  # another token wouldn't help


def test_an_ended_session_is_not_renewed_by_a_password(signed_in: APIClient) -> None:
    Session.objects.update(revoked_at=timezone.now())  # and the token isn't dead yet
    response = signed_in.post(f"{AUTH}/reauthenticate", {"password": PASSWORD})
    assert response.status_code in {401, 404}


# --- Resetting --------------------------------------------------------------------------------------------------------


def test_a_link_sets_the_password_and_signs_nobody_in(user: User, make_link: MakeLink) -> None:
    response = reset(make_link())
    assert (response.status_code, set(response.json())) == (200, {"detail"})
    assert not response.cookies
    assert not Session.objects.exists()
    assert log_in(APIClient(), user.email, NEW_PASSWORD).status_code == 200


@pytest.mark.compliance("ASVS 5.0", "7.4.3", "Resetting the password ends all sessions")
def test_a_reset_ends_all_sessions(pair: TokenPair, make_link: MakeLink) -> None:
    reset(make_link())
    assert not is_alive(pair)


@pytest.mark.compliance("ASVS 5.0", "6.4.1", "A link that sets a password works once")
@pytest.mark.compliance("Security", "AC04", "a link of a reset works once, by the API")
def test_a_link_works_once(make_link: MakeLink) -> None:
    token = make_link()
    assert [reset(token).status_code for _ in range(2)] == [200, 400]


def test_using_one_link_up_voids_the_others(make_link: MakeLink) -> None:
    first, second = make_link(), make_link()
    assert [reset(token).status_code for token in (second, first)] == [200, 400]


@pytest.mark.compliance("ASVS 5.0", "6.4.1", "A link that sets a password expires, swept or not")
@pytest.mark.compliance("Security", "AC04", "an expired link of a reset sets no password")
@pytest.mark.compliance("Security", "AC12", "an expired link sets no password, also before it is swept")
def test_an_expired_link_is_refused_before_it_is_swept(make_link: MakeLink) -> None:
    token = make_link(now=timezone.now() - timedelta(hours=25))
    response = reset(token)
    assert read_problem(response) == (400, "invalid")
    assert [(one["field"], one["code"]) for one in response.json()["errors"]] == [("token", "invalid_email_token")]


@pytest.mark.compliance("Security", "AC04", "a link of a reset is dead after another password, by the API")
def test_a_link_is_void_after_a_change_of_the_password(signed_in: APIClient, make_link: MakeLink) -> None:
    token = make_link()
    change(signed_in)
    assert reset(token).status_code == 400


@pytest.mark.compliance("Security", "AC04", "a link of a reset is dead after another address, by the API")
def test_a_link_is_void_after_a_change_of_the_address(user: User, make_link: MakeLink) -> None:
    token = make_link()
    user.email = "other@example.com"
    user.save()
    assert reset(token).status_code == 400


@pytest.mark.compliance("Security", "AC04", "a link of a reset sets nobody else's password")
def test_a_link_changes_its_own_user_alone(make_link: MakeLink) -> None:
    somebody = User.objects.create_user("else@example.com", PASSWORD, email_verified_at=timezone.now())
    reset(make_link())
    assert log_in(APIClient(), somebody.email).status_code == 200


@pytest.mark.compliance("Security", "AC04", "a link for something else sets no password")
def test_a_link_for_something_else_sets_no_password(make_link: MakeLink) -> None:
    for purpose in (EmailToken.Purpose.VERIFY_EMAIL, EmailToken.Purpose.CHANGE_EMAIL):
        assert reset(make_link(purpose=purpose)).status_code == 400


def test_a_weak_password_leaves_the_link_good(make_link: MakeLink) -> None:
    token = make_link()
    assert [reset(token, password).status_code for password in ("short", NEW_PASSWORD)] == [400, 200]


def test_asking_for_a_link_changes_nothing(pair: TokenPair, user: User) -> None:
    assert APIClient().post(f"{AUTH}/password/reset", {"email": user.email}).status_code == 202
    assert is_alive(pair)
