"""What people change of their own account: name, address, and that there is one."""

from datetime import datetime
from uuid import UUID

from django.db import IntegrityError, transaction

from accounts import signals
from accounts.conf import get_settings
from accounts.exceptions import EmailInUse, ReauthenticationRequired, SessionDoesNotExist
from accounts.models import EmailToken, Session, User
from accounts.services.announcing import announce
from accounts.services.links import use_email_token, void_links
from accounts.services.registration import request_email_verification
from accounts.services.sessions import end_all_sessions
from permissions import audit


def require_recent_authentication(*, authenticated_at: datetime | None, now: datetime) -> None:
    """Let on only who has shown a short while ago who they are.

    Raises:
        ReauthenticationRequired: It is longer ago, or not known.
    """
    if authenticated_at is None or authenticated_at + get_settings().reauthentication_age < now:
        raise ReauthenticationRequired


def update_profile(*, user: User, name: str) -> None:
    """Change what pages and mails call a person.

    Raises:
        SessionDoesNotExist: The account was deleted meanwhile, with every session.
    """
    if name == user.name:
        return
    user.name = name
    with transaction.atomic():
        try:
            user.save(update_fields=["name"])
        except User.NotUpdated as error:
            raise SessionDoesNotExist from error
        audit.record("user.changed", subject=user, fields=["name"])


def request_email_change(*, user: User, email: str, session_id: UUID) -> None:
    """Have a link sent to another address that a user wants to have; until it is followed nothing changes.

    Whether the address has an account already shows in a mail to that address only. No link is sent any more once the
    session that asks was ended, but for its own sign-out.
    """
    with transaction.atomic():
        audit.record("user.email_change_requested", subject=user, email=email)
        fact = signals.EmailChangeRequested(user=user, email=email, session_id=session_id)
        announce(signals.email_change_requested, fact)


def confirm_email_change(*, token: str, now: datetime) -> User:
    """Use a one-time token up and give its user the address that it was sent to; every session ends.

    Of simultaneous requests with links of one user one wins.

    Raises:
        InvalidEmailToken: The token is unknown, used, expired, or the user's address is another by now.
        EmailInUse: Somebody else has the address by now; the link is used up.
    """
    with transaction.atomic():
        found = use_email_token(token=token, purpose=EmailToken.Purpose.CHANGE_EMAIL, now=now)
        user, previous = found.user, found.user.email
        user.email, user.email_verified_at = found.email, now
        try:
            with transaction.atomic():
                user.save(update_fields=["email", "email_verified_at"])
        except IntegrityError:
            is_taken = True
        else:
            is_taken = False
            void_links(user=user, now=now)
            end_all_sessions(user=user, reason=Session.EndReason.EMAIL_CHANGED, now=now)
            audit.record("user.email_changed", subject=user, previous=previous)
            announce(signals.email_changed, signals.EmailChanged(user=user, previous_email=previous))
    if is_taken:
        raise EmailInUse
    return user


def replace_email(*, user: User, previous_email: str, now: datetime) -> None:
    """See to what follows where an admin has stored another address: it is to be verified, and every session ends."""
    with transaction.atomic():
        void_links(user=user, now=now)
        end_all_sessions(user=user, reason=Session.EndReason.EMAIL_CHANGED, now=now)
        audit.record("user.email_changed", subject=user, previous=previous_email)
        announce(signals.email_changed, signals.EmailChanged(user=user, previous_email=previous_email))
        request_email_verification(user=user)


def delete_account(*, user: User, reason: Session.EndReason = Session.EndReason.ENDED_BY_USER, now: datetime) -> None:
    """Delete a user and all that belongs to them alone, at once and for good; the audit log keeps what was done.

    Of simultaneous deletions one is done.

    Raises:
        SessionDoesNotExist: The account is gone already, with every session.
    """
    with transaction.atomic():
        # Whoever is opening a session meanwhile waits for this, and finds that there is nobody to open it for.
        if User.objects.select_for_update().filter(pk=user.pk).first() is None:
            raise SessionDoesNotExist
        end_all_sessions(user=user, reason=reason, now=now)
        fact = signals.AccountDeleted(user_id=user.pk, email=user.email, name=user.name)
        user.delete()
        announce(signals.account_deleted, fact)
