import smtplib
from collections.abc import Sequence
from typing import override
from uuid import UUID, uuid4

import pytest
from django.core import mail
from django.core.mail import EmailMessage
from django.core.mail.backends.base import BaseEmailBackend
from django.utils import timezone
from pytest_django import Settings

from accounts.jobs import (
    ResendVerificationJob,
    SendEmailChangeJob,
    SendEmailJob,
    SendInvitationJob,
    SendPasswordResetJob,
    SendStartedResetJob,
    SendVerificationEmailJob,
)
from accounts.models import EmailToken, Registration, User
from accounts.services import TokenPair, register_user, reset_password, verify_email
from jobs.exceptions import PermanentJobError
from tests.accounts.conftest import NOW, PASSWORD, get_mailed_link

pytestmark = pytest.mark.django_db


class RefusingBackend(BaseEmailBackend):
    """A mail server that refuses every recipient, with the code that stands before the @."""

    @override
    def send_messages(self, email_messages: Sequence[EmailMessage]) -> int:
        recipients = [address for message in email_messages for address in message.to]
        raise smtplib.SMTPRecipientsRefused({to: (int(to.partition("@")[0]), b"refused") for to in recipients})


@pytest.fixture
def refusing_server(settings: Settings) -> None:
    settings.MAILERS = {"default": {"BACKEND": f"{__name__}.RefusingBackend"}}


def test_a_mail_is_sent_as_given() -> None:
    SendEmailJob(to_email="ada@example.com", subject="Hello", body="Text").handle()
    message = mail.outbox[0]
    assert (message.to, message.subject, message.body) == (["ada@example.com"], "Hello", "Text")


@pytest.mark.usefixtures("refusing_server")
def test_an_address_refused_for_good_is_not_tried_again() -> None:
    with pytest.raises(PermanentJobError):
        SendEmailJob(to_email="550@example.com", subject="Hello", body="Text").handle()


@pytest.mark.usefixtures("refusing_server")
def test_an_address_refused_for_now_is_tried_again() -> None:
    with pytest.raises(smtplib.SMTPRecipientsRefused):
        SendEmailJob(to_email="450@example.com", subject="Hello", body="Text").handle()


@pytest.mark.usefixtures("refusing_server")
def test_a_verification_mail_refused_for_good_is_not_tried_again(unverified: User) -> None:
    User.objects.update(email="550@example.com")
    with pytest.raises(PermanentJobError):
        SendVerificationEmailJob(user_id=unverified.pk).handle()


def test_the_link_starts_with_the_public_address(unverified: User, settings: Settings) -> None:
    settings.BASE_URL = "https://id.example.com"
    SendVerificationEmailJob(user_id=unverified.pk).handle()
    assert get_mailed_link(unverified.email).startswith("https://id.example.com/accounts/verify-email/")


def test_the_mail_repeats_nothing_that_a_stranger_could_have_typed(unverified: User) -> None:
    User.objects.update(name="Click https://evil.example")
    SendVerificationEmailJob(user_id=unverified.pk).handle()
    assert "evil" not in str(mail.outbox[0].body)


def test_nothing_is_sent_to_a_verified_inactive_or_missing_user(user: User, unverified: User) -> None:
    User.objects.filter(pk=unverified.pk).update(is_active=False)
    for user_id in (user.pk, unverified.pk, uuid4()):
        SendVerificationEmailJob(user_id=user_id).handle()
    assert (mail.outbox, EmailToken.objects.count()) == ([], 0)


def test_the_token_expires_within_a_day(unverified: User) -> None:
    SendVerificationEmailJob(user_id=unverified.pk).handle()
    assert (EmailToken.objects.get().expires_at - timezone.now()).total_seconds() <= 24 * 3600


def follow(email: str) -> str:
    """Return the token of the link in the last mail to an address."""
    return get_mailed_link(email).rstrip("/").rpartition("/")[2]


@pytest.mark.parametrize("typed", ["user@example.com", "USER@Example.com", "u\u017fer@example.com".upper()])
def test_a_reset_is_mailed_to_the_stored_address(user: User, typed: str) -> None:
    SendPasswordResetJob(email=typed).handle()
    assert [message.to for message in mail.outbox] == [[user.email]]
    reset_password(token=follow(user.email), password="another long password", now=timezone.now())


def ask_for_email(user_id: UUID, email: str, *, session_id: UUID) -> None:
    SendEmailChangeJob(user_id=user_id, email=email, session_id=session_id).handle()


