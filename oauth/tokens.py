"""How codes and tokens of the authorization server are made, and what is remembered while one request is answered."""

import secrets
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from django.conf import settings
from django.utils import timezone
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import GuestProtocol
from oauthlib.common import Request

from accounts import keys
from accounts.services import Session
from oauth.models import DeviceGrant, Grant
from project.crypto import derive_secrets, keyed_digest, keyed_digests

#: What an opaque access token begins with.
OPAQUE_PREFIX: Final = "gat_"
_SECRET_BYTES: Final = 32
_CODE_PURPOSE: Final = "authorization-code"
_DEVICE_PURPOSE: Final = "device-code"
_USER_CODE_PURPOSE: Final = "device-user-code"
_OPAQUE_PURPOSE: Final = "opaque-access-token"
_USER_CODE_LETTERS: Final = "BCDFGHJKLMNPQRSTVWXZ"
_USER_CODE_LENGTH: Final = 8
_EXCHANGE: Final = "gatehouse.exchange"
_MAX_HINT_CHARACTERS: Final = 8192
_REQUEST_PURPOSE: Final = "authorization-request"


@dataclass(frozen=True, slots=True, kw_only=True)
class IdTokenHint:
    """What an ID token of ours says that comes back.

    Attributes:
        subject: Id of the person.
        client_id: For whom it was made.
        session_id: The session on the pages in which the client was let in, if any.
    """

    subject: str
    client_id: str
    session_id: UUID | None


@dataclass(slots=True, kw_only=True)
class Exchange:
    """One request at the token endpoint, from its arrival to the tokens it gives.

    Attributes:
        started_at: When it arrived, before any waiting for a lock. It tells two requests that raced for one code or
            refresh token from a later reuse.
        grant: The code that is exchanged, if any.
        device: The device that gets its tokens, if any.
        session: The client's session whose refresh token is exchanged, if any.
        user_id: Whose password the client has, if any.
        resource: Audiences of the access token; empty means this house.
    """

    started_at: datetime
    grant: Grant | None = None
    device: DeviceGrant | None = None
    session: Session | None = None
    user_id: UUID | None = None
    resource: tuple[str, ...] = ()


def begin_exchange(request: Request) -> None:
    """Note when a token request arrived."""
    request.validator_log[_EXCHANGE] = Exchange(started_at=timezone.now())


def get_exchange(request: Request) -> Exchange:
    """Return what ``begin_exchange`` noted, and what was added since."""
    exchange: Exchange = request.validator_log[_EXCHANGE]
    return exchange


def make_secret() -> str:
    """Return 256 random bits as URL-safe text."""
    return secrets.token_urlsafe(_SECRET_BYTES)


def hash_code(code: str) -> str:
    """Return the digest under which a code is stored."""
    return keyed_digest(_CODE_PURPOSE, code)


def get_code_digests(code: str) -> tuple[str, ...]:
    """Return the digests under which a code may be stored, now and before a change of keys."""
    return keyed_digests(_CODE_PURPOSE, code)


def hash_device_code(code: str) -> str:
    """Return the digest under which the code of a device is stored."""
    return keyed_digest(_DEVICE_PURPOSE, code)


def get_device_code_digests(code: str) -> tuple[str, ...]:
    """Return the digests under which the code of a device may be stored, now and before a change of keys."""
    return keyed_digests(_DEVICE_PURPOSE, code)


def make_user_code() -> str:
    """Return 8 random letters, 34 bits: no vowels, so no words, and nothing that is read as a digit (RFC 8628 §6.1)."""
    return "".join(secrets.choice(_USER_CODE_LETTERS) for _ in range(_USER_CODE_LENGTH))


def show_user_code(code: str) -> str:
    """Return a code in the form that a device shows."""
    return f"{code[:4]}-{code[4:]}"


def read_user_code(typed: str) -> str:
    """Return what was typed in its normal form: case, and all that the alphabet lacks, mean nothing (RFC 8628 §6.1)."""
    return "".join(letter for letter in typed.upper() if letter in _USER_CODE_LETTERS)


def hash_user_code(code: str) -> str:
    """Return the digest under which a user code is stored. Whoever lacks the key can't try all codes against it."""
    return keyed_digest(_USER_CODE_PURPOSE, code)


def get_user_code_digests(code: str) -> tuple[str, ...]:
    """Return the digests under which a user code may be stored, now and before a change of keys."""
    return keyed_digests(_USER_CODE_PURPOSE, code)


def hash_request_handle(handle: str, browser_key: str) -> str:
    """Return the digest under which a stored authorization request lies; only one browser can name it."""
    return keyed_digest(_REQUEST_PURPOSE, f"{handle}\n{browser_key}")


def get_request_digests(handle: str, browser_key: str) -> tuple[str, ...]:
    """Return the digests under which one may lie, now and before a change of keys."""
    return keyed_digests(_REQUEST_PURPOSE, f"{handle}\n{browser_key}")


def make_opaque_token(jti: UUID) -> str:
    """Return the opaque access token of that id. It follows from the id by HMAC, so it can be given again unstored."""
    return OPAQUE_PREFIX + derive_secrets(_OPAQUE_PURPOSE, str(jti))[0]


def hash_opaque_token(token: str) -> str:
    """Return the digest under which an opaque access token is stored."""
    return keyed_digest(_OPAQUE_PURPOSE, token)


def get_opaque_digests(token: str) -> tuple[str, ...]:
    """Return the digests under which an opaque access token may be stored, now and before a change of keys."""
    return keyed_digests(_OPAQUE_PURPOSE, token)


class HintNotVerifiable(Exception):
    """The key that has signed a hint is gone, if it ever was ours."""


def read_id_token_hint(raw: str) -> IdTokenHint | None:
    """Return what an ID token says that this server made; it may have expired long ago (OpenID Connect Core §3.1.2.1).

    None for anything else.

    Raises:
        HintNotVerifiable: It may be one, but its key is gone.
    """
    if not raw.isascii() or len(raw) > _MAX_HINT_CHARACTERS:
        return None
    try:
        said = jwt.decode(raw, _find_hint_key, registry=keys.REGISTRY).claims
    except (JoseError, ValueError, RecursionError):
        return None
    match said:
        case {"iss": issuer, "sub": str(subject), "aud": str(client_id)} if issuer == settings.BASE_URL:
            session_id = said.get("sid")
            return IdTokenHint(
                subject=subject, client_id=client_id, session_id=UUID(session_id) if session_id else None
            )
        case _:
            return None


def _find_hint_key(token: GuestProtocol) -> keys.Key:
    """Return the key of an ID token; an access token of ours has another type.

    Raises:
        ValueError: It is no ID token of ours.
        HintNotVerifiable: See ``read_id_token_hint``.
    """
    match token.headers():
        case {"alg": algorithm, "kid": str(kid), **others} if others in ({}, {"typ": "JWT"}):
            known = keys.get_hint_key(kid)
            if known is None and keys.is_kid(kid):
                raise HintNotVerifiable
            if known is not None and known.algorithm == algorithm:
                return known.key
    message = "not an ID token of ours"
    raise ValueError(message)
