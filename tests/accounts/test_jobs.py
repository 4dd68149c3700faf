import smtplib
from collections.abc import Sequence
from typing import override
from uuid import uuid4

import pytest
from django.core import mail
from django.core.mail import EmailMessage
from django.core.mail.backends.base import BaseEmailBackend
from django.utils import timezone
from pytest_django import Settings

from accounts.jobs import SendEmailJob, SendVerificationEmailJob
from accounts.models import EmailToken, User
from jobs.exceptions import PermanentJobError
from tests.accounts.conftest import get_mailed_link

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
