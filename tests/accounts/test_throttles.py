"""How often one may try, as the functions say it; ``test_attempts.py`` asks over HTTP."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import takewhile
from pathlib import Path
from uuid import uuid4

import pytest
from django.conf import settings as django_settings
from django.core.checks import run_checks
from django.core.exceptions import ImproperlyConfigured
from django.http import HttpRequest
from django.test import RequestFactory
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from pytest_django import Settings
from redis import Redis
from rest_framework.test import APIClient

from accounts.models import User
from accounts.throttles import Door, _get_known_key, count_attempt, may_mail, note_success
from accounts.throttles.counting import Count, Success, Tally, get_counts
from accounts.throttles.doors import DEFAULTS, Limit, get_limits
from project.redis_client import get_redis_client
from tests.accounts.clients import log_in
from tests.accounts.conftest import NOW
from tests.accounts.racing import race
from tests.redis_commands import list_commands

ADA = "ada@example.com"
HOME = "203.0.113.1"
SECOND = timedelta(seconds=1)
HOUR = timedelta(hours=1)

needs_redis = pytest.mark.skipif(not django_settings.REDIS_URL, reason="about Redis alone")


def request_from(address: str = HOME, **headers: str) -> HttpRequest:
    return RequestFactory().get("/", REMOTE_ADDR=address, headers=headers)


def wait(address: str = HOME, account: str = "", *, door: Door = Door.LOGIN, after: timedelta = 0 * SECOND) -> int:
    """Try once; return the seconds to wait, 0 where it may go on."""
    return count_attempt(request_from(address), door=door, account=account, now=NOW + after) or 0


def succeed(address: str = HOME, account: str = ADA, *, after: timedelta = 0 * SECOND) -> None:
    note_success(request_from(address), door=Door.LOGIN, account=account, now=NOW + after)


def exhaust(address: str = HOME, account: str = "", *, door: Door = Door.LOGIN, after: timedelta = 0 * SECOND) -> int:
    """Try until a refusal; return how many attempts there were before."""
    for number in range(1000):
        if wait(address, account, door=door, after=after):
            return number
    raise AssertionError("nothing was ever refused")


def try_for(duration: timedelta, attempt: Callable[[timedelta], int]) -> list[int]:
    """Try whenever it is allowed; return the waits in their order."""
    passed, waits = timedelta(0), []
    while passed < duration:
        if seconds := attempt(passed):
            waits.append(seconds)
            passed += timedelta(seconds=seconds)
        else:
            waits.append(0)
    return waits


@pytest.fixture
def three_from_one_address(settings: Settings) -> None:
    """Three free attempts from one address, and one more each minute."""
    limit = {"FREE": 3, "RECOVERY_SECONDS": 60, "FIRST_DELAY_SECONDS": 60, "LONGEST_DELAY_SECONDS": 60}
    settings.ACCOUNTS = settings.ACCOUNTS | {"LIMITS": {door.name: {"ADDRESS": limit} for door in Door}}


# --- One pair ---------------------------------------------------------------------------------------------------------


def test_a_pair_has_five_attempts_and_then_waits_longer_each_time() -> None:
    waits = try_for(timedelta(minutes=30), lambda after: wait(account=ADA, after=after))
    assert waits[:13] == [0, 0, 0, 0, 0, 1, 0, 2, 0, 4, 0, 8, 0]
    assert max(waits) == 900


def test_one_address_has_fewer_than_twenty_attempts_at_an_account_in_an_hour() -> None:
    assert 15 < try_for(HOUR, lambda after: wait(account=ADA, after=after)).count(0) < 20


@pytest.mark.compliance("Security", "AC03", "nobody waits longer than a quarter of an hour")
def test_no_door_makes_anybody_wait_longer_than_a_quarter_of_an_hour() -> None:
    waits = [
        limit.longest_delay
        for limits in DEFAULTS.values()
        for limit in (limits.address, limits.account, limits.pair)
        if limit
    ]
    assert max(waits) == timedelta(minutes=15)


def test_who_waits_as_told_is_let_in() -> None:
    exhaust(account=ADA)
    assert (wait(account=ADA), wait(account=ADA, after=SECOND)) == (1, 0)


def test_a_refused_attempt_makes_nobody_wait_longer() -> None:
    exhaust(account=ADA)
    assert [wait(account=ADA) for _ in range(20)] == [1] * 20
    assert wait(account=ADA, after=SECOND) == 0


def test_a_refused_attempt_counts_nowhere_else_either() -> None:
    exhaust(account=ADA)
    for _ in range(200):
        assert wait(account=ADA) == 1
    assert wait(account="bob@example.com") == 0


def test_attempts_are_forgiven_one_by_one() -> None:
    exhaust(account=ADA)
    assert exhaust(account=ADA, after=timedelta(minutes=15)) == 1
    assert exhaust(account=ADA, after=timedelta(minutes=90)) == 5


def test_a_success_begins_the_pair_anew() -> None:
    exhaust(account=ADA)
    succeed()
    assert exhaust(account=ADA) == 5


def test_each_door_has_a_count_of_its_own() -> None:
    exhaust(account=ADA)
    assert wait(account=ADA, door=Door.RESET) == 0


def test_a_mailed_link_lets_its_owner_sign_in_at_once() -> None:
    exhaust(account=ADA)
    note_success(request_from(), door=Door.CONFIRM, account=ADA, now=NOW)
    assert wait(account=ADA) == 0


@pytest.mark.parametrize("door", [Door.REGISTER, Door.RESET, Door.RESEND, Door.CHANGE_EMAIL, Door.REFRESH])
def test_what_everybody_can_do_is_no_success(door: Door) -> None:
    with pytest.raises(ValueError, match="whose the account is"):
        note_success(request_from(), door=door, account=ADA, now=NOW)


@pytest.mark.parametrize("other", ["ADA@example.com", " ada@example.com\n", "Ada@EXAMPLE.com\t"])
def test_another_spelling_is_the_same_account(other: str) -> None:
    exhaust(account=ADA)
    assert wait(account=other) == 1


@pytest.mark.parametrize("account", ["\x00", "é\ud800", "x" * 100_000, "a b", "ada@example.com\nx"])
def test_whatever_was_typed_is_counted(account: str) -> None:
    assert exhaust(account=account) == 5
    assert wait(account=ADA) == 0


@pytest.mark.django_db
def test_of_fifty_simultaneous_attempts_five_pass() -> None:
    assert race(lambda: wait(account=ADA), threads=50).count(0) == 5


@pytest.mark.django_db
def test_after_the_wait_one_of_fifty_passes() -> None:
    exhaust(account=ADA)
    assert race(lambda: wait(account=ADA, after=SECOND), threads=50).count(0) == 1


# --- One account ------------------------------------------------------------------------------------------------------


def strangers() -> Callable[[timedelta], int]:
    """Return an attempt at Ada's account that comes from another address each time."""
    numbers = iter(range(10**6))

    def attempt(after: timedelta) -> int:
        number = next(numbers)
        return wait(f"198.{number >> 16}.{number >> 8 & 255}.{number & 255}", ADA, after=after)

    return attempt


