"""What the shared cache answers about tokens, and that no change is seen later for it."""

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from datetime import timedelta
from uuid import uuid4

import pytest
from django.conf import settings
from django.contrib.auth.models import Group
from django.db import connections, transaction
from django.test import Client
from django.utils import timezone
from pytest_django import Settings
from redis import Redis
from structlog.testing import capture_logs

from accounts import selectors, services, tokens
from accounts.exceptions import InvalidToken
from accounts.models import Session, User
from accounts.services import TokenPair
from permissions.models import Role
from permissions.services import create_role
from project import shared_facts
from tests.accounts.conftest import PASSWORD, Issue
from tests.processes import ROOT, child_environment

type Ask = Callable[[str], tuple[int, int]]

needs_cache = pytest.mark.skipif(not shared_facts.is_shared(), reason="needs a shared cache: --stores=servers")
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def user(db: None) -> User:
    """Somebody who may see users, through a role."""
    role = create_role(name="viewer").give_permission_to("accounts.view_user")
    user = User.objects.create_user("user@example.com", PASSWORD, name="Ada", email_verified_at=timezone.now())
    user.assign_role(role)
    return user


@pytest.fixture
def asked(user: User) -> Iterator[Ask]:
    """Another process that answers requests: returns a function from token to status and number of queries."""
    command = [sys.executable, "-m", "tests.accounts.asking"]
    with subprocess.Popen(
        command, cwd=ROOT, env=child_environment(), text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdin
        assert process.stdout
        to, back = process.stdin, process.stdout

        def ask(raw: str) -> tuple[int, int]:
            print(raw, file=to, flush=True)
            status, count = back.readline().split()
            return int(status), int(count)

        yield ask
        to.close()


def claims_of(raw: str) -> tokens.AccessClaims:
    return tokens.read_access_token(raw, now=timezone.now())


def is_alive(raw: str) -> bool:
    try:
        selectors.get_token_user(claims=claims_of(raw))
    except InvalidToken:
        return False
    return True


def cache_client() -> Redis:
    return Redis.from_url(settings.SHARED_FACTS["URL"])


def fact_keys() -> list[bytes]:
    return sorted(cache_client().scan_iter("gatehouse:fact:*"))


# --- Ways to lose a right --------------------------------------------------------------------------------------------


def sign_out(user: User, pair: TokenPair) -> None:
    services.sign_out(claims=claims_of(pair.access_token), now=timezone.now())


def sign_out_everywhere(user: User, pair: TokenPair) -> None:
    services.sign_out_everywhere(user=user, now=timezone.now())


def end_session(user: User, pair: TokenPair) -> None:
    services.end_session(session=Session.objects.get(pk=pair.session.pk), now=timezone.now())


def change_password(user: User, pair: TokenPair) -> None:
    services.set_password(user=user, password="another good password", now=timezone.now())


def deactivate_by_save(user: User, pair: TokenPair) -> None:
    user.is_active = False
    user.save()


def deactivate_one(user: User, pair: TokenPair) -> None:
    User.objects.filter(pk=user.pk).update(is_active=False)


def deactivate_all(user: User, pair: TokenPair) -> None:
    User.objects.filter(email__endswith="@example.com").update(is_active=False)


def deactivate_by_bulk_update(user: User, pair: TokenPair) -> None:
    user.is_active = False
    User.objects.bulk_update([user], ["is_active"])


def deactivate_by_upsert(user: User, pair: TokenPair) -> None:
    user.is_active = False
    User.objects.bulk_create([user], update_conflicts=True, unique_fields=["id"], update_fields=["is_active"])


def deactivate_in_the_admin(user: User, pair: TokenPair) -> None:
    browser = Client()
    browser.force_login(User.objects.create_superuser("root@example.com", PASSWORD))
    rows = {f"role_assignments-{name}_FORMS": "0" for name in ("TOTAL", "INITIAL")}
    page = browser.post(f"/admin/accounts/user/{user.pk}/change/", {"email": user.email, "name": user.name} | rows)
    assert page.status_code == 302


def delete(user: User, pair: TokenPair) -> None:
    user.delete()


def delete_by_queryset(user: User, pair: TokenPair) -> None:
    User.objects.filter(email=user.email).delete()


def revoke_client(user: User, pair: TokenPair) -> None:
    now = timezone.now()
    tokens.revoke_access_tokens(kind="client", subject="gatehouse", now=now, expires_at=now + timedelta(hours=1))


def remove_role(user: User, pair: TokenPair) -> None:
    user.remove_role("viewer")


def leave_group(user: User, pair: TokenPair) -> None:
    user.groups.clear()


def take_permission_from_role(user: User, pair: TokenPair) -> None:
    Role.objects.get(name="viewer").revoke_permission_to("accounts.view_user")


def clear_group(user: User, pair: TokenPair) -> None:
    Group.objects.get(name="viewer").permissions.clear()


def delete_role(user: User, pair: TokenPair) -> None:
    Role.objects.get(name="viewer").delete()


_LOGOUT = pytest.mark.compliance("ASVS 5.0", "7.4.1", "Logout ends the access token too, in every process")
_DISABLED = pytest.mark.compliance("ASVS 5.0", "7.4.2", "Who is disabled or deleted is out on the next request")
_RIGHTS = pytest.mark.compliance("ASVS 5.0", "8.3.2", "Changes of rights apply on the next request")


@needs_cache
@pytest.mark.compliance("Security", "JW07", "A token is dead on the next request after logout, change or deletion")
@pytest.mark.parametrize(
    ("act", "status"),
    [
        pytest.param(sign_out, 401, marks=_LOGOUT),
        pytest.param(sign_out_everywhere, 401, marks=_LOGOUT),
        (end_session, 401),
        (change_password, 401),
        pytest.param(deactivate_by_save, 401, marks=_DISABLED),
        pytest.param(deactivate_one, 401, marks=_DISABLED),
        pytest.param(deactivate_all, 401, marks=_DISABLED),
        pytest.param(deactivate_by_bulk_update, 401, marks=_DISABLED),
        pytest.param(deactivate_by_upsert, 401, marks=_DISABLED),
        pytest.param(deactivate_in_the_admin, 401, marks=_DISABLED),
        pytest.param(delete, 401, marks=_DISABLED),
        pytest.param(delete_by_queryset, 401, marks=_DISABLED),
        (revoke_client, 401),
        pytest.param(remove_role, 403, marks=_RIGHTS),
        pytest.param(leave_group, 403, marks=_RIGHTS),
        pytest.param(take_permission_from_role, 403, marks=_RIGHTS),
        pytest.param(clear_group, 403, marks=_RIGHTS),
        pytest.param(delete_role, 403, marks=_RIGHTS),
    ],
)
def test_a_loss_is_seen_by_another_process_on_the_next_request(
    user: User, pair: TokenPair, asked: Ask, act: Callable[[User, TokenPair], None], status: int
) -> None:
    asked(pair.access_token)
    assert asked(pair.access_token) == (200, 0)
    act(user, pair)
    assert asked(pair.access_token)[0] == status
    assert asked(pair.access_token)[0] == status


@pytest.mark.compliance("Security", "JW09", "A token of a deleted user doesn't open the account that has its id next")
def test_a_token_does_not_open_the_next_account_of_the_same_id(user: User, pair: TokenPair) -> None:
    assert is_alive(pair.access_token)
    user_id = user.pk
    user.delete()
    User.objects.create_user("user@example.com", PASSWORD, id=user_id)
    assert not is_alive(pair.access_token)


@needs_cache
def test_what_is_gained_is_seen_by_another_process_on_the_next_request(user: User, pair: TokenPair, asked: Ask) -> None:
    user.remove_role("viewer")
    assert asked(pair.access_token)[0] == asked(pair.access_token)[0] == 403
    user.assign_role("viewer")
    assert asked(pair.access_token)[0] == 200
    assert asked(pair.access_token) == (200, 0)


@needs_cache
def test_a_sign_in_costs_nobody_a_query(user: User, pair: TokenPair, asked: Ask) -> None:
    asked(pair.access_token)
    services.sign_in(email=user.email, password=PASSWORD, now=timezone.now())
    assert asked(pair.access_token) == (200, 0)


def test_a_request_takes_at_most_one_query_and_none_where_the_cache_knows(user: User, issue: Issue) -> None:
    from tests.accounts.asking import ask  # noqa: PLC0415 - has views, which need the settings

    raw = issue(user.pk, session_id=uuid4())
    ask(raw)
    assert ask(raw) == (200, 0 if shared_facts.is_shared() else 1)
    assert ask(issue(user.pk, session_id=uuid4())) == (200, 1)


def test_a_client_takes_at_most_one_query_and_none_where_the_cache_knows(
    issue: Issue, django_assert_num_queries: Callable[[int], AbstractContextManager[object]]
) -> None:
    claims = claims_of(issue("app", client_id="app"))
    assert not selectors.is_token_revoked(claims=claims)
    with django_assert_num_queries(0 if shared_facts.is_shared() else 1):
        assert not selectors.is_token_revoked(claims=claims)
    now = timezone.now()
    tokens.revoke_access_tokens(kind="client", subject="app", now=now, expires_at=now + timedelta(hours=1))
    assert selectors.is_token_revoked(claims=claims)
    assert selectors.is_token_revoked(claims=claims)
    assert not selectors.is_token_revoked(claims=claims_of(issue("app", client_id="app")))


@needs_cache
def test_the_user_from_the_cache_is_the_user_of_the_database(user: User, pair: TokenPair) -> None:
    claims = claims_of(pair.access_token)
    selectors.get_token_user(claims=claims)
    kept = selectors.get_token_user(claims=claims)
    assert kept.get_deferred_fields() == {"password", "last_login"}
    stored = User.objects.get(pk=user.pk)
    names = {field.attname for field in User._meta.concrete_fields}
    assert {name: getattr(kept, name) for name in names} == {name: getattr(stored, name) for name in names}
    assert not kept._state.adding


@needs_cache
def test_a_change_of_the_user_that_the_cache_gave_leaves_the_password_alone(user: User, pair: TokenPair) -> None:
    claims = claims_of(pair.access_token)
    selectors.get_token_user(claims=claims)
    kept = selectors.get_token_user(claims=claims)
    kept.name = "Grace"
    kept.save()
    assert selectors.get_token_user(claims=claims).name == "Grace"
    assert User.objects.get(pk=user.pk).check_password(PASSWORD)


# --- Races -----------------------------------------------------------------------------------------------------------


@needs_cache
def test_who_reads_while_a_revocation_is_not_yet_committed_keeps_nothing(user: User, pair: TokenPair) -> None:
    is_written, may_commit = threading.Event(), threading.Event()
    assert is_alive(pair.access_token)

    def revoke() -> None:
        try:
            with transaction.atomic():
                services.sign_out(claims=claims_of(pair.access_token), now=timezone.now())
                is_written.set()
                assert may_commit.wait(20)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(1) as pool:
        revoking = pool.submit(revoke)
        assert is_written.wait(20)
        assert is_alive(pair.access_token)
        may_commit.set()
        revoking.result(20)
    assert not is_alive(pair.access_token)


@needs_cache
def test_who_dawdles_between_query_and_keeping_keeps_nothing(user: User, pair: TokenPair) -> None:
    claims = claims_of(pair.access_token)
    key = tokens.get_revocation_key("jti", claims.jti)
    reading = shared_facts.read([key])
    reading.note()
    # What the database says at this moment is that nothing was revoked.
    tokens.revoke_access_tokens(kind="jti", subject=claims.jti, now=timezone.now(), expires_at=claims.expires_at)
    reading.remember({key: None})
    assert not is_alive(pair.access_token)


@needs_cache
def test_a_revocation_that_is_rolled_back_never_was(user: User, pair: TokenPair, asked: Ask) -> None:
    asked(pair.access_token)

    def revoke_in_vain() -> None:
        with transaction.atomic():
            deactivate_all(user, pair)
            deactivate_by_save(user, pair)
            sign_out_everywhere(user, pair)
            remove_role(user, pair)
            assert not is_alive(pair.access_token)
            assert asked(pair.access_token) == (200, 1)
            raise LookupError

    with pytest.raises(LookupError):
        revoke_in_vain()
    assert asked(pair.access_token)[0] == 200
    assert asked(pair.access_token) == (200, 0)
    assert is_alive(pair.access_token)


# --- A cache that lies, or is silent ---------------------------------------------------------------------------------


def flip(value: bytes) -> bytes:
    return value[:-3] + bytes([value[-3] ^ 1]) + value[-2:]


@needs_cache
@pytest.mark.parametrize(
    "forge",
    [
        flip,
        lambda value: value[:1] + bytes(32) + value[33:],
        lambda _: b"",
        lambda _: b"=",
        lambda _: b"=[1e99,null]",
        lambda _: b"\x80\x05]\x94.",
        lambda value: b"?" + value,
        lambda value: b"!" + value,
    ],
    ids=["changed", "other hash", "empty", "short", "bare", "pickle", "note", "mark"],
)
def test_a_fact_that_was_tampered_with_is_no_fact(
    user: User, pair: TokenPair, asked: Ask, forge: Callable[[bytes], bytes]
) -> None:
    sign_out(user, pair)
    assert asked(pair.access_token)[0] == 401
    client, keys = cache_client(), fact_keys()
    assert keys
    for key in keys:
        value = client.get(key)
        assert isinstance(value, bytes)
        client.set(key, forge(value), ex=30)
    assert asked(pair.access_token) == (401, 1)


@needs_cache
def test_a_fact_counts_under_its_own_key_alone(user: User, pair: TokenPair, issue: Issue, asked: Ask) -> None:
    other = issue(user.pk)
    asked(other)
    sign_out(user, pair)
    tokens.revoke_access_tokens(
        kind="jti",
        subject=(claims := claims_of(pair.access_token)).jti,
        now=timezone.now(),
        expires_at=claims.expires_at,
    )
    assert asked(pair.access_token)[0] == 401
    client = cache_client()
    good = client.get(f"gatehouse:fact:revoked:jti:{claims_of(other).jti}")
    assert good
    for kind, subject in tokens.list_revokers(claims).items():
        client.set(f"gatehouse:fact:{tokens.get_revocation_key(kind, subject)}", good)
    assert asked(pair.access_token) == (401, 1)


@needs_cache
def test_the_cache_holds_no_password_and_no_address_in_its_keys(user: User, pair: TokenPair) -> None:
    assert is_alive(pair.access_token)
    client = cache_client()
    for key in fact_keys():
        assert b"@" not in key
        assert user.password.encode() not in (client.get(key) or b"")


@pytest.mark.parametrize("is_down", [True, False], ids=["cache down", "no cache"])
def test_without_the_cache_the_database_answers(user: User, pair: TokenPair, settings: Settings, is_down: bool) -> None:
    from tests.accounts.asking import ask  # noqa: PLC0415 - has views, which need the settings

    ask(pair.access_token)
    settings.SHARED_FACTS = settings.SHARED_FACTS | {"URL": "redis://127.0.0.1:1/0" if is_down else ""}
    with capture_logs() as logs:
        assert ask(pair.access_token) == (200, 1)
        assert ask(pair.access_token) == (200, 1)
    events = [one["event"] for one in logs if one["event"].startswith("shared_cache")]
    assert events == (["shared_cache_does_not_answer"] if is_down else [])
    sign_out(user, pair)
    assert ask(pair.access_token) == (401, 1)
