"""Refresh tokens: opaque, stored as a keyed digest, used once, one family per session (RFC 9700 §4.14.2)."""

import secrets
from dataclasses import dataclass
from datetime import datetime

import structlog
from django.db import transaction

from accounts.conf import get_settings
from accounts.exceptions import InvalidRefreshToken
from accounts.models import RefreshToken, Session
from accounts.tokens import revoke_access_tokens
from permissions import audit
from project.crypto import keyed_digest, keyed_digests

_PURPOSE = "refresh-token"
_TOKEN_BYTES = 32
_log = structlog.get_logger("gatehouse.accounts")


@dataclass(frozen=True, slots=True)
class Rotation:
    """A refresh token just made, and the session that it keeps alive."""

    session: Session
    #: The token itself; stored nowhere.
    refresh_token: str


def start_family(*, session: Session, now: datetime) -> Rotation:
    """Make the first refresh token of a session."""
    return _make_token(session=session, generation=0, now=now)


def rotate(*, raw: str, started_at: datetime, now: datetime) -> Rotation:
    """Exchange a refresh token for its successor.

    One conditional UPDATE decides who exchanges it, so that of any number of simultaneous requests one wins. A later
    use says that somebody else has the token too: it ends the session. A request that was under way when the token was
    used only lost a race, as when two tabs refresh at once: it is refused and nothing else happens.

    Args:
        raw: The token.
        started_at: When the request arrived.
        now: When the token is used.

    Raises:
        InvalidRefreshToken: The token is unknown, used or expired, its session has ended, or its user is inactive.
    """
    token = _find(raw)
    if token is None:
        raise InvalidRefreshToken(detail="unknown")
    with transaction.atomic():
        rotation = _take(token, started_at=started_at, now=now)
    if rotation is None:
        raise InvalidRefreshToken(detail=f"used, expired, or its session has ended: {token.session_id}")
    return rotation


def end_session(*, session: Session, now: datetime) -> None:
    """Kill a session, its refresh tokens and its access tokens, at once and for good; idempotent."""
    with transaction.atomic():
        if Session.objects.filter(pk=session.pk, revoked_at__isnull=True).update(revoked_at=now):
            audit.record("session.ended", subject=session)
        lifetime = get_settings().access_token_lifetime
        revoke_access_tokens(kind="sid", subject=str(session.pk), now=now, expires_at=now + lifetime)


def _find(raw: str) -> RefreshToken | None:
    if not raw.isascii():
        return None
    known = RefreshToken.objects.filter(digest__in=keyed_digests(_PURPOSE, raw))
    return known.select_related("session__user").first()


def _take(token: RefreshToken, *, started_at: datetime, now: datetime) -> Rotation | None:
    """Use the token up; None where it was used before or is dead."""
    if token.used_at is None and not _is_alive(token, now=now):
        return None
    # The condition must be on the row's own column: PostgreSQL decides it anew after waiting for a rival's commit.
    if not RefreshToken.objects.filter(pk=token.pk, used_at__isnull=True).update(used_at=now):
        # A rival that commits after the token was read here was under way at the same time, whatever the clocks say.
        if token.used_at is not None and token.used_at < started_at:
            _log.warning("refresh token used twice, session ended", session_id=str(token.session_id))
            audit.record("refresh_token.reused", subject=token.session.user, session=token.session_id)
            end_session(session=token.session, now=now)
        return None
    Session.objects.filter(pk=token.session_id).update(last_used_at=now)
    return _make_token(session=token.session, generation=token.generation + 1, now=now)


def _is_alive(token: RefreshToken, *, now: datetime) -> bool:
    session = token.session
    has_time_left = token.expires_at > now and session.expires_at > now
    return has_time_left and session.revoked_at is None and session.user.is_active


def _make_token(*, session: Session, generation: int, now: datetime) -> Rotation:
    raw = secrets.token_urlsafe(_TOKEN_BYTES)
    RefreshToken.objects.create(
        session=session,
        digest=keyed_digest(_PURPOSE, raw),
        generation=generation,
        expires_at=min(now + get_settings().refresh_idle_lifetime, session.expires_at),
        created_at=now,
    )
    return Rotation(session, raw)