@pytest.mark.parametrize("state", ["unknown", "inactive"])
def test_nobody_is_mailed_where_there_is_no_active_account(user: User, state: str) -> None:
    User.objects.update(is_active=state != "inactive")
    email = user.email if state == "inactive" else "nobody@example.com"
    SendPasswordResetJob(email=email).handle()
    ResendVerificationJob(email=email).handle()
    for job in (SendStartedResetJob, SendInvitationJob, SendVerificationEmailJob):
        job(user_id=user.pk if state == "inactive" else uuid4()).handle()
    ask_for_email(user.pk if state == "inactive" else uuid4(), "new@example.com", session_id=uuid4())
    assert (mail.outbox, EmailToken.objects.count()) == ([], 0)


def test_a_verified_address_gets_no_other_link_to_verify_it(user: User) -> None:
    ResendVerificationJob(email=user.email).handle()
    SendInvitationJob(user_id=user.pk).handle()
    assert mail.outbox == []


def test_another_link_confirms_the_only_registration(db: None) -> None:
    register_user(email="new@example.com", password=PASSWORD, name="Ada", now=NOW)
    ResendVerificationJob(email="NEW@example.com").handle()
    assert verify_email(token=follow("new@example.com"), now=timezone.now()).check_password(PASSWORD)


def test_of_several_registrations_another_link_confirms_none(db: None) -> None:
    for password in ("password of a stranger", PASSWORD):
        register_user(email="new@example.com", password=password, name="", now=NOW)
    ResendVerificationJob(email="new@example.com").handle()
    user = reset_password(token=follow("new@example.com"), password="another long password", now=timezone.now())
    assert (user.email_verified_at is not None, user.check_password("another long password")) == (True, True)


def test_without_a_registration_another_link_confirms_no_password_of_unknown_origin(unverified: User) -> None:
    ResendVerificationJob(email=unverified.email).handle()
    assert EmailToken.objects.get().purpose == EmailToken.Purpose.RESET_PASSWORD


def test_who_has_signed_in_before_keeps_the_password_whoever_registers(unverified: User) -> None:
    User.objects.update(last_login=NOW)  # the address was another one then
    register_user(email=unverified.email, password="password of a stranger", name="", now=NOW)
    ResendVerificationJob(email=unverified.email).handle()
    assert verify_email(token=follow(unverified.email), now=timezone.now()).check_password(PASSWORD)
    assert not Registration.objects.exists()


def test_an_address_with_an_account_is_told_so_without_a_link_to_take_it(
    user: User, unverified: User, pair: TokenPair
) -> None:
    ask_for_email(user.pk, "NEW@example.com", session_id=pair.session.pk)
    assert (mail.outbox[0].to, EmailToken.objects.count()) == ([unverified.email], 0)
    assert "has an account already" in str(mail.outbox[0].body)


def test_a_new_address_is_mailed_as_it_will_be_stored(user: User, pair: TokenPair) -> None:
    ask_for_email(user.pk, "mi\u212ae@example.com", session_id=pair.session.pk)  # a Kelvin sign, not a K
    token = EmailToken.objects.get()
    assert (token.email, mail.outbox[0].to) == ("mike@example.com", ["mike@example.com"])


@pytest.mark.parametrize(
    ("seconds", "words"), [(3600, "1 hour"), (5400, "90 minutes"), (86_400, "24 hours"), (864_000, "24 hours")]
)
def test_mails_say_how_long_a_link_works(user: User, settings: Settings, seconds: int, words: str) -> None:
    settings.ACCOUNTS = settings.ACCOUNTS | {"PASSWORD_RESET_SECONDS": seconds}
    SendPasswordResetJob(email=user.email).handle()
    assert f"works once and for {words}." in str(mail.outbox[0].body)


def test_addresses_and_texts_are_stored_sealed() -> None:
    jobs = [
        SendEmailJob(to_email="ada@example.com", subject="Hello", body="Text of the mail"),
        SendPasswordResetJob(email="ada@example.com"),
        ResendVerificationJob(email="ada@example.com"),
        SendEmailChangeJob(user_id=uuid4(), email="ada@example.com", session_id=uuid4()),
    ]
    for job in jobs:
        stored = str(job.make_record())
        assert "ada@example.com" not in stored
        assert "Text of the mail" not in stored


@pytest.mark.usefixtures("refusing_server")
def test_a_refused_address_is_in_no_message(user: User) -> None:
    User.objects.update(email="550@example.com")
    job = SendPasswordResetJob(email="550@example.com")
    with pytest.raises(PermanentJobError) as caught:
        job.handle()
    assert "550@example.com" not in job.redact(str(caught.value))
