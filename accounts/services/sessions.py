"""Sign-ins: beginning, keeping and ending them."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import structlog
from django.db import transaction

from accounts import rotation, signals
from accounts.conf import get_settings
from accounts.exceptions import InvalidCredentials, SessionDoesNotExist
from accounts.models import Session, User
from accounts.selectors import list_sessions
from accounts.services.announcing import announce
from accounts.services.credentials import Proof, check_credentials, check_own_password
from accounts.tokens import FIRST_PARTY_CLIENT_ID, AccessClaims, issue_access_token, revoke_access_tokens
from permissions import audit

_USER_AGENT_CHARACTERS: Final = 300
#: How often a session on the pages writes down that it is used.
_TOUCH_EVERY: Final = timedelta(minutes=1)
_log = structlog.get_logger("gatehouse.accounts")


@dataclass(frozen=True, slots=True)
class Device:
    """From where somebody signs in."""

    ip_address: str | None = None
    user_agent: str = ""
    #: Whether it is known already that the user signed in with it, from there, lately.
    is_known: bool = False


@dataclass(frozen=True, slots=True, repr=False)
class TokenPair:
    """What a sign-in gives; neither token is stored."""

    access_token: str
    refresh_token: str
    #: Life of the access token.
    expires_in: timedelta
    #: End of the refresh token's life.
    refresh_expires_at: datetime
    session: Session


#: Of what comes without a request.
NOWHERE: Final = Device()


def sign_in(*, email: str, password: str, device: Device = NOWHERE, now: datetime) -> TokenPair:
    """Start a session of a program.

    Raises:
        InvalidCredentials: See ``check_credentials``.
        EmailNotVerified: See ``check_credentials``.
    """
    user = check_credentials(email=email, password=password)
    return open_api_session(proof=Proof(user, now), device=device, now=now)


def open_api_session(*, proof: Proof, device: Device = NOWHERE, now: datetime) -> TokenPair:
    """Start a session of a program for somebody who has shown who they are.

    Raises:
        InvalidCredentials: The password was changed, or the account deactivated, since they did.
    """
    with transaction.atomic():
        session = _open(proof, device, kind=Session.Kind.API, now=now)
        started = rotation.start_family(session=session, now=now)
    return _pair(started)


def open_browser_session(*, proof: Proof, device: Device = NOWHERE, now: datetime) -> Session:
    """Start a session on the pages for somebody who has shown who they are.

    Raises:
        InvalidCredentials: As for ``open_api_session``.
    """
    with transaction.atomic():
        return _open(proof, device, kind=Session.Kind.BROWSER, now=now)


def refresh(*, refresh_token: str, started_at: datetime, now: datetime) -> TokenPair:
    """Exchange a refresh token for a new pair; again for the same one within the grace period.

    Args:
        refresh_token: The token.
        started_at: When the request arrived.
        now: Start of the new pair's life.

    Raises:
        InvalidRefreshToken: See ``rotation.rotate``.
    """
    return _pair(rotation.rotate(raw=refresh_token, started_at=started_at, now=now))


def reauthenticate(*, user: User, session_id: UUID, password: str, now: datetime) -> Session:
    """Let somebody who is signed in show once more who they are; their session counts as new from now.

    Raises:
        WrongPassword: The password is wrong.
        SessionDoesNotExist: The session has ended.
    """
    check_own_password(user=user, password=password)
    with transaction.atomic():
        session = Session.objects.select_for_update(no_key=True).filter(pk=session_id, user=user).first()
        if session is None or session.revoked_at is not None:
            raise SessionDoesNotExist
        session.authenticated_at = now
        session.save(update_fields=["authenticated_at"])
        audit.record("user.reauthenticated", subject=user, session=session.pk)
    return session


def issue_session_token(*, session: Session, now: datetime) -> tuple[str, timedelta]:
    """Return another access token of a session, and its life; what its refresh token gives isn't touched."""
    lifetime = min(get_settings().access_token_lifetime, session.expires_at - now)
    return _issue(session, now=now, lifetime=lifetime), lifetime


def use_browser_session(*, session_id: UUID, user: User, now: datetime) -> Session | None:
    """Return a living session of the pages and note that it is used; None where it has ended, also by itself."""
    session = Session.objects.filter(pk=session_id, user=user, kind=Session.Kind.BROWSER).first()
    if session is None or session.revoked_at is not None or session.authenticated_at is None:
        return None
    if session.expires_at <= now or session.last_used_at + get_settings().browser_idle_lifetime <= now:
        return None
    if session.last_used_at + _TOUCH_EVERY <= now:
        Session.objects.filter(pk=session.pk, revoked_at__isnull=True).update(last_used_at=now)
    return session


def hold_session(*, session_id: UUID, user_id: UUID) -> Session:
    """Return a user's living session, which nobody ends before the end of the caller's transaction.

    What is made in it for the user is thus there before whatever ends it, and is seen by that; or isn't made.

    Raises:
        SessionDoesNotExist: The user has no such session, or it has ended.
    """
    living = Session.objects.select_for_update(no_key=True).filter(pk=session_id, user_id=user_id, revoked_at=None)
    session = living.first()
    if session is None:
        raise SessionDoesNotExist
    return session


