"""The mails of accounts, and what is done by the clock, as jobs.

A link is made by the worker that mails it, so that none is stored with a job. What people typed, and the text of a
notice, are stored encrypted and shown to nobody.
"""

import smtplib
from datetime import timedelta
from typing import ClassVar, Final, override
from uuid import UUID

from django.conf import settings
from django.core.mail import EmailMessage
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone

from accounts.models import EmailToken, Registration, User
from accounts.selectors import (
    find_active_user,
    find_registration,
    find_unverified_user,
    get_link_lifetime,
    is_email_in_use,
    is_made_by_registration,
    list_waiting_registrations,
)
from accounts.services import forget_registration, maintain_keys, make_email_change_token, make_email_token, sweep
from accounts.templatetags.durations import say_duration
from jobs.backoff import Backoff
from jobs.exceptions import PermanentJobError
from jobs.job import Job
from jobs.schedules import schedule
from jobs.security import SecureJob

_SMTP_PERMANENT: Final = range(500, 600)
_PERIOD: Final = timedelta(hours=1)


class _Mail:
    """Options of all jobs that send a mail."""

    queue: ClassVar[str] = "emails"
    tries: ClassVar[int | None] = 5
    backoff: ClassVar[Backoff | None] = (10, 60, 300)
    timeout: ClassVar[int | float | None] = 30


class SendEmailJob(_Mail, SecureJob):
    """Send a plain-text mail. It must hold no one-time link: address and text are stored, though encrypted."""

    def __init__(self, to_email: str, subject: str, body: str) -> None:
        """Take one address, a subject of one line, and the text."""
        self.to_email = to_email
        self.subject = subject
        self.body = body
        self.set_sensitive_fields(["to_email", "body"])

    @override
    def handle(self) -> None:
        """Send it.

        Raises:
            PermanentJobError: The mail server refuses the address for good.
        """
        _send(to_email=self.to_email, subject=self.subject, body=self.body)


class SendVerificationEmailJob(_Mail, Job):
    """Send the link that verifies a user's address."""

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
            _send_verification(user)


class ResendVerificationJob(_Mail, SecureJob):
    """Send the link that verifies an address once more, to whoever waits for one; no mail otherwise."""

    def __init__(self, email: str) -> None:
        """Take the address, as it was typed."""
        self.email = email
        self.set_sensitive_fields(["email"])

    @override
    def handle(self) -> None:
        """Make the link and send it.

        Whoever registered the address could have asked. The link confirms the only registration that there is; where
        there are several, or none, and nobody has signed in yet, it lets the owner of the address choose a password,
        so that it confirms nobody else's.

        Raises:
            PermanentJobError: The mail server refuses the address for good.
        """
        user = find_active_user(email=self.email)
        if user is None or user.email_verified_at is not None:
            return
        if user.last_login is not None:
            _send_verification(user)
            return
        match list(list_waiting_registrations(user=user)[:2]):
            case [only]:
                _send_verification(user, only)
            case _:
                _send_password_link(user, template="choose_password")


class AnswerRegistrationJob(_Mail, Job):
    """Answer one registration by mail: with its own link, or by saying that there is an account already.

    Which of them is the worker's to find out, so that registering takes as long for a known address as for a new one.
    """

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
            if is_made_by_registration(user=user):
                _send_verification(user, registration)
                return
            # Somebody else made the account, and may have given it rights: nobody's registration opens it.
            _send_password_link(user, template="choose_password")
            forget_registration(registration_id=registration.pk)
            return
        body = _render("account_exists", email=user.email, login_url=_get_url("login"))
        _send(to_email=user.email, subject="You already have an account", body=body)
        forget_registration(registration_id=registration.pk)


class SendPasswordResetJob(_Mail, SecureJob):
    """Send the link with which a new password can be chosen, if the address has an account; no mail otherwise.

    Whether it has is the worker's to find out, so that asking takes as long for a known address as for any other.
    """

    def __init__(self, email: str) -> None:
        """Take the address, as it was typed."""
        self.email = email
        self.set_sensitive_fields(["email"])

    @override
    def handle(self) -> None:
        """Make the link and send it to the address that is stored, which may differ from the typed one by its case.

        Raises:
            PermanentJobError: The mail server refuses the address for good.
        """
        user = find_active_user(email=self.email)
        if user is not None:
            _send_password_link(user, template="reset_password")


class SendStartedResetJob(_Mail, Job):
    """Send a user the link with which to choose a new password, because an admin asked for it."""

    def __init__(self, user_id: UUID) -> None:
        """Take the user's id."""
        self.user_id = user_id

    @override
    def handle(self) -> None:
        """Make the link and send it, unless the user is gone or inactive by now.

        Raises:
            PermanentJobError: The mail server refuses the address for good.
        """
        user = find_active_user(user_id=self.user_id)
        if user is not None:
            _send_password_link(user, template="reset_started")