@pytest.mark.compliance("Security", "AC03", "an account has fewer than a hundred attempts in an hour")
def test_strangers_have_less_than_a_hundred_attempts_an_hour_from_however_many_addresses() -> None:
    assert 60 < try_for(HOUR, strangers()).count(0) < 100


def test_strangers_never_make_anybody_wait_longer_than_a_minute() -> None:
    assert max(try_for(timedelta(hours=4), strangers())) == 60


def test_an_address_from_which_the_owner_signed_in_is_let_in_whatever_strangers_do() -> None:
    succeed()
    attack = strangers()
    for minute in range(600):
        while not attack(timedelta(minutes=minute)):
            pass
    assert wait(account=ADA, after=timedelta(hours=10)) == 0


def test_an_address_is_known_for_thirty_days() -> None:
    succeed()
    attack = strangers()
    for after in (timedelta(days=30) - SECOND, timedelta(days=30)):
        while not attack(after):
            pass
    assert wait(account=ADA, after=timedelta(days=30) - SECOND) == 0
    assert wait(account=ADA, after=timedelta(days=30)) > 0


def test_a_known_address_has_the_limit_of_the_pair_all_the_same() -> None:
    succeed()
    assert exhaust(account=ADA) == 5


def test_an_address_is_known_for_its_own_account_only() -> None:
    succeed(account="mallory@example.com")
    attack = strangers()
    while not attack(0 * SECOND):
        pass
    assert wait(account=ADA) == 1


