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
from accounts.models import EmailToken, Registration, Session, User
from accounts.selectors import find_email_token
from accounts.tokens import FIRST_PARTY_CLIENT_ID, AccessClaims, issue_access_token, revoke_access_tokens
from permissions import audit
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
    Who registers an address that nobody verified yet waits beside the others; the link that is followed settles whose
    password and name count.

    Raises:
        PasswordRefused: The password is too weak, whoever asks.
    """
    user = User(email=email, name=name, created_at=now)
    _check_password_strength(password, user)
    user.set_password(password)  # the costly step comes before the address is looked at
    try:
        with transaction.atomic():
            user.save(force_insert=True)
            _store_registration(signals.user_registered, user, chosen=user)
    except IntegrityError:
        with transaction.atomic():
            # Locked, so that it can't be deleted before the registration is stored.
            known = User.objects.select_for_update(no_key=True).filter(email=email).first()
            if known is not None:
                _store_registration(signals.registration_repeated, known, chosen=user)


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
            audit.record("user.created", subject=user, is_staff=is_staff, is_superuser=is_superuser)
    except IntegrityError:
        return User.objects.get(email=email), False
    return user, True


def request_email_verification(*, user: User) -> None:
    """Void an earlier verification of the user's address and have a new link sent to it."""
    with transaction.atomic():
        User.objects.filter(pk=user.pk).update(email_verified_at=None)
        user.email_verified_at = None
        _announce(signals.verification_requested, user)


def forget_registration(*, registration_id: int) -> None:
    """Delete a registration that came to nothing, with the password that was chosen."""
    Registration.objects.filter(pk=registration_id).delete()


def make_email_token(*, user: User, registration: Registration | None = None, now: datetime) -> str:
    """Return a new one-time token for the link in a verification mail; only its digest is stored.

    Args:
        user: Whose address is to be verified.
        registration: What the link confirms besides, if the mail answers a registration.
        now: Start of the token's life.
    """
    raw = secrets.token_urlsafe(32)
    EmailToken.objects.create(
        user=user,
        purpose=EmailToken.Purpose.VERIFY_EMAIL,
        digest=keyed_digest("email-token", raw),
        email=user.email,
        registration=registration,
        expires_at=now + get_settings().email_verification_lifetime,
        created_at=now,
    )
    return raw


def verify_email(*, token: str, now: datetime) -> User:
    """Use a one-time token up and mark its user's address as verified.

    Until the address is verified, anybody could have registered it; so the password and the name of the registration
    that this link confirms replace those of the account, and all other registrations are forgotten. Of simultaneous
    requests with one token one wins. The user's other links die with it.

    Raises:
        InvalidEmailToken: The token is unknown, used, expired, or was sent to another address than the user has now.
    """
    found = find_email_token(token=token, now=now)
    with transaction.atomic():
        if found is not None:
            # All links of one user wait for each other here; what they find afterwards is what the first one left.
            User.objects.select_for_update(no_key=True).filter(pk=found.user_id).first()
            found = find_email_token(token=token, now=now)
        if found is None:
            raise InvalidEmailToken(fields={"token": [str(InvalidEmailToken())]})
        EmailToken.objects.filter(user=found.user, purpose=found.purpose, used_at__isnull=True).update(used_at=now)
        if found.user.email_verified_at is None:
            _confirm(found, now=now)
    return found.user


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
        audit.record("user.signed_in", actor=user, subject=user, session=session.pk)
    _log.info("signed in", user_id=str(user.pk), session_id=str(session.pk))
    return _pair(started, now=now)


def refresh(*, refresh_token: str, started_at: datetime, now: datetime) -> TokenPair:
    """Exchange a refresh token for a new pair.

    Args:
        refresh_token: The token.
        started_at: When the request arrived.
        now: Start of the new pair's life.

    Raises:
        InvalidRefreshToken: See ``rotation.rotate``.
    """
    return _pair(rotation.rotate(raw=refresh_token, started_at=started_at, now=now), now=now)


def sign_out(*, claims: AccessClaims, now: datetime) -> None:
    """End the session that an access token belongs to, and kill its access tokens at once; idempotent."""
    with transaction.atomic():
        user = audit.Reference.to(User, claims.subject)
        audit.record("user.signed_out", subject=user, client=claims.client_id, session=claims.session_id)
        if claims.session_id is None:
            revoke_access_tokens(kind="jti", subject=claims.jti, now=now, expires_at=claims.expires_at)
            return
        rotation.end_session(session=Session(pk=claims.session_id), now=now)
    _log.info("signed out", user_id=claims.subject, session_id=str(claims.session_id))


def end_session(*, session: Session, now: datetime) -> None:
    """Kill one session and its tokens at once; idempotent."""
    rotation.end_session(session=session, now=now)
    _log.info("session ended", session_id=str(session.pk))


def set_password(*, user: User, password: str | None, now: datetime) -> None:
    """Give a user another password, or none to sign in with, and end all that was opened with the old one."""
    user.set_password(password)
    with transaction.atomic():
        user.save(update_fields=["password"])
        _end_what_the_password_opened(user, now=now)


def end_all_sessions(*, user: User, now: datetime) -> None:
    """Kill every session of a user, and every access token that was issued for the user, by whichever client."""
    with transaction.atomic():
        ended = Session.objects.filter(user=user, revoked_at__isnull=True).update(revoked_at=now)
        lifetime = get_settings().access_token_lifetime
        revoke_access_tokens(kind="sub", subject=str(user.pk), now=now, expires_at=now + lifetime)
        audit.record("user.sessions_ended", subject=user, count=ended)
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


def _store_registration(signal: Signal, user: User, *, chosen: User) -> None:
    """Store what was chosen beside the user that has the address, and announce it."""
    row = Registration.objects.create(
        user=user, email=user.email, password=chosen.password, name=chosen.name, created_at=chosen.created_at
    )
    audit.record("user.registered", subject=user, is_repeated=signal is signals.registration_repeated)
    _announce(signal, user, registration_id=row.pk)


def _confirm(token: EmailToken, *, now: datetime) -> None:
    """Mark the address as verified, by the token's registration if it has one; the user's row is locked."""
    user, registration = token.user, token.registration
    user.email_verified_at = now
    if registration is not None:
        user.password, user.name = registration.password, registration.name
    user.save(update_fields=["email_verified_at", "password", "name"])
    if registration is not None and user.last_login is not None:
        _end_what_the_password_opened(user, now=now)
    Registration.objects.filter(user=user).delete()
    audit.record("user.email_verified", subject=user)
    _announce(signals.email_verified, user)


def _end_what_the_password_opened(user: User, *, now: datetime) -> None:
    end_all_sessions(user=user, now=now)
    audit.record("user.password_changed", subject=user)
    _announce(signals.password_changed, user)


def _announce(signal: Signal, user: User, **facts: object) -> None:
    transaction.on_commit(partial(signal.send, sender=User, user=user, **facts))
