"""How codes and tokens of the authorization server are made, and what is remembered while one request is answered."""

import secrets
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from django.utils import timezone
from oauthlib.common import Request

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


def make_opaque_token(jti: UUID) -> str:
    """Return the opaque access token of that id. It follows from the id by HMAC, so it can be given again unstored."""
    return OPAQUE_PREFIX + derive_secrets(_OPAQUE_PURPOSE, str(jti))[0]


def hash_opaque_token(token: str) -> str:
    """Return the digest under which an opaque access token is stored."""
    return keyed_digest(_OPAQUE_PURPOSE, token)


def get_opaque_digests(token: str) -> tuple[str, ...]:
    """Return the digests under which an opaque access token may be stored, now and before a change of keys."""
    return keyed_digests(_OPAQUE_PURPOSE, token)
