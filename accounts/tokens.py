"""The only place that signs, reads and revokes access tokens (RFC 9068), for accounts and OAuth alike."""

import hashlib
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal
from uuid import UUID, uuid4

from django.conf import settings
from django.db import transaction
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import GuestProtocol

from accounts import keys
from accounts.exceptions import InvalidToken
from accounts.models import Revocation
from project import shared_facts

#: ``client_id`` of tokens that this house issues to its own users at sign-in.
FIRST_PARTY_CLIENT_ID = "gatehouse"

type RevocationKind = Literal["jti", "sid", "sub", "client"]

_TYPE = "at+jwt"
_MAX_TOKEN_CHARACTERS = 8192
#: How many tokens a process knows to be signed well; about 1 KB each.
_MAX_VERIFIED = 4096
#: How far the clocks of two hosts may differ.
_SKEW = timedelta(seconds=5)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class AccessClaims:
    """What a verified access token says.

    Attributes:
        subject: Id of the user, or the ``client_id`` where a client acts for itself.
        client_id: ``FIRST_PARTY_CLIENT_ID``, or the OAuth client's.
        session_id: The sign-in that the token belongs to, if any.
        jti: Id of the token.
        issued_at: To the microsecond.
        expires_at: To the second.
        scope: What was granted; None says that the token has no ``scope`` claim.
        authenticated_at: When the user last showed who they are, to the second; None where the token doesn't say.
        amr: How they showed it (RFC 8176).
    """

    subject: str
    client_id: str
    session_id: UUID | None
    jti: str
    issued_at: datetime
    expires_at: datetime
    scope: frozenset[str] | None
    authenticated_at: datetime | None = None
    amr: tuple[str, ...] = ()
    #: Where the token is good (RFC 8707).
    audience: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Verified:
    claims: AccessClaims
    key: keys.KnownKey
    issuer: str


#: What tokens say whose signature this process has verified, by the digest of the whole token: while the key is known,
#: the same bytes have the same signature. Times, audience and revocation are looked at every time.
_verified: dict[bytes, _Verified] = {}
_verified_lock = threading.Lock()


def issue_access_token(
    *,
    subject: str,
    client_id: str,
    now: datetime,
    lifetime: timedelta,
    session_id: UUID | None = None,
    scope: Iterable[str] | None = None,
    jti: UUID | None = None,
    authenticated_at: datetime | None = None,
    amr: Iterable[str] = (),
    audience: Iterable[str] = (),
) -> str:
    """Return a signed token; nothing is stored. Without an audience it is for this house."""
    audiences = list(audience) or [settings.BASE_URL]
    issued_at = int(now.timestamp())
    claims: dict[str, object] = {
        "iss": settings.BASE_URL,
        "aud": audiences if len(audiences) > 1 else audiences[0],
        "sub": subject,
        "client_id": client_id,
        "jti": str(jti or uuid4()),
        "iat": issued_at,
        # Whole seconds would make a token issued right after a revocation look as if it came before it.
        "iat_us": (now - _EPOCH) // _MICROSECOND,
        "exp": issued_at + int(lifetime.total_seconds()),
    }
    if session_id is not None:
        claims["sid"] = str(session_id)
    if authenticated_at is not None:
        claims |= {"auth_time": int(authenticated_at.timestamp()), "amr": list(amr)}  # RFC 9068 §2.2.1
    if scope is not None:
        claims["scope"] = " ".join(sorted(set(scope)))
    return keys.get_active_key().sign(claims, kind=_TYPE)


def read_access_token(raw: str, *, now: datetime, is_for_us: bool = True) -> AccessClaims:
    """Verify signature, type, issuer, audience and times, and return the claims.

    ``is_for_us=False`` takes tokens for any audience, to tell what they are worth elsewhere. Whether the token was
    revoked is not asked here: ``accounts.selectors`` answers that.

    Raises:
        InvalidToken: The token isn't one of ours, is not yet or no longer valid, or can't be read.
    """
    if not raw.isascii() or len(raw) > _MAX_TOKEN_CHARACTERS:
        raise InvalidToken(detail="not a token of ours")
    claims = _verify(raw)
    if is_for_us and settings.BASE_URL not in claims.audience:
        raise InvalidToken(detail="for another audience")
    if claims.expires_at <= now:
        raise InvalidToken(detail="expired")
    if claims.issued_at > now + _SKEW:
        raise InvalidToken(detail="issued in the future")
    return claims


def revoke_access_tokens(*, kind: RevocationKind, subject: str, now: datetime, expires_at: datetime) -> None:
    """Kill the access tokens issued up to now: one (``jti``), or all of a session, a user or a client.

    Idempotent, and safe against races: a revocation only ever moves forward.

    Args:
        kind: What ``subject`` is.
        subject: The jti, session id, user id or client_id.
        now: Tokens issued up to this instant are dead.
        expires_at: When the last token concerned has expired and the record may be swept.
    """
    created = Revocation(kind=kind, subject=subject, revoked_at=now, expires_at=expires_at)
    stored = Revocation.objects.filter(kind=kind, subject=subject)
    with transaction.atomic(savepoint=False):
        # First what is there, since an old row might be swept in between: to change it is to hold it.
        if not stored.filter(expires_at__lt=expires_at).update(expires_at=expires_at):
            Revocation.objects.bulk_create([created], ignore_conflicts=True)
            stored.filter(expires_at__lt=expires_at).update(expires_at=expires_at)
        stored.filter(revoked_at__lt=now).update(revoked_at=now)
        shared_facts.forget([get_revocation_key(kind, subject)])


