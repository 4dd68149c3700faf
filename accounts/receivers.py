"""What follows from the facts that the app announces, mails; and what Django announces, for the audit log."""

from uuid import UUID

from django.conf import settings
from django.contrib.auth.signals import user_logged_in, user_logged_out
from django.db.models.signals import post_delete, post_save
from django.dispatch import receiver
from django.http import HttpRequest
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone

from accounts.conf import get_settings
from accounts.jobs import AnswerRegistrationJob, SendEmailJob, SendVerificationEmailJob
from accounts.middleware import SESSION_ID_KEY
from accounts.models import Session, User, get_user_fact_key
from accounts.services import Device, Proof, end_session, forget_registration, open_browser_session
from accounts.signals import email_verified, registration_repeated, user_registered, verification_requested
from accounts.throttles import Door, may_mail
from accounts.tokens import revoke_access_tokens
from permissions import audit
from project import shared_facts
from project.current_request import get_client_ip


@receiver([user_registered, registration_repeated])
def answer_registration(user: User, registration_id: int, **_kwargs: object) -> None:
    """Tell the owner of the address, in the same way whether it was known, but not more often than a person would."""
    if may_mail(user.email, door=Door.REGISTER, now=timezone.now()):
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


@receiver(user_logged_in)
def begin_session(request: HttpRequest, user: User, **_kwargs: object) -> None:
    """Begin a session of ours beside Django's, so that it can be seen and ended from elsewhere."""
    now = timezone.now()
    device = Device(get_client_ip(request), request.headers.get("User-Agent", ""))
    session = open_browser_session(proof=Proof(user, now), device=device, now=now)
    request.session[SESSION_ID_KEY] = str(session.pk)


@receiver(user_logged_out)
def end_session_of_pages(request: HttpRequest, user: User | None, **_kwargs: object) -> None:
    """End it with Django's; that of somebody who wasn't signed in doesn't exist."""
    session_id = request.session.get(SESSION_ID_KEY)
    if user is not None:
        audit.record("user.signed_out", actor=user, subject=user, session=session_id)
    if session_id is not None:
        session = Session(pk=UUID(session_id))
        end_session(session=session, reason=Session.EndReason.SIGNED_OUT, now=timezone.now())


@receiver([post_save, post_delete], sender=User)
def forget_row(instance: User, **_kwargs: object) -> None:
    """Let the shared cache forget what a user was; what is changed in bulk is seen to by the manager."""
    shared_facts.forget([get_user_fact_key(instance.pk)])


@receiver(post_delete, sender=User)
def record_deletion(instance: User, **_kwargs: object) -> None:
    """Record that an account is gone, however it went; its tokens open nothing, even if its id is given once more."""
    now = timezone.now()
    expires_at = now + get_settings().access_token_lifetime
    revoke_access_tokens(kind="sub", subject=str(instance.pk), now=now, expires_at=expires_at)
    audit.record("user.deleted", subject=instance)
