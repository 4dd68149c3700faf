"""Showing who one is: e-mail and password."""

from dataclasses import dataclass
from datetime import datetime

import structlog
from django.contrib.auth import authenticate
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError

from accounts.exceptions import EmailNotVerified, InvalidCredentials, PasswordRefused, WrongPassword
from accounts.models import User
from permissions import audit

_log = structlog.get_logger("gatehouse.accounts")


@dataclass(frozen=True, slots=True)
class Proof:
    """That a person has shown who they are.

    A sign-in that needs another factor is a session whose ``authenticated_at`` is empty until that is shown.
    """

    user: User
    #: When.
    at: datetime
    #: How, as methods of RFC 8176 §2.
    amr: tuple[str, ...] = ("pwd",)


def check_credentials(*, email: str, password: str) -> User:
    """Return the user who may sign in with these.

    Raises:
        InvalidCredentials: Unknown address, wrong password or inactive user; which one cannot be told apart.
        EmailNotVerified: All is right but the address is not verified.
    """
    user = authenticate(None, username=email, password=password)
    if not isinstance(user, User):
        _log.info("sign-in refused", reason="credentials")
        # The same two queries whether somebody has the address or not.
        known = User.objects.filter(email=email).first()
        audit.record("user.sign_in_refused", subject=known, email=email, reason="credentials")
        raise InvalidCredentials
    if user.email_verified_at is None:
        _log.info("sign-in refused", reason="not verified", user_id=str(user.pk))
        audit.record("user.sign_in_refused", subject=user, email=email, reason="not verified")
        raise EmailNotVerified
    return user


def check_own_password(*, user: User, password: str) -> None:
    """Let somebody who is signed in show once more who they are.

    Raises:
        WrongPassword: It is wrong.
    """
    if not user.check_password(password):
        audit.record("user.reauthentication_refused", subject=user)
        raise WrongPassword


def check_password_strength(*, password: str, user: User, field: str = "password") -> None:
    """Hold a new password against the rules.

    Raises:
        PasswordRefused: It is too weak; the reasons are said of ``field``.
    """
    try:
        validate_password(password, user)
    except ValidationError as error:
        raise PasswordRefused(fields={field: error.messages}) from error
