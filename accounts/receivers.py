"""What follows from the facts that the app announces: mails."""

from django.conf import settings
from django.dispatch import receiver
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone

from accounts.jobs import AnswerRegistrationJob, SendEmailJob, SendVerificationEmailJob
from accounts.models import User
from accounts.services import forget_registration
from accounts.signals import email_verified, registration_repeated, user_registered, verification_requested
from accounts.throttles import may_mail


@receiver([user_registered, registration_repeated])
def answer_registration(user: User, registration_id: int, **_kwargs: object) -> None:
    """Tell the owner of the address, in the same way whether it was known, but not more often than a person would."""
    if may_mail(user.email, now=timezone.now()):
        AnswerRegistrationJob.dispatch(registration_id=registration_id)
    else:
        forget_registration(registration_id=registration_id)


@receiver(verification_requested)
def send_verification_link(user: User, **_kwargs: object) -> None:
    """Have the address verified."""
    SendVerificationEmailJob.dispatch(user_id=user.pk)


@receiver(email_verified)
def welcome(user: User, **_kwargs: object) -> None:
    """Say that all is ready."""
    login_url = settings.BASE_URL + reverse("accounts:login")
    body = render_to_string("accounts/mail/welcome.txt", {"email": user.email, "login_url": login_url})
    SendEmailJob.dispatch(to_email=user.email, subject="Welcome to Gatehouse", body=body)
