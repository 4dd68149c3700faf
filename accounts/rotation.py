"""Refresh tokens: opaque, stored as a keyed digest, used once, one family per session (RFC 9700 §4.14.2).

The successor of a token follows from it by HMAC, so it can be given again for a moment without being stored: of any
number of requests that race with one token, as tabs of one browser do, all get the same pair. For the same reason few
used tokens need to be stored: one whose row is gone is known by what follows from it.
"""

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Final
from uuid import UUID

import structlog
from django.conf import settings
from django.db import transaction
from django.db.models import F

from accounts.conf import get_settings
from accounts.exceptions import InvalidRefreshToken
from accounts.models import RefreshToken, Session
from accounts.signals import RefreshTokenReused, refresh_token_reused
from accounts.tokens import revoke_access_tokens
from permissions import audit
from project.crypto import derive_secrets, keyed_digest, keyed_digests

_PURPOSE = "refresh-token"
_SUCCESSOR = "refresh-token-successor"
_PAIR = "refresh-token-pair"
_TOKEN_BYTES = 32
#: Of a session's used tokens one in so many stays as long as the session, besides the last ones.
MILESTONE: Final = 16
#: So many of the newest secrets of the house follow a token: who brings what never was causes no more work.
_FOLLOWED_KEYS: Final = 3
#: A row stays for so long after its use at least, since requests that race may wait for a while.
_LATEST_RACE: Final = timedelta(minutes=10)
_log = structlog.get_logger("gatehouse.accounts")


@dataclass(frozen=True, slots=True, repr=False)
class Rotation:
    """A refresh token, the session that it keeps alive, and what the access token beside it says."""

    session: Session
    #: The token itself; stored nowhere.
    refresh_token: str
    #: When it was made first; the access token counts from then.
    issued_at: datetime
    #: Id of the access token that goes with it.
    jti: UUID
    #: When it is dead, unless it is exchanged before.
    expires_at: datetime


def start_family(*, session: Session, idle: timedelta | None = None, now: datetime) -> Rotation:
    """Make the first refresh token of a session; ``idle`` as for ``rotate``."""
    return _store(secrets.token_urlsafe(_TOKEN_BYTES), session=session, generation=0, idle=idle, now=now)


def rotate(
    *, raw: str, client_id: str = "", idle: timedelta | None = None, started_at: datetime, now: datetime
) -> Rotation:
    """Exchange a refresh token for its successor.

    One conditional UPDATE decides who exchanges it. Who comes later, but within the grace period after that, gets the
    same successor; who comes after it has a token that somebody else has too, which ends the session.

    Args:
        raw: The token.
        client_id: The OAuth client that brings it; empty where the user's own program does. To anybody else the token
            is unknown.
        idle: For how long the successor may lie unused; without it as the settings say.
        started_at: When the request arrived; waiting for rivals doesn't make it late.
        now: When the token is used.

    Raises:
        InvalidRefreshToken: The token is unknown or expired, its session has ended, its user is inactive, or it was
            used longer ago than the grace period; the session has ended then.
    """
    token = _find(raw, client_id)
    if token is None:
        follower = _find_follower(raw, client_id)
        if follower is not None and _is_alive(follower.session):
            _punish_reuse(follower, now=now)
            raise InvalidRefreshToken(detail=f"used long ago, session ended: {follower.session_id}")
        raise InvalidRefreshToken(detail="unknown")
    if token.used_at is None:
        with transaction.atomic():
            if (rotation := _exchange(token, raw=raw, idle=idle, now=now)) is not None:
                return rotation
        token = _find(raw, client_id)  # somebody else may have exchanged it meanwhile
    if token is None or token.used_at is None or not _is_alive(token.session):
        raise InvalidRefreshToken(detail="expired, or its session has ended")
    if started_at > token.used_at + get_settings().refresh_grace:
        _punish_reuse(token, now=now)
        raise InvalidRefreshToken(detail=f"used twice, session ended: {token.session_id}")
    if token.session.expires_at <= now:
        raise InvalidRefreshToken(detail="its session has ended")
    return _repeat(token, raw=raw)


def end_session(*, session: Session, reason: Session.EndReason, now: datetime) -> bool:
    """Kill a session, its refresh tokens and its access tokens, at once and for good; idempotent.

    Returns:
        Whether it was alive until now.
    """
    with transaction.atomic():
        alive = Session.objects.filter(pk=session.pk, revoked_at__isnull=True)
        is_ended = bool(alive.update(revoked_at=now, end_reason=reason))
        if is_ended:
            audit.record("session.ended", subject=session, reason=reason.value, **_name_client(session))
        lifetime = get_settings().access_token_lifetime
        revoke_access_tokens(kind="sid", subject=str(session.pk), now=now, expires_at=now + lifetime)
    return is_ended


def find_session(raw: str, *, client_id: str = "") -> Session | None:
    """Return the session that a refresh token belongs to, dead or alive, with its user; None without such a token."""
    token = _find(raw, client_id) or _find_follower(raw, client_id)
    return token.session if token else None


def find_living(raw: str, *, client_id: str, now: datetime) -> RefreshToken | None:
    """Return a client's refresh token, with session and user, if it would be exchanged now; nothing is changed."""
    token = _find(raw, client_id)
    if token is None or token.used_at is not None or not _is_alive(token.session):
        return None
    return token if min(token.expires_at, token.session.expires_at) > now else None


