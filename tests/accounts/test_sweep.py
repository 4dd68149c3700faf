"""What is deleted by itself, and what is not."""

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from io import StringIO

import pytest
from django.contrib.sessions.models import Session as PageSession
from django.core.management import call_command
from django.db import connection, transaction
from django.utils import timezone
from pytest_django import Settings

from accounts.exceptions import InvalidEmailToken, InvalidRefreshToken
from accounts.jobs import MaintainKeysJob, SweepAccountsJob
from accounts.models import EmailToken, RefreshToken, Registration, Revocation, Session, User
from accounts.services import (
    count_sweepable,
    end_session,
    invite_user,
    make_email_token,
    refresh,
    register_user,
    sign_in,
    sweep,
    sweeping,
    verify_email,
)
from accounts.tokens import revoke_access_tokens
from jobs.schedules import list_entries
from jobs.testing import JobsFake
from permissions import audit
from permissions.services import create_role
from tests.accounts.conftest import NOW, PASSWORD
from tests.accounts.racing import race

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)
MOMENT = timedelta(seconds=1)


def swept(now: datetime) -> dict[str, int]:
    """Sweep all, and return what was deleted, of kinds of which anything was."""
    done = sweep(now=now)
    assert done.is_complete
    return {name: count for name, count in done.counts.items() if count}


def begin(user: User, now: datetime = NOW) -> Session:
    return sign_in(email=user.email, password=PASSWORD, now=now).session


def register(email: str = "new@example.com", now: datetime = NOW) -> User:
    register_user(email=email, password=PASSWORD, now=now)
    return User.objects.get(email=email)


@pytest.mark.parametrize("is_ended", [True, False])
def test_a_session_goes_a_month_after_its_end(user: User, is_ended: bool) -> None:
    session = begin(user)
    over = session.expires_at
    if is_ended:
        over = NOW + DAY
        end_session(session=session, now=over)
        Revocation.objects.all().delete()
    assert swept(over + 30 * DAY - MOMENT) == {}
    assert swept(over + 30 * DAY) == {"refresh_tokens": 1, "sessions": 1}


def test_a_used_refresh_token_is_known_as_long_as_its_session_lives(user: User) -> None:
    first = sign_in(email=user.email, password=PASSWORD, now=NOW)
    token, now = first.refresh_token, NOW
    for _ in range(6):
        now += 13 * DAY
        token = refresh(refresh_token=token, started_at=now, now=now).refresh_token
    assert swept(now) == {}
    with pytest.raises(InvalidRefreshToken):
        refresh(refresh_token=first.refresh_token, started_at=now, now=now)
    assert Session.objects.get().end_reason == Session.EndReason.TOKEN_REUSED


def test_links_go_when_they_have_expired(user: User) -> None:
    make_email_token(user=user, now=NOW)
    assert swept(NOW + DAY - MOMENT) == {}
    assert swept(NOW + DAY) == {"email_tokens": 1}


def test_revocations_go_when_no_token_needs_them(db: None) -> None:
    revoke_access_tokens(kind="jti", subject="a", now=NOW, expires_at=NOW + timedelta(minutes=10))
    assert swept(NOW + timedelta(minutes=70) - MOMENT) == {}
    assert swept(NOW + timedelta(minutes=70)) == {"revocations": 1}


def test_sessions_of_pages_go_when_they_have_expired(db: None) -> None:
    PageSession.objects.create(session_key="a", session_data="", expire_date=NOW)
    PageSession.objects.create(session_key="b", session_data="", expire_date=NOW + MOMENT)
    assert swept(NOW) == {"page_sessions": 1}
    assert PageSession.objects.get().session_key == "b"


def test_an_account_that_nobody_confirmed_goes_after_a_week(user: User) -> None:
    made = register()
    assert swept(NOW + 7 * DAY - MOMENT) == {}
    assert swept(NOW + 7 * DAY)["accounts"] == 1
    assert (list(User.objects.all()), Registration.objects.count()) == ([user], 0)
    deleted = audit.list_events(event="user.deleted").get()
    assert (deleted.subject_id, deleted.subject_label, deleted.actor_id) == (str(made.pk), made.email, "")


