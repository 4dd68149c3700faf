"""How codes and tokens of the authorization server are made, and what is remembered while one request is answered."""

import hashlib
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID, uuid4

from django.utils import timezone
from oauthlib.common import Request, generate_token

from accounts.tokens import issue_access_token
from oauth.models import Grant, RefreshToken
from project.crypto import keyed_digest, keyed_digests

#: 62 to the power of 43 is just over 256 bits.
SECRET_CHARACTERS = 43
_CODE_PURPOSE = "authorization-code"
_EXCHANGE = "gatehouse.exchange"


@dataclass(slots=True, kw_only=True)
class Exchange:
    """One request at the token endpoint, from its arrival to the tokens it gives.

    Attributes:
        started_at: When it arrived, before any waiting for a lock. It tells two requests that raced for one code or
            refresh token from a later reuse.
        issued_at: Issue time of the access token.
        jti: Id of the access token.
        grant: The code that is exchanged, if any.
        refresh_token: The refresh token that is exchanged, if any.
    """

    started_at: datetime
    issued_at: datetime
    jti: UUID = field(default_factory=uuid4)
    grant: Grant | None = None
    refresh_token: RefreshToken | None = None


def begin_exchange(request: Request) -> None:
    """Note when a token request arrived."""
    now = timezone.now()
    request.validator_log[_EXCHANGE] = Exchange(started_at=now, issued_at=now)


def get_exchange(request: Request) -> Exchange:
    """Return what ``begin_exchange`` noted, and what was added since."""
    exchange: Exchange = request.validator_log[_EXCHANGE]
    return exchange


def generate_access_token(request: Request) -> str:
    """Return the access token for a request that was granted: the same signed JWT that accounts issues."""
    exchange = get_exchange(request)
    exchange.issued_at = timezone.now()
    source = exchange.refresh_token or exchange.grant
    client_id = str(request.client_id)
    return issue_access_token(
        subject=client_id if source is None else str(source.user_id),
        client_id=client_id,
        now=exchange.issued_at,
        lifetime=timedelta(seconds=int(request.expires_in or 0)),
        scope=request.scopes or (),
        jti=exchange.jti,
    )


def generate_refresh_token(request: Request) -> str:
    """Return a random refresh token."""
    return str(generate_token(SECRET_CHARACTERS))


def hash_token(token: str) -> str:
    """Return the digest under which the toolkit stores a token."""
    return hashlib.sha256(token.encode()).hexdigest()


def hash_code(code: str) -> str:
    """Return the digest under which a code is stored."""
    return keyed_digest(_CODE_PURPOSE, code)


def get_code_digests(code: str) -> tuple[str, ...]:
    """Return the digests under which a code may be stored, now and before a change of keys."""
    return keyed_digests(_CODE_PURPOSE, code)
