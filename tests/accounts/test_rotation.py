from datetime import datetime, timedelta

import pytest
from django.conf import settings

from accounts import rotation
from accounts.exceptions import InvalidRefreshToken
from accounts.models import RefreshToken, Revocation, Session, User
from tests.accounts.conftest import NOW
from tests.accounts.racing import race

pytestmark = pytest.mark.django_db

IDLE = timedelta(seconds=settings.ACCOUNTS["REFRESH_IDLE_SECONDS"])
ABSOLUTE = timedelta(seconds=settings.ACCOUNTS["SESSION_ABSOLUTE_SECONDS"])


def start(user: User) -> rotation.Rotation:
    session = Session.objects.create(user=user, created_at=NOW, expires_at=NOW + ABSOLUTE)
    return rotation.start_family(session=session, now=NOW)


LATER = NOW + timedelta(seconds=1)


def is_refused(raw: str, now: datetime = LATER, started_at: datetime | None = None) -> bool:
    try:
        rotation.rotate(raw=raw, started_at=started_at or now, now=now)
    except InvalidRefreshToken:
        return True
    return False


def test_a_token_is_exchanged_for_the_next_of_its_session(user: User) -> None:
    first = start(user)
    second = rotation.rotate(raw=first.refresh_token, started_at=NOW, now=NOW)
    assert second.session == first.session
    assert second.refresh_token != first.refresh_token
    assert not is_refused(second.refresh_token)


def test_a_token_has_256_random_bits_and_is_stored_nowhere(user: User) -> None:
    raw = start(user).refresh_token
    assert len(raw) == 43
    stored = RefreshToken.objects.get()
    assert raw not in {str(value) for value in vars(stored).values()}


def test_generations_count_up(user: User) -> None:
    raw = start(user).refresh_token
    for _ in range(3):
        raw = rotation.rotate(raw=raw, started_at=NOW, now=NOW).refresh_token
    assert [*RefreshToken.objects.order_by("id").values_list("generation", flat=True)] == [0, 1, 2, 3]


@pytest.mark.compliance("RFC 9700", "4.14.2", "Reuse of a rotated refresh token revokes the active one")
def test_a_second_use_ends_the_session(user: User) -> None:
    first = start(user)
    second = rotation.rotate(raw=first.refresh_token, started_at=NOW, now=NOW)
    assert is_refused(first.refresh_token)
    assert is_refused(second.refresh_token)
    assert Session.objects.get().revoked_at == LATER


def test_a_second_use_kills_the_access_tokens_of_the_session(user: User) -> None:
    first = start(user)
    rotation.rotate(raw=first.refresh_token, started_at=NOW, now=NOW)
    is_refused(first.refresh_token)
    assert Revocation.objects.filter(kind="sid", subject=str(first.session.pk)).exists()


def test_a_second_use_leaves_other_sessions_alone(user: User) -> None:
    first, other = start(user), start(user)
    rotation.rotate(raw=first.refresh_token, started_at=NOW, now=NOW)
    is_refused(first.refresh_token)
    assert not is_refused(other.refresh_token)


def test_a_token_unused_for_too_long_is_dead(user: User) -> None:
    raw = start(user).refresh_token
    assert is_refused(raw, NOW + IDLE)
    assert not is_refused(raw, NOW + IDLE - timedelta(seconds=1))


def test_an_expired_token_does_not_end_the_session(user: User) -> None:
    raw = start(user).refresh_token
    is_refused(raw, NOW + IDLE)
    assert Session.objects.get().revoked_at is None


def test_each_refresh_starts_the_idle_time_anew(user: User) -> None:
    now, raw = NOW, start(user).refresh_token
    for _ in range(3):
        now += IDLE - timedelta(seconds=1)
        raw = rotation.rotate(raw=raw, started_at=NOW, now=now).refresh_token
    assert not is_refused(raw, now)


def test_no_refresh_outlives_the_session(user: User) -> None:
    first = start(user)
    Session.objects.update(expires_at=NOW + timedelta(minutes=1))
    second = rotation.rotate(raw=first.refresh_token, started_at=NOW, now=NOW)
    assert RefreshToken.objects.latest("id").expires_at == NOW + timedelta(minutes=1)
    assert is_refused(second.refresh_token, NOW + timedelta(minutes=1))


def test_an_ended_session_refreshes_no_more(user: User) -> None:
    first = start(user)
    rotation.end_session(session=first.session, now=NOW)
    assert is_refused(first.refresh_token)


def test_ending_a_session_twice_keeps_the_first_instant(user: User) -> None:
    session = start(user).session
    rotation.end_session(session=session, now=NOW)
    rotation.end_session(session=session, now=NOW + timedelta(hours=1))
    assert Session.objects.get().revoked_at == NOW


def test_an_inactive_user_refreshes_no_more(user: User) -> None:
    raw = start(user).refresh_token
    User.objects.update(is_active=False)
    assert is_refused(raw)


@pytest.mark.parametrize("raw", ["", "x", "é", "\x00", "\ud800", "a" * 43, "a" * 100_000])
def test_what_is_no_token_is_refused(raw: str) -> None:
    assert is_refused(raw)


@pytest.mark.parametrize("early", [timedelta(0), timedelta(milliseconds=1)])
def test_a_request_under_way_when_the_token_was_used_is_only_refused(user: User, early: timedelta) -> None:
    first = start(user)
    second = rotation.rotate(raw=first.refresh_token, started_at=NOW, now=NOW)
    assert is_refused(first.refresh_token, now=LATER, started_at=NOW - early)
    assert not Revocation.objects.exists()
    assert not is_refused(second.refresh_token)


def test_a_request_that_starts_after_the_token_was_used_ends_the_session(user: User) -> None:
    first = start(user)
    second = rotation.rotate(raw=first.refresh_token, started_at=NOW, now=NOW)
    assert is_refused(first.refresh_token, started_at=NOW + timedelta(microseconds=1))
    assert is_refused(second.refresh_token)


@pytest.mark.django_db(transaction=True)
def test_of_simultaneous_refreshes_one_wins_and_the_session_lives_until_a_later_use() -> None:
    user = User.objects.create_user("racer@example.com", "x")
    raw = start(user).refresh_token
    assert race(lambda: is_refused(raw, NOW)).count(False) == 1
    assert RefreshToken.objects.count() == 2
    assert Session.objects.get().revoked_at is None
    assert is_refused(raw, LATER)
    assert Session.objects.get().revoked_at == LATER
