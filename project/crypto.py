"""Keys for one purpose each, derived from ``SECRET_KEY``.

One secret in the environment, many keys in the house: a key that leaks or a purpose that is misused says nothing
about the others (NIST SP 800-108, RFC 5869).
"""

import base64
import hmac
from functools import lru_cache

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from project.settings_glance import read_setting


def derive_keys(purpose: str) -> tuple[bytes, ...]:
    """Return the 256-bit keys of a purpose: the current one first, then one per fallback secret."""
    return _derive_all((read_setting("SECRET_KEY"), *read_setting("SECRET_KEY_FALLBACKS")), purpose)


def derive_key(purpose: str) -> bytes:
    """Return the current 256-bit key of a purpose."""
    return derive_keys(purpose)[0]


def keyed_digest(purpose: str, value: str | bytes) -> str:
    """Return the keyed SHA-256 digest (hex) under which a random secret is stored.

    For secrets of at least 128 random bits only; passwords need a slow hash.
    """
    return hmac.digest(derive_key(purpose), _to_bytes(value), "sha256").hex()


def keyed_digests(purpose: str, value: str | bytes) -> tuple[str, ...]:
    """Return the digest under the current key and under each fallback, for look-ups across a key change."""
    data = _to_bytes(value)
    return tuple(hmac.digest(key, data, "sha256").hex() for key in derive_keys(purpose))


def derive_secrets(purpose: str, value: str) -> tuple[str, ...]:
    """Return the 256-bit secret (URL-safe text) that follows from another secret, one per key of the purpose.

    Who doesn't have both, the key and the other secret, can't tell it from a random one.
    """
    digests = (hmac.digest(key, value.encode(), "sha256") for key in derive_keys(purpose))
    return tuple(base64.urlsafe_b64encode(digest).rstrip(b"=").decode() for digest in digests)


@lru_cache(maxsize=64)
def _derive_all(secrets: tuple[str, ...], purpose: str) -> tuple[bytes, ...]:
    info = f"gatehouse:{purpose}".encode()
    return tuple(
        HKDF(algorithm=hashes.SHA256(), length=32, salt=None, info=info).derive(str(secret).encode())
        for secret in secrets
    )


def _to_bytes(value: str | bytes) -> bytes:
    return value.encode() if isinstance(value, str) else value
