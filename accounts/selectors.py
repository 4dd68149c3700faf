"""What other modules and apps may read of accounts."""

from uuid import UUID

from django.db.models import Exists

from accounts.exceptions import InvalidToken
from accounts.models import Revocation, User
from accounts.tokens import AccessClaims, is_revoked


def get_user_by_email(*, email: str) -> User:
    """Return the user with that address, whatever its case.

    Raises:
        User.DoesNotExist: Nobody has it.
    """
    return User.objects.get(email=email)


def get_token_user(*, claims: AccessClaims) -> User:
    """Return the user that a verified token acts for; one query answers for user and revocation.

    Raises:
        InvalidToken: The token was revoked, or the user is gone or inactive.
    """
    try:
        user_id = UUID(claims.subject)
    except ValueError as error:
        raise InvalidToken(detail="the subject is no user id") from error
    revoked = Exists(Revocation.objects.filter(is_revoked(claims)))
    user = User.objects.filter(~revoked, pk=user_id, is_active=True).first()
    if user is None:
        raise InvalidToken(detail="revoked, or the user is gone or inactive")
    return user


def is_token_revoked(*, claims: AccessClaims) -> bool:
    """Say whether a verified token was revoked before its time."""
    return Revocation.objects.filter(is_revoked(claims)).exists()
