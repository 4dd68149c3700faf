"""Bearer tokens that aren't signed: who reads them, by what they begin with."""

from collections.abc import Callable
from datetime import datetime

from django.conf import settings

from accounts.exceptions import InvalidToken
from accounts.tokens import AccessClaims, read_access_token

type Reader = Callable[[str, datetime], AccessClaims]
_readers: dict[str, Reader] = {}


def register_opaque_tokens(prefix: str, reader: Reader) -> None:
    """Let a function read the tokens that begin like that; it raises ``InvalidToken`` where it knows none such."""
    _readers[prefix] = reader


def read_bearer_token(raw: str, *, now: datetime, is_for_us: bool = True) -> AccessClaims:
    """Return what a bearer token says: a signed one without a query, another as its reader has it.

    ``is_for_us=False`` takes tokens for any audience; whether it was revoked is not asked here; both as with
    ``read_access_token``.

    Raises:
        InvalidToken: The token isn't one of ours, or is not valid now.
    """
    for prefix, read in _readers.items():
        if raw.startswith(prefix):
            if not raw.isascii():
                raise InvalidToken(detail="not a token of ours")
            claims = read(raw, now)
            if is_for_us and settings.BASE_URL not in claims.audience:
                raise InvalidToken(detail="for another audience")
            return claims
    return read_access_token(raw, now=now, is_for_us=is_for_us)
