"""What follows from the facts that the app announces, mails; and what Django announces, for the audit log."""

from datetime import UTC, datetime
from typing import Final
from uuid import UUID

from django.conf import settings
from django.contrib.auth.signals import user_logged_in, user_logged_out
from django.db.models.signals import post_delete, post_save
from django.dispatch import receiver
from django.http import HttpRequest
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone
from django.utils.dateformat import format as format_date

from accounts.conf import get_settings
from accounts.devices import describe_device
from accounts.jobs import (
    AnswerRegistrationJob,
    ResendVerificationJob,
    SendEmailChangeJob,
    SendEmailJob,
    SendInvitationJob,
    SendPasswordResetJob,
    SendStartedResetJob,
    SendVerificationEmailJob,
)
from accounts.middleware import SESSION_ID_KEY
from accounts.models import Session, User, get_user_fact_key
from accounts.navigation import find_apps_page
from accounts.selectors import is_new_device
from accounts.services import Device, Proof, end_session, forget_registration, open_browser_session
from accounts.signals import (
    AccountDeleted,
    EmailChanged,
    EmailChangeRequested,
    EmailVerified,
    PasswordChanged,
    PasswordResetRequested,
    PasswordResetStarted,
    RefreshTokenReused,
    RegistrationRepeated,
    SignedIn,
    UserInvited,
    UserRegistered,
    VerificationRequested,
    VerificationResendRequested,
    account_deleted,
    email_change_requested,
    email_changed,
    email_verified,
    password_changed,
    password_reset_requested,
    password_reset_started,
    refresh_token_reused,
    registration_repeated,
    signed_in,
    user_invited,
    user_registered,
    verification_requested,
    verification_resend_requested,
)
from accounts.throttles import Door, may_mail
from accounts.tokens import revoke_access_tokens
from permissions import audit
from project import shared_facts
from project.current_request import get_client_ip

_SUBJECTS: Final = {
    "account_deleted": "Your account is deleted",
    "app_disconnected": "An app was disconnected",
    "email_change_requested": "Your e-mail address is about to change",
    "email_changed": "Your e-mail address was changed",
    "new_device": "Sign-in from a new device",
    "password_changed": "Your password was changed",
    "refresh_token_reused": "A device was signed out",
    "welcome": "Welcome to Gatehouse",
}


@user_registered.listen
def answer_registration(fact: UserRegistered) -> None:
    """Tell the owner of the address, but not more often than a person would."""
    if may_mail(fact.user.email, door=Door.REGISTER, now=timezone.now()):
        AnswerRegistrationJob.dispatch(registration_id=fact.registration_id)


@registration_repeated.listen
def answer_repeated_registration(fact: RegistrationRepeated) -> None:
    """Tell the owner of the address in the same way; what nobody is told of is forgotten, so that it can't pile up."""
    if may_mail(fact.user.email, door=Door.REGISTER, now=timezone.now()):
        AnswerRegistrationJob.dispatch(registration_id=fact.registration_id)
    else:
        forget_registration(registration_id=fact.registration_id)


@verification_requested.listen
def send_verification_link(fact: VerificationRequested) -> None:
    """Have the address verified."""
    SendVerificationEmailJob.dispatch(user_id=fact.user.pk)


@verification_resend_requested.listen
def resend_verification_link(fact: VerificationResendRequested) -> None:
    """Let a worker look whether somebody waits for it."""
    if may_mail(fact.email, door=Door.RESEND, now=timezone.now()):
        ResendVerificationJob.dispatch(email=fact.email)


@password_reset_requested.listen
def send_reset_link(fact: PasswordResetRequested) -> None:
    """Let a worker look whether there is an account."""
    if may_mail(fact.email, door=Door.RESET, now=timezone.now()):
        SendPasswordResetJob.dispatch(email=fact.email)


@password_reset_started.listen
def send_started_reset_link(fact: PasswordResetStarted) -> None:
    """Have the user choose a new password."""
    SendStartedResetJob.dispatch(user_id=fact.user.pk)