def verify(user: User) -> None:
    verify_email(token=make_email_token(user=user, now=NOW), now=NOW)


def unverify(user: User) -> None:
    verify(user)
    User.objects.filter(pk=user.pk).update(email_verified_at=None)  # as an admin does who corrects the address


def sign_in_once(user: User) -> None:
    User.objects.filter(pk=user.pk).update(last_login=NOW)


def deactivate(user: User) -> None:
    User.objects.filter(pk=user.pk).update(is_active=False)


def make_staff(user: User) -> None:
    User.objects.filter(pk=user.pk).update(is_staff=True)


def correct_address(user: User) -> None:
    User.objects.filter(pk=user.pk).update(email="corrected@example.com")


def give_role(user: User) -> None:
    create_role(name="reader")
    user.assign_role("reader")


def give_permission(user: User) -> None:
    user.give_permission_to("accounts.view_user")


def open_session(user: User) -> None:
    Session.objects.create(user=user, expires_at=NOW + 90 * DAY)


def mail_link(user: User) -> None:
    make_email_token(user=user, now=NOW + 7 * DAY - MOMENT)


KEPT = [
    verify, unverify, sign_in_once, deactivate, make_staff, correct_address, give_role, give_permission, open_session,
    mail_link,
]  # fmt: skip


@pytest.mark.parametrize("happens", KEPT)
def test_an_account_of_which_more_is_known_stays(db: None, happens: Callable[[User], None]) -> None:
    made = register()
    happens(made)
    sweep(now=NOW + 7 * DAY)
    assert User.objects.filter(pk=made.pk).exists()


def test_however_often_links_are_asked_for_an_account_that_nobody_confirmed_goes_after_eight_days(db: None) -> None:
    made = register()
    register()  # somebody registers the address once more
    for hours in range(0, 8 * 24, 12):
        make_email_token(user=made, now=NOW + timedelta(hours=hours))
        sweep(now=NOW + timedelta(hours=hours + 12) - MOMENT)
        assert User.objects.filter(pk=made.pk).exists()
    make_email_token(user=made, now=NOW + 8 * DAY - MOMENT)
    assert swept(NOW + 8 * DAY)["accounts"] == 1
    assert (User.objects.count(), Registration.objects.count(), EmailToken.objects.count()) == (0, 0, 0)


@pytest.mark.django_db(transaction=True)
def test_what_a_sweep_could_not_take_is_known_to_the_next_one(settings: Settings) -> None:
    if settings.DATABASES["default"]["ENGINE"].endswith("sqlite3"):
        pytest.skip("one writer at a time")
    made = register()
    with transaction.atomic():
        User.objects.select_for_update().get(pk=made.pk)
        race(lambda: sweep(now=NOW + 8 * DAY), threads=1)
    assert swept(NOW + 8 * DAY + MOMENT)["accounts"] == 1


def test_an_account_that_an_admin_made_stays_whoever_registers_its_address(db: None) -> None:
    made = User.objects.create_user("new@example.com", created_at=NOW - DAY)
    invite_user(user=made)
    register()
    sweep(now=NOW + 30 * DAY)
    assert User.objects.get() == made


def test_registrations_that_came_to_nothing_go_with_their_links(user: User) -> None:
    register(user.email)
    make_email_token(user=user, registration=Registration.objects.get(), now=NOW + 9 * DAY - MOMENT)
    assert swept(NOW + 9 * DAY - MOMENT) == {}
    assert swept(NOW + 9 * DAY) == {"registrations": 1}
    assert not EmailToken.objects.exists()  # without its registration it would confirm another one's password


def test_a_link_to_what_was_swept_is_refused(db: None) -> None:
    token = make_email_token(user=register(), now=NOW)
    sweep(now=NOW + 8 * DAY)
    with pytest.raises(InvalidEmailToken):
        verify_email(token=token, now=NOW)