def list_revokers(claims: AccessClaims) -> dict[RevocationKind, str]:
    """Return what could have revoked the token: each kind of revocation with the subject that it would have."""
    revokers: dict[RevocationKind, str] = {"jti": claims.jti, "sub": claims.subject, "client": claims.client_id}
    return revokers if claims.session_id is None else revokers | {"sid": str(claims.session_id)}


def is_revoked(claims: AccessClaims, *, revoked_at: Mapping[RevocationKind, datetime | None]) -> bool:
    """Say whether one of the revocations means this token; ``revoked_at`` is None where there is none of the kind."""
    # A token and a session are never revived, so their revocations count whenever they were written.
    if revoked_at.get("jti") or revoked_at.get("sid"):
        return True
    moments = revoked_at.get("sub"), revoked_at.get("client")
    return any(moment is not None and moment >= claims.issued_at for moment in moments)


def get_revocation_key(kind: RevocationKind, subject: str) -> str:
    """Return the key under which the shared cache holds when something was revoked."""
    return f"revoked:{kind}:{subject}"


def _verify(raw: str) -> AccessClaims:
    """Return what a token says that was signed by a key of ours, which still verifies, in our name.

    Raises:
        InvalidToken: It wasn't, or can't be read.
    """
    digest, issuer = hashlib.sha256(raw.encode()).digest(), settings.BASE_URL
    verified = _verified.get(digest)
    if verified and verified.issuer == issuer and keys.get_public_key(verified.key.kid) is verified.key:
        return verified.claims
    try:
        token = jwt.decode(raw, _find_key, registry=keys.REGISTRY)
    except (JoseError, ValueError, RecursionError) as error:
        raise InvalidToken(detail=f"not verified: {type(error).__name__}") from error
    if token.claims.get("iss") != issuer:
        raise InvalidToken(detail="of another issuer")
    claims = _parse(token.claims)
    key = keys.get_public_key(str(token.header["kid"]))
    if key is not None:
        with _verified_lock:
            if len(_verified) >= _MAX_VERIFIED:
                del _verified[next(iter(_verified))]  # the oldest
            _verified[digest] = _Verified(claims, key, issuer)
    return claims


def _find_key(token: GuestProtocol) -> keys.Key:
    """Return the key of a token whose header has exactly our three members, so that no other can be honoured."""
    match token.headers():
        case {"alg": algorithm, "typ": kind, "kid": str(kid), **others} if kind == _TYPE and not others:
            known = keys.get_public_key(kid)
            if known is None or known.algorithm != algorithm:
                raise InvalidToken(detail="unknown kid, or not its algorithm")
            return known.key
        case _:
            raise InvalidToken(detail="unexpected header")


def _parse(claims: dict[str, object]) -> AccessClaims:
    try:
        issued_at = _EPOCH + timedelta(seconds=_number(claims, "iat"))
        if "iat_us" in claims:
            issued_at = _EPOCH + _number(claims, "iat_us") * _MICROSECOND
        return AccessClaims(
            subject=_text(claims, "sub"),
            client_id=_text(claims, "client_id"),
            session_id=UUID(_text(claims, "sid")) if "sid" in claims else None,
            jti=_text(claims, "jti"),
            issued_at=issued_at,
            expires_at=_EPOCH + timedelta(seconds=_number(claims, "exp")),
            scope=frozenset(_text(claims, "scope", or_empty=True).split()) if "scope" in claims else None,
            authenticated_at=_EPOCH + timedelta(seconds=_number(claims, "auth_time"))
            if "auth_time" in claims
            else None,
            amr=_words(claims, "amr"),
            audience=_words(claims, "aud"),
        )
    except (ValueError, OverflowError) as error:
        raise InvalidToken(detail=f"claims: {error}") from error


def _text(claims: dict[str, object], name: str, *, or_empty: bool = False) -> str:
    match claims.get(name):
        case str(value) if value or or_empty:
            return value
        case _:
            message = f"{name} is missing or not a string"
            raise ValueError(message)


def _words(claims: dict[str, object], name: str) -> tuple[str, ...]:
    words = claims.get(name, [])
    if name == "aud" and isinstance(words, str):  # RFC 7519 §4.1.3
        return (words,)
    if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
        message = f"{name} is not a list of strings"
        raise ValueError(message)
    return tuple(words)


def _number(claims: dict[str, object], name: str) -> int:
    match claims.get(name):
        case int(value) if not isinstance(value, bool):
            return value
        case _:
            message = f"{name} is missing or not a whole number"
            raise ValueError(message)
