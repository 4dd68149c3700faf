import logging
from collections.abc import Callable
from datetime import timedelta
from typing import Any, override

import pytest
from django.conf import settings
from django.contrib.auth.hashers import MD5PasswordHasher
from django.core import mail
from django.utils import timezone
from pytest_django import Settings

from accounts import selectors, services, signals, tokens
from accounts.exceptions import EmailNotVerified, InvalidCredentials, InvalidEmailToken, PasswordRefused
from accounts.models import EmailToken, Revocation, Session, User
from jobs.models import QueuedJob
from tests.accounts.conftest import NOW, PASSWORD, get_mailed_link
from tests.accounts.racing import race


class CountingHasher(MD5PasswordHasher):
    """Counts how often a password is hashed, which is what signing in and registering cost."""

    algorithm = "counting"
    count = 0

    @override
    def encode(self, password: str, salt: str) -> str:
        type(self).count += 1
        return super().encode(password, salt)


@pytest.fixture
def hasher(settings: Settings) -> type[CountingHasher]:
    settings.PASSWORD_HASHERS = [f"{__name__}.CountingHasher"]
    CountingHasher.count = 0
    return CountingHasher


type RunJobs = Callable[[], int]

pytestmark = pytest.mark.django_db

DAY = timedelta(seconds=settings.ACCOUNTS["EMAIL_VERIFICATION_SECONDS"])


def register(email: str = "ada@example.com", password: str = PASSWORD) -> None:
    services.register_user(email=email, password=password, name="Ada", now=NOW)


def is_verification_refused(token: str) -> bool:
    try:
        services.verify_email(token=token, now=NOW)
    except InvalidEmailToken:
        return True
    return False


def test_registering_stores_an_unverified_user_without_rights() -> None:
    register("ADA@Example.com")
    user = User.objects.get()
    assert (user.email, user.name, user.email_verified_at) == ("ada@example.com", "Ada", None)
    assert (user.is_active, user.is_staff, user.is_superuser) == (True, False, False)
    assert user.check_password(PASSWORD)


@pytest.mark.django_db(transaction=True)
def test_registering_mails_a_link_that_verifies_the_address(run_jobs: RunJobs) -> None:
    register()
    run_jobs()
    token = get_mailed_link("ada@example.com").rstrip("/").rpartition("/")[2]
    services.verify_email(token=token, now=timezone.now())
    assert User.objects.get().email_verified_at is not None


@pytest.mark.django_db(transaction=True)
def test_no_job_row_holds_a_link_or_a_token(run_jobs: RunJobs) -> None:
    register()
    payload = QueuedJob.objects.get().payload
    run_jobs()
    token = get_mailed_link("ada@example.com").rstrip("/").rpartition("/")[2]
    assert "http" not in payload
    assert token not in payload
    assert PASSWORD not in payload


@pytest.mark.django_db(transaction=True)
def test_a_known_address_is_told_by_mail_and_its_account_stays_as_it_is(run_jobs: RunJobs, user: User) -> None:
    register(user.email.upper(), "another long password")
    run_jobs()
    assert [message.subject for message in mail.outbox] == ["You already have an account"]
    known = User.objects.get()
    assert known.check_password(PASSWORD)
    assert known.name == user.name


@pytest.mark.django_db(transaction=True)
def test_an_address_that_somebody_else_gave_an_account_gets_a_link_to_choose_a_password(
    run_jobs: RunJobs, unverified: User
) -> None:
    register(unverified.email, "another long password")
    run_jobs()
    assert "/accounts/reset-password/" in get_mailed_link(unverified.email)
    assert User.objects.get().check_password(PASSWORD)


@pytest.mark.django_db(transaction=True)
def test_of_simultaneous_registrations_of_an_address_one_makes_the_account() -> None:
    race(register)
    assert User.objects.count() == 1
    assert QueuedJob.objects.count() == 5  # mails to one address in an hour


@pytest.mark.parametrize(
    "password",
    ["short", "14 characters!", "ada@example.com", "1qaz2wsx3edc4rfv", "x" * 257],
)
def test_a_weak_password_is_refused_and_nothing_is_stored(password: str) -> None:
    with pytest.raises(PasswordRefused) as refusal:
        register("ada@example.com", password)
    assert set(refusal.value.fields) == {"password"}
    assert not User.objects.exists()


def test_a_weak_password_is_refused_for_a_known_address_too(user: User) -> None:
    with pytest.raises(PasswordRefused):
        register(user.email, "short")