@user_invited.listen
def send_invitation(fact: UserInvited) -> None:
    """Have the owner of a new account choose a password."""
    SendInvitationJob.dispatch(user_id=fact.user.pk)


@email_change_requested.listen
def send_email_change_link(fact: EmailChangeRequested) -> None:
    """Have the new address confirmed, and warn the present one."""
    if may_mail(fact.email, door=Door.CHANGE_EMAIL, now=timezone.now()):
        SendEmailChangeJob.dispatch(user_id=fact.user.pk, email=fact.email, session_id=fact.session_id)
    _notify(fact.user.email, "email_change_requested", reset_url=_get_url("request-password-reset"))


@email_verified.listen
def welcome(fact: EmailVerified) -> None:
    """Say that all is ready."""
    _notify(fact.user.email, "welcome", login_url=_get_url("login"))


@email_changed.listen
def notify_of_changed_email(fact: EmailChanged) -> None:
    """Tell the address that opens the account no more."""
    _notify(fact.previous_email, "email_changed", house=settings.BASE_URL)


@password_changed.listen
def notify_of_changed_password(fact: PasswordChanged) -> None:
    """Tell the user, who may not have done it."""
    _notify(fact.user.email, "password_changed", reset_url=_get_url("request-password-reset"))


@refresh_token_reused.listen
def notify_of_reused_token(fact: RefreshTokenReused) -> None:
    """Tell the user that somebody else may have had the keys of a device, or of an app."""
    if fact.session.client_id:
        _notify(fact.user.email, "app_disconnected", **_describe_app(fact.session))
        return
    urls = {"sessions_url": _get_url("sessions"), "reset_url": _get_url("request-password-reset")}
    _notify(fact.user.email, "refresh_token_reused", **_describe(fact.session), **urls)


@signed_in.listen
def notify_of_new_device(fact: SignedIn) -> None:
    """Tell the user of a sign-in from where none came lately, though not of more than a few in a row."""
    if fact.is_known_device or not is_new_device(session=fact.session):
        return
    if may_mail(fact.user.email, door=Door.LOGIN, now=fact.session.created_at):
        urls = {"sessions_url": _get_url("sessions"), "reset_url": _get_url("request-password-reset")}
        _notify(fact.user.email, "new_device", **_describe(fact.session), **urls)


@account_deleted.listen
def notify_of_deletion(fact: AccountDeleted) -> None:
    """Tell the person, who may not have done it."""
    _notify(fact.email, "account_deleted", house=settings.BASE_URL)


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


def _notify(to_email: str, template: str, **facts: str) -> None:
    """Have a notice sent; what it says is known now, and nothing in it opens anything."""
    context = {"email": to_email, "at": _say(timezone.now()), **facts}
    body = render_to_string(f"accounts/mail/{template}.txt", context)
    SendEmailJob.dispatch(to_email=to_email, subject=_SUBJECTS[template], body=body)


def _describe(session: Session) -> dict[str, str]:
    """Return what a mail says of a sign-in; without dots, since whoever signs in can call a device as a web site."""
    return {
        "device": describe_device(session.user_agent).replace(".", " "),
        "address": session.ip_address or "an unknown address",
        "signed_in_at": _say(session.created_at),
    }


def _describe_app(session: Session) -> dict[str, str]:
    """Return what a mail says of an OAuth client: its id, since a stranger may have chosen its name."""
    page = find_apps_page()
    apps_url = f"{settings.BASE_URL}{reverse(page.view_name)}" if page else ""
    return {
        "app": session.client_id.replace(".", " "),
        "let_in_at": _say(session.created_at),
        "apps_url": apps_url,
    }


def _get_url(name: str) -> str:
    return f"{settings.BASE_URL}{reverse(f'accounts:{name}')}"


def _say(moment: datetime) -> str:
    return f"{format_date(moment.astimezone(UTC), 'j F Y, H:i')} UTC"
