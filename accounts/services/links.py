"""One-time tokens in mailed links."""

import secrets
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from django.db import transaction

from accounts.exceptions import InvalidEmailToken
from accounts.models import EmailToken, Registration, Session, User
from accounts.selectors import LONGEST_LINK_LIFETIME, find_email_token, get_link_lifetime
from project.crypto import keyed_digest

_TOKEN_BYTES: Final = 32


def make_email_token(
    *,
    user: User,
    purpose: EmailToken.Purpose = EmailToken.Purpose.VERIFY_EMAIL,
    email: str = "",
    registration: Registration | None = None,
    lifetime: timedelta | None = None,
    now: datetime,
) -> str:
    """Return a new one-time token for a mailed link; only its digest is stored.

    Args:
        user: Whose link it is.
        purpose: What it is for.
        email: The address that it is sent to, where that isn't the user's.
        registration: What the link confirms besides, if the mail answers a registration.
        lifetime: How long the link works, a day at most; without it what the settings say of the purpose.
        now: Start of the token's life.
    """
    raw = secrets.token_urlsafe(_TOKEN_BYTES)
    EmailToken.objects.create(
        user=user,
        purpose=purpose,
        digest=keyed_digest("email-token", raw),
        email=email or user.email,
        account_email=user.email,
        registration=registration,
        expires_at=now + min(lifetime or get_link_lifetime(purpose=purpose), LONGEST_LINK_LIFETIME),
        created_at=now,
    )
    return raw


def make_email_change_token(*, user: User, email: str, session_id: UUID, now: datetime) -> str | None:
    """Return a new one-time token that changes a user's address, as a session asked for.

    None where the session was ended since, other than by its own sign-out: whoever asked may have been somebody else.
    """
    with transaction.atomic():
        # Whoever ends all sessions holds this row, and makes links void that are there.
        User.objects.select_for_update(no_key=True).filter(pk=user.pk).first()
        session = Session.objects.filter(pk=session_id, user=user).first()
        if session is None or session.end_reason not in {"", Session.EndReason.SIGNED_OUT}:
            return None
        return make_email_token(user=user, purpose=EmailToken.Purpose.CHANGE_EMAIL, email=email, now=now)


def use_email_token(*, token: str, purpose: EmailToken.Purpose, now: datetime) -> EmailToken:
    """Use a one-time token up, and the user's other ones of the purpose with it; the caller holds a transaction.

    The user's row is locked until its end: of simultaneous requests with links of one user one wins, and the others
    find what it left.

    Raises:
        InvalidEmailToken: The token is unknown, used, expired, of another purpose, or was made for another address
            than the user has now.
    """
    found = find_email_token(token=token, purpose=purpose, now=now)
    if found is not None:
        User.objects.select_for_update(no_key=True).filter(pk=found.user_id).first()
        found = find_email_token(token=token, purpose=purpose, now=now)
    if found is None:
        raise InvalidEmailToken(fields={"token": [str(InvalidEmailToken())]})
    EmailToken.objects.filter(user=found.user, purpose=purpose, used_at__isnull=True).update(used_at=now)
    return found


def void_links(*, user: User, now: datetime) -> None:
    """Make every link void that was mailed for a user, as when the password or the address is another now."""
    EmailToken.objects.filter(user=user, used_at__isnull=True).update(used_at=now)
