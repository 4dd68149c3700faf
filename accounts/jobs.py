"""The mails of accounts, as jobs."""

import smtplib
from typing import override
from uuid import UUID

from django.conf import settings
from django.core.mail import EmailMessage
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone

from accounts.models import Registration, User
from accounts.selectors import find_registration, find_unverified_user
from accounts.services import forget_registration, make_email_token
from jobs.exceptions import PermanentJobError
from jobs.job import Job

_QUEUE = "emails"
_TRIES = 5
_BACKOFF = (10, 60, 300)
_TIMEOUT_SECONDS = 30
_SMTP_PERMANENT = range(500, 600)


class SendEmailJob(Job):
    """Send a plain-text mail. Its text is stored with the job, so it must hold no secret and no one-time link."""

    queue = _QUEUE
    tries = _TRIES
    backoff = _BACKOFF
    timeout = _TIMEOUT_SECONDS

    def __init__(self, to_email: str, subject: str, body: str) -> None:
        """Take one address, a subject of one line, and the text."""
        self.to_email = to_email
        self.subject = subject
        self.body = body

    @override
    def handle(self) -> None:
        """Send it.

        Raises:
            PermanentJobError: The mail server refuses the address for good.
        """
        _send(to_email=self.to_email, subject=self.subject, body=self.body)


class SendVerificationEmailJob(Job):
    """Send the link that verifies a user's address. The link is made by the worker and stored nowhere."""

    queue = _QUEUE
    tries = _TRIES
    backoff = _BACKOFF
    timeout = _TIMEOUT_SECONDS

    def __init__(self, user_id: UUID) -> None:
        """Take the user's id."""
        self.user_id = user_id

    @override
    def handle(self) -> None:
        """Make the link and send it, unless the user is gone, inactive or verified by now.

        Raises:
            PermanentJobError: The mail server refuses the address for good.
        """
        user = find_unverified_user(user_id=self.user_id)
        if user is not None:
            _send_link(user)


class AnswerRegistrationJob(Job):
    """Answer one registration by mail: with its own link, or by saying that there is an account already.

    Which of them is the worker's to find out, so that registering takes as long for a known address as for a new one.
    """

    queue = _QUEUE
    tries = _TRIES
    backoff = _BACKOFF
    timeout = _TIMEOUT_SECONDS

    def __init__(self, registration_id: int) -> None:
        """Take the id of the registration; what was chosen stays out of the queue."""
        self.registration_id = registration_id

    @override
    def handle(self) -> None:
        """Send the mail, unless the registration is settled or void by now.

        Raises:
            PermanentJobError: The mail server refuses the address for good.
        """
        registration = find_registration(registration_id=self.registration_id)
        if registration is None:
            return
        user = registration.user
        if user.is_active and user.email_verified_at is None:
            _send_link(user, registration)
            return
        login_url = settings.BASE_URL + reverse("accounts:login")
        body = render_to_string("accounts/mail/account_exists.txt", {"email": user.email, "login_url": login_url})
        _send(to_email=user.email, subject="You already have an account", body=body)
        forget_registration(registration_id=registration.pk)


def _send_link(user: User, registration: Registration | None = None) -> None:
    token = make_email_token(user=user, registration=registration, now=timezone.now())
    link = settings.BASE_URL + reverse("accounts:verify-email", args=[token])
    context = {"link": link, "email": user.email, "is_registration": registration is not None}
    body = render_to_string("accounts/mail/verify_email.txt", context)
    _send(to_email=user.email, subject="Confirm your e-mail address", body=body)


def _send(*, to_email: str, subject: str, body: str) -> None:
    try:
        EmailMessage(subject=subject, body=body, to=[to_email]).send()
    except smtplib.SMTPRecipientsRefused as error:
        codes = [code for code, _text in error.recipients.values()]
        if codes and all(code in _SMTP_PERMANENT for code in codes):
            message = f"The mail server refuses the address for good ({codes[0]})."
            raise PermanentJobError(message) from error
        raise