def test_a_sweep_ends_when_it_has_taken_too_long(user: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweeping, "MAX_SWEPT", 2)
    for number in range(5):
        PageSession.objects.create(session_key=str(number), session_data="", expire_date=NOW)
    done = sweep(now=NOW, longest=timedelta(0))
    assert (done.is_complete, PageSession.objects.count()) == (False, 5)
    assert count_sweepable(now=NOW)["page_sessions"] == 5
    assert swept(NOW) == {"page_sessions": 5}


def test_no_statement_deletes_more_than_its_bound(user: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweeping, "MAX_SWEPT", 3)
    session = begin(user)
    rows = [RefreshToken(session=session, digest=str(n), generation=n, expires_at=NOW) for n in range(1, 10)]
    RefreshToken.objects.bulk_create(rows)
    assert swept(session.expires_at + 30 * DAY) == {"refresh_tokens": 10, "sessions": 1}


@pytest.mark.django_db(transaction=True)
def test_sweeps_at_once_do_each_thing_once(db: None) -> None:
    for number in range(8):
        register_user(email=f"new{number}@example.com", password=PASSWORD, now=NOW)
        revoke_access_tokens(kind="jti", subject=str(number), now=NOW, expires_at=NOW)
    done = race(lambda: sweep(now=NOW + 8 * DAY), threads=4)
    assert sum(one.counts["accounts"] for one in done) == 8
    assert sum(one.counts["revocations"] for one in done) >= 8
    assert (User.objects.count(), audit.list_events(event="user.deleted").count()) == (0, 8)


@pytest.mark.django_db(transaction=True)
def test_a_revocation_is_not_lost_to_a_sweep_of_an_older_one(settings: Settings) -> None:
    if settings.DATABASES["default"]["ENGINE"].endswith("sqlite3"):
        pytest.skip("one writer at a time")
    revoke_access_tokens(kind="sub", subject="a", now=NOW - DAY, expires_at=NOW - DAY)

    def sweep_after(execute: Callable[..., object], *query: object) -> object:
        """Let another connection sweep after each statement, since that is where it could do harm."""
        answer = execute(*query)
        race(lambda: sweep(now=NOW), threads=1)
        return answer

    with connection.execute_wrapper(sweep_after):
        revoke_access_tokens(kind="sub", subject="a", now=NOW, expires_at=NOW + DAY)
    assert Revocation.objects.get().revoked_at == NOW


@pytest.mark.django_db(transaction=True)
def test_what_somebody_holds_is_left_for_the_next_sweep(user: User, settings: Settings) -> None:
    if settings.DATABASES["default"]["ENGINE"].endswith("sqlite3"):
        pytest.skip("one writer at a time")
    made = register()
    with transaction.atomic():
        User.objects.select_for_update().get(pk=made.pk)
        counts = race(lambda: sweep(now=NOW + 7 * DAY).counts["accounts"], threads=1)
    assert counts == [0]
    assert swept(NOW + 7 * DAY)["accounts"] == 1


def test_the_job_sweeps(user: User) -> None:
    PageSession.objects.create(session_key="a", session_data="", expire_date=NOW - 365 * DAY)
    SweepAccountsJob().handle()
    assert not PageSession.objects.filter(expire_date__lte=timezone.now()).exists()


def test_the_command_counts_and_sweeps(db: None) -> None:
    PageSession.objects.create(session_key="a", session_data="", expire_date=NOW - 365 * DAY)
    for options, left in ((["--dry-run"], 1), ([], 0)):
        out = StringIO()
        call_command("sweep_accounts", "--json", *options, stdout=out)
        assert (json.loads(out.getvalue())["page_sessions"], PageSession.objects.count()) == (1, left)
    out = StringIO()
    call_command("sweep_accounts", stdout=out)
    assert "page sessions: 0\n" in out.getvalue()


def test_sweeping_and_keys_are_seen_to_each_hour(jobs_fake: JobsFake) -> None:
    entries = {entry.job_class: entry.timing.interval for entry in list_entries()}
    hour = timedelta(hours=1)
    assert {"accounts.SweepAccountsJob": hour, "accounts.MaintainKeysJob": hour}.items() <= entries.items()
    MaintainKeysJob().handle()
    SweepAccountsJob().handle()
    jobs_fake.assert_nothing_dispatched()
