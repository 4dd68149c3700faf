"""The mails of accounts, as jobs."""

import smtplib
from typing import override
from uuid import UUID

from django.conf import settings
from django.core.mail import EmailMessage
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone

from accounts.selectors import find_unverified_user
from accounts.services import make_email_token
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
        if user is None:
            return
        token = make_email_token(user=user, now=timezone.now())
        link = settings.BASE_URL + reverse("accounts:verify-email", args=[token])
        body = render_to_string("accounts/mail/verify_email.txt", {"link": link, "email": user.email})
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
