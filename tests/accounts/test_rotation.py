import re
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from datetime import datetime, timedelta

import pytest
from django.conf import settings
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from pytest_django import Settings

from accounts import rotation
from accounts.exceptions import InvalidRefreshToken
from accounts.models import RefreshToken, Revocation, Session, User
from accounts.services import end_all_sessions
from accounts.signals import RefreshTokenReused, refresh_token_reused
from project.crypto import derive_secrets
from tests.accounts.conftest import NOW
from tests.accounts.racing import ROUNDS, race

type QueryCount = Callable[[int], AbstractContextManager[object]]

pytestmark = pytest.mark.django_db

IDLE = timedelta(seconds=settings.ACCOUNTS["REFRESH_IDLE_SECONDS"])
ABSOLUTE = timedelta(seconds=settings.ACCOUNTS["SESSION_ABSOLUTE_SECONDS"])


def start(user: User) -> rotation.Rotation:
    session = Session.objects.create(user=user, created_at=NOW, expires_at=NOW + ABSOLUTE)
    return rotation.start_family(session=session, now=NOW)


GRACE = timedelta(seconds=settings.ACCOUNTS["REFRESH_GRACE_SECONDS"])
LATER = NOW + GRACE + timedelta(seconds=1)


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
    rotation.end_session(session=first.session, reason=Session.EndReason.SIGNED_OUT, now=NOW)
    assert is_refused(first.refresh_token)


def test_ending_a_session_twice_keeps_the_first_instant(user: User) -> None:
    session = start(user).session
    assert rotation.end_session(session=session, reason=Session.EndReason.SIGNED_OUT, now=NOW)
    assert not rotation.end_session(session=session, reason=Session.EndReason.ENDED_BY_ADMIN, now=LATER)
    ended = Session.objects.get()
    assert (ended.revoked_at, ended.end_reason) == (NOW, "signed_out")


def test_an_inactive_user_refreshes_no_more(user: User) -> None:
    raw = start(user).refresh_token
    User.objects.update(is_active=False)
    assert is_refused(raw)


@pytest.mark.parametrize("raw", ["", "x", "é", "\x00", "\ud800", "a" * 43, "a" * 100_000])
def test_what_is_no_token_is_refused(raw: str) -> None:
    assert is_refused(raw)


def rotate(raw: str, now: datetime = NOW) -> rotation.Rotation:
    return rotation.rotate(raw=raw, started_at=now, now=now)


def describe(made: rotation.Rotation) -> tuple[object, ...]:
    return made.session.pk, made.refresh_token, made.issued_at, made.jti


@pytest.mark.compliance(
    "ASVS 5.0", "10.4.5", "A client that loses a race with itself gets the same successor, not an error"
)
def test_within_the_grace_period_a_used_token_gives_the_same_pair_again(user: User) -> None:
    first = start(user)
    second = rotate(first.refresh_token)
    again = rotate(first.refresh_token, NOW + GRACE)
    assert describe(again) == describe(second)
    assert RefreshToken.objects.count() == 2


def test_a_pair_given_again_can_be_refreshed_by_each_who_has_it(user: User) -> None:
    first = start(user)
    second, again = rotate(first.refresh_token), rotate(first.refresh_token, NOW + GRACE)
    third = rotate(second.refresh_token, NOW + GRACE)
    assert describe(rotate(again.refresh_token, NOW + 2 * GRACE)) == describe(third)
    assert not is_refused(third.refresh_token, NOW + 2 * GRACE)


def test_a_moment_after_the_grace_period_a_second_use_ends_the_session(user: User) -> None:
    first = start(user)
    second = rotate(first.refresh_token)
    assert is_refused(first.refresh_token, NOW + GRACE + timedelta(microseconds=1))
    assert is_refused(second.refresh_token)
    ended = Session.objects.get()
    assert (ended.revoked_at, ended.end_reason) == (NOW + GRACE + timedelta(microseconds=1), "token_reused")


def test_a_request_that_arrived_in_time_may_wait_for_its_rivals(user: User) -> None:
    first = start(user)
    second = rotate(first.refresh_token)
    late = rotation.rotate(raw=first.refresh_token, started_at=NOW + GRACE, now=LATER)
    assert describe(late) == describe(second)


def test_within_the_grace_period_an_ended_session_gives_nothing(user: User) -> None:
    first = start(user)
    rotate(first.refresh_token)
    rotation.end_session(session=first.session, reason=Session.EndReason.SIGNED_OUT, now=NOW)
    assert is_refused(first.refresh_token, NOW)