def test_a_success_from_a_new_address_costs_the_account_nothing() -> None:
    for number in range(100):
        assert wait(f"198.51.100.{number}", ADA) == 0
        succeed(f"198.51.100.{number}")


def test_strangers_cannot_keep_the_owner_from_asking_for_a_new_password() -> None:
    for number in range(250):
        exhaust(f"198.51.100.{number}", ADA, door=Door.RESET)
    assert wait(account=ADA, door=Door.RESET) == 0


# --- The program of the last success ---------------------------------------------------------------------------------


def find_mark(address: str = HOME, account: str = ADA, *, after: timedelta = 0 * SECOND) -> str:
    """Return by what the client is known besides its address; empty where it isn't."""
    known = _get_known_key(address, account)
    return get_counts().take([], known=known, now=NOW + after).mark


def begin_session(agent: str, *, address: str = HOME, account: str = ADA) -> None:
    request = request_from(address, **{"User-Agent": agent})
    note_success(request, door=Door.LOGIN, account=account, is_session=True, now=NOW)


def test_the_program_that_began_the_last_session_is_known_for_thirty_days() -> None:
    assert find_mark() == ""
    begin_session("one")
    first = find_mark(after=timedelta(days=30) - SECOND)
    begin_session("two")
    assert len({"", first, find_mark()}) == 3
    begin_session("one")
    assert (find_mark(), find_mark(after=timedelta(days=30))) == (first, "")


def test_a_program_is_known_for_its_own_account_and_address_only() -> None:
    begin_session("one")
    assert (find_mark("203.0.113.2"), find_mark(account="bob@example.com")) == ("", "")


def test_a_success_without_a_session_makes_no_program_known() -> None:
    begin_session("one")
    note_success(request_from(**{"User-Agent": "one"}), door=Door.CONFIRM, account=ADA, now=NOW)
    assert find_mark() == ""


# --- One address ------------------------------------------------------------------------------------------------------


def spray() -> Callable[[timedelta], int]:
    """Return an attempt from one address that names another account each time."""
    numbers = iter(range(10**6))
    return lambda after: wait(account=f"user{next(numbers)}@example.com", after=after)


@pytest.mark.compliance("Security", "AC03", "one password can't be tried at many accounts in bulk")
def test_who_tries_many_accounts_is_slowed_down() -> None:
    waits = try_for(HOUR, spray())
    assert waits.count(0) < 60 + 3600 / 6 + 5
    assert max(waits) <= 60


def test_signing_in_oneself_pays_for_no_attempt_at_others() -> None:
    attack, passed = spray(), 0
    while not attack(0 * SECOND):
        passed += 1
        if not wait(account="mallory@example.com"):
            succeed(account="mallory@example.com")
    assert passed == 60


def test_an_office_that_signs_in_is_not_slowed_down() -> None:
    for number in range(500):
        assert wait(account=f"user{number}@example.com") == 0
        succeed(account=f"user{number}@example.com")


def test_fifty_refreshes_at_once_pass_and_so_do_those_of_an_office() -> None:
    assert not any(wait(door=Door.REFRESH) for _ in range(500))
    assert not any(wait(door=Door.REFRESH, after=n * SECOND) for n in range(100) for _ in range(10))


@pytest.mark.usefixtures("three_from_one_address")
class TestAddresses:
    def test_each_address_has_a_count_of_its_own(self) -> None:
        assert exhaust() == 3
        assert wait("203.0.113.2") == 0

    @pytest.mark.parametrize("other", ["2001:db8::ffff", "2001:0DB8:0:0:1::1", "2001:db8::1%eth0"])
    def test_an_ipv6_network_counts_as_one_client(self, other: str) -> None:
        exhaust("2001:db8::1")
        assert wait(other) == 60

    def test_an_ipv4_address_in_ipv6_form_is_the_same_client(self) -> None:
        exhaust("203.0.113.1")
        assert wait("::ffff:203.0.113.1") == 60

    @pytest.mark.parametrize("header", ["X-Forwarded-For", "Forwarded", "X-Real-IP", "True-Client-IP", "Client-IP"])
    def test_a_header_is_not_believed_without_a_proxy(self, header: str) -> None:
        exhaust()
        request = request_from(**{header: "198.51.100.7"})
        assert count_attempt(request, door=Door.LOGIN, now=NOW) == 60

    def test_behind_a_proxy_what_the_client_itself_writes_is_not_believed(self, settings: Settings) -> None:
        settings.TRUSTED_PROXY_COUNT = 1
        waits = [
            count_attempt(
                request_from("10.0.0.1", **{"X-Forwarded-For": f"198.51.100.{number}, {HOME}"}),
                door=Door.LOGIN,
                now=NOW,
            )
            for number in range(4)
        ]
        assert waits == [None, None, None, 60]

    @pytest.mark.parametrize("address", ["", "unix:", "x" * 5000, "a b\x00", "é\ud800"])
    def test_what_is_no_ip_address_is_counted_too(self, address: str) -> None:
        exhaust(address)
        assert wait(address) == 60

    @pytest.mark.django_db
    def test_simultaneous_attempts_all_count(self) -> None:
        assert race(wait, threads=50).count(0) == 3