class SendInvitationJob(_Mail, Job):
    """Send somebody for whom an admin made an account the link with which to choose a password."""

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
            lifetime = get_link_lifetime(purpose=EmailToken.Purpose.VERIFY_EMAIL)
            _send_password_link(user, template="invitation", lifetime=lifetime)


class SendEmailChangeJob(_Mail, SecureJob):
    """Send the link that changes a user's address to the new one, or the word that it has an account already."""

    def __init__(self, user_id: UUID, email: str, session_id: UUID) -> None:
        """Take the user's id, the new address, and the session that asked for it."""
        self.user_id = user_id
        self.email = email
        self.session_id = session_id
        self.set_sensitive_fields(["email"])

    @override
    def handle(self) -> None:
        """Send it, unless the user is gone or inactive by now, or the session that asked was ended by others.

        Raises:
            PermanentJobError: The mail server refuses the address for good.
        """
        user = find_active_user(user_id=self.user_id)
        if user is None:
            return
        email = self.email.lower()  # as it will be stored: a capital letter of another script isn't the same mailbox
        if is_email_in_use(email=email):
            body = _render("email_in_use", email=email, login_url=_get_url("login"))
            _send(to_email=email, subject="This address has an account already", body=body)
            return
        token = make_email_change_token(user=user, email=email, session_id=self.session_id, now=timezone.now())
        if token is None:
            return
        lasts = say_duration(get_link_lifetime(purpose=EmailToken.Purpose.CHANGE_EMAIL))
        body = _render("confirm_email", link=_get_url("confirm-email", token), email=email, lasts=lasts)
        _send(to_email=email, subject="Confirm your new e-mail address", body=body)


class SweepAccountsJob(Job):
    """Delete what is over: sessions, tokens, registrations, and accounts that nobody confirmed."""

    queue = "low"
    tries = 1
    timeout = 120
    #: One at a time waits; a second would do no harm.
    unique_for = 3600
    unique_until = "start"

    @override
    def handle(self) -> None:
        """Sweep for a while, and go on in another job if that wasn't enough."""
        if not sweep(now=timezone.now()).is_complete:
            SweepAccountsJob.dispatch()


class MaintainKeysJob(Job):
    """Publish, activate and delete the keys that sign access tokens, when it is time to."""

    queue = "low"

    @override
    def handle(self) -> None:
        """Do what is due."""
        maintain_keys(now=timezone.now())


schedule(SweepAccountsJob).every(_PERIOD).named("accounts: sweep")
schedule(MaintainKeysJob).every(_PERIOD).named("accounts: maintain keys")


def _send_verification(user: User, registration: Registration | None = None) -> None:
    token = make_email_token(user=user, registration=registration, now=timezone.now())
    body = _render(
        "verify_email",
        link=_get_url("verify-email", token),
        email=user.email,
        is_registration=registration is not None,
        lasts=say_duration(get_link_lifetime(purpose=EmailToken.Purpose.VERIFY_EMAIL)),
    )
    _send(to_email=user.email, subject="Confirm your e-mail address", body=body)


_SUBJECTS: Final = {
    "choose_password": "Confirm your e-mail address",
    "invitation": "You have an account at Gatehouse",
    "reset_password": "Choose a new password",
    "reset_started": "Choose a new password",
}


def _send_password_link(user: User, *, template: str, lifetime: timedelta | None = None) -> None:
    purpose = EmailToken.Purpose.RESET_PASSWORD
    lifetime = lifetime or get_link_lifetime(purpose=purpose)
    token = make_email_token(user=user, purpose=purpose, lifetime=lifetime, now=timezone.now())
    body = _render(
        template,
        link=_get_url("reset-password", token),
        email=user.email,
        lasts=say_duration(lifetime),
    )
    _send(to_email=user.email, subject=_SUBJECTS[template], body=body)


def _render(template: str, **context: object) -> str:
    return render_to_string(f"accounts/mail/{template}.txt", context)


def _get_url(name: str, *args: str) -> str:
    """Return the address of a page at the fixed public host, whatever the request that caused the mail said."""
    return f"{settings.BASE_URL}{reverse(f'accounts:{name}', args=args)}"


def _send(*, to_email: str, subject: str, body: str) -> None:
    try:
        EmailMessage(subject=subject, body=body, to=[to_email]).send()
    except smtplib.SMTPRecipientsRefused as error:
        codes = [code for code, _text in error.recipients.values()]
        if codes and all(code in _SMTP_PERMANENT for code in codes):
            message = f"The mail server refuses the address for good ({codes[0]})."
            raise PermanentJobError(message) from error
        raise