@pytest.mark.parametrize("password", ["x" * 200 + "tail of it", "pass phrase with späces", " leading and trailing "])
def test_a_long_or_unusual_password_counts_to_its_last_character(password: str) -> None:
    register("ada@example.com", password)
    user = User.objects.get()
    assert user.check_password(password)
    assert not user.check_password(password[:-1])


def test_a_link_works_once(unverified: User) -> None:
    token = services.make_email_token(user=unverified, now=NOW)
    assert not is_verification_refused(token)
    assert is_verification_refused(token)


def test_a_link_is_dead_after_a_day(unverified: User) -> None:
    token = services.make_email_token(user=unverified, now=NOW - DAY)
    assert is_verification_refused(token)


@pytest.mark.compliance("ASVS 5.0", "6.4.1", "No link lives longer than a day, whatever the settings say")
@pytest.mark.parametrize(
    ("purpose", "name"),
    [
        (EmailToken.Purpose.VERIFY_EMAIL, "EMAIL_VERIFICATION_SECONDS"),
        (EmailToken.Purpose.RESET_PASSWORD, "PASSWORD_RESET_SECONDS"),
        (EmailToken.Purpose.CHANGE_EMAIL, "EMAIL_CHANGE_SECONDS"),
    ],
)
def test_no_link_lives_longer_than_a_day(
    unverified: User, settings: Settings, purpose: EmailToken.Purpose, name: str
) -> None:
    week = timedelta(days=7)
    settings.ACCOUNTS = settings.ACCOUNTS | {name: week.total_seconds()}
    raws = [services.make_email_token(user=unverified, purpose=purpose, lifetime=one, now=NOW) for one in (None, week)]
    for raw in raws:
        for age, works in ((timedelta(days=1) - timedelta(seconds=1), True), (timedelta(days=1), False)):
            assert (selectors.find_email_token(token=raw, purpose=purpose, now=NOW + age) is not None) is works


def test_a_link_is_dead_when_the_address_has_changed(unverified: User) -> None:
    token = services.make_email_token(user=unverified, now=NOW)
    User.objects.update(email="changed@example.com")
    assert is_verification_refused(token)


def test_a_link_of_an_inactive_user_is_dead(unverified: User) -> None:
    token = services.make_email_token(user=unverified, now=NOW)
    User.objects.update(is_active=False)
    assert is_verification_refused(token)


def test_using_a_link_kills_the_earlier_ones(unverified: User) -> None:
    earlier, later = (services.make_email_token(user=unverified, now=NOW) for _ in range(2))
    assert not is_verification_refused(later)
    assert is_verification_refused(earlier)


@pytest.mark.parametrize("token", ["", "x", "é", "\x00", "\ud800", "a" * 43])
def test_what_is_no_link_is_refused(token: str) -> None:
    assert is_verification_refused(token)


def test_only_a_digest_of_the_link_is_stored(unverified: User) -> None:
    token = services.make_email_token(user=unverified, now=NOW)
    assert token not in {str(value) for value in vars(EmailToken.objects.get()).values()}


@pytest.mark.django_db(transaction=True)
def test_of_simultaneous_verifications_one_wins(unverified: User) -> None:
    token = services.make_email_token(user=unverified, now=NOW)
    assert race(lambda: is_verification_refused(token)).count(False) == 1


@pytest.mark.django_db(transaction=True)
def test_a_verified_person_is_welcomed_by_mail(run_jobs: RunJobs, unverified: User) -> None:
    is_verification_refused(services.make_email_token(user=unverified, now=NOW))
    run_jobs()
    assert [(message.to, message.subject) for message in mail.outbox] == [([unverified.email], "Welcome to Gatehouse")]


def test_signing_in_starts_a_session(user: User) -> None:
    pair = services.sign_in(
        email="USER@example.com",
        password=PASSWORD,
        device=services.Device("203.0.113.7", "Curl\x1b[0m" * 99),
        now=NOW,
    )
    session = Session.objects.get()
    claims = tokens.read_access_token(pair.access_token, now=NOW)
    assert (claims.subject, claims.session_id, claims.client_id) == (str(user.pk), session.pk, "gatehouse")
    assert (session.ip_address, len(session.user_agent), "\x1b" in session.user_agent) == ("203.0.113.7", 300, False)
    assert User.objects.get().last_login == NOW


@pytest.mark.parametrize(("email", "password"), [("user@example.com", "wrong"), ("nobody@example.com", PASSWORD)])
def test_wrong_password_and_unknown_address_are_told_alike(user: User, email: str, password: str) -> None:
    with pytest.raises(InvalidCredentials):
        services.sign_in(email=email, password=password, now=NOW)
    assert not Session.objects.exists()