# --- Mails ------------------------------------------------------------------------------------------------------------


def test_one_address_gets_five_mails_whatever_its_case_and_more_as_time_goes_by() -> None:
    answers = [may_mail(email, door=Door.RESET, now=NOW) for email in ["ada@example.com", "ADA@example.com"] * 3]
    assert answers == [True] * 5 + [False]
    assert may_mail("other@example.com", door=Door.RESET, now=NOW)
    assert not may_mail(ADA, door=Door.RESET, now=NOW + timedelta(minutes=11))
    assert [may_mail(ADA, door=Door.RESET, now=NOW + timedelta(minutes=12)) for _ in range(2)] == [True, False]


def test_mails_of_one_kind_keep_nobody_from_those_of_another() -> None:
    while may_mail(ADA, door=Door.REGISTER, now=NOW):
        pass
    assert may_mail(ADA, door=Door.RESET, now=NOW)


# --- The stores -------------------------------------------------------------------------------------------------------


def milliseconds(number: int) -> timedelta:
    return timedelta(milliseconds=number)


limits = st.builds(
    Limit,
    free=st.integers(1, 4),
    first_delay=st.integers(1, 100_000).map(milliseconds),
    factor=st.sampled_from([1, 1.5, 2, 10]),
    # Long enough for what is kept to outlive the test, whose own clock goes faster.
    longest_delay=st.integers(120_000, 2_000_000).map(milliseconds),
    recovery=st.integers(60_000, 1_000_000).map(milliseconds),
)
steps = st.lists(st.tuples(st.sampled_from(["take", "give back", "succeed"]), st.integers(0, 500_000)), max_size=30)


@hypothesis_settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(limit=limits, steps=steps)
def test_the_store_does_what_the_tally_says(limit: Limit, steps: list[tuple[str, int]]) -> None:
    counts, tally, now = [Count(f"test:{uuid4()}", limit)], Tally(), NOW
    for step, passed in steps:
        now += milliseconds(passed)
        moment = (now - datetime(1970, 1, 1, tzinfo=UTC)) // milliseconds(1)
        tally = tally.forgive(limit, now=moment)
        match step:
            case "take":
                expected = tally.get_wait(limit, now=moment)
                tally = tally if expected else tally.count(limit, now=moment)
                assert get_counts().take(counts, known="nobody", now=now).wait == timedelta(milliseconds=expected)
            case "give back":
                tally = tally.give_back(limit)
                get_counts().give_back(counts, now=now)
            case _:
                tally = Tally()
                success = Success(given_back=[], cleared=[counts[0].key], known_until=now + HOUR)
                get_counts().note(success, known="test:known", now=now)


@needs_redis
def test_an_attempt_and_a_success_are_one_round_trip_each() -> None:
    wait(account=ADA)
    succeed()  # the server has seen both scripts
    server = Redis.from_url(django_settings.REDIS_URL)
    own = str(get_redis_client(django_settings.REDIS_URL).client_id())  # of the one connection that lies in its pool
    port = next(client["addr"] for client in server.client_list() if client["id"] == own).rpartition(":")[2]
    with server.monitor() as monitor:  # type: ignore[no-untyped-call] # redis-py leaves it untyped
        wait(account=ADA)
        succeed()
        server.echo("that was all")
        commands = list(takewhile(lambda heard: "that was all" not in heard["command"], monitor.listen()))
    # What a script does of its own comes from no port.
    assert [heard["command"].split()[0] for heard in commands if heard["client_port"] == port] == ["EVALSHA"] * 2


