"""What follows from the facts that the app announces: mails."""

from django.conf import settings
from django.dispatch import receiver
from django.template.loader import render_to_string
from django.urls import reverse

from accounts.jobs import SendEmailJob, SendVerificationEmailJob
from accounts.models import User
from accounts.signals import email_verified, registration_repeated, user_registered, verification_requested


@receiver([user_registered, verification_requested])
def send_verification_link(user: User, **_kwargs: object) -> None:
    """Have the address verified."""
    SendVerificationEmailJob.dispatch(user_id=user.pk)


@receiver(registration_repeated)
def answer_repeated_registration(user: User, **_kwargs: object) -> None:
    """Tell the owner of the address; one who never verified it gets a new link instead."""
    if user.is_active and user.email_verified_at is None:
        SendVerificationEmailJob.dispatch(user_id=user.pk)
    else:
        _send(user, "You already have an account", "accounts/mail/account_exists.txt")


@receiver(email_verified)
def welcome(user: User, **_kwargs: object) -> None:
    """Say that all is ready."""
    _send(user, "Welcome to Gatehouse", "accounts/mail/welcome.txt")


def _send(user: User, subject: str, template: str) -> None:
    login_url = settings.BASE_URL + reverse("accounts:login")
    body = render_to_string(template, {"email": user.email, "login_url": login_url})
    SendEmailJob.dispatch(to_email=user.email, subject=subject, body=body)