def test_within_the_grace_period_an_inactive_user_gets_nothing(user: User) -> None:
    first = start(user)
    rotate(first.refresh_token)
    User.objects.update(is_active=False)
    assert is_refused(first.refresh_token, NOW)
    assert Session.objects.get().revoked_at is None


def test_the_same_pair_comes_again_after_the_secret_of_the_house_was_changed(user: User, settings: Settings) -> None:
    first = start(user)
    second = rotate(first.refresh_token)
    settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
    settings.SECRET_KEY = "s" * 50
    again = rotate(first.refresh_token, NOW + GRACE)
    assert again.refresh_token == second.refresh_token
    assert not is_refused(again.refresh_token, NOW + GRACE)


def test_a_successor_does_not_follow_from_its_token_without_the_secret(user: User, settings: Settings) -> None:
    first, other = start(user), start(user)
    successor = rotate(first.refresh_token).refresh_token
    settings.SECRET_KEY = "s" * 50
    assert successor not in derive_secrets("refresh-token-successor", first.refresh_token)
    assert other.refresh_token != first.refresh_token


def test_a_pending_sign_in_opens_nothing(user: User) -> None:
    first = start(user)
    Session.objects.update(authenticated_at=None)
    assert is_refused(first.refresh_token)
    Session.objects.update(authenticated_at=NOW)
    assert not is_refused(first.refresh_token)


@pytest.mark.django_db(transaction=True)
def test_a_second_use_is_told_once(user: User) -> None:
    heard: list[RefreshTokenReused] = []
    first = start(user)
    rotate(first.refresh_token)
    refresh_token_reused.listen(heard.append)
    try:
        is_refused(first.refresh_token)
        is_refused(first.refresh_token)
    finally:
        refresh_token_reused.unlisten(heard.append)
    assert [fact.session.pk for fact in heard] == [first.session.pk]


@pytest.mark.compliance("ASVS 5.0", "10.4.8", "A session ends at its absolute end, also within the grace period")
def test_a_pair_is_not_given_again_after_the_end_of_the_session(user: User) -> None:
    first = start(user)
    rotate(first.refresh_token)
    Session.objects.update(expires_at=NOW + timedelta(seconds=1))
    assert is_refused(first.refresh_token, NOW + timedelta(seconds=1))


@pytest.mark.compliance("Security", "JW08", "rotations that race make one successor")
@pytest.mark.django_db(transaction=True)
def test_simultaneous_refreshes_make_one_family() -> None:
    user = User.objects.create_user("racer@example.com", "x")
    raw = start(user).refresh_token
    for round_number in range(ROUNDS):
        now = NOW + round_number * timedelta(minutes=1)
        pairs = race(lambda raw=raw, now=now: describe(rotate(raw, now)))  # type: ignore[misc] # a lambda with defaults
        assert len(set(pairs)) == 1
        raw = str(pairs[0][1])
    generations = list_generations()  # of old ones some are deleted
    assert len(set(generations)) == len(generations)
    assert generations[-1] == ROUNDS
    assert RefreshToken.objects.filter(used_at=None).count() == 1
    assert Session.objects.get().revoked_at is None


@pytest.mark.compliance("Security", "JW08", "a refresh that races with the end of its session leaves nothing alive")
@pytest.mark.django_db(transaction=True)
def test_of_a_refresh_and_the_end_of_the_session_nothing_stays_alive() -> None:
    user = User.objects.create_user("racer@example.com", "x")
    for _ in range(ROUNDS):
        first = start(user)
        turns = iter(["end", *["refresh"] * 15])
        lock = threading.Lock()

        def act(first: rotation.Rotation = first, turns: Iterator[str] = turns, lock: threading.Lock = lock) -> str:
            with lock:
                turn = next(turns)
            if turn == "end":
                end_all_sessions(user=user, now=NOW)
                return ""
            try:
                return rotate(first.refresh_token).refresh_token
            except InvalidRefreshToken:
                return ""

        successors = {made for made in race(act) if made}
        assert len(successors) <= 1
        assert all(is_refused(raw) for raw in {first.refresh_token, *successors})
        assert Revocation.objects.filter(kind="sid", subject=str(first.session.pk)).exists()


# --- Few rows -------------------------------------------------------------------------------------------------------

TEN_MINUTES = timedelta(minutes=10)


def rotate_often(first: rotation.Rotation, count: int, *, every: timedelta = TEN_MINUTES) -> tuple[list[str], datetime]:
    """Exchange a token again and again; return all tokens, and when the last one was made."""
    tokens, now = [first.refresh_token], NOW
    for _ in range(count):
        now += every
        tokens.append(rotate(tokens[-1], now).refresh_token)
    return tokens, now