def sign_out(*, claims: AccessClaims, now: datetime) -> None:
    """End the session that an access token belongs to, and kill its access tokens at once; idempotent."""
    with transaction.atomic():
        user = audit.Reference.to(User, claims.subject)
        audit.record("user.signed_out", subject=user, client=claims.client_id, session=claims.session_id)
        if claims.session_id is None:
            revoke_access_tokens(kind="jti", subject=claims.jti, now=now, expires_at=claims.expires_at)
            return
        session = Session(pk=claims.session_id)
        rotation.end_session(session=session, reason=Session.EndReason.SIGNED_OUT, now=now)
    _log.info("signed out", user_id=claims.subject, session_id=str(claims.session_id))


def sign_out_everywhere(*, user: User, now: datetime) -> None:
    """End every session of a user at the user's own wish, this one too."""
    end_all_sessions(user=user, reason=Session.EndReason.ENDED_BY_USER, now=now)


def end_own_session(*, user: User, session_id: UUID, now: datetime) -> None:
    """End one of the sessions that ``list_sessions`` lists, with its tokens, at once.

    Raises:
        SessionDoesNotExist: It lists none such: it isn't the user's own, or it has ended.
    """
    session = list_sessions(user=user, now=now).filter(pk=session_id).first()
    if session is None:
        raise SessionDoesNotExist
    rotation.end_session(session=session, reason=Session.EndReason.ENDED_BY_USER, now=now)


def end_other_sessions(*, user: User, session_id: UUID, now: datetime) -> None:
    """End every session of a user but one, those of OAuth clients too, each with its tokens, at once."""
    with transaction.atomic():
        living = Session.objects.filter(user=user, revoked_at__isnull=True, expires_at__gt=now)
        for session in living.exclude(pk=session_id).order_by("pk"):
            rotation.end_session(session=session, reason=Session.EndReason.ENDED_BY_USER, now=now)


def end_session(
    *, session: Session, reason: Session.EndReason = Session.EndReason.ENDED_BY_ADMIN, now: datetime
) -> None:
    """Kill one session and its tokens at once; idempotent."""
    rotation.end_session(session=session, reason=reason, now=now)
    _log.info("session ended", session_id=str(session.pk))


def end_all_sessions(
    *, user: User, reason: Session.EndReason = Session.EndReason.ENDED_BY_ADMIN, now: datetime
) -> None:
    """Kill every session of a user, and every access token that was issued for the user, by whichever client."""
    with transaction.atomic():
        ids: list[UUID] = []
        living = Session.objects.select_for_update(no_key=True).filter(user=user, revoked_at__isnull=True)
        # Once more after each find: what was begun while this one waited isn't among the rows that it waited for.
        while found := list(living.exclude(pk__in=ids).order_by("pk").values_list("pk", flat=True)):
            ids += found
        Session.objects.filter(pk__in=ids).update(revoked_at=now, end_reason=reason)
        _revoke_tokens_of(ids, user=user, now=now)
        audit.record("user.sessions_ended", subject=user, count=len(ids), reason=reason.value)
        announce(signals.sessions_ended, signals.SessionsEnded(user_id=user.pk))
    _log.info("all sessions ended", user_id=str(user.pk))


def clean_user_agent(text: str) -> str:
    """Return a User-Agent header as a session keeps it."""
    return "".join(c for c in text if c.isprintable())[:_USER_AGENT_CHARACTERS]


def _revoke_tokens_of(session_ids: Iterable[UUID], *, user: User, now: datetime) -> None:
    """Kill a user's tokens: by the user, and by each session, whose refresh may be ahead of this host's clock."""
    expires_at = now + get_settings().access_token_lifetime
    revoke_access_tokens(kind="sub", subject=str(user.pk), now=now, expires_at=expires_at)
    for session_id in session_ids:
        revoke_access_tokens(kind="sid", subject=str(session_id), now=now, expires_at=expires_at)


def _open(proof: Proof, device: Device, *, kind: Session.Kind, now: datetime) -> Session:
    user = proof.user
    # Whoever changes the password or deactivates the account waits for this sign-in, or lets it fail.
    if not User.objects.filter(pk=user.pk, password=user.password, is_active=True).update(last_login=now):
        raise InvalidCredentials(detail="changed or deactivated while it was checked")
    session = Session.objects.create(
        user=user,
        kind=kind,
        created_at=now,
        authenticated_at=proof.at,
        amr=" ".join(proof.amr),
        last_used_at=now,
        expires_at=now + get_settings().session_lifetime,
        ip_address=device.ip_address,
        user_agent=clean_user_agent(device.user_agent),
    )
    audit.record("user.signed_in", actor=user, subject=user, session=session.pk, kind=kind.value)
    announce(signals.signed_in, signals.SignedIn(user=user, session=session, is_known_device=device.is_known))
    _log.info("signed in", user_id=str(user.pk), session_id=str(session.pk))
    return session


def _pair(made: rotation.Rotation) -> TokenPair:
    session = made.session
    lifetime = min(get_settings().access_token_lifetime, session.expires_at - made.issued_at)
    access_token = _issue(session, now=made.issued_at, lifetime=lifetime, jti=made.jti)
    return TokenPair(access_token, made.refresh_token, lifetime, made.expires_at, session)


def _issue(session: Session, *, now: datetime, lifetime: timedelta, jti: UUID | None = None) -> str:
    return issue_access_token(
        subject=str(session.user_id),
        client_id=FIRST_PARTY_CLIENT_ID,
        session_id=session.pk,
        now=now,
        lifetime=lifetime,
        jti=jti,
        authenticated_at=session.authenticated_at,
        amr=session.amr.split(),
    )