def _find(raw: str, client_id: str) -> RefreshToken | None:
    if not raw.isascii():
        return None
    known = RefreshToken.objects.filter(digest__in=keyed_digests(_PURPOSE, raw), session__client_id=client_id)
    return known.select_related("session__user").first()


def _find_follower(raw: str, client_id: str) -> RefreshToken | None:
    """Return a token that follows from a used one whose row is gone; None where it never was one.

    Up to the next milestone one that follows is stored: that one, or the living one. Where the secret of the house has
    changed on the way, once at most, what the older one made is followed by what a newer one did. So the work for a
    token that never was is bounded: 15 digests with one secret, 135 with two, 360 with three or more.
    """
    if not raw.isascii():
        return None
    keys = range(min(1 + len(settings.SECRET_KEY_FALLBACKS), _FOLLOWED_KEYS))
    digests: set[str] = set()
    #: By the key, the newest first: what follows by it alone; and all of which it made the last, after one older key.
    alone = dict.fromkeys(keys, raw)
    made: dict[int, set[str]] = {key: set() for key in keys}
    for _ in range(MILESTONE - 1):
        before = {key: made[key] | {alone[older] for older in keys[key:]} for key in keys}
        made = {key: {derive_secrets(_SUCCESSOR, token)[key] for token in before[key]} for key in keys}
        alone = {key: derive_secrets(_SUCCESSOR, alone[key])[key] for key in keys}
        digests |= {keyed_digests(_PURPOSE, token)[key] for key in keys for token in made[key]}
    known = RefreshToken.objects.filter(digest__in=digests, session__client_id=client_id)
    return known.select_related("session__user").first()


def _forget_used(*, session: Session, before: int, now: datetime) -> None:
    """Delete the used tokens of a session up to a generation, but for its milestones."""
    used = RefreshToken.objects.filter(session=session, generation__lt=before, used_at__lte=now - _LATEST_RACE)
    used.annotate(rest=F("generation") % MILESTONE).filter(rest__gt=0).delete()


def _exchange(token: RefreshToken, *, raw: str, idle: timedelta | None, now: datetime) -> Rotation | None:
    """Use the token up; None where it is dead, or somebody else was faster.

    The conditions must be on each row's own columns: PostgreSQL decides them anew after waiting for a rival's commit.
    The session's row is taken too, so that who ends it waits for this exchange or lets it fail. It is taken first, as
    by whoever ends it and deletes its tokens.
    """
    session = token.session
    if token.expires_at <= now or session.expires_at <= now or not _is_alive(session):
        return None
    if not Session.objects.filter(pk=session.pk, revoked_at__isnull=True).update(last_used_at=now):
        return None
    if not RefreshToken.objects.filter(pk=token.pk, used_at__isnull=True).update(used_at=now):
        transaction.set_rollback(True)
        return None
    session.last_used_at = now
    generation = token.generation + 1
    if generation % MILESTONE == 0:
        _forget_used(session=session, before=generation - MILESTONE, now=now)
    successor = derive_secrets(_SUCCESSOR, raw)[0]
    return _store(successor, session=session, generation=generation, idle=idle, now=now)


def _repeat(token: RefreshToken, *, raw: str) -> Rotation:
    """Return the successor that the token was exchanged for; the secret of the house may have changed since."""
    successors = derive_secrets(_SUCCESSOR, raw)
    for successor in successors:
        stored = RefreshToken.objects.filter(
            session=token.session, generation=token.generation + 1, digest__in=keyed_digests(_PURPOSE, successor)
        ).first()
        if stored is not None:
            return Rotation(token.session, successor, stored.created_at, _name_pair(successor), stored.expires_at)
    raise InvalidRefreshToken(detail="its successor is gone")


def _punish_reuse(token: RefreshToken, *, now: datetime) -> None:
    with transaction.atomic():
        if end_session(session=token.session, reason=Session.EndReason.TOKEN_REUSED, now=now):
            _log.warning("refresh token used twice, session ended", session_id=str(token.session_id))
            session = token.session
            audit.record("refresh_token.reused", subject=session.user, session=session.pk, **_name_client(session))
            fact = RefreshTokenReused(user=session.user, session=session)
            transaction.on_commit(partial(refresh_token_reused.announce, fact))


def _name_client(session: Session) -> dict[str, str]:
    """Return what an event tells of the OAuth client whose session it is; nothing where it is the user's own."""
    return {"client_id": session.client_id} if session.client_id else {}


def _is_alive(session: Session) -> bool:
    return session.revoked_at is None and session.authenticated_at is not None and session.user.is_active


def _store(raw: str, *, session: Session, generation: int, idle: timedelta | None, now: datetime) -> Rotation:
    expires_at = min(now + (idle or get_settings().refresh_idle_lifetime), session.expires_at)
    RefreshToken.objects.create(
        session=session,
        digest=keyed_digest(_PURPOSE, raw),
        generation=generation,
        expires_at=expires_at,
        created_at=now,
    )
    return Rotation(session, raw, now, _name_pair(raw), expires_at)


def _name_pair(raw: str) -> UUID:
    """Return the id of the access token that goes with a refresh token."""
    return UUID(keyed_digest(_PAIR, raw)[:32], version=4)
