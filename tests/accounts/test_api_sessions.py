"""Where one is signed in, over HTTP: how long that lasts, and how it ends."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from django.conf import settings as django_settings
from django.utils import timezone
from rest_framework.test import APIClient

from accounts import services
from accounts.models import RefreshToken, Session, User
from accounts.services import TokenPair
from tests.accounts.clients import AUTH, NEW_PASSWORD, as_holder, is_alive, is_open, is_refreshed, log_in, read_problem
from tests.accounts.conftest import PASSWORD, Issue

type QueryCount = Callable[[int], AbstractContextManager[object]]

pytestmark = pytest.mark.django_db

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0"


@pytest.fixture
def other(user: User) -> TokenPair:
    """A sign-in of the user on another device."""
    device = services.Device("203.0.113.9", FIREFOX)
    return services.sign_in(email=user.email, password=PASSWORD, device=device, now=timezone.now())


@pytest.fixture
def strangers(db: None) -> TokenPair:
    """A sign-in of somebody else."""
    somebody = User.objects.create_user("else@example.com", PASSWORD, email_verified_at=timezone.now())
    return services.sign_in(email=somebody.email, password=PASSWORD, now=timezone.now())


# --- The list ---------------------------------------------------------------------------------------------------------


@pytest.mark.compliance("ASVS 5.0", "7.5.2", "People see where they are signed in")
def test_the_list_tells_the_own_sessions_and_which_of_them_asks(
    signed_in: APIClient, pair: TokenPair, other: TokenPair, strangers: TokenPair
) -> None:
    rows = {row["id"]: row for row in signed_in.get(f"{AUTH}/sessions").json()["results"]}
    assert {key: row["is_current"] for key, row in rows.items()} == {
        str(pair.session.pk): True,
        str(other.session.pk): False,
    }
    row = rows[str(other.session.pk)]
    assert (row["device"], row["ip_address"], row["kind"]) == ("Firefox on Linux", "203.0.113.9", "api")


def test_the_list_says_nothing_else(signed_in: APIClient) -> None:
    row = signed_in.get(f"{AUTH}/sessions").json()["results"][0]
    assert set(row) == {
        "id", "kind", "created_at", "last_used_at", "expires_at", "ip_address", "device", "is_current",
    }  # fmt: skip


def test_the_list_leaves_ended_sessions_out(signed_in: APIClient, pair: TokenPair, other: TokenPair) -> None:
    services.end_session(session=other.session, now=timezone.now())
    assert [row["id"] for row in signed_in.get(f"{AUTH}/sessions").json()["results"]] == [str(pair.session.pk)]


@pytest.mark.parametrize("count", [1, 20])
def test_the_list_costs_three_queries_for_any_number(
    signed_in: APIClient, user: User, count: int, django_assert_num_queries: QueryCount
) -> None:
    for _ in range(count):
        services.open_api_session(proof=services.Proof(user, timezone.now()), now=timezone.now())
    with django_assert_num_queries(3):  # the token's user, the count, the page
        assert signed_in.get(f"{AUTH}/sessions").json()["count"] == count + 1


# --- Ending one -------------------------------------------------------------------------------------------------------


@pytest.mark.compliance("ASVS 5.0", "7.5.2", "People end any of their sessions")
@pytest.mark.compliance("ASVS 5.0", "10.4.9", "people kill refresh and access tokens of a session by the API")
def test_ending_another_session_kills_its_tokens_and_not_the_own(
    signed_in: APIClient, pair: TokenPair, other: TokenPair
) -> None:
    assert signed_in.delete(f"{AUTH}/sessions/{other.session.pk}").status_code == 204
    assert not is_alive(other)
    assert is_alive(pair)


def test_ending_the_own_session_signs_out(signed_in: APIClient, pair: TokenPair) -> None:
    assert signed_in.delete(f"{AUTH}/sessions/{pair.session.pk}").status_code == 204
    assert not is_alive(pair)
    assert Session.objects.get().end_reason == Session.EndReason.SIGNED_OUT


@pytest.mark.compliance("ASVS 5.0", "8.2.2", "Somebody else's session can't be told from one that doesn't exist")
def test_ending_a_strangers_session_is_answered_404_and_ends_nothing(
    signed_in: APIClient, strangers: TokenPair
) -> None:
    answers = [signed_in.delete(f"{AUTH}/sessions/{key}") for key in (strangers.session.pk, uuid4())]
    assert [read_problem(answer) for answer in answers] == [(404, "session_not_found")] * 2
    assert is_alive(strangers)


def test_ending_a_session_twice_is_answered_404(signed_in: APIClient, other: TokenPair) -> None:
    address = f"{AUTH}/sessions/{other.session.pk}"
    assert [signed_in.delete(address).status_code for _ in range(2)] == [204, 404]


@pytest.mark.parametrize("key", ["x", "0", "00000000-0000-0000-0000-00000000000g", "..%2f", "%00"])
def test_what_is_no_id_is_answered_as_a_problem(signed_in: APIClient, key: str) -> None:
    response = signed_in.delete(f"{AUTH}/sessions/{key}")
    assert response.status_code in {400, 404}
    assert response["Content-Type"] == "application/problem+json"


# --- Ending all -------------------------------------------------------------------------------------------------------


@pytest.mark.compliance("ASVS 5.0", "7.4.1", "Signing out kills the session and its self-contained tokens at once")
@pytest.mark.compliance("Security", "AC08", "signing out kills the session on the server")
def test_signing_out_kills_both_tokens(signed_in: APIClient, pair: TokenPair) -> None:
    assert signed_in.post(f"{AUTH}/logout").status_code == 204
    assert not is_alive(pair)


@pytest.mark.compliance("ASVS 5.0", "7.4.1", "Signing out everywhere kills all sessions and their tokens at once")
def test_signing_out_everywhere_kills_all(signed_in: APIClient, pair: TokenPair, other: TokenPair) -> None:
    assert signed_in.post(f"{AUTH}/logout-all").status_code == 204
    assert not is_alive(pair)
    assert not is_alive(other)


def test_signing_out_everywhere_leaves_strangers(signed_in: APIClient, strangers: TokenPair) -> None:
    signed_in.post(f"{AUTH}/logout-all")
    assert is_alive(strangers)


def test_one_can_sign_in_again_after_signing_out_everywhere(signed_in: APIClient, user: User) -> None:
    signed_in.post(f"{AUTH}/logout-all")
    assert is_open(log_in(APIClient(), user.email).json()["access_token"])


@pytest.mark.compliance("ASVS 5.0", "7.4.2", "All sessions end when the account is switched off")
def test_an_inactive_users_tokens_are_dead(user: User, pair: TokenPair) -> None:
    user.is_active = False
    user.save()
    assert not is_alive(pair)


@pytest.mark.compliance("ASVS 5.0", "7.4.2", "All sessions end when the account is deleted")
def test_a_deleted_users_tokens_are_dead(user: User, pair: TokenPair, other: TokenPair) -> None:
    assert as_holder(other.access_token).delete(f"{AUTH}/me").status_code == 204
    assert not is_alive(pair)
    assert not is_alive(other)


@pytest.mark.compliance("ASVS 5.0", "7.4.3", "Changing the password ends all other sessions")
@pytest.mark.compliance("Security", "AC06", "another password ends all other sessions, by the API")
def test_changing_the_password_ends_all_other_sessions(signed_in: APIClient, pair: TokenPair, other: TokenPair) -> None:
    signed_in.post(f"{AUTH}/password/change", {"current_password": PASSWORD, "new_password": NEW_PASSWORD})
    assert not is_alive(pair)
    assert not is_alive(other)


# --- What a session is ------------------------------------------------------------------------------------------------


@pytest.mark.compliance("ASVS 5.0", "7.1.1", "How long sessions last is documented, as it is set")
def test_the_documented_lifetimes_are_those_that_are_set() -> None:
    text = (Path(django_settings.BASE_DIR) / "docs" / "accounts.md").read_text()
    for name in ("REFRESH_IDLE_SECONDS", "BROWSER_IDLE_SECONDS", "SESSION_ABSOLUTE_SECONDS"):
        days = timedelta(seconds=django_settings.ACCOUNTS[name]).days
        assert f"{days} days (`{name}`)" in text


@pytest.mark.compliance("ASVS 5.0", "7.2.1", "Tokens are verified by the server: what the client holds decides nothing")
def test_a_token_whose_session_has_ended_opens_nothing_whatever_it_says(pair: TokenPair) -> None:
    services.end_session(session=pair.session, now=timezone.now())
    assert not is_open(pair.access_token)


@pytest.mark.compliance("ASVS 5.0", "7.2.3", "Reference tokens hold 256 random bits")
def test_refresh_tokens_are_long_and_random(api_client: APIClient, user: User) -> None:
    tokens = {log_in(api_client, user.email).json()["refresh_token"] for _ in range(5)}
    assert {len(token) for token in tokens} == {43}  # 256 bits in base64url
    assert len(tokens) == 5


@pytest.mark.compliance("ASVS 5.0", "7.2.4", "Each sign-in begins another session, with tokens of its own")
def test_signing_in_begins_another_session_whatever_was_sent_along(
    signed_in: APIClient, user: User, pair: TokenPair
) -> None:
    body = log_in(signed_in, user.email).json()
    assert body["access_token"] != pair.access_token
    assert Session.objects.count() == 2


@pytest.mark.compliance("ASVS 5.0", "7.2.4", "Giving the password again gives another token")
def test_reauthenticating_gives_another_token_of_the_same_session(signed_in: APIClient, pair: TokenPair) -> None:
    token = signed_in.post(f"{AUTH}/reauthenticate", {"password": PASSWORD}).json()["access_token"]
    assert token != pair.access_token
    rows = as_holder(token).get(f"{AUTH}/sessions").json()["results"]
    assert [(row["id"], row["is_current"]) for row in rows] == [(str(pair.session.pk), True)]


@pytest.mark.compliance("ASVS 5.0", "7.3.1", "A session ends when it lies unused for too long")
def test_a_refresh_token_that_lay_unused_for_too_long_is_dead(pair: TokenPair) -> None:
    RefreshToken.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    assert not is_refreshed(pair.refresh_token)


@pytest.mark.compliance("ASVS 5.0", "7.3.2", "A session ends after a time, however often it is used")
@pytest.mark.compliance("ASVS 5.0", "10.4.8", "Refresh tokens expire for good, however often they are exchanged")
def test_a_session_past_its_end_is_not_refreshed(pair: TokenPair) -> None:
    Session.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    assert not is_refreshed(pair.refresh_token)


@pytest.mark.compliance("ASVS 5.0", "10.4.8", "A refresh doesn't move the end of the session")
def test_a_refresh_leaves_the_end_of_the_session_where_it_is(pair: TokenPair) -> None:
    assert is_refreshed(pair.refresh_token)
    assert Session.objects.get().expires_at == pair.session.expires_at
    assert set(RefreshToken.objects.filter(expires_at__gt=pair.session.expires_at)) == set()


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "logout"), ("POST", "logout-all"), ("POST", "reauthenticate"), ("POST", "password/change"),
        ("POST", "email/change"), ("GET", "sessions"), ("DELETE", f"sessions/{uuid4()}"), ("GET", "export"),
        ("GET", "security-events"), ("PATCH", "me"), ("DELETE", "me"),
    ],
    ids=lambda value: value.partition("/")[0],
)  # fmt: skip
def test_no_oauth_client_comes_in(api_client: APIClient, user: User, issue: Issue, method: str, path: str) -> None:
    scopes = ["profile", "users:read", "roles:write", "audit:read"]
    raw = issue(user.pk, client_id="app", scope=scopes, authenticated_at=timezone.now())
    response = as_holder(raw).generic(method, f"{AUTH}/{path}")
    assert read_problem(response) == (403, "insufficient_scope")
