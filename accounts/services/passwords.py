"""Choosing another password."""

from datetime import datetime

from django.contrib.auth.hashers import make_password
from django.db import transaction

from accounts import signals
from accounts.exceptions import WrongPassword
from accounts.models import EmailToken, Session, User
from accounts.selectors import find_email_token
from accounts.services.announcing import announce
from accounts.services.credentials import check_own_password, check_password_strength
from accounts.services.links import use_email_token, void_links
from accounts.services.sessions import end_all_sessions
from permissions import audit


def change_password(*, user: User, current_password: str, new_password: str, now: datetime) -> None:
    """Give a user another password, who shows the present one; all that was opened with that ends.

    Raises:
        WrongPassword: The present password is wrong.
        PasswordRefused: The new password is too weak.
    """
    check_own_password(user=user, password=current_password)
    shown = user.password
    check_password_strength(password=new_password, user=user, field="new_password")
    user.set_password(new_password)
    with transaction.atomic():
        # A reset may have come in between; then what was shown is the password no more.
        if User.objects.select_for_update(no_key=True).filter(pk=user.pk, password=shown).first() is None:
            raise WrongPassword
        _store_password(user, now=now)


def request_password_reset(*, email: str) -> None:
    """Have a link sent to an address, if it has an account, with which a new password can be chosen.

    Answer and work are the same for every address; only a mail tells.
    """
    with transaction.atomic():
        known = User.objects.filter(email=email).first()
        audit.record("user.password_reset_requested", subject=known, email=email)
        announce(signals.password_reset_requested, signals.PasswordResetRequested(email=email))


def start_password_reset(*, user: User) -> None:
    """Have a link sent to a user with which a new password can be chosen, because an admin asks for it."""
    with transaction.atomic():
        audit.record("user.password_reset_started", subject=user)
        announce(signals.password_reset_started, signals.PasswordResetStarted(user=user))


def reset_password(*, token: str, password: str, now: datetime) -> User:
    """Use a one-time token up and give its user another password; all that was opened with the old one ends.

    Who followed the link has shown that the address is theirs, so it counts as verified. Nobody is signed in by it.
    Of simultaneous requests with links of one user one wins.

    Raises:
        InvalidEmailToken: The token is unknown, used, expired, or was sent to another address than the user has now.
        PasswordRefused: The password is too weak; the token can still be used.
    """
    found = find_email_token(token=token, purpose=EmailToken.Purpose.RESET_PASSWORD, now=now)
    if found is not None:
        check_password_strength(password=password, user=found.user)
    hashed = make_password(password)  # outside of the transaction, which others wait for; and for a dead link too
    with transaction.atomic():
        user = use_email_token(token=token, purpose=EmailToken.Purpose.RESET_PASSWORD, now=now).user
        user.password = hashed
        if user.email_verified_at is None:
            user.email_verified_at = now
            user.save(update_fields=["email_verified_at"])
            audit.record("user.email_verified", subject=user)
        _store_password(user, now=now)
    return user


def set_password(*, user: User, password: str | None, now: datetime) -> None:
    """Give a user another password, or none to sign in with, and end all that was opened with the old one."""
    user.set_password(password)
    with transaction.atomic():
        _store_password(user, now=now)


def _store_password(user: User, *, now: datetime) -> None:
    user.save(update_fields=["password"])
    void_links(user=user, now=now)
    end_all_sessions(user=user, reason=Session.EndReason.PASSWORD_CHANGED, now=now)
    audit.record("user.password_changed", subject=user)
    announce(signals.password_changed, signals.PasswordChanged(user=user))