@needs_redis
@pytest.mark.django_db
def test_signing_in_over_the_api_takes_two_round_trips_for_its_attempts(user: User, api_client: APIClient) -> None:
    assert log_in(api_client, user.email).status_code == 200  # the server has seen both scripts
    server = Redis.from_url(django_settings.REDIS_URL)
    answers: list[int] = []
    commands = list_commands(server, lambda: answers.append(log_in(api_client, user.email).status_code))
    assert answers == [200]
    assert sum("gatehouse:attempts:" in one for one in commands if one.startswith("EVALSHA")) == 2


@needs_redis
def test_what_is_counted_ends_by_itself_and_names_nobody() -> None:
    exhaust(account=ADA)
    succeed()
    server = Redis.from_url(django_settings.REDIS_URL)
    keys = server.keys("*attempts:*")
    assert keys
    assert all(0 < server.pttl(key) <= timedelta(days=30).total_seconds() * 1000 for key in keys)
    assert not any(b"ada" in key or HOME.encode() in key for key in keys)


def test_a_dead_store_locks_nobody_out_and_is_logged_once(settings: Settings, caplog: pytest.LogCaptureFixture) -> None:
    settings.REDIS_URL = "redis://127.0.0.1:1/0"  # where nobody listens
    assert not any(wait(account=ADA) for _ in range(20))
    succeed()
    assert may_mail(ADA, door=Door.RESET, now=NOW)
    assert caplog.text.count("throttle_unavailable") == 1


@needs_redis
def test_a_store_that_forgets_or_holds_nonsense_locks_nobody_out() -> None:
    exhaust(account=ADA)
    server = Redis.from_url(django_settings.REDIS_URL)
    for key in server.keys("*attempts:*"):
        server.set(key, b"\xffnonsense")
    assert wait(account=ADA) == 0
    for key in server.keys("*attempts:*"):
        server.delete(key)
        server.rpush(key, "a list")
    assert wait(account=ADA) == 0


# --- The setting ------------------------------------------------------------------------------------------------------


def test_a_setting_changes_one_number_and_leaves_the_others(settings: Settings) -> None:
    settings.ACCOUNTS = settings.ACCOUNTS | {"LIMITS": {"LOGIN": {"PAIR": {"FREE": 2}, "ACCOUNT": None}}}
    limits, defaults = get_limits(Door.LOGIN), DEFAULTS[Door.LOGIN]
    assert (limits.address, limits.account, limits.pair) == (defaults.address, None, Limit(free=2))
    assert exhaust(account=ADA) == 2


@pytest.mark.parametrize(
    "change",
    [
        {"PAIRS": {"FREE": 2}},
        {"PAIR": {"FREE": 0}},
        {"PAIR": {"TRIES": 2}},
        {"PAIR": {"FREE": "many"}},
        {"PAIR": {"RECOVERY_SECONDS": 0}},
        {"PAIR": {"FIRST_DELAY_SECONDS": "1"}},
    ],
    ids=["scope", "none", "name", "word", "no time", "text"],
)
def test_a_setting_that_makes_no_sense_is_refused(settings: Settings, change: object) -> None:
    settings.ACCOUNTS = settings.ACCOUNTS | {"LIMITS": {"LOGIN": change}}
    with pytest.raises(ImproperlyConfigured, match="LOGIN"):
        get_limits(Door.LOGIN)
    assert [message.id for message in run_checks(tags=["accounts"])] == ["accounts.E004"]


def test_a_setting_for_no_door_is_refused(settings: Settings) -> None:
    settings.ACCOUNTS = settings.ACCOUNTS | {"LIMITS": {"WINDOW": {"PAIR": None}}}
    assert ["WINDOW" in message.msg for message in run_checks(tags=["accounts"])] == [True]


def test_the_docs_tell_the_limits_as_they_are() -> None:
    text = (Path(django_settings.BASE_DIR) / "docs" / "accounts.md").read_text()
    for door, limits in DEFAULTS.items():
        told = [limits.address, limits.account, limits.pair]
        assert f"| `{door.name}` | {' | '.join(describe(limit) for limit in told)} |" in text


def describe(limit: Limit | None) -> str:
    if limit is None:
        return "–"  # noqa: RUF001 - as the table has it
    return f"{limit.free}; {limit.recovery.total_seconds():g} s; {limit.longest_delay.total_seconds():g} s"
