"""What may be done with accounts: register, verify, sign in, refresh, sign out."""

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

import structlog
from django.contrib.auth import authenticate
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.dispatch import Signal
from django.utils import timezone

from accounts import rotation, signals
from accounts.conf import get_settings
from accounts.exceptions import EmailNotVerified, InvalidCredentials, InvalidEmailToken, PasswordRefused
from accounts.models import EmailToken, Session, User
from accounts.selectors import find_email_token
from accounts.tokens import FIRST_PARTY_CLIENT_ID, AccessClaims, issue_access_token, revoke_access_tokens
from project.crypto import keyed_digest

_USER_AGENT_CHARACTERS = 300
_log = structlog.get_logger("gatehouse.accounts")


@dataclass(frozen=True, slots=True, repr=False)
class TokenPair:
    """What a sign-in gives; neither token is stored."""

    access_token: str
    refresh_token: str
    #: Life of the access token.
    expires_in: timedelta


def register_user(*, email: str, password: str, name: str = "", now: datetime) -> None:
    """Make an account whose address is still to be verified.

    Whether the address has an account already shows in a mail to that address only: answer and work are the same.

    Raises:
        PasswordRefused: The password is too weak, whoever asks.
    """
    user = User(email=email, name=name, created_at=now)
    _check_password_strength(password, user)
    user.set_password(password)  # the costly step comes before the address is looked at
    try:
        with transaction.atomic():
            user.save(force_insert=True)
            _announce(signals.user_registered, user)
    except IntegrityError:
        known = User.objects.filter(email=email).first()
        if known is not None:
            _announce(signals.registration_repeated, known)


def ensure_user(
    *, email: str, name: str, password: str, is_staff: bool = False, is_superuser: bool = False
) -> tuple[User, bool]:
    """Return the user with that address and whether it was made now, verified; an existing one stays as it is."""
    known = User.objects.filter(email=email).first()
    if known is not None:
        return known, False
    user = User(email=email, name=name, is_staff=is_staff, is_superuser=is_superuser, email_verified_at=timezone.now())
    user.set_password(password)
    try:
        with transaction.atomic():
            user.save(force_insert=True)
    except IntegrityError:
        return User.objects.get(email=email), False
    return user, True


def request_email_verification(*, user: User) -> None:
    """Void an earlier verification of the user's address and have a new link sent to it."""
    with transaction.atomic():
        User.objects.filter(pk=user.pk).update(email_verified_at=None)
        user.email_verified_at = None
        _announce(signals.verification_requested, user)


def make_email_token(*, user: User, now: datetime) -> str:
    """Return a new one-time token for the link in a verification mail; only its digest is stored."""
    raw = secrets.token_urlsafe(32)
    EmailToken.objects.create(
        user=user,
        purpose=EmailToken.Purpose.VERIFY_EMAIL,
        digest=keyed_digest("email-token", raw),
        email=user.email,
        expires_at=now + get_settings().email_verification_lifetime,
        created_at=now,
    )
    return raw


def verify_email(*, token: str, now: datetime) -> User:
    """Use a one-time token up and mark its user's address as verified.

    Of simultaneous requests with one token one wins. The user's other links die with it.

    Raises:
        InvalidEmailToken: The token is unknown, used, expired, or was sent to another address than the user has now.
    """
    found = find_email_token(token=token, now=now)
    with transaction.atomic():
        # The condition must be on the row's own column: PostgreSQL decides it anew after waiting for a rival's commit.
        if found is None or not EmailToken.objects.filter(pk=found.pk, used_at__isnull=True).update(used_at=now):
            raise InvalidEmailToken(fields={"token": [str(InvalidEmailToken())]})
        user = found.user
        EmailToken.objects.filter(user=user, purpose=found.purpose, used_at__isnull=True).update(used_at=now)
        if User.objects.filter(pk=user.pk, email_verified_at__isnull=True).update(email_verified_at=now):
            user.email_verified_at = now
            _announce(signals.email_verified, user)
    return user


def check_credentials(*, email: str, password: str) -> User:
    """Return the user who may sign in with these.

    Raises:
        InvalidCredentials: Unknown address, wrong password or inactive user; which one cannot be told apart.
        EmailNotVerified: All is right but the address is not verified.
    """
    user = authenticate(None, username=email, password=password)
    if not isinstance(user, User):
        _log.info("sign-in refused", reason="credentials")
        raise InvalidCredentials
    if user.email_verified_at is None:
        _log.info("sign-in refused", reason="not verified", user_id=str(user.pk))
        raise EmailNotVerified
    return user


def sign_in(
    *, email: str, password: str, ip_address: str | None = None, user_agent: str = "", now: datetime
) -> TokenPair:
    """Start a session.

    Raises:
        InvalidCredentials: See ``check_credentials``.
        EmailNotVerified: See ``check_credentials``.
    """
    user = check_credentials(email=email, password=password)
    with transaction.atomic():
        User.objects.filter(pk=user.pk).update(last_login=now)
        session = Session.objects.create(
            user=user,
            created_at=now,
            last_used_at=now,
            expires_at=now + get_settings().session_lifetime,
            ip_address=ip_address,
            user_agent="".join(c for c in user_agent if c.isprintable())[:_USER_AGENT_CHARACTERS],
        )
        started = rotation.start_family(session=session, now=now)
    _log.info("signed in", user_id=str(user.pk), session_id=str(session.pk))
    return _pair(started, now=now)


def refresh(*, refresh_token: str, now: datetime) -> TokenPair:
    """Exchange a refresh token for a new pair.

    Raises:
        InvalidRefreshToken: See ``rotation.rotate``.
    """
    return _pair(rotation.rotate(raw=refresh_token, now=now), now=now)


def sign_out(*, claims: AccessClaims, now: datetime) -> None:
    """End the session that an access token belongs to, and kill its access tokens at once; idempotent."""
    if claims.session_id is None:
        revoke_access_tokens(kind="jti", subject=claims.jti, now=now, expires_at=claims.expires_at)
        return
    rotation.end_session(session=Session(pk=claims.session_id), now=now)
    _log.info("signed out", user_id=claims.subject, session_id=str(claims.session_id))


def end_session(*, session: Session, now: datetime) -> None:
    """Kill one session and its tokens at once; idempotent."""
    rotation.end_session(session=session, now=now)
    _log.info("session ended", session_id=str(session.pk))


def end_all_sessions(*, user: User, now: datetime) -> None:
    """Kill every session of a user, and every access token that was issued for the user, by whichever client."""
    with transaction.atomic():
        Session.objects.filter(user=user, revoked_at__isnull=True).update(revoked_at=now)
        lifetime = get_settings().access_token_lifetime
        revoke_access_tokens(kind="sub", subject=str(user.pk), now=now, expires_at=now + lifetime)
    _log.info("all sessions ended", user_id=str(user.pk))


def _pair(made: rotation.Rotation, *, now: datetime) -> TokenPair:
    session = made.session
    lifetime = min(get_settings().access_token_lifetime, session.expires_at - now)
    access_token = issue_access_token(
        subject=str(session.user_id),
        client_id=FIRST_PARTY_CLIENT_ID,
        session_id=session.pk,
        now=now,
        lifetime=lifetime,
    )
    return TokenPair(access_token, made.refresh_token, lifetime)


def _check_password_strength(password: str, user: User) -> None:
    try:
        validate_password(password, user)
    except ValidationError as error:
        raise PasswordRefused(fields={"password": error.messages}) from error


def _announce(signal: Signal, user: User) -> None:
    transaction.on_commit(partial(signal.send, sender=User, user=user))