def list_generations() -> list[int]:
    return [*RefreshToken.objects.order_by("generation").values_list("generation", flat=True)]


def find_undetected(tokens: list[str], now: datetime) -> list[int]:
    """Use each token but the last once more; return the generations whose use didn't end the session."""
    undetected = []
    for generation, raw in enumerate(tokens[:-1]):
        with transaction.atomic():
            assert is_refused(raw, now)
            if Session.objects.get().end_reason != Session.EndReason.TOKEN_REUSED:
                undetected.append(generation)
            transaction.set_rollback(True)
    return undetected


def test_of_used_tokens_the_last_ones_and_one_in_sixteen_stay(user: User) -> None:
    rotate_often(start(user), 100)
    assert list_generations() == [0, 16, 32, 48, 64, *range(80, 101)]


@pytest.mark.parametrize("count", [17, 31, 32, 33, 100])
def test_a_second_use_ends_the_session_however_long_ago_the_first_was(user: User, count: int) -> None:
    tokens, now = rotate_often(start(user), count)
    assert find_undetected(tokens, now + TEN_MINUTES) == []
    assert not is_refused(tokens[-1], now)


def test_a_second_use_is_known_across_changed_secrets(user: User, settings: Settings) -> None:
    first = start(user)
    tokens, now = [first.refresh_token], NOW
    for generation in range(1, 60):
        if generation in {20, 41}:
            settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS]
            settings.SECRET_KEY = str(generation) * 25
        now += TEN_MINUTES
        tokens.append(rotate(tokens[-1], now).refresh_token)
    assert len(list_generations()) < 40
    assert find_undetected(tokens, now + TEN_MINUTES) == []


@pytest.mark.parametrize("unused", [0, 1])
def test_a_second_use_is_known_after_one_change_whatever_was_between(
    user: User, settings: Settings, unused: int
) -> None:
    first = start(user)
    tokens, now = rotate_often(first, 24)
    settings.SECRET_KEY_FALLBACKS = [*["between" * 8][:unused], settings.SECRET_KEY]
    settings.SECRET_KEY = "s" * 50
    for _ in range(24):
        now += TEN_MINUTES
        tokens.append(rotate(tokens[-1], now).refresh_token)
    assert find_undetected(tokens, now + TEN_MINUTES) == []


@pytest.mark.parametrize(("fallbacks", "most"), [(0, 15), (1, 135), (2, 360), (3, 360), (9, 360)])
def test_a_token_that_never_was_costs_little_however_many_secrets_there_are(
    user: User, settings: Settings, fallbacks: int, most: int
) -> None:
    start(user)
    settings.SECRET_KEY_FALLBACKS = [str(number) * 50 for number in range(fallbacks)]
    with CaptureQueriesContext(connection) as queries:
        assert is_refused("x" * 43)
    digests = [set(re.findall(r"[0-9a-f]{64}", query["sql"])) for query in queries]
    assert [len(found) for found in digests] == [1 + fallbacks, most]


def test_requests_that_race_find_their_rows_however_fast_a_session_is_refreshed(user: User) -> None:
    tokens, now = rotate_often(start(user), 100, every=timedelta(milliseconds=50))
    assert list_generations() == [*range(101)]
    assert rotate(tokens[3], now).refresh_token == tokens[4]


def test_the_session_of_a_token_whose_row_is_gone_is_found(user: User) -> None:
    first = start(user)
    tokens, _now = rotate_often(first, 40)
    assert 5 not in list_generations()
    assert rotation.find_session(tokens[5]) == first.session
    assert rotation.find_session(tokens[5], client_id="another") is None


def test_another_client_can_not_end_a_session_with_an_old_token(user: User) -> None:
    tokens, now = rotate_often(start(user), 40)
    with pytest.raises(InvalidRefreshToken):
        rotation.rotate(raw=tokens[5], client_id="another", started_at=now, now=now)
    assert Session.objects.get().revoked_at is None


def test_a_second_use_after_the_end_of_the_session_changes_nothing(user: User) -> None:
    first = start(user)
    tokens, now = rotate_often(first, 40)
    rotation.end_session(session=first.session, reason=Session.EndReason.SIGNED_OUT, now=now)
    assert is_refused(tokens[5], now)
    assert Session.objects.get().end_reason == Session.EndReason.SIGNED_OUT


def test_a_token_that_never_was_costs_two_queries(user: User, django_assert_num_queries: QueryCount) -> None:
    start(user)
    with django_assert_num_queries(2):
        assert is_refused("x" * 43)