def test_registering_costs_one_hash_whether_the_address_is_known(hasher: type[CountingHasher]) -> None:
    for expected in (1, 2):
        register()
        assert hasher.count == expected


@pytest.mark.parametrize("fields", [{}, {"is_active": False}, {"email": "other@example.com"}])
def test_a_refused_sign_in_costs_one_hash_whatever_the_reason(
    hasher: type[CountingHasher], fields: dict[str, Any]
) -> None:  # Any: fields of the model
    User.objects.create_user(**({"email": "user@example.com", "password": PASSWORD} | fields))
    hasher.count = 0
    with pytest.raises(InvalidCredentials):
        services.sign_in(email="user@example.com", password="wrong", now=NOW)
    assert hasher.count == 1


def test_an_inactive_user_is_told_what_a_wrong_password_is_told(user: User) -> None:
    User.objects.update(is_active=False)
    with pytest.raises(InvalidCredentials):
        services.sign_in(email=user.email, password=PASSWORD, now=NOW)


def test_an_unverified_address_is_named_after_the_right_password_only(unverified: User) -> None:
    with pytest.raises(InvalidCredentials):
        services.sign_in(email=unverified.email, password="wrong", now=NOW)
    with pytest.raises(EmailNotVerified):
        services.sign_in(email=unverified.email, password=PASSWORD, now=NOW)


def test_an_access_token_does_not_outlive_its_session(user: User) -> None:
    pair = services.sign_in(email=user.email, password=PASSWORD, now=NOW)
    Session.objects.update(expires_at=NOW + timedelta(minutes=3))
    renewed = services.refresh(refresh_token=pair.refresh_token, started_at=NOW, now=NOW)
    assert renewed.expires_in == timedelta(minutes=3)


def test_signing_out_without_a_session_kills_the_one_token(user: User) -> None:
    raw = tokens.issue_access_token(
        subject=str(user.pk), client_id="gatehouse", now=NOW, lifetime=timedelta(minutes=10)
    )
    claims = tokens.read_access_token(raw, now=NOW)
    services.sign_out(claims=claims, now=NOW)
    assert selectors.is_token_revoked(claims=claims)


def test_ending_all_sessions_spares_the_next_sign_in(user: User) -> None:
    services.sign_in(email=user.email, password=PASSWORD, now=NOW)
    services.end_all_sessions(user=user, now=NOW)
    pair = services.sign_in(email=user.email, password=PASSWORD, now=NOW + timedelta(milliseconds=1))
    claims = tokens.read_access_token(pair.access_token, now=NOW + timedelta(milliseconds=1))
    assert selectors.get_token_user(claims=claims) == user
    assert Session.objects.filter(revoked_at=NOW).count() == 1
    assert {*Revocation.objects.values_list("kind", flat=True)} == {"sub", "sid"}


@pytest.mark.django_db(transaction=True)
def test_a_changed_password_is_announced_once_with_its_user(user: User) -> None:
    heard: list[signals.PasswordChanged] = []
    signals.password_changed.listen(heard.append)
    try:
        services.set_password(user=user, password="another long password", now=NOW)
    finally:
        signals.password_changed.unlisten(heard.append)
    assert [fact.user for fact in heard] == [user]
    assert User.objects.get().check_password("another long password")


def test_ensuring_a_user_makes_a_verified_one_once() -> None:
    user, created = services.ensure_user(email="Seed@example.com", name="Seed", password=PASSWORD, is_staff=True)
    again, created_again = services.ensure_user(email="seed@example.com", name="Other", password="other")
    assert (created, created_again, again.pk, again.name) == (True, False, user.pk, "Seed")
    assert (user.is_staff, user.email_verified_at is not None, again.check_password(PASSWORD)) == (True, True, True)


@pytest.mark.django_db(transaction=True)
def test_no_secret_reaches_the_log(run_jobs: RunJobs, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    register()
    run_jobs()
    token = get_mailed_link("ada@example.com").rstrip("/").rpartition("/")[2]
    services.verify_email(token=token, now=timezone.now())
    pair = services.sign_in(email="ada@example.com", password=PASSWORD, now=timezone.now())
    renewed = services.refresh(refresh_token=pair.refresh_token, started_at=timezone.now(), now=timezone.now())
    log = " ".join(str(record.__dict__) for record in caplog.records if not record.name.startswith("django.db"))
    for secret in (PASSWORD, token, pair.access_token, pair.refresh_token, renewed.refresh_token):
        assert secret not in log
    assert pair.refresh_token not in repr(pair)
